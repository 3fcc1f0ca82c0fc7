//! The key-value encoding of RFC 38: `KEY NUL TYPE VALUE NUL`, again and again; the type is one letter.

use crate::limits::KV_ENTRIES_MAX;

/// The type of a value, by its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text = b's' as isize,
    Integer = b'i' as isize,
    Double = b'd' as isize,
    Boolean = b'b' as isize,
    Time = b't' as isize,
}

/// A list of typed values in the order in which they were put; each key is there once.
///
/// Values are kept as they are written, so that what was signed is encoded again byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kv(Vec<(String, Kind, String)>);

impl Kv {
    /// Reads an encoding. `None` if it is cut, not UTF-8, has an empty key or the same key twice, has a value that is
    /// not of its type as RFC 38 writes it, or more entries than [`KV_ENTRIES_MAX`].
    pub fn decode(bytes: &[u8]) -> Option<Kv> {
        let mut kv = Kv::default();
        if bytes.is_empty() {
            return Some(kv);
        }
        let mut parts = std::str::from_utf8(bytes).ok()?.strip_suffix('\0')?.split('\0');
        while let Some(key) = parts.next() {
            let (kind, value) = parts.next()?.split_at_checked(1)?;
            let kinds = [Kind::Text, Kind::Integer, Kind::Double, Kind::Boolean, Kind::Time];
            let kind = kinds.into_iter().find(|known| kind.as_bytes() == [*known as u8])?;
            kv.put(key, kind, value)?;
        }
        Some(kv)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, kind, value) in &self.0 {
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(&[0, *kind as u8]);
            out.extend_from_slice(value.as_bytes());
            out.push(0);
        }
        out
    }

    /// Adds an entry; `None` where [`Kv::decode`] would refuse it.
    #[must_use]
    pub fn put(&mut self, key: &str, kind: Kind, value: &str) -> Option<()> {
        let well_formed = match kind {
            Kind::Text => true,
            Kind::Integer => value.parse::<i64>().is_ok_and(|number| number.to_string() == value),
            Kind::Double => value.parse::<f64>().is_ok(),
            Kind::Boolean => matches!(value, "true" | "false"),
            Kind::Time => parse_time(value).is_some(),
        };
        let known = self.0.iter().any(|(other, ..)| other == key) && enforced!("key-twice");
        let full = self.0.len() >= KV_ENTRIES_MAX;
        let cut = key.is_empty() || key.contains('\0') | value.contains('\0');
        (well_formed && !known && !full && !cut).then(|| self.0.push((key.into(), kind, value.into())))
    }

    pub fn entries(&self) -> impl Iterator<Item = (&str, Kind, &str)> {
        self.0.iter().map(|(key, kind, value)| (key.as_str(), *kind, value.as_str()))
    }

    fn get(&self, key: &str, kind: Kind) -> Option<&str> {
        self.entries().find(|(other, its, _)| *other == key && *its == kind).map(|(_, _, value)| value)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key, Kind::Text)
    }

    pub fn integer(&self, key: &str) -> Option<i64> {
        self.get(key, Kind::Integer)?.parse().ok()
    }

    pub fn boolean(&self, key: &str) -> Option<bool> {
        self.get(key, Kind::Boolean).map(|value| value == "true")
    }

    /// A timestamp in seconds since 1970.
    pub fn time(&self, key: &str) -> Option<i64> {
        parse_time(self.get(key, Kind::Time)?)
    }

    /// The entries whose keys begin with `prefix`, without it.
    pub fn split(&self, prefix: &str) -> Kv {
        let rest = |(key, kind, value): &(String, Kind, String)| {
            Some((key.strip_prefix(prefix)?.into(), *kind, value.clone()))
        };
        Kv(self.0.iter().filter_map(rest).collect())
    }

    /// Adds all entries of `other` with `prefix` before their keys; `None` as [`Kv::put`].
    #[must_use]
    pub fn join(&mut self, prefix: &str, other: &Kv) -> Option<()> {
        other.entries().try_for_each(|(key, kind, value)| self.put(&format!("{prefix}{key}"), kind, value))
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar (from the civil calendar's arithmetic; years 0 to 9999).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, month) = (shifted.div_euclid(400), (month + 9) % 12);
    let of_era = shifted - era * 400;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// Reads `YYYY-MM-DDTHH:MM:SSZ`, strictly; seconds since 1970, never negative.
pub fn parse_time(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    (seconds >= 0 && format_time(seconds) == text).then_some(seconds) // So the 31st of February is none, nor is what is not digits.
}

/// Writes seconds since 1970 as `YYYY-MM-DDTHH:MM:SSZ`.
pub fn format_time(seconds: i64) -> String {
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970 + day.div_euclid(366);
    while days(year + 1, 1, 1) <= day {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| days(year, *month, 1) <= day).unwrap_or(1);
    let date = day - days(year, month, 1) + 1;
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
#[path = "kv_tests.rs"]
mod tests;
