//! Points in time as people write them: `+1h`, `3pm`, `tomorrow noon`, `2030-01-31 10:00`, `in 5 minutes`.

use flux_types::parse_fsd;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[(&str, Weekday)] = &[
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
/// Longest text that is looked at.
const LEN_MAX: usize = 128;

/// Reads a point in time, in the local time zone; `now` and the answer are seconds since the epoch.
///
/// `None` if the text is none. A date without time means the present time of that day, except that `today`, `tomorrow`
/// and `next DAY` mean its beginning.
pub(crate) fn parse(text: &str, now: f64) -> Option<f64> {
    parse_in(text, now, &TimeZone::system())
}

fn parse_in(text: &str, now: f64, zone: &TimeZone) -> Option<f64> {
    let text = text.trim();
    if text.len() > LEN_MAX {
        return None;
    }
    if text == "now" {
        return Some(now);
    }
    if let Some(offset) = text.strip_prefix('+') {
        return parse_fsd(offset).map(|seconds| now + seconds);
    }
    if let Some(offset) = text.strip_prefix('-') {
        return parse_fsd(offset).map(|seconds| now - seconds);
    }
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split([' ', ',']).filter(|word| !word.is_empty() && *word != "at").collect();
    let exact = || text.parse::<Timestamp>().ok().map(|at| at.as_duration().as_secs_f64());
    let civil = || text.parse::<DateTime>().ok().filter(|_| text.contains(':'));
    relative(&words, now)
        .or_else(exact)
        .or_else(|| civil().and_then(|at| seconds(at, zone)))
        .or_else(|| calendar(&words, now, zone))
}

fn seconds(at: DateTime, zone: &TimeZone) -> Option<f64> {
    Some(at.to_zoned(zone.clone()).ok()?.timestamp().as_duration().as_secs_f64())
}

/// `5 minutes`, `in 5m`, `2 hours ago`.
fn relative(words: &[&str], now: f64) -> Option<f64> {
    let (words, sign) = match words {
        ["in", rest @ ..] => (rest, 1.0),
        [rest @ .., "ago"] => (rest, -1.0),
        rest => (rest, 1.0),
    };
    let span = match words {
        [one] if one.ends_with(|c: char| c.is_ascii_alphabetic()) => parse_fsd(one)?,
        [number, unit] => {
            const UNITS: &[(&str, f64)] = &[
                ("second", 1.0),
                ("sec", 1.0),
                ("minute", 60.0),
                ("min", 60.0),
                ("hour", 3600.0),
                ("day", 86400.0),
                ("week", 604_800.0),
            ];
            let unit = unit.strip_suffix('s').unwrap_or(unit);
            let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
            let number: f64 = if matches!(*number, "a" | "an") { 1.0 } else { number.parse().ok()? };
            (number.is_finite() && number >= 0.0).then_some(number * scale)?
        }
        _ => return None,
    };
    span.is_finite().then_some(now.floor() + sign * span)
}

/// A day, a time, or both.
fn calendar(words: &[&str], now: f64, zone: &TimeZone) -> Option<f64> {
    let present = Timestamp::from_second(now as i64).ok()?.to_zoned(zone.clone()).datetime();
    let (mut day, mut time) = (None, None);
    let mut rest = words;
    while !rest.is_empty() {
        if let Some((found, used)) = read_time(rest).filter(|_| time.is_none()) {
            time = Some(found);
            rest = &rest[used..];
        } else if let Some((found, starts, used)) = read_day(rest, present.date()).filter(|_| day.is_none()) {
            day = Some((found, starts));
            rest = &rest[used..];
        } else {
            return None;
        }
    }
    let (day, starts) = match (day, time) {
        (None, None) => return None,
        (None, Some(_)) => (present.date(), true),
        (Some(day), _) => day,
    };
    let time = time.unwrap_or(if starts { Time::midnight() } else { present.time() });
    seconds(day.to_datetime(time), zone)
}

/// A time at the head of `words`, and how many words it is.
fn read_time(words: &[&str]) -> Option<(Time, usize)> {
    let word = words[0];
    match word {
        "noon" => return Some((Time::constant(12, 0, 0, 0), 1)),
        "midnight" => return Some((Time::midnight(), 1)),
        _ => {}
    }
    let (digits, half, used) = match (word.strip_suffix("am"), word.strip_suffix("pm"), words.get(1)) {
        (Some(digits), _, _) => (digits, Some(0), 1),
        (_, Some(digits), _) => (digits, Some(12), 1),
        (_, _, Some(&"am")) => (word, Some(0), 2),
        (_, _, Some(&"pm")) => (word, Some(12), 2),
        _ => (word, None, 1),
    };
    let parts: Vec<i8> = digits.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hour, minute, second) = match parts.as_slice() {
        [hour] if half.is_some() => (*hour, 0, 0),
        [hour, minute] => (*hour, *minute, 0),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return None,
    };
    let hour = match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(half) => hour % 12 + half,
        None => hour,
    };
    Some((Time::new(hour, minute, second, 0).ok()?, used))
}

