//! The log ring that `flux dmesg` shows.

use std::collections::VecDeque;

use flux_service::{LogLevel, Wall};
use flux_wire::Rank;

use crate::attr::Attrs;
use crate::limits::{LOG_LINE_MAX, LOG_RING_DEFAULT};

/// A line as it is kept and sent: `<pri>1 TIME RANK APP PID - - TEXT`, after RFC 5424.
///
/// Deviation: pri is severity * 8 + facility, which is what Flux clients write and read, not RFC 5424's facility * 8 + severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub text: String,
    pub level: u8,
}

impl LogLine {
    pub fn new(level: LogLevel, now: Wall, rank: Rank, app: &str, pid: &str, text: &str) -> LogLine {
        let mut line = format!("<{}>1 {} {rank} {app} {pid} - - {text}", (level as u8) << 3, rfc3339(now));
        truncate(&mut line);
        LogLine { text: line, level: level as u8 }
    }

    /// A line that a client sent (`log.append`). Without a readable priority it counts as a debug message.
    pub fn from_client(bytes: &[u8]) -> LogLine {
        let mut text = String::from_utf8_lossy(bytes).trim_end_matches(['\0', '\n']).to_owned();
        truncate(&mut text);
        let pri =
            text.strip_prefix('<').and_then(|rest| rest.split_once('>')).and_then(|(pri, _)| pri.parse::<u32>().ok());
        LogLine { level: pri.map_or(7, |pri| (pri >> 3 & 7) as u8), text }
    }

    /// The rank that the line says it is from.
    pub fn rank(&self) -> Option<u32> {
        self.text.split(' ').nth(2)?.parse().ok()
    }

    /// What goes to stderr and to the log file: the line behind its time, `Nov 21 10:22:59.820389 UTC 2026`.
    pub fn timed(&self) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let time = self.text.split(' ').nth(1).unwrap_or("-");
        let parts = || {
            let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
            let mut date = date.split('-');
            let (year, month, day) = (date.next()?, date.next()?.parse::<usize>().ok()?, date.next()?);
            Some(format!("{} {day} {clock} UTC {year}", MONTHS.get(month.checked_sub(1)?)?))
        };
        format!("{} {}", parts().unwrap_or_else(|| time.to_owned()), self.plain())
    }

    /// What says its time otherwise, or not: `app.severity[rank]: text`.
    pub fn plain(&self) -> String {
        const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
        let mut fields = self.text.splitn(8, ' ');
        let (rank, app) = (fields.nth(2).unwrap_or("?"), fields.next().unwrap_or("?"));
        let text = fields.nth(3).unwrap_or(&self.text);
        format!("{app}.{}[{rank}]: {text}", NAMES[self.level as usize])
    }
}

fn truncate(text: &mut String) {
    if text.len() > LOG_LINE_MAX {
        let mut end = LOG_LINE_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

/// `2026-11-21T10:22:59.820389Z`.
fn rfc3339(at: Wall) -> String {
    let secs = at.0.as_secs();
    let (days, secs_of_day) = ((secs / 86_400) as i64, secs % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        secs_of_day / 3600,
        secs_of_day / 60 % 60,
        secs_of_day % 60,
        at.0.subsec_micros()
    )
}

/// Days since 1970-01-01 to a Gregorian date (Howard Hinnant's algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Where lines go besides the ring, from the `log-*` attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    pub ring: usize,
    /// Lines of this severity and worse are kept in the ring; negative: none. So are the others.
    pub level: i32,
    /// They go to stderr: on rank 0, and where `log-stderr-mode` is `local`.
    pub stderr_level: i32,
    /// They go to stderr on every rank, at once.
    pub critical_level: i32,
    /// They go to rank 0 too.
    pub forward_level: i32,
    pub stderr_is_local: bool,
    /// They go to syslog; `None`: none does.
    pub syslog_level: Option<i32>,
    /// All go to a file: on rank 0.
    pub has_file: bool,
}

impl LogConfig {
    /// # Errors
    /// A sentence: which of the attributes makes no sense.
    pub fn from_attrs(attrs: &Attrs) -> Result<LogConfig, String> {
        let number = |name: &str, default: i32, max: i32| {
            let Some(text) = attrs.get(name) else { return Ok(default) };
            let wants = || format!("{name}={text}: Invalid argument: give a number up to {max}");
            text.parse().ok().filter(|number| *number <= max).ok_or_else(wants)
        };
        let level = |name: &str, default: i32| number(name, default, 7);
        let mode = attrs.get("log-stderr-mode").unwrap_or("leader");
        if !matches!(mode, "leader" | "local") {
            return Err(format!("log-stderr-mode={mode}: Invalid argument: give leader or local"));
        }
        let syslog = level("log-syslog-level", 3)?;
        let ring = usize::try_from(number("log-ring-size", LOG_RING_DEFAULT as i32, i32::MAX)?);
        Ok(LogConfig {
            ring: ring.map_err(|_| "log-ring-size: Invalid argument: give a number from 0".to_owned())?,
            level: level("log-level", 7)?,
            stderr_level: level("log-stderr-level", 3)?,
            critical_level: level("log-critical-level", 2)?,
            forward_level: level("log-forward-level", 3)?,
            stderr_is_local: mode == "local",
            syslog_level: attrs.get("log-syslog-enable").is_some_and(|text| text != "0").then_some(syslog),
            has_file: attrs.get("log-filename").is_some_and(|path| !path.is_empty()),
        })
    }
}

/// The ring itself.
#[derive(Debug, Default)]
pub(crate) struct LogRing {
    lines: VecDeque<LogLine>,
    /// Lines ever appended.
    pub(crate) count: u64,
    /// Lines of other brokers, which are not kept.
    pub(crate) remote: u64,
}

impl LogRing {
    pub(crate) fn append(&mut self, line: LogLine, max: usize) {
        self.count += 1;
        self.lines.push_back(line);
        while self.lines.len() > max {
            self.lines.pop_front();
        }
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &LogLine> {
        self.lines.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_looks_as_flux_core_writes_it() {
        let at = Wall(Duration::from_micros(1_795_256_579_820_389));
        let line = LogLine::new(LogLevel::Debug, at, Rank(0), "broker", "21946", "insmod config");
        assert_eq!(line.text, "<56>1 2026-11-21T10:22:59.820389Z 0 broker 21946 - - insmod config");
        assert_eq!(LogLine::from_client(line.text.as_bytes()), line);
        assert_eq!(line.plain(), "broker.debug[0]: insmod config");
        assert_eq!(line.timed(), "Nov 21 10:22:59.820389 UTC 2026 broker.debug[0]: insmod config");
    }

    #[test]
    fn any_bytes_make_a_line() {
        for bytes in [&b""[..], b"<", b"<999999999999>x", b"\xff\xfe", &[b'a'; 200_000]] {
            let line = LogLine::from_client(bytes);
            assert!(line.text.len() <= LOG_LINE_MAX && line.level <= 7);
            line.plain();
            line.timed();
        }
    }

    #[test]
    fn dates_follow_the_calendar() {
        for (days, date) in [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (20_778, (2026, 11, 21))] {
            assert_eq!(civil(days), date);
        }
    }
}
