//! Resource counts and ranges (RFC 14, RFC 45).

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::idset::Idset;

/// How one value of a range leads to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Add,
    Multiply,
    Power,
}

/// The acceptable numbers from `min` up to `max`, if there is one, each made from the one before by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceRange {
    min: u32,
    max: Option<u32>,
    operator: Operator,
    operand: u32,
}

/// A resource count of jobspec: one number, a range, or a set of acceptable numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceCount {
    Fixed(u32),
    Range(ResourceRange),
    /// At least two numbers, none of them 0.
    Set(Idset),
}

/// Why something is not a resource count or range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// Neither a number, nor an idset, nor `MIN-MAX:OPERAND:OPERATOR` or `MIN+:OPERAND:OPERATOR`.
    Malformed { text: String },
    /// Numbers that contradict the rules of RFC 14; says which rule.
    Rule(&'static str),
}

impl RangeError {
    /// The Linux errno for a peer: EINVAL.
    pub const fn errno(&self) -> i32 {
        22
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { text } => write!(f, "'{text}' is not a resource count"),
            Self::Rule(rule) => write!(f, "resource count: {rule}"),
        }
    }
}

impl std::error::Error for RangeError {}

impl Operator {
    pub const fn symbol(self) -> char {
        match self {
            Operator::Add => '+',
            Operator::Multiply => '*',
            Operator::Power => '^',
        }
    }

    pub fn from_symbol(text: &str) -> Option<Operator> {
        [Operator::Add, Operator::Multiply, Operator::Power]
            .into_iter()
            .find(|o| text.strip_prefix(o.symbol()).is_some_and(str::is_empty))
    }
}

impl ResourceRange {
    /// A range that keeps the rules of RFC 14.
    ///
    /// # Errors
    /// `Rule` if a number is 0, `max` is below `min`, the operand of `*` or `^` is 1, or `min` is 1 with `^`:
    /// those would never end.
    pub fn new(min: u32, max: Option<u32>, operator: Operator, operand: u32) -> Result<ResourceRange, RangeError> {
        if min == 0 || operand == 0 || max == Some(0) {
            return Err(RangeError::Rule("min, max and operand must be 1 or more"));
        }
        if max.is_some_and(|max| max < min) {
            return Err(RangeError::Rule("max must not be below min"));
        }
        if operator != Operator::Add && operand < 2 {
            return Err(RangeError::Rule("the operand of '*' and '^' must be 2 or more"));
        }
        if operator == Operator::Power && min < 2 {
            return Err(RangeError::Rule("min must be 2 or more with '^'"));
        }
        Ok(ResourceRange { min, max, operator, operand })
    }

    pub const fn min(&self) -> u32 {
        self.min
    }

    /// The largest number allowed; `None` if there is no such limit.
    pub const fn max(&self) -> Option<u32> {
        self.max
    }

    pub const fn operator(&self) -> Operator {
        self.operator
    }

    pub const fn operand(&self) -> u32 {
        self.operand
    }

    /// The acceptable numbers, rising; at most those of 32 bits.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(self.min), move |value| self.next_after(*value))
    }

    /// The number that follows `value`; `None` past `max` or 32 bits.
    pub fn next_after(&self, value: u32) -> Option<u32> {
        let next = match self.operator {
            Operator::Add => value.checked_add(self.operand),
            Operator::Multiply => value.checked_mul(self.operand),
            Operator::Power => value.checked_pow(self.operand),
        }?;
        (next <= self.max.unwrap_or(u32::MAX)).then_some(next)
    }

    /// Reads RFC 45 text, with brackets around it or not.
    ///
    /// # Errors
    /// See `RangeError`. A number over 32 bits is malformed.
    pub fn parse(text: &str) -> Result<ResourceRange, RangeError> {
        let malformed = || RangeError::Malformed { text: text.chars().take(64).collect() };
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let mut parts = inner.splitn(3, ':');
        let bounds = parts.next().unwrap_or("");
        let (min, max) = match bounds.strip_suffix('+') {
            Some(min) => (min, None),
            None => bounds.split_once('-').map(|(min, max)| (min, Some(max))).ok_or_else(malformed)?,
        };
        let number = |text: &str| parse_number(text).ok_or_else(malformed);
        let operand = parts.next().map_or(Ok(1), number)?;
        let operator = match parts.next() {
            None => Operator::Add,
            Some(symbol) => Operator::from_symbol(symbol).ok_or_else(malformed)?,
        };
        ResourceRange::new(number(min)?, max.map(number).transpose()?, operator, operand)
    }

    /// Reads the object form of RFC 14.
    ///
    /// # Errors
    /// `Rule` for a missing `min`, an unknown key, an operand without operator or the reverse, or what `new` refuses.
    pub fn from_object(object: &Map<String, Value>) -> Result<ResourceRange, RangeError> {
        if object.keys().any(|key| !matches!(key.as_str(), "min" | "max" | "operator" | "operand")) {
            return Err(RangeError::Rule("a range has no other keys than min, max, operator and operand"));
        }
        let number = |key: &str| {
            let read = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
            let integer = RangeError::Rule("min, max and operand must be whole numbers of 1 or more");
            object.get(key).map(|v| read(v).ok_or(integer)).transpose()
        };
        let operator = match object.get("operator") {
            None => None,
            Some(symbol) => Some(
                symbol
                    .as_str()
                    .and_then(Operator::from_symbol)
                    .ok_or(RangeError::Rule("the operator must be '+', '*' or '^'"))?,
            ),
        };
        let operand = number("operand")?;
        if operator.is_some() != operand.is_some() {
            return Err(RangeError::Rule("operator and operand come together"));
        }
        let min = number("min")?.ok_or(RangeError::Rule("a range has a min"))?;
        ResourceRange::new(min, number("max")?, operator.unwrap_or(Operator::Add), operand.unwrap_or(1))
    }

    /// The object form of RFC 14; without operator and operand where they are `+` and 1.
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("min".into(), self.min.into());
        if let Some(max) = self.max {
            object.insert("max".into(), max.into());
        }
        if (self.operator, self.operand) != (Operator::Add, 1) {
            object.insert("operator".into(), self.operator.symbol().to_string().into());
            object.insert("operand".into(), self.operand.into());
        }
        Value::Object(object)
    }

    /// Every part written out: `2-8:2:*`, `1+:1:+`.
    pub fn encode_full(&self) -> String {
        format!("{}:{}:{}", self.bounds(), self.operand, self.operator.symbol())
    }

    fn bounds(&self) -> String {
        match self.max {
            Some(max) => format!("{}-{max}", self.min),
            None => format!("{}+", self.min),
        }
    }
}

