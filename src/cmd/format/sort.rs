//! Sorting rows by fields of mixed kinds.

use std::cmp::Ordering;

use super::Value;

/// Unset values come first, then numbers (and texts that read as numbers), then other texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SortKey {
    Unset,
    Number(f64),
    Text(String),
}

impl SortKey {
    pub(super) fn of(value: Option<Value>) -> SortKey {
        match value {
            None | Some(Value::Empty) => SortKey::Unset,
            Some(Value::Text(text)) if text.is_empty() || text == "-" => SortKey::Unset,
            Some(Value::Text(text)) => match text.trim().parse::<f64>() {
                Ok(number) => SortKey::Number(number),
                Err(_) => SortKey::Text(text),
            },
            Some(number) => SortKey::Number(number.number().unwrap_or(f64::NAN)),
        }
    }

    pub(super) fn compare(&self, other: &SortKey) -> Ordering {
        match (self, other) {
            (SortKey::Unset, SortKey::Unset) => Ordering::Equal,
            (SortKey::Unset, _) => Ordering::Less,
            (_, SortKey::Unset) => Ordering::Greater,
            (SortKey::Number(a), SortKey::Number(b)) => a.total_cmp(b),
            (SortKey::Number(_), SortKey::Text(_)) => Ordering::Less,
            (SortKey::Text(_), SortKey::Number(_)) => Ordering::Greater,
            (SortKey::Text(a), SortKey::Text(b)) => a.cmp(b),
        }
    }
}
