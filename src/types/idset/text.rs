//! The text of an idset (RFC 22).

use std::fmt::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Idset;
use crate::limits::{IDSET_ID_MAX, IDSET_TEXT_LEN_MAX};

/// How to write an idset. The default is bare, one by one: `1,2,3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdsetFormat {
    /// Runs of ids as `1-3`. Without it the text is as long as the set has members.
    pub ranges: bool,
    /// `[]` around the ids, unless there is only one or none.
    pub brackets: bool,
}

impl IdsetFormat {
    pub const RANGE: IdsetFormat = IdsetFormat { ranges: true, brackets: false };
    pub const BRACKETS: IdsetFormat = IdsetFormat { ranges: false, brackets: true };
    pub const RANGE_BRACKETS: IdsetFormat = IdsetFormat { ranges: true, brackets: true };
    pub const PLAIN: IdsetFormat = IdsetFormat { ranges: false, brackets: false };
}

/// Why a text is not an idset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdsetError {
    /// Not `N` or `N-M` in decimal without leading zeros, or M not over N.
    BadRange { text: String },
    /// The ids do not rise.
    OutOfOrder { text: String },
    /// Brackets that do not match, are nested, or are not around everything.
    Brackets,
    /// An id over `IDSET_ID_MAX`.
    TooLarge { text: String },
    /// The text itself is too long.
    TooLong { len: usize },
}

impl IdsetError {
    /// The Linux errno for a peer: 22 is EINVAL, 34 is ERANGE, 7 is E2BIG.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::BadRange { .. } | Self::OutOfOrder { .. } | Self::Brackets => 22,
            Self::TooLarge { .. } => 34,
            Self::TooLong { .. } => 7,
        }
    }
}

impl fmt::Display for IdsetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRange { text } => write!(f, "error parsing range '{text}'"),
            Self::OutOfOrder { text } => write!(f, "'{text}' does not follow the ids before it"),
            Self::Brackets => write!(f, "the brackets of an idset do not match"),
            Self::TooLarge { text } => write!(f, "'{text}' is over the largest id, {IDSET_ID_MAX}"),
            Self::TooLong { len } => write!(f, "an idset of {len} bytes is over the limit of {IDSET_TEXT_LEN_MAX}"),
        }
    }
}

impl std::error::Error for IdsetError {}

impl Idset {
    /// Reads RFC 22 text: ids and ranges in rising order with commas between them, brackets around them or not.
    ///
    /// Empty text, and empty elements, add nothing: flux-core reads `1,,2` and `[]`, and so do we.
    ///
    /// # Errors
    /// See `IdsetError`. Ids of 2^31 and more are refused, as in flux-core.
    pub fn parse(text: &str) -> Result<Idset, IdsetError> {
        if text.len() > IDSET_TEXT_LEN_MAX {
            return Err(IdsetError::TooLong { len: text.len() });
        }
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if inner.contains(['[', ']']) {
            return Err(IdsetError::Brackets);
        }
        let mut set = Idset::new();
        let mut next = 0;
        for element in inner.split(',').filter(|e| !e.is_empty()) {
            let excerpt = || element.chars().take(64).collect();
            let (lo, hi) = match element.split_once('-') {
                None => parse_id(element).map(|id| (id, id)),
                Some((lo, hi)) => parse_id(lo).zip(parse_id(hi)).filter(|(lo, hi)| lo < hi),
            }
            .ok_or_else(|| IdsetError::BadRange { text: excerpt() })?;
            if hi > u64::from(IDSET_ID_MAX) {
                return Err(IdsetError::TooLarge { text: excerpt() });
            }
            if lo < next {
                return Err(IdsetError::OutOfOrder { text: excerpt() });
            }
            set.insert_range(lo as u32, hi as u32);
            next = hi + 1;
        }
        Ok(set)
    }

    /// The text of the set. The empty set is the empty text in every format.
    pub fn encode(&self, format: IdsetFormat) -> String {
        let mut out = String::new();
        let brackets = format.brackets && self.nth(1).is_some();
        if brackets {
            out.push('[');
        }
        let mut separator = "";
        for (lo, hi) in self.ranges() {
            if format.ranges && lo < hi {
                let _ = write!(out, "{separator}{lo}-{hi}"); // Writing to a String cannot fail.
                separator = ",";
                continue;
            }
            for id in *lo..=*hi {
                let _ = write!(out, "{separator}{id}");
                separator = ",";
            }
        }
        if brackets {
            out.push(']');
        }
        out
    }
}

/// Decimal digits without a leading zero. Numbers past 64 bits read as the largest, which is over every limit.
fn parse_id(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if text.is_empty() || !plain { None } else { Some(text.parse().unwrap_or(u64::MAX)) }
}

impl fmt::Display for Idset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.encode(IdsetFormat::RANGE))
    }
}

impl FromStr for Idset {
    type Err = IdsetError;
    fn from_str(text: &str) -> Result<Idset, IdsetError> {
        Idset::parse(text)
    }
}

impl Serialize for Idset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Idset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Idset, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Idset::parse(&text).map_err(de::Error::custom)
    }
}
