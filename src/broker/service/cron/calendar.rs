//! Times of day and year as crontab(5) writes them.

use flux_types::Idset;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Map, Value};

/// Days that are looked at for the next time: over this there is none.
const DAYS_MAX: u32 = 366 * 40;

const WEEKDAYS: &[&str] = &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Name, least, most. Months count from 0, years from 1900, as in C.
const UNITS: [(&str, u32, u32); 7] = [
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("mday", 1, 31),
    ("month", 0, 11),
    ("year", 0, 3000),
    ("weekday", 0, 6),
];
const SECOND: usize = 0;
const MINUTE: usize = 1;
const HOUR: usize = 2;
const MDAY: usize = 3;
const MONTH: usize = 4;
const YEAR: usize = 5;
const WEEKDAY: usize = 6;

/// A set of numbers for each unit; a time matches when it is in all of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calendar {
    sets: [Idset; 7],
}

impl Calendar {
    /// Reads the units that are there, as text or number; the others are free.
    pub(super) fn from_json(args: &Value) -> Result<Calendar, String> {
        let mut sets: [Idset; 7] = Default::default();
        for (at, (name, least, most)) in UNITS.iter().enumerate() {
            let text = match args.get(name) {
                None | Some(Value::Null) => "*".to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(_) => return Err(format!("{name}: neither text nor number")),
            };
            for part in text.split(',') {
                let (first, last, step) =
                    range(part, at, *least, *most).ok_or_else(|| format!("{name}: {text}: no range"))?;
                for id in (first..=last).step_by(step) {
                    sets[at].insert(id);
                }
            }
        }
        Ok(Calendar { sets })
    }

    pub(super) fn to_json(&self) -> Map<String, Value> {
        UNITS.iter().zip(&self.sets).map(|((name, ..), set)| ((*name).to_owned(), set.to_string().into())).collect()
    }

    fn has(&self, unit: usize, number: u32) -> bool {
        self.sets[unit].contains(number)
    }

    fn has_day(&self, day: Date) -> bool {
        let year = i32::from(day.year()) - 1900;
        u32::try_from(year).is_ok_and(|year| self.has(YEAR, year))
            && self.has(MONTH, day.month() as u32 - 1)
            && self.has(MDAY, day.day() as u32)
            && self.has(WEEKDAY, day.weekday().to_sunday_zero_offset() as u32)
    }

    /// The first time after `now`, both in seconds since 1970; `None` if there is none in the next decades.
    pub(super) fn next_after(&self, now: f64, zone: &TimeZone) -> Option<i64> {
        let now = Timestamp::from_second(now.floor() as i64).ok()?;
        let local = zone.to_datetime(now);
        let mut day = local.date();
        for _ in 0..DAYS_MAX {
            if self.has_day(day)
                && let Some(found) = self.time_of(day, (day == local.date()).then(|| local.time()), now, zone)
            {
                return Some(found);
            }
            day = day.checked_add(1.day()).ok()?;
        }
        None
    }

    fn time_of(&self, day: Date, from: Option<Time>, now: Timestamp, zone: &TimeZone) -> Option<i64> {
        // An hour earlier: it may come twice, when clocks are put back.
        let first_hour = from.map_or(0, |time| u32::from(time.hour() as u8).saturating_sub(1));
        for hour in (first_hour..24).filter(|hour| self.has(HOUR, *hour)) {
            for minute in (0..60).filter(|minute| self.has(MINUTE, *minute)) {
                for second in (0..60).filter(|second| self.has(SECOND, *second)) {
                    let time = Time::new(hour as i8, minute as i8, second as i8, 0).ok()?;
                    let found = zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().ok()?;
                    if found > now {
                        return Some(found.as_second());
                    }
                }
            }
        }
        None
    }
}

