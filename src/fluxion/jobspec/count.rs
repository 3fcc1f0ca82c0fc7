//! How many: a number, a range or a set (RFC 14, RFC 45).

use crate::error::JobspecError;
use flux_types::Idset;
use serde_json::Value;

/// Acceptable counts of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count {
    Range { min: u32, max: u32, step: Step },
    Set(Idset),
}

/// How a range gets from one acceptable count to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Add(u32),
    Multiply(u32),
    Power(u32),
}

impl Count {
    pub const fn exactly(count: u32) -> Count {
        Count::Range { min: count, max: count, step: Step::Add(1) }
    }

    /// The sum of two fixed counts; `None` if one of them leaves a choice.
    pub fn plus(&self, other: &Count) -> Option<Count> {
        let fixed = |count: &Count| (count.min() == count.best_of_all()).then(|| count.min());
        Some(Count::exactly(fixed(self)?.checked_add(fixed(other)?)?))
    }

    /// The least that is acceptable.
    pub fn min(&self) -> u32 {
        match self {
            Count::Range { min, .. } => *min,
            Count::Set(set) => set.first().unwrap_or(0),
        }
    }

    /// The most that is acceptable and not more than `available`; 0 if nothing is.
    pub fn best(&self, available: u32) -> u32 {
        match self {
            Count::Range { min, max, .. } if *min > *max || *min > available => 0,
            Count::Range { min, max, step } => best_in_range(*min, (*max).min(available), *step),
            Count::Set(set) if set.contains(available) => available,
            Count::Set(set) => set.prev_before(available).unwrap_or(0),
        }
    }

    /// The most that is acceptable at all.
    pub fn best_of_all(&self) -> u32 {
        self.best(u32::MAX)
    }

    /// Parses the value of a `count` key.
    ///
    /// # Errors
    /// What RFC 14 does not allow, with the reason.
    pub fn parse(value: &Value) -> Result<Count, JobspecError> {
        match value {
            Value::Number(_) => Ok(Count::exactly(positive("count", value)?)),
            Value::String(text) => Count::parse_text(text),
            Value::Object(_) => Count::parse_map(value),
            _ => Err(JobspecError("count is neither a number, a range nor a mapping".into())),
        }
    }

    fn parse_map(value: &Value) -> Result<Count, JobspecError> {
        for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
            if !["min", "max", "operator", "operand"].contains(&key.as_str()) {
                return Err(JobspecError(format!("unknown key '{key}' in count")));
            }
        }
        let min = positive("min", value.get("min").ok_or_else(|| JobspecError("min is missing from count".into()))?)?;
        let max = value.get("max").map(|max| positive("max", max)).transpose()?.unwrap_or(u32::MAX);
        let step = match (value.get("operator"), value.get("operand")) {
            (None, None) => Step::Add(1),
            (Some(operator), Some(operand)) => {
                parse_step(operator.as_str().unwrap_or(""), positive("operand", operand)?)?
            }
            _ => return Err(JobspecError("operator and operand go together in count".into())),
        };
        Count::range(min, max, step)
    }

    fn range(min: u32, max: u32, step: Step) -> Result<Count, JobspecError> {
        if max < min {
            return Err(JobspecError("max must be greater than or equal to min in count".into()));
        }
        if matches!(step, Step::Power(_)) && min < 2 {
            return Err(JobspecError("min must be greater than one for '^' in count".into()));
        }
        Ok(Count::Range { min, max, step })
    }

    /// RFC 45 `min-max:operand:operator` or `min+...`, or an RFC 22 idset.
    fn parse_text(text: &str) -> Result<Count, JobspecError> {
        let bad = || JobspecError(format!("count '{text}' is neither a number, a range nor an idset"));
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let number = |text: &str| {
            let has_form = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|c| c.is_ascii_digit());
            has_form.then(|| text.parse::<u32>().ok()).flatten()
        };
        if let Some(count) = number(inner) {
            return Ok(Count::exactly(count));
        }
        if inner.contains(',') {
            let set = Idset::parse(inner).map_err(|_| bad())?;
            let is_usable = !set.is_empty() && !set.contains(0);
            return is_usable.then_some(Count::Set(set)).ok_or_else(bad);
        }
        let mut parts = inner.splitn(3, ':');
        let span = parts.next().unwrap_or("");
        let operand = parts.next().map(|operand| number(operand).ok_or_else(bad)).transpose()?;
        let step = parse_step(parts.next().unwrap_or("+"), operand.unwrap_or(1))?;
        let (min, max) = match (span.strip_suffix('+'), span.split_once('-')) {
            (Some(min), _) => (number(min).ok_or_else(bad)?, u32::MAX),
            (None, Some((min, max))) => (number(min).ok_or_else(bad)?, number(max).ok_or_else(bad)?),
            (None, None) => return Err(bad()),
        };
        Count::range(min, max, step)
    }
}

