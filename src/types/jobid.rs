//! Job ids: FLUIDs and their text forms (RFC 19).

mod fluid;
mod tables;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use fluid::{FluidError, FluidGenerator};
use tables::{EMOJI, WORDS};

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// U+0192, the proper F58 prefix; `f` stands in for it where a terminal cannot show it.
const F58_PREFIX: char = 'ƒ';
/// The words of one id: two groups of three, each group 32 bits.
const WORDS_PER_ID: usize = 6;

/// A job id: 40 bits of milliseconds, 14 of generator, 10 of sequence (RFC 19). In JSON payloads it is a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

/// The text forms of a job id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobIdForm {
    /// `6731191091817518`
    Dec,
    /// `0x17e9fb8df16c2e`
    Hex,
    /// `0017.e9fb.8df1.6c2e`
    Dothex,
    /// `job.0017.e9fb.8df1.6c2e`, the job's directory in the KVS (RFC 16)
    Kvs,
    /// `reform-remote-galileo--heart-package-academy`
    Words,
    /// `ƒuZZybuNNy`
    F58,
    /// `fuZZybuNNy`
    F58Plain,
    /// `🚹💂🙌😳💱🏃`
    Emoji,
}

impl JobIdForm {
    pub const ALL: [JobIdForm; 8] = [
        JobIdForm::Dec,
        JobIdForm::Hex,
        JobIdForm::Dothex,
        JobIdForm::Kvs,
        JobIdForm::Words,
        JobIdForm::F58,
        JobIdForm::F58Plain,
        JobIdForm::Emoji,
    ];

    /// The name the command line gives this form (`flux job id --to=NAME`).
    pub const fn name(self) -> &'static str {
        match self {
            JobIdForm::Dec => "dec",
            JobIdForm::Hex => "hex",
            JobIdForm::Dothex => "dothex",
            JobIdForm::Kvs => "kvs",
            JobIdForm::Words => "words",
            JobIdForm::F58 => "f58",
            JobIdForm::F58Plain => "f58plain",
            JobIdForm::Emoji => "emoji",
        }
    }

    /// The form called `name`, whatever its case; `None` if there is no such form.
    pub fn from_name(name: &str) -> Option<JobIdForm> {
        Self::ALL.into_iter().find(|form| form.name().eq_ignore_ascii_case(name))
    }
}

/// Why a text is not a job id. Users type these, so the text comes back in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobIdError {
    Empty,
    /// The text looked like `form` but is not one.
    Malformed {
        form: JobIdForm,
        text: String,
    },
}

impl JobIdError {
    /// The Linux errno for a peer: always EINVAL.
    pub const fn errno(&self) -> i32 {
        22
    }
}

impl fmt::Display for JobIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a job id is expected, not an empty text"),
            Self::Malformed { form, text } => write!(f, "'{text}' is not a job id (read as {})", form.name()),
        }
    }
}

impl std::error::Error for JobIdError {}

impl JobId {
    /// Reads any text form, with or without the KVS prefix `job.`; space around it is ignored.
    ///
    /// The form is told by the text alone, in RFC 19's order: a `.` makes it dothex, a `-` words, a leading `ƒ`
    /// or `f` F58, a leading emoji emoji, a leading `0x` hexadecimal, anything else decimal. Hexadecimal digits
    /// and words may be in either case.
    ///
    /// # Errors
    /// The text is empty, has a digit or word its form does not know, or names more than 64 bits. (flux-core
    /// wraps F58 and emoji around silently; a wrong job is worse than an error.)
    pub fn parse(text: &str) -> Result<JobId, JobIdError> {
        let trimmed = text.trim_matches(is_space);
        let body = trimmed.strip_prefix("job.").unwrap_or(trimmed);
        if body.is_empty() {
            return Err(JobIdError::Empty);
        }
        let (form, id) = if body.contains('.') {
            (JobIdForm::Dothex, decode_dothex(body))
        } else if body.contains('-') {
            (JobIdForm::Words, decode_words(body))
        } else if let Some(digits) = body.strip_prefix([F58_PREFIX, 'f']) {
            (JobIdForm::F58, from_digits(58, digits.bytes().map(digit58)))
        } else if body.as_bytes().starts_with(&[0xf0, 0x9f]) {
            (JobIdForm::Emoji, from_digits(EMOJI.len() as u64, body.chars().map(digit_emoji)))
        } else if let Some(digits) = body.strip_prefix("0x") {
            (JobIdForm::Hex, from_digits(16, digits.chars().map(|c| c.to_digit(16).map(u64::from))))
        } else {
            (JobIdForm::Dec, from_digits(10, body.chars().map(|c| c.to_digit(10).map(u64::from))))
        };
        id.map(JobId).ok_or_else(|| JobIdError::Malformed { form, text: text.chars().take(64).collect() })
    }

