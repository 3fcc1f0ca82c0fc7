//! Job urgency (RFC 30) and what follows from it for the priority.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Highest job priority; expedited jobs have it.
pub const PRIORITY_MAX: u32 = u32::MAX;

/// How urgent the owner finds a job: 0 (held) to 31 (expedited), 16 unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "u8")]
pub struct Urgency(u8);

/// A number outside 0 to 31, or a word that names no urgency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrgencyError {
    got: String,
}

impl UrgencyError {
    /// The Linux errno for a peer: EINVAL.
    pub const fn errno(&self) -> i32 {
        22
    }
}

impl fmt::Display for UrgencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not an urgency: 0 to 31, hold, default or expedite", self.got)
    }
}

impl std::error::Error for UrgencyError {}

impl Urgency {
    /// Never scheduled until it is changed.
    pub const HOLD: Urgency = Urgency(0);
    pub const DEFAULT: Urgency = Urgency(16);
    /// Ahead of everything else.
    pub const EXPEDITE: Urgency = Urgency(31);
    /// The most a guest may ask for; above it only the instance owner may.
    pub const GUEST_MAX: Urgency = Urgency(16);

    pub const fn get(self) -> u8 {
        self.0
    }

    /// The priority this urgency forces, past any priority plugin: 0 if held, the highest if expedited.
    pub const fn forced_priority(self) -> Option<u32> {
        match self {
            Urgency::HOLD => Some(0),
            Urgency::EXPEDITE => Some(PRIORITY_MAX),
            _ => None,
        }
    }
}

impl Default for Urgency {
    fn default() -> Urgency {
        Urgency::DEFAULT
    }
}

impl TryFrom<i64> for Urgency {
    type Error = UrgencyError;
    fn try_from(number: i64) -> Result<Urgency, UrgencyError> {
        match u8::try_from(number) {
            Ok(n) if n <= Urgency::EXPEDITE.0 => Ok(Urgency(n)),
            _ => Err(UrgencyError { got: number.to_string() }),
        }
    }
}

impl From<Urgency> for u8 {
    fn from(urgency: Urgency) -> u8 {
        urgency.0
    }
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number from 0 to 31, or `hold`, `default`, `expedite` in any case.
impl FromStr for Urgency {
    type Err = UrgencyError;
    fn from_str(text: &str) -> Result<Urgency, UrgencyError> {
        let names = [("hold", Urgency::HOLD), ("default", Urgency::DEFAULT), ("expedite", Urgency::EXPEDITE)];
        if let Some((_, urgency)) = names.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(urgency);
        }
        let error = || UrgencyError { got: text.chars().take(64).collect() };
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        text.parse::<i64>().ok().and_then(|n| Urgency::try_from(n).ok()).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hostile_texts;

    #[test]
    fn urgencies_follow_rfc30() {
        let rows = [
            ("0", Some(0)),
            ("16", Some(16)),
            ("31", Some(31)),
            ("hold", Some(0)),
            ("default", Some(16)),
            ("Expedite", Some(31)),
            ("32", None),
            ("-1", None),
            ("", None),
            ("+1", None),
            ("1.0", None),
            (" 1", None),
            ("holds", None),
            ("99999999999999999999", None),
        ];
        for (text, want) in rows {
            assert_eq!(text.parse::<Urgency>().ok().map(Urgency::get), want, "input {text:?}");
        }
        assert_eq!(Urgency::HOLD.forced_priority(), Some(0));
        assert_eq!(Urgency::EXPEDITE.forced_priority(), Some(4294967295));
        assert_eq!(Urgency::default().forced_priority(), None);
    }

    #[test]
    fn urgencies_are_json_numbers_in_range() {
        assert_eq!(serde_json::to_string(&Urgency::DEFAULT).unwrap(), "16");
        for (json, want) in [("0", true), ("31", true), ("32", false), ("-1", false), ("\"16\"", false), ("1.5", false)]
        {
            assert_eq!(serde_json::from_str::<Urgency>(json).is_ok(), want, "input {json}");
        }
    }

    #[test]
    fn hostile_urgencies_never_panic_and_what_parses_round_trips() {
        hostile_texts(19, &["16", "hold", "expedite"], "0123456789-+holdexpit", |text| {
            if let Ok(urgency) = text.parse::<Urgency>() {
                assert_eq!(urgency.to_string().parse(), Ok(urgency), "{text:?}");
            }
        });
    }
}
