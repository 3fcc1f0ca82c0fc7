//! Times as people read them, in the local time zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time in the local zone by a strftime format; `None` for times that no calendar has.
pub fn local(seconds: f64, format: &str) -> Option<String> {
    let nanos = (seconds.fract() * 1e9).round() as i32;
    let time = Timestamp::new(seconds.trunc() as i64, nanos.min(999_999_999)).ok()?;
    jiff::fmt::strtime::format(format, &time.to_zoned(TimeZone::system())).ok()
}

/// `2020-01-07T13:31:00`, local time, whole seconds.
pub fn iso_local(seconds: f64) -> String {
    local(seconds.floor(), "%Y-%m-%dT%H:%M:%S").unwrap_or_default()
}

/// Seconds since the epoch, now.
pub fn now() -> f64 {
    flux_sys::clock::wall().as_secs_f64()
}

/// A time as RFC 3339 in UTC with microseconds, `2020-01-07T13:31:00.123456Z`, in seconds since the epoch.
pub fn parse_utc(text: &str) -> Option<f64> {
    let time: Timestamp = text.parse().ok()?;
    Some(time.as_microsecond() as f64 / 1e6)
}

/// `2020-01-07T13:31:00.123456Z`
pub fn utc_micros(seconds: f64) -> String {
    let time = Timestamp::from_microsecond((seconds * 1e6) as i64).unwrap_or_default();
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S.%6fZ", time).unwrap_or_default()
}

/// `2020-01-07T13:31:00Z`
pub fn utc_seconds(seconds: f64) -> String {
    let time = Timestamp::from_second(seconds as i64).unwrap_or_default();
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", time).unwrap_or_default()
}
