//! RFC 31 objects in and out.

use serde_json::{Map, Value};

use super::{Constraint, ConstraintError, Property};
use crate::hostlist::Hostlist;
use crate::idset::Idset;
use crate::limits::{CONSTRAINT_DEPTH_MAX, CONSTRAINT_TERMS_MAX};

type Result<T> = std::result::Result<T, ConstraintError>;

/// Characters no property may hold in a query; `^` stands for negation there (RFC 20, RFC 31).
const NOT_IN_PROPERTY: &[char] = &['!', '&', '\'', '"', '`', '|', '(', ')'];

impl Constraint {
    /// Reads and validates an RFC 31 object.
    ///
    /// # Errors
    /// The first [`ConstraintError`] met.
    pub fn from_value(value: &Value) -> Result<Constraint> {
        let mut budget = CONSTRAINT_TERMS_MAX;
        from_value(value, 0, &mut budget)
    }

    /// The RFC 31 object of this constraint. Hosts and ranks come out as one value each.
    pub fn to_value(&self) -> Value {
        let list = |list: &[Constraint]| list.iter().map(Constraint::to_value).collect();
        let (operator, values): (&str, Value) = match self {
            Constraint::Any => return Value::Object(Map::new()),
            Constraint::Properties(properties) => ("properties", properties.iter().map(Property::encode).collect()),
            Constraint::Hosts(hosts) => ("hostlist", single(hosts.encode())),
            Constraint::Ranks(ranks) => ("ranks", single(ranks.to_string())),
            Constraint::And(constraints) => ("and", list(constraints)),
            Constraint::Or(constraints) => ("or", list(constraints)),
            Constraint::Not(constraints) => ("not", list(constraints)),
        };
        Value::Object(Map::from_iter([(operator.to_owned(), values)]))
    }
}

impl Property {
    fn encode(&self) -> String {
        format!("{}{}", if self.negated { "^" } else { "" }, self.name)
    }
}

fn single(text: String) -> Value {
    if text.is_empty() { Value::Array(Vec::new()) } else { Value::Array(vec![text.into()]) }
}

fn from_value(value: &Value, depth: usize, budget: &mut usize) -> Result<Constraint> {
    let object = value.as_object().ok_or(ConstraintError::NotObject)?;
    if depth > CONSTRAINT_DEPTH_MAX {
        return Err(ConstraintError::TooDeep { max: CONSTRAINT_DEPTH_MAX });
    }
    if object.len() > 1 {
        return Err(ConstraintError::ManyOperators);
    }
    let Some((operator, values)) = object.iter().next() else { return Ok(Constraint::Any) };
    let known = matches!(operator.as_str(), "properties" | "hostlist" | "ranks" | "and" | "or" | "not");
    if !known {
        return Err(ConstraintError::UnknownOperator { name: operator.clone() });
    }
    let values = values.as_array().ok_or_else(|| ConstraintError::NotArray { operator: operator.clone() })?;
    if values.len() >= *budget {
        return Err(ConstraintError::TooMany { max: CONSTRAINT_TERMS_MAX });
    }
    *budget -= values.len() + 1;
    let mut inner = || values.iter().map(|value| from_value(value, depth + 1, budget)).collect::<Result<Vec<_>>>();
    match operator.as_str() {
        "and" => Ok(Constraint::And(inner()?)),
        "or" => Ok(Constraint::Or(inner()?)),
        "not" => Ok(Constraint::Not(inner()?)),
        "properties" => Ok(Constraint::Properties(values.iter().map(property).collect::<Result<_>>()?)),
        "hostlist" => hosts(values),
        _ => ranks(values),
    }
}

fn property(value: &Value) -> Result<Property> {
    let text = value.as_str().ok_or(ConstraintError::NotString { operator: "properties" })?;
    if let Some(character) = text.chars().find(|c| NOT_IN_PROPERTY.contains(c)) {
        return Err(ConstraintError::BadProperty { character, property: text.to_owned() });
    }
    let (name, negated) = text.strip_prefix('^').map_or((text, false), |rest| (rest, true));
    Ok(Property { name: name.to_owned(), negated })
}

fn hosts(values: &[Value]) -> Result<Constraint> {
    let mut out = Hostlist::new();
    for value in values {
        let text = value.as_str().ok_or(ConstraintError::NotString { operator: "hostlist" })?;
        out.append(text).map_err(|e| ConstraintError::BadHostlist { text: text.to_owned(), reason: e.to_string() })?;
    }
    Ok(Constraint::Hosts(out))
}

fn ranks(values: &[Value]) -> Result<Constraint> {
    let mut out = Idset::new();
    for value in values {
        let text = value.as_str().ok_or(ConstraintError::NotString { operator: "ranks" })?;
        let set = Idset::parse(text)
            .map_err(|e| ConstraintError::BadIdset { text: text.to_owned(), reason: e.to_string() })?;
        out = out.union(&set);
    }
    Ok(Constraint::Ranks(out))
}