/// The shortest form RFC 45 allows: `1-4`, `1-9:2`, `2-8:2:*`, `1+`.
impl fmt::Display for ResourceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.operator, self.operand) {
            (Operator::Add, 1) => self.bounds(),
            (Operator::Add, operand) => format!("{}:{operand}", self.bounds()),
            _ => self.encode_full(),
        };
        f.pad(&text)
    }
}

impl FromStr for ResourceRange {
    type Err = RangeError;
    fn from_str(text: &str) -> Result<ResourceRange, RangeError> {
        ResourceRange::parse(text)
    }
}

impl ResourceCount {
    /// Reads a number, an idset without 0, or a range: in this order, so `1-4` is the set of four numbers.
    ///
    /// # Errors
    /// See `RangeError`.
    pub fn parse(text: &str) -> Result<ResourceCount, RangeError> {
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if let Some(number) = parse_number(inner) {
            return ResourceCount::fixed(number);
        }
        match Idset::parse(text) {
            Ok(set) if set.first().is_some_and(|first| first > 0) => match set.nth(1) {
                None => ResourceCount::fixed(set.first().unwrap_or(0)),
                Some(_) => Ok(ResourceCount::Set(set)),
            },
            _ => ResourceRange::parse(text).map(ResourceCount::Range),
        }
    }

    /// Reads the `count` of a jobspec resource: number, text or object.
    ///
    /// # Errors
    /// See `RangeError`.
    pub fn from_value(value: &Value) -> Result<ResourceCount, RangeError> {
        let integer = RangeError::Rule("a count must be a whole number of 1 or more");
        match value {
            Value::Number(n) => ResourceCount::fixed(n.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or(integer)?),
            Value::String(text) => ResourceCount::parse(text),
            Value::Object(object) => ResourceRange::from_object(object).map(ResourceCount::Range),
            _ => Err(RangeError::Rule("a count is a number, a text or an object")),
        }
    }

    /// As jobspec has it: a number, the object of a range, the text of a set.
    pub fn to_value(&self) -> Value {
        match self {
            ResourceCount::Fixed(number) => (*number).into(),
            ResourceCount::Range(range) => range.to_value(),
            ResourceCount::Set(set) => set.to_string().into(),
        }
    }

    /// The smallest acceptable number.
    pub fn first(&self) -> u32 {
        match self {
            ResourceCount::Fixed(number) => *number,
            ResourceCount::Range(range) => range.min,
            ResourceCount::Set(set) => set.first().unwrap_or(0),
        }
    }

    /// The acceptable number that follows `value`.
    pub fn next_after(&self, value: u32) -> Option<u32> {
        match self {
            ResourceCount::Fixed(_) => None,
            ResourceCount::Range(range) => range.next_after(value),
            ResourceCount::Set(set) => set.next_after(value),
        }
    }

    fn fixed(number: u32) -> Result<ResourceCount, RangeError> {
        if number == 0 { Err(RangeError::Rule("a count must be 1 or more")) } else { Ok(ResourceCount::Fixed(number)) }
    }
}

impl fmt::Display for ResourceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceCount::Fixed(number) => number.fmt(f),
            ResourceCount::Range(range) => range.fmt(f),
            ResourceCount::Set(set) => set.fmt(f),
        }
    }
}

impl FromStr for ResourceCount {
    type Err = RangeError;
    fn from_str(text: &str) -> Result<ResourceCount, RangeError> {
        ResourceCount::parse(text)
    }
}

/// Decimal digits without a leading zero, up to 32 bits.
fn parse_number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