    /// The text of this id in `form`.
    pub fn encode(self, form: JobIdForm) -> String {
        let id = self.0;
        match form {
            JobIdForm::Dec => id.to_string(),
            JobIdForm::Hex => format!("{id:#x}"),
            JobIdForm::Dothex => {
                format!("{:04x}.{:04x}.{:04x}.{:04x}", id >> 48, id >> 32 & 0xffff, id >> 16 & 0xffff, id & 0xffff)
            }
            JobIdForm::Kvs => format!("job.{}", self.encode(JobIdForm::Dothex)),
            JobIdForm::Words => {
                // Each little-endian half is three digits to base 1626, the least significant first.
                let group = |half: u64| {
                    let base = WORDS.len() as u64;
                    [half % base, half / base % base, half / base / base].map(|digit| WORDS[digit as usize]).join("-")
                };
                format!("{}--{}", group(id & 0xffff_ffff), group(id >> 32))
            }
            JobIdForm::F58 => format!("{F58_PREFIX}{}", to_digits(id, 58, |d| BASE58[d] as char)),
            JobIdForm::F58Plain => format!("f{}", to_digits(id, 58, |d| BASE58[d] as char)),
            JobIdForm::Emoji => to_digits(id, EMOJI.len() as u64, |d| EMOJI[d]),
        }
    }

    /// Milliseconds since the instance's epoch at which this id was made (RFC 19).
    pub const fn timestamp_ms(self) -> u64 {
        self.0 >> 24
    }
}

/// F58 with `ƒ`, the form RFC 19 prefers.
impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.encode(JobIdForm::F58))
    }
}

impl FromStr for JobId {
    type Err = JobIdError;
    fn from_str(text: &str) -> Result<JobId, JobIdError> {
        JobId::parse(text)
    }
}

/// What C's `isspace` calls space.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// At least one digit, the most significant first; `None` on an unknown digit or past 64 bits.
fn from_digits(base: u64, digits: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let mut id = None;
    for digit in digits {
        id = Some(id.unwrap_or(0u64).checked_mul(base)?.checked_add(digit?)?);
    }
    id
}

fn to_digits(mut id: u64, base: u64, symbol: impl Fn(usize) -> char) -> String {
    let mut reversed = Vec::with_capacity(11);
    loop {
        reversed.push(symbol((id % base) as usize));
        id /= base;
        if id == 0 {
            break;
        }
    }
    reversed.into_iter().rev().collect()
}

fn digit58(symbol: u8) -> Option<u64> {
    BASE58.binary_search(&symbol).ok().map(|d| d as u64)
}

fn digit_emoji(symbol: char) -> Option<u64> {
    EMOJI.iter().position(|e| *e == symbol).map(|d| d as u64)
}

/// Four dotted groups of one to four hexadecimal digits.
fn decode_dothex(text: &str) -> Option<u64> {
    let mut id = 0u64;
    let mut groups = 0;
    for group in text.split('.') {
        if group.is_empty() || group.len() > 4 || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        groups += 1;
        if groups > 4 {
            return None;
        }
        id = id << 16 | u64::from_str_radix(group, 16).ok()?;
    }
    (groups == 4).then_some(id)
}

/// Six words in any case, with anything that is no letter between them, as mnemonicode allows.
fn decode_words(text: &str) -> Option<u64> {
    let mut digits = [0u64; WORDS_PER_ID];
    let mut count = 0;
    for word in text.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| !w.is_empty()) {
        let slot = digits.get_mut(count)?;
        *slot = WORDS.iter().position(|known| known.eq_ignore_ascii_case(word))? as u64;
        count += 1;
    }
    if count != WORDS_PER_ID || text.chars().any(|c| !c.is_ascii_alphabetic() && !c.is_ascii_punctuation()) {
        return None;
    }
    let base = WORDS.len() as u64;
    let half = |d: &[u64]| u32::try_from(d[0] + d[1] * base + d[2] * base * base).ok().map(u64::from);
    Some(half(&digits[3..])? << 32 | half(&digits[..3])?)
}

#[cfg(test)]
mod tests;