/// A day at the head of `words`, whether it stands for its beginning, and how many words it is.
fn read_day(words: &[&str], today: Date) -> Option<(Date, bool, usize)> {
    match words[0] {
        "today" => return Some((today, true, 1)),
        "tomorrow" => return Some((today.tomorrow().ok()?, true, 1)),
        "yesterday" => return Some((today.yesterday().ok()?, true, 1)),
        "next" => {
            let day = weekday(words.get(1)?)?;
            return Some((today.nth_weekday(1, day).ok()?, true, 2));
        }
        _ => {}
    }
    if let Some(day) = weekday(words[0]) {
        return Some((today.nth_weekday(1, day).ok()?, false, 1));
    }
    if let Some(month) = month(words[0]) {
        let day: i8 = words.get(1)?.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()?;
        let year = words.get(2).filter(|word| word.len() == 4).and_then(|word| word.parse::<i16>().ok());
        let date = Date::new(year.unwrap_or(today.year()), month, day).ok()?;
        let date = if year.is_none() && date < today { date.checked_add(1.year()).ok()? } else { date };
        return Some((date, false, if year.is_some() { 3 } else { 2 }));
    }
    let numbers =
        |separator: char| words[0].split(separator).map(|part| part.parse::<i16>().ok()).collect::<Option<Vec<_>>>();
    let date = match (numbers('-').as_deref(), numbers('/').as_deref()) {
        (Some([year, month, day]), _) if *year >= 1000 => civil(*year, *month, *day),
        (_, Some([year, month, day])) if *year >= 1000 => civil(*year, *month, *day),
        (_, Some([month, day, year])) => civil(if *year < 100 { year + 2000 } else { *year }, *month, *day),
        (_, Some([month, day])) => civil(today.year(), *month, *day),
        _ => None,
    };
    Some((date?, false, 1))
}

fn civil(year: i16, month: i16, day: i16) -> Option<Date> {
    Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()
}

fn month(word: &str) -> Option<i8> {
    let at = MONTHS.iter().position(|short| word.starts_with(short))?;
    Some(at as i8 + 1)
}

fn weekday(word: &str) -> Option<Weekday> {
    DAYS.iter().find(|(short, _)| word.starts_with(short)).map(|(_, day)| *day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saturday 2026-11-21 12:53:28 UTC.
    const NOW: f64 = 1_795_265_608.25;

    #[test]
    fn points_in_time_are_read_as_people_write_them() {
        let rows = [
            ("now", Some(NOW)),
            ("+1h", Some(NOW + 3600.0)),
            ("+5", Some(NOW + 5.0)),
            ("-1d", Some(NOW - 86400.0)),
            ("today", Some(1_795_219_200.0)),
            ("tomorrow", Some(1_795_305_600.0)),
            ("noon", Some(1_795_262_400.0)),
            ("midnight", Some(1_795_219_200.0)),
            ("3pm", Some(1_795_273_200.0)),
            ("3:30pm", Some(1_795_275_000.0)),
            ("3:30 PM", Some(1_795_275_000.0)),
            ("15:30", Some(1_795_275_000.0)),
            ("10am", Some(1_795_255_200.0)),
            ("12am", Some(1_795_219_200.0)),
            ("tomorrow 3pm", Some(1_795_359_600.0)),
            ("tomorrow at 3pm", Some(1_795_359_600.0)),
            ("in 5m", Some(1_795_265_908.0)),
            ("5 minutes", Some(1_795_265_908.0)),
            ("5 minutes ago", Some(1_795_265_308.0)),
            ("2030-01-01 10:00", Some(1_893_492_000.0)),
            ("2030-01-01T10:00:00", Some(1_893_492_000.0)),
            ("2030-01-01T10:00:00+01:00", Some(1_893_488_400.0)),
            ("1/2/2030", Some(1_893_588_808.0)),
            ("jan 3", Some(1_798_980_808.0)),
            ("next monday", Some(1_795_392_000.0)),
            ("friday", Some(1_795_784_008.0)),
            ("1800000000", None),
            ("foo", None),
            ("", None),
            ("25:00", None),
            ("13pm", None),
            ("+x", None),
            ("2030-13-01", None),
        ];
        for (text, want) in rows {
            assert_eq!(parse_in(text, NOW, &TimeZone::UTC), want, "{text:?}");
        }
    }
}