/// First, last and step of `*`, `N`, `N-M`, each perhaps with `/STEP`.
fn range(part: &str, unit: usize, least: u32, most: u32) -> Option<(u32, u32, usize)> {
    let (span, step) = match part.split_once('/') {
        Some((span, step)) => (span, step.trim().parse().ok().filter(|step| *step > 0)?),
        None => (part, 1),
    };
    let span = span.trim();
    let (first, last) = match span.split_once('-') {
        _ if span == "*" => (least, most),
        Some((first, last)) => (number(first, unit)?, number(last, unit)?),
        None => {
            let one = number(span, unit)?;
            (one, if step > 1 { most } else { one })
        }
    };
    (first <= last && first >= least && last <= most).then_some((first, last, step))
}

/// A number, or the beginning of a day's or month's name.
fn number(text: &str, unit: usize) -> Option<u32> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let names = match unit {
        WEEKDAY => WEEKDAYS,
        MONTH => MONTHS,
        _ => return None,
    };
    let text = text.to_ascii_lowercase();
    let at = names.iter().position(|name| !text.is_empty() && name.starts_with(&text))?;
    u32::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn next(args: Value, now: &str) -> Option<String> {
        let now: Timestamp = now.parse().unwrap();
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let found = Calendar::from_json(&args).unwrap().next_after(now.as_second() as f64 + 0.5, &zone)?;
        Some(Timestamp::from_second(found).unwrap().to_string())
    }

    #[test]
    fn the_next_time_is_the_first_that_is_in_all_sets() {
        let rows = [
            (json!({"second": 0, "minute": "*"}), "2024-01-01T00:00:00Z", Some("2024-01-01T00:01:00Z")),
            (json!({"second": 0, "minute": "5", "hour": "*"}), "2024-01-01T00:04:59Z", Some("2024-01-01T00:05:00Z")),
            (json!({"second": 0, "minute": "5", "hour": "*"}), "2024-01-01T00:05:00Z", Some("2024-01-01T01:05:00Z")),
            (json!({"second": 0, "minute": 0, "hour": 0}), "2024-06-01T00:00:00Z", Some("2024-06-01T22:00:00Z")),
            (
                json!({"second": 0, "minute": 0, "hour": 0, "weekday": "mon"}),
                "2024-06-01T00:00:00Z",
                Some("2024-06-02T22:00:00Z"),
            ),
            (
                json!({"second": 0, "minute": 0, "hour": 12, "mday": 29, "month": 1}),
                "2024-03-01T00:00:00Z",
                Some("2028-02-29T11:00:00Z"),
            ),
            (json!({"second": 0, "minute": 0, "hour": 12, "mday": 31, "month": "feb"}), "2024-03-01T00:00:00Z", None),
            (json!({"second": 0, "minute": 30, "hour": 2}), "2024-03-31T00:00:00Z", Some("2024-03-31T01:30:00Z")),
            (
                json!({"second": 1, "minute": 2, "hour": 3, "mday": 4, "month": 5, "year": 100}),
                "2024-01-01T00:00:00Z",
                None,
            ),
            (json!({"second": "*/20"}), "2024-01-01T00:00:39Z", Some("2024-01-01T00:00:40Z")),
        ];
        for (args, now, want) in rows {
            assert_eq!(next(args.clone(), now).as_deref(), want, "{args} {now}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in ["60", "5-1", "x", "", "1-", "*/0", "-1", "1,,2"] {
            assert!(Calendar::from_json(&json!({"minute": bad})).is_err(), "{bad}");
        }
        assert!(Calendar::from_json(&json!({"minute": [1]})).is_err());
    }

    #[test]
    fn sets_are_shown_as_ranges() {
        let calendar = Calendar::from_json(&json!({"minute": "1,2,3,30-40/5", "weekday": "mon-fri"})).unwrap();
        let shown = calendar.to_json();
        assert_eq!(
            (&shown["minute"], &shown["weekday"], &shown["hour"]),
            (&json!("1-3,30,35,40"), &json!("1-5"), &json!("0-23"))
        );
    }
}
