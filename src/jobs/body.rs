//! Small pieces of request bodies that several services read.

use flux_types::JobId;
use serde::Deserialize;

/// A job id in a request: clients send ids as signed 64-bit numbers, and -1 for "any".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireId(pub(crate) u64);

impl WireId {
    pub(crate) const ANY: u64 = u64::MAX;

    pub(crate) fn id(self) -> JobId {
        JobId(self.0)
    }
}

impl<'de> Deserialize<'de> for WireId {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<WireId, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = WireId;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a job id")
            }
            fn visit_u64<E>(self, id: u64) -> Result<WireId, E> {
                Ok(WireId(id))
            }
            fn visit_i64<E>(self, id: i64) -> Result<WireId, E> {
                Ok(WireId(id as u64))
            }
        }
        input.deserialize_i64(Visitor)
    }
}

/// A user id in a request; -1 (all ones) stands for every user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireUser(pub(crate) u32);

impl<'de> Deserialize<'de> for WireUser {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<WireUser, D::Error> {
        let number = i64::deserialize(input)?;
        match number {
            -1 => Ok(WireUser(u32::MAX)),
            _ => u32::try_from(number).map(WireUser).map_err(|_| serde::de::Error::custom("not a user id")),
        }
    }
}

/// A body of which nothing is needed.
#[derive(Deserialize)]
pub(crate) struct Matchtag {
    pub(crate) matchtag: u32,
}

/// Bodies have booleans, but C clients may send 0 and 1 for them.
pub(crate) fn truth<'de, D: serde::Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Truth {
        Bool(bool),
        Number(i64),
    }
    Ok(match Truth::deserialize(input)? {
        Truth::Bool(value) => value,
        Truth::Number(number) => number != 0,
    })
}
