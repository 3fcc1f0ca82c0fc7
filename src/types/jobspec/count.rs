//! Resource counts (RFC 14 "count"): an integer, a range object, or a string with an idset or an RFC 45 range.

use serde_json::Value;

use super::JobspecError;
use crate::limits::JOBSPEC_COUNT_MAX;
use crate::range::ResourceCount;

/// How many of a resource are asked for, in the form it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// Zero only for types other than node, slot and core.
    Fixed(u32),
    /// An object or a string; `written` is what it was read from and is written as.
    Flexible { count: ResourceCount, written: Value },
}

impl Count {
    /// The count if it is a plain integer, which is all that version 1 has.
    pub fn fixed(&self) -> Option<u32> {
        if let Count::Fixed(count) = self { Some(*count) } else { None }
    }

    /// The acceptable counts. A fixed 0 is not among what this type can say: it is `None`.
    pub fn acceptable(&self) -> Option<ResourceCount> {
        match self {
            Count::Fixed(0) => None,
            Count::Fixed(count) => Some(ResourceCount::Fixed(*count)),
            Count::Flexible { count, .. } => Some(count.clone()),
        }
    }

    /// The count as a JSON value.
    pub fn to_value(&self) -> Value {
        match self {
            Count::Fixed(count) => (*count).into(),
            Count::Flexible { written, .. } => written.clone(),
        }
    }

    pub(super) fn from_value(value: Value, kind: &str, at: &str) -> Result<Count, JobspecError> {
        match value {
            Value::Number(_) => {
                let least = u64::from(matches!(kind, "node" | "slot" | "core"));
                let want = if least == 1 { "an integer >= 1" } else { "an integer >= 0" };
                let count = value.as_u64().filter(|n| (least..=u64::from(JOBSPEC_COUNT_MAX)).contains(n));
                count.map(|n| Count::Fixed(n as u32)).ok_or_else(|| JobspecError::value(at, want))
            }
            Value::Object(_) | Value::String(_) => {
                let count = ResourceCount::from_value(&value)
                    .map_err(|e| JobspecError::Count { at: at.to_owned(), reason: e.to_string() })?;
                Ok(Count::Flexible { count, written: value })
            }
            _ => Err(JobspecError::type_(at, "an integer, a mapping or a string")),
        }
    }
}
