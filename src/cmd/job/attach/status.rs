//! The line that tells a waiting user what a job waits for.

use std::time::Duration;

use flux_types::eventlog::Entry;
use serde_json::Value;

use super::session::Effect;

/// When the line appears by itself, and how often its clock is moved.
const APPEARS_AFTER: Duration = Duration::from_secs(2);
const PERIOD: Duration = Duration::from_secs(1);

/// When the line is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Never,
    /// Once the job has kept the user waiting.
    Later,
    AtOnce,
}

#[derive(Debug)]
pub(crate) struct StatusLine {
    job: String,
    columns: usize,
    shown: bool,
    /// When the clock on the line next moves; `None` when the line has had its time.
    timer: Option<Duration>,
    message: &'static str,
    prologs: u32,
    zero: Option<f64>,
    canceling: bool,
}

impl StatusLine {
    /// `columns` is the width of the terminal; `now` counts from any fixed point.
    pub(crate) fn new(job: &str, when: When, columns: usize, now: Duration) -> StatusLine {
        let timer = match when {
            When::Never => None,
            When::Later => Some(now + APPEARS_AFTER),
            When::AtOnce => Some(now),
        };
        StatusLine {
            job: job.to_owned(),
            columns,
            shown: when == When::AtOnce,
            timer,
            message: "",
            prologs: 0,
            zero: None,
            canceling: false,
        }
    }

    pub(crate) fn next_timer(&self) -> Option<Duration> {
        self.timer
    }

    /// `wall` is seconds since the epoch.
    pub(crate) fn on_timer(&mut self, now: Duration, wall: f64, out: &mut Vec<Effect>) {
        if self.timer.is_some_and(|at| at <= now) {
            self.timer = Some(now + PERIOD);
            self.shown = true;
            self.draw(wall, out);
        }
    }

    pub(super) fn on_event(&mut self, entry: &Entry, zero: f64, out: &mut Vec<Effect>) {
        self.zero = Some(zero);
        let message = match entry.name.as_str() {
            "submit" => "submitted",
            "validate" => "resolving dependencies",
            "depend" => "waiting for priority assignment",
            "priority" => "waiting for resources",
            "alloc" => "starting",
            "prolog-start" => {
                self.prologs += 1;
                "waiting for prolog"
            }
            "prolog-finish" => {
                self.prologs = self.prologs.saturating_sub(1);
                if self.prologs > 0 { "waiting for prolog" } else { "starting" }
            }
            "exception" if entry.get("severity").and_then(Value::as_i64) == Some(0) => {
                self.canceling = true;
                "canceling due to exception"
            }
            "start" => "started",
            _ => self.message,
        };
        self.message = message;
        if !self.canceling {
            self.draw(entry.timestamp, out);
        }
        if matches!(entry.name.as_str(), "start" | "clean") {
            if self.shown {
                out.push(Effect::Err(b"\n".to_vec()));
            }
            self.shown = false;
            self.timer = None;
        }
    }

    /// Makes room for another line.
    pub(super) fn clear(&mut self, out: &mut Vec<Effect>) {
        if self.shown {
            out.push(Effect::Err(b"\r\x1b[K".to_vec()));
        }
    }

    fn draw(&mut self, wall: f64, out: &mut Vec<Effect>) {
        let (true, Some(zero)) = (self.shown, self.zero) else { return };
        let waited = (wall - zero).max(0.0) as u64;
        let width = self.columns.saturating_sub(20 + self.job.len());
        let clock = format!("{:02}:{:02}:{:02}", waited / 3600, waited / 60 % 60, waited % 60);
        let line = format!("\rflux-job: {} {:<width$} {clock}\r", self.job, self.message);
        out.push(Effect::Err(line.into_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(out: &mut Vec<Effect>) -> Vec<String> {
        let text = |effect| match effect {
            Effect::Err(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        };
        out.drain(..).map(text).collect()
    }

    #[test]
    fn the_line_appears_after_two_seconds_and_ends_with_the_start() {
        let mut out = Vec::new();
        let mut line = StatusLine::new("f1", When::Later, 60, Duration::ZERO);
        line.on_event(&Entry::new(100.0, "submit"), 100.0, &mut out);
        line.on_event(&Entry::new(100.1, "priority"), 100.0, &mut out);
        assert_eq!(texts(&mut out), Vec::<String>::new());
        assert_eq!(line.next_timer(), Some(APPEARS_AFTER));
        line.on_timer(APPEARS_AFTER, 161.5, &mut out);
        assert_eq!(texts(&mut out), ["\rflux-job: f1 waiting for resources                  00:01:01\r"]);
        line.on_event(&Entry::new(162.0, "start"), 100.0, &mut out);
        assert_eq!(texts(&mut out).last().map(String::as_str), Some("\n"));
        assert_eq!(line.next_timer(), None);
    }

    #[test]
    fn without_a_terminal_there_is_no_line() {
        let mut out = Vec::new();
        let mut line = StatusLine::new("f1", When::Never, 60, Duration::ZERO);
        line.on_event(&Entry::new(1.0, "submit"), 1.0, &mut out);
        line.on_timer(Duration::from_secs(9), 9.0, &mut out);
        line.clear(&mut out);
        line.on_event(&Entry::new(2.0, "start"), 1.0, &mut out);
        assert!(out.is_empty() && line.next_timer().is_none());
    }
}
