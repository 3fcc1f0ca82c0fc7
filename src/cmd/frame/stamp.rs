//! The time stamps before lines of `flux dmesg` and `flux module trace`, and their colors.

use clap::ArgMatches;

use super::color::{self, BOLD, GREEN, RESET};
use super::context::Context;
use super::{CmdError, timefmt};

/// `--human`, `--delta` and `--color`, and the minute shown last.
pub struct Stamps {
    pub human: bool,
    pub delta: bool,
    pub color: bool,
    /// The minute, and the time that offsets count from.
    minute: Option<(String, f64)>,
}

impl Stamps {
    /// # Errors
    /// `--delta` without `--human`.
    pub fn of(matches: &ArgMatches, cx: &Context) -> Result<Stamps, CmdError> {
        let (human, delta) = (matches.get_flag("human"), matches.get_flag("delta"));
        if delta && !human {
            return Err(CmdError::new("--delta can only be used with --human"));
        }
        Ok(Stamps::new(human, delta, color::wanted(matches, cx)?))
    }

    pub fn new(human: bool, delta: bool, color: bool) -> Stamps {
        Stamps { human, delta, color, minute: None }
    }

    pub fn colored(&self, color: &str, text: &str) -> String {
        if self.color { format!("{color}{text}{RESET}") } else { text.to_owned() }
    }

    /// The minute where it changes, otherwise the seconds since then (with `--delta`, since the line before).
    pub fn human(&mut self, seconds: f64) -> String {
        let minute = timefmt::local(seconds, "%Y %b%d %H:%M").unwrap_or_default();
        match &mut self.minute {
            Some((shown, start)) if *shown == minute => {
                let offset = seconds - *start;
                if self.delta {
                    *start = seconds;
                }
                self.colored(GREEN, &format!("[{offset:>+11.6}]"))
            }
            _ => {
                let text = format!("[{}]", minute.split_once(' ').map_or("", |(_, rest)| rest));
                self.minute = Some((minute, seconds));
                self.colored(&format!("{BOLD}{GREEN}"), &text)
            }
        }
    }
}
