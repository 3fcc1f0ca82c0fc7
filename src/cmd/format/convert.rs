//! Conversions after `!`: Python's `s r a` and Flux's `d D F H P`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::spec::Spec;
use super::{FormatError, Value};
use crate::frame::timefmt;

/// A converted value: most are values again, times keep their own formatting.
pub(super) enum Converted {
    Value(Value),
    /// `!d`: seconds since the epoch, with a strftime format before any `::` of the specification.
    Time(f64),
}

/// Texts that count as nothing, for `?:` and `h`.
pub(super) fn empty_output(text: &str) -> bool {
    matches!(text, "" | "0s" | "0.0" | "0:00:00" | "1970-01-01T00:00:00") || text == timefmt::iso_local(0.0)
}

pub(super) fn convert(value: Value, conversion: Option<char>) -> Result<Converted, FormatError> {
    let Some(conversion) = conversion else { return Ok(Converted::Value(value)) };
    let number = value.number();
    let converted = match (conversion, number) {
        ('s', _) => Value::Text(value.to_string()),
        ('r' | 'a', _) => match &value {
            Value::Text(text) => Value::Text(format!("'{}'", text.escape_default())),
            other => Value::Text(other.to_string()),
        },
        ('d', Some(seconds)) => return Ok(Converted::Time(seconds)),
        ('d', None) if empty(&value) => return Ok(Converted::Time(0.0)),
        ('D', Some(0.0)) => Value::Empty,
        ('D', Some(seconds)) => Value::Text(timefmt::iso_local(seconds)),
        ('F', Some(seconds)) => Value::Text(flux_types::format_fsd_listing(seconds)),
        ('H', Some(seconds)) => Value::Text(clock(seconds)),
        ('P', Some(part)) => Value::Text(percentage(part)),
        ('D' | 'F' | 'H' | 'P', None) if empty(&value) => Value::Empty,
        ('d' | 'D' | 'F' | 'H' | 'P', None) => {
            return Err(FormatError::Convert { conversion, value: value.to_string() });
        }
        (other, _) => return Err(FormatError::Conversion(other)),
    };
    Ok(Converted::Value(converted))
}

/// Checked when the format is parsed, not when the first row comes.
pub(super) fn known(conversion: char) -> bool {
    matches!(conversion, 's' | 'r' | 'a' | 'd' | 'D' | 'F' | 'H' | 'P')
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Empty => true,
        Value::Text(text) => text.is_empty(),
        _ => false,
    }
}

/// `[D day[s], ]H:MM:SS`; anything above zero is at least a second.
fn clock(seconds: f64) -> String {
    let seconds = if 0.0 < seconds && seconds < 1.0 { 1.0 } else { seconds };
    let whole = seconds.round_ties_even() as i64;
    let (days, rest) = (whole.div_euclid(86400), whole.rem_euclid(86400));
    let time = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => time,
        1 | -1 => format!("{days} day, {time}"),
        _ => format!("{days} days, {time}"),
    }
}

/// At most five characters, for parts from 0 to 1.
fn percentage(part: f64) -> String {
    let percent = part * 100.0;
    if 0.0 < percent && percent < 1.0 {
        format!("{percent:.2}%")
    } else {
        format!("{}%", flux_types::duration::general(percent, 3))
    }
}

/// `!d`: a strftime format, then optionally `::` and an ordinary specification.
pub(super) fn format_time(seconds: f64, text: &str) -> Result<String, FormatError> {
    let (time_format, spec) = text.split_once("::").unwrap_or((text, ""));
    let time_format = if time_format.is_empty() { "%Y-%m-%dT%H:%M:%S" } else { time_format };
    let shown = if seconds == 0.0 {
        String::new()
    } else {
        let time = Timestamp::from_millisecond((seconds * 1e3) as i64);
        let time = time.map_err(|_| FormatError::Convert { conversion: 'd', value: seconds.to_string() })?;
        let zoned = time.to_zoned(TimeZone::system());
        jiff::fmt::strtime::format(time_format, &zoned).map_err(|_| FormatError::Spec(time_format.to_owned()))?
    };
    let spec = Spec::parse(spec)?;
    let shown = if spec.hyphen && shown.is_empty() { "-".to_owned() } else { shown };
    super::field::format_value(&Value::Text(shown), &Spec { hyphen: false, mark_cut: false, ..spec })
}
