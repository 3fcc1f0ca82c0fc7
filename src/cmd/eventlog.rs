//! How event logs are printed: as text or JSON, with one of four kinds of time.

use flux_types::eventlog::Entry;
use serde_json::Value;

use crate::frame::CmdError;
use crate::frame::timefmt;

const RESET: &str = "\x1b[0m";
const BOLD_GREEN: &str = "\x1b[1m\x1b[32m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BLUE: &str = "\x1b[34m";
const MAGENTA: &str = "\x1b[35m";
const BOLD_RED: &str = "\x1b[1m\x1b[31m";
const GRAY: &str = "\x1b[37m";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Raw,
    Iso,
    Offset,
    /// A date each minute, and the seconds since within it.
    Human,
}

/// Prints the entries of one log, in order.
#[derive(Debug)]
pub(crate) struct Formatter {
    json: bool,
    times: Times,
    color: bool,
    zero: Option<f64>,
    /// Start of the present minute: its date as printed, and the time of its first entry.
    minute: Option<(String, f64)>,
}

impl Formatter {
    /// `format` is `text` or `json`, `times` one of `raw`, `iso`, `offset` and `human`; `human` asks for the last.
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn new(format: &str, times: &str, human: bool, color: bool) -> Result<Formatter, CmdError> {
        let json = match format.to_ascii_lowercase().as_str() {
            _ if human => false,
            "text" => false,
            "json" => true,
            _ => return Err(CmdError::new(format!("invalid format type '{format}'"))),
        };
        let times = match times.to_ascii_lowercase().as_str() {
            _ if human => Times::Human,
            "raw" => Times::Raw,
            "iso" => Times::Iso,
            "offset" => Times::Offset,
            "human" | "reltime" => Times::Human,
            _ => return Err(CmdError::new(format!("invalid time-format type '{times}'"))),
        };
        Ok(Formatter { json, times, color, zero: None, minute: None })
    }

    /// Notes the time of an entry that is not printed: offsets count from the first one.
    pub(crate) fn note(&mut self, entry: &Entry) {
        self.zero.get_or_insert(entry.timestamp);
    }

    /// The entry as one line, without its newline.
    pub(crate) fn line(&mut self, entry: &Entry) -> String {
        self.note(entry);
        if self.json {
            return entry.encode().trim_end().to_owned();
        }
        let time = self.time(entry.timestamp);
        let name_color = if entry.name == "exception" { BOLD_RED } else { YELLOW };
        let mut line = format!("{time} {}", self.painted(name_color, &entry.name));
        for (key, value) in entry.context.iter().flatten() {
            let color = if value.is_number() { GRAY } else { MAGENTA };
            line.push_str(&format!(" {}={}", self.painted(BLUE, key), self.painted(color, &compact(value))));
        }
        line
    }

    fn painted(&self, color: &str, text: &str) -> String {
        if self.color { format!("{color}{text}{RESET}") } else { text.to_owned() }
    }

    fn time(&mut self, at: f64) -> String {
        let (color, text) = match self.times {
            Times::Raw => (GREEN, format!("{at:.6}")),
            Times::Iso => {
                let micros = ((at - at.trunc()) * 1e6) as u32;
                let zone = timefmt::local(at.trunc(), "%:z").unwrap_or_default();
                let zone = if zone == "+00:00" { "Z".to_owned() } else { zone };
                (GREEN, format!("{}.{micros:06}{zone}", timefmt::iso_local(at.trunc())))
            }
            Times::Offset => (GREEN, format!("{:.6}", at - self.zero.unwrap_or(at))),
            Times::Human => {
                let date = timefmt::local(at.trunc(), "%b%d %H:%M").unwrap_or_default();
                match &self.minute {
                    Some((known, since)) if *known == date => (GREEN, format!("[{:+11.6}]", at - since)),
                    _ => {
                        let text = format!("[{date}]");
                        self.minute = Some((date, at));
                        (BOLD_GREEN, text)
                    }
                }
            }
        };
        self.painted(color, &text)
    }
}

pub(crate) fn compact(value: &Value) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log() -> Vec<Entry> {
        vec![
            Entry::with_context(1_795_265_502.362_437, "submit", [("userid", json!(0)), ("note", json!("a b"))]),
            Entry::new(1_795_265_502.374_144, "validate"),
            Entry::new(1_795_265_582.0, "clean"),
        ]
    }

    #[test]
    fn a_log_is_printed_as_asked() {
        let rows = [
            (
                "text",
                "raw",
                [
                    "1795265502.362437 submit userid=0 note=\"a b\"",
                    "1795265502.374144 validate",
                    "1795265582.000000 clean",
                ],
            ),
            ("text", "offset", ["0.000000 submit userid=0 note=\"a b\"", "0.011707 validate", "79.637563 clean"]),
            (
                "json",
                "raw",
                [
                    r#"{"timestamp":1795265502.362437,"name":"submit","context":{"userid":0,"note":"a b"}}"#,
                    r#"{"timestamp":1795265502.374144,"name":"validate"}"#,
                    r#"{"timestamp":1795265582.0,"name":"clean"}"#,
                ],
            ),
        ];
        for (format, times, want) in rows {
            let mut formatter = Formatter::new(format, times, false, false).unwrap();
            let lines: Vec<_> = log().iter().map(|entry| formatter.line(entry)).collect();
            assert_eq!(lines, want, "{format} {times}");
        }
    }

    #[test]
    fn people_get_a_date_each_minute() {
        let mut formatter = Formatter::new("text", "raw", true, false).unwrap();
        let lines: Vec<_> = log().iter().map(|entry| formatter.line(entry)).collect();
        assert!(
            lines[0].starts_with("[Nov21 ") && lines[0].ends_with("] submit userid=0 note=\"a b\""),
            "{}",
            lines[0]
        );
        assert_eq!(lines[1], "[  +0.011707] validate");
        assert!(lines[2].starts_with("[Nov21 "), "{}", lines[2]);
    }

    #[test]
    fn unknown_formats_are_named() {
        let bad = |format, times| Formatter::new(format, times, false, false).unwrap_err().to_string();
        assert_eq!(bad("xml", "raw"), "invalid format type 'xml'");
        assert_eq!(bad("text", "moon"), "invalid time-format type 'moon'");
    }
}
