//! The text of a hostlist (RFC 29).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Hostlist;
use super::run::{Run, digits_of, parse_number};
use crate::limits::{HOST_NAME_LEN_MAX, HOSTLIST_EXPANDED_LEN_MAX, HOSTLIST_HOSTS_MAX, HOSTLIST_RANGE_LEN_MAX};

/// Why a text is not a hostlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostlistError {
    /// Brackets that do not match, are nested, or stand twice in one name.
    Brackets {
        text: String,
    },
    /// Between brackets, something that is neither `N` nor `N-M` with M not below N.
    BadRange {
        text: String,
    },
    /// A name with a byte that RFC 29 keeps out of names, or an empty one.
    BadName {
        text: String,
    },
    NameTooLong {
        len: usize,
    },
    /// One range of more than `HOSTLIST_RANGE_LEN_MAX` hosts.
    RangeTooLong {
        text: String,
    },
    TooManyHosts,
    /// A suffix behind so many numbers that its names would not fit in `HOSTLIST_EXPANDED_LEN_MAX` bytes.
    ExpansionTooLong,
}

impl HostlistError {
    /// The Linux errno for a peer: 22 is EINVAL, 36 is ENAMETOOLONG, 34 is ERANGE, 7 is E2BIG.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::Brackets { .. } | Self::BadRange { .. } | Self::BadName { .. } => 22,
            Self::NameTooLong { .. } => 36,
            Self::RangeTooLong { .. } => 34,
            Self::TooManyHosts | Self::ExpansionTooLong => 7,
        }
    }
}

impl fmt::Display for HostlistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brackets { text } => write!(f, "the brackets in '{text}' do not match"),
            Self::BadRange { text } => write!(f, "'{text}' between brackets is neither a number nor a range"),
            Self::BadName { text } => write!(f, "'{text}' is not a host name"),
            Self::NameTooLong { len } => {
                write!(f, "a host name of {len} bytes is over the limit of {HOST_NAME_LEN_MAX}")
            }
            Self::RangeTooLong { text } => {
                write!(f, "the range '{text}' has more than {HOSTLIST_RANGE_LEN_MAX} hosts")
            }
            Self::TooManyHosts => write!(f, "more than {HOSTLIST_HOSTS_MAX} hosts in one list"),
            Self::ExpansionTooLong => {
                write!(f, "the names before a suffix take more than {HOSTLIST_EXPANDED_LEN_MAX} bytes")
            }
        }
    }
}

impl std::error::Error for HostlistError {}

impl Hostlist {
    /// Reads RFC 29 text. Commas, spaces and tabs separate names; several of them count as one.
    ///
    /// Each range between brackets has its own zero padding, that of its first number: `foo[01-3,4]` is
    /// `foo01,foo02,foo03,foo4`.
    ///
    /// # Errors
    /// See `HostlistError`.
    ///
    /// Spec: RFC 29. Deviation: the RFC pads a whole list as its first number is padded. flux-core does not, and
    /// writes lists (`foo[005,4]` for `foo005,foo4`) that would read back as other hosts (doc/deviations.md).
    pub fn parse(text: &str) -> Result<Hostlist, HostlistError> {
        let mut list = Hostlist::new();
        let mut expanded_len = 0;
        for token in tokens(text) {
            let (prefix, rest) = match token.split_once('[') {
                None => {
                    list.push(token)?;
                    continue;
                }
                Some(parts) => parts,
            };
            let brackets = || HostlistError::Brackets { text: excerpt(token) };
            let (ids, suffix) = rest.split_once(']').ok_or_else(brackets)?;
            if prefix.contains(']') || ids.contains('[') || suffix.contains(['[', ']']) {
                return Err(brackets());
            }
            if !(prefix.is_empty() && suffix.is_empty()) {
                check_name(&format!("{prefix}{suffix}"))?;
            }
            for range in ids.split(',') {
                let (lo, hi, width) = parse_range(range)?;
                let name_len = prefix.len() + width.max(digits_of(hi)) + suffix.len();
                if name_len > HOST_NAME_LEN_MAX {
                    return Err(HostlistError::NameTooLong { len: name_len });
                }
                if suffix.is_empty() {
                    list.add(Run::counting(prefix, lo, hi, width))?;
                    continue;
                }
                expanded_len += (hi - lo + 1) as usize * name_len;
                if expanded_len > HOSTLIST_EXPANDED_LEN_MAX {
                    return Err(HostlistError::ExpansionTooLong);
                }
                for number in lo..=hi {
                    list.add(Run::from_name(&format!("{prefix}{number:0width$}{suffix}")))?;
                }
            }
        }
        Ok(list)
    }

    /// The shortest RFC 29 text that keeps the order, as flux-core writes it.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        for group in self.runs.chunk_by(|a, b| a.numbers.is_some() && b.numbers.is_some() && a.prefix == b.prefix) {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(&group[0].prefix);
            let ranges: Vec<String> = group.iter().filter_map(|run| Some(run.numbers?.text())).collect();
            if group.len() > 1 || group[0].count() > 1 {
                out.push_str(&format!("[{}]", ranges.join(",")));
            } else {
                out.extend(ranges);
            }
        }
        out
    }
}

/// The names of the list between separators that are not inside brackets.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i64;
    let separator = move |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        depth <= 0 && matches!(c, ',' | ' ' | '\t')
    };
    text.split(separator).filter(|token| !token.is_empty())
}

/// `N` or `N-M`: first, last and the text length of the first.
fn parse_range(text: &str) -> Result<(u64, u64, usize), HostlistError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let bad = || HostlistError::BadRange { text: excerpt(text) };
    let (lo, width) = parse_number(first).ok_or_else(bad)?;
    let (hi, _) = parse_number(last).filter(|(hi, _)| lo <= *hi).ok_or_else(bad)?;
    if hi - lo >= HOSTLIST_RANGE_LEN_MAX {
        return Err(HostlistError::RangeTooLong { text: excerpt(text) });
    }
    Ok((lo, hi, width))
}

/// RFC 29: printable ASCII without space, comma and brackets.
pub(super) fn check_name(name: &str) -> Result<(), HostlistError> {
    if name.len() > HOST_NAME_LEN_MAX {
        return Err(HostlistError::NameTooLong { len: name.len() });
    }
    let legal = |b: u8| b.is_ascii_graphic() && !matches!(b, b'[' | b']' | b',');
    if name.contains(['[', ']']) {
        return Err(HostlistError::Brackets { text: excerpt(name) });
    }
    if name.is_empty() || !name.bytes().all(legal) {
        return Err(HostlistError::BadName { text: excerpt(name) });
    }
    Ok(())
}

fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for Hostlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.encode())
    }
}

impl FromStr for Hostlist {
    type Err = HostlistError;
    fn from_str(text: &str) -> Result<Hostlist, HostlistError> {
        Hostlist::parse(text)
    }
}

impl Serialize for Hostlist {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hostlist {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hostlist, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Hostlist::parse(&text).map_err(de::Error::custom)
    }
}