fn best_in_range(min: u32, limit: u32, step: Step) -> u32 {
    match step {
        Step::Add(by) => limit - (limit - min) % by,
        Step::Multiply(_) | Step::Power(_) => {
            let (mut best, mut next) = (u64::from(min), u64::from(min));
            while next <= u64::from(limit) {
                best = next;
                next = match step {
                    Step::Add(by) | Step::Multiply(by) => next.saturating_mul(u64::from(by)),
                    Step::Power(by) => next.saturating_pow(by),
                };
                if next <= best {
                    break;
                }
            }
            best as u32
        }
    }
}

fn positive(what: &str, value: &Value) -> Result<u32, JobspecError> {
    let number = match value {
        Value::String(text) => text.parse::<u64>().ok(),
        value => value.as_u64(),
    };
    let number = number.filter(|number| *number > 0).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| JobspecError(format!("{what} must be a positive integer")))
}

fn parse_step(operator: &str, operand: u32) -> Result<Step, JobspecError> {
    match (operator, operand) {
        ("+", _) => Ok(Step::Add(operand)),
        ("*", 2..) => Ok(Step::Multiply(operand)),
        ("^", 2..) => Ok(Step::Power(operand)),
        ("*" | "^", _) => Err(JobspecError(format!("operand must be greater than one for '{operator}' in count"))),
        _ => Err(JobspecError(format!("unknown operator '{operator}' in count"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_choose_the_most_that_fits() {
        let rows = [
            (json!(4), 3, 0),
            (json!(4), 4, 4),
            (json!(4), 9, 4),
            (json!({"min": 2}), 7, 7),
            (json!({"min": 2, "max": 5}), 7, 5),
            (json!({"min": 1, "max": 9, "operator": "+", "operand": 3}), 6, 4),
            (json!({"min": 1, "max": 64, "operator": "*", "operand": 2}), 40, 32),
            (json!({"min": 2, "max": 64, "operator": "^", "operand": 2}), 20, 16),
            (json!({"min": 2, "max": 300, "operator": "^", "operand": 2}), 300, 256),
            (json!("2-10:4:*"), 9, 8),
            (json!("[2-10:3]"), 9, 8),
            (json!("3+"), 9, 9),
            (json!("2,4,8"), 7, 4),
            (json!("2,4,8"), 1, 0),
            (json!("7"), 7, 7),
        ];
        for (value, available, want) in rows {
            assert_eq!(Count::parse(&value).map(|count| count.best(available)), Ok(want), "count {value}");
        }
    }

    #[test]
    fn bad_counts_are_refused() {
        let rows = [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("0"),
            json!("01-3"),
            json!("4-2"),
            json!("1-4:1:*"),
            json!("1-4:2:^"),
            json!("1-4:2:/"),
            json!({"max": 3}),
            json!({"min": 3, "max": 2}),
            json!({"min": 1, "operator": "+"}),
            json!({"min": 1, "other": 1}),
            json!([1]),
            json!(null),
        ];
        for value in rows {
            assert!(Count::parse(&value).is_err(), "count {value}");
        }
    }
}
