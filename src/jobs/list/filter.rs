//! Constraints on listings (RFCs 31, 43).

use std::collections::BTreeMap;

use flux_types::{Hostlist, Idset, JobResult, JobState, StateSet};
use serde_json::Value;

use super::record::{Record, micros};
use crate::limits::{LIST_CONSTRAINT_DEPTH_MAX, LIST_CONSTRAINT_TERMS_MAX};

/// Hosts and ranks in one constraint where the instance has fewer.
const MEMBERS_MIN: usize = 1024;

/// A constraint, understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Vec<Filter>),
    User(Vec<u32>),
    Name(Vec<String>),
    /// With the jobs of virtual queues.
    Queue(Vec<String>),
    States(u32),
    Results(u32),
    Hosts(Hostlist),
    Ranks(Idset),
    Time {
        field: Field,
        order: Order,
        micros: u64,
    },
}

/// A time that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Submit,
    Depend,
    Priority,
    Sched,
    Run,
    Cleanup,
    Inactive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    AtLeast,
    AtMost,
    After,
    Before,
}

/// What matching costs and needs to know besides the job.
#[derive(Debug)]
pub(super) struct Match<'a> {
    /// The parents of virtual queues, by name.
    pub(super) parents: &'a BTreeMap<String, String>,
    pub(super) comparisons: u64,
}

impl Filter {
    pub(super) fn all() -> Filter {
        Filter::And(Vec::new())
    }

    /// # Errors
    /// Why the constraint makes no sense. `size` is the instance's: longer lists of hosts are refused.
    pub(super) fn read(constraint: &Value, size: usize) -> Result<Filter, String> {
        let mut budget = LIST_CONSTRAINT_TERMS_MAX;
        read(constraint, size.max(MEMBERS_MIN), 0, &mut budget)
    }

    pub(super) fn matches(&self, job: &Record, cx: &mut Match<'_>) -> bool {
        match self {
            Filter::And(list) => list.iter().all(|filter| filter.matches(job, cx)),
            // RFC 31: an `or` of nothing is true.
            Filter::Or(list) => list.is_empty() || list.iter().any(|filter| filter.matches(job, cx)),
            Filter::Not(list) => !list.iter().all(|filter| filter.matches(job, cx)),
            leaf => {
                cx.comparisons += 1;
                leaf.matches_leaf(job, cx)
            }
        }
    }

    fn matches_leaf(&self, job: &Record, cx: &Match<'_>) -> bool {
        match self {
            Filter::User(users) => users.contains(&u32::MAX) || users.contains(&job.userid),
            Filter::Name(names) => names.iter().any(|name| Some(&**name) == job.name.as_deref()),
            Filter::Queue(names) => job.queue.as_deref().is_some_and(|queue| {
                let parent = cx.parents.get(queue).map(String::as_str);
                names.iter().any(|name| name == queue || Some(name.as_str()) == parent)
            }),
            Filter::States(mask) => mask & job.state.bit() != 0,
            Filter::Results(mask) => job.state == JobState::Inactive && mask & job.result().bit() != 0,
            Filter::Hosts(hosts) => {
                let list = job.nodelist.as_deref().and_then(|text| text.parse::<Hostlist>().ok());
                list.is_some_and(|list| list.iter().any(|host| hosts.contains(&host)))
            }
            Filter::Ranks(ranks) => {
                let own = job.ranks.as_deref().and_then(|text| text.parse::<Idset>().ok());
                own.is_some_and(|own| own.intersects(ranks))
            }
            Filter::Time { field, order, micros } => {
                let at = field.of(job);
                at != 0
                    && match order {
                        Order::AtLeast => at >= *micros,
                        Order::AtMost => at <= *micros,
                        Order::After => at > *micros,
                        Order::Before => at < *micros,
                    }
            }
            Filter::And(_) | Filter::Or(_) | Filter::Not(_) => unreachable!("not a leaf"),
        }
    }

    /// States that a job may be in for this to match: what need not be looked at at all.
    pub(super) fn states(&self) -> u32 {
        const ALL: u32 = StateSet::ALL.bits();
        match self {
            Filter::States(mask) => *mask,
            Filter::Results(_) => JobState::Inactive.bit(),
            Filter::And(list) => list.iter().fold(ALL, |mask, filter| mask & filter.states()),
            Filter::Or(list) if !list.is_empty() => list.iter().fold(0, |mask, filter| mask | filter.states()),
            _ => ALL,
        }
    }
}

impl Field {
    fn named(name: &str) -> Option<Field> {
        Some(match name {
            "t_submit" => Field::Submit,
            "t_depend" => Field::Depend,
            "t_priority" => Field::Priority,
            "t_sched" => Field::Sched,
            "t_run" => Field::Run,
            "t_cleanup" => Field::Cleanup,
            "t_inactive" => Field::Inactive,
            _ => return None,
        })
    }

    fn of(self, job: &Record) -> u64 {
        let times = &job.times;
        match self {
            Field::Submit => times.submit,
            Field::Depend => times.depend,
            Field::Priority => times.priority,
            Field::Sched => times.sched,
            Field::Run => times.run,
            Field::Cleanup => times.cleanup,
            Field::Inactive => times.inactive,
        }
    }
}

fn read(constraint: &Value, members_max: usize, depth: usize, budget: &mut usize) -> Result<Filter, String> {
    let object = constraint.as_object().ok_or("constraint must be JSON object")?;
    if depth >= LIST_CONSTRAINT_DEPTH_MAX {
        return Err(format!("constraint is over the limit of {LIST_CONSTRAINT_DEPTH_MAX} levels"));
    }
    let mut entries = object.iter();
    let Some((op, values)) = entries.next() else { return Ok(Filter::all()) };
    if entries.next().is_some() {
        return Err("constraint must only contain 1 element".into());
    }
    let values = values.as_array().ok_or_else(|| format!("operator {op} values not an array"))?;
    *budget = budget
        .checked_sub(values.len() + 1)
        .ok_or_else(|| format!("constraint is over the limit of {LIST_CONSTRAINT_TERMS_MAX} terms"))?;
    let mut below = || -> Result<Vec<Filter>, String> {
        values.iter().map(|value| read(value, members_max, depth + 1, budget)).collect()
    };
    Ok(match op.as_str() {
        "and" => Filter::And(below()?),
        "or" => Filter::Or(below()?),
        "not" => Filter::Not(below()?),
        "userid" => Filter::User(users(values)?),
        "name" | "queue" => {
            let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(format!("{op} value must be a string"));
            let list = values.iter().map(text).collect::<Result<_, _>>()?;
            if op == "name" { Filter::Name(list) } else { Filter::Queue(list) }
        }
        "states" => Filter::States(mask(values, op, StateSet::ALL.bits(), |name| {
            StateSet::from_name(name).map(StateSet::bits)
        })?),
        "results" => {
            let all = JobResult::ALL.into_iter().fold(0, |mask, result| mask | result.bit());
            Filter::Results(mask(values, op, all, |name| JobResult::from_name(name).map(JobResult::bit))?)
        }
        "hostlist" => Filter::Hosts(hosts(values, members_max)?),
        "ranks" => Filter::Ranks(ranks(values, members_max)?),
        other => match Field::named(other) {
            Some(field) => time(field, other, values)?,
            None => return Err(format!("unknown constraint operator: {other}")),
        },
    })
}

fn users(values: &[Value]) -> Result<Vec<u32>, String> {
    let user = |value: &Value| match value.as_i64() {
        Some(-1) => Ok(u32::MAX),
        Some(id) => u32::try_from(id).map_err(|_| "userid value must be an integer".to_owned()),
        None => Err("userid value must be an integer".to_owned()),
    };
    values.iter().map(user).collect()
}

fn mask(values: &[Value], op: &str, all: u32, named: impl Fn(&str) -> Option<u32>) -> Result<u32, String> {
    let mut mask = 0;
    for value in values {
        mask |= match value {
            Value::String(name) => named(name).ok_or_else(|| format!("{op} value '{name}' invalid"))?,
            Value::Number(number) => {
                let bits = number.as_u64().and_then(|bits| u32::try_from(bits).ok()).filter(|bits| bits & !all == 0);
                bits.ok_or_else(|| format!("{op} value {number} invalid"))?
            }
            _ => return Err(format!("{op} value invalid type")),
        };
    }
    Ok(mask)
}

fn hosts(values: &[Value], max: usize) -> Result<Hostlist, String> {
    let mut all = Hostlist::default();
    for value in values {
        let text = value.as_str().ok_or("host value must be a string")?;
        all.append(text).map_err(|_| "host value not in valid Hostlist format")?;
        if all.count() > max {
            return Err("too many hosts specified".into());
        }
    }
    Ok(all)
}

fn ranks(values: &[Value], max: usize) -> Result<Idset, String> {
    let mut all = Idset::default();
    for value in values {
        let text = value.as_str().ok_or("ranks value must be a string")?;
        let ranks = text.parse::<Idset>().map_err(|error| format!("ranks value '{text}': {error}"))?;
        all.extend_from(&ranks);
        if all.count() > max {
            return Err("too many ranks specified".into());
        }
    }
    Ok(all)
}

fn time(field: Field, name: &str, values: &[Value]) -> Result<Filter, String> {
    let text = values.first().ok_or("timestamp value not specified")?;
    let text = text.as_str().ok_or_else(|| format!("{name} value must be a string"))?;
    let prefixes = [(">=", Order::AtLeast), ("<=", Order::AtMost), (">", Order::After), ("<", Order::Before)];
    let found = prefixes.into_iter().find_map(|(prefix, order)| Some((order, text.strip_prefix(prefix)?)));
    let (order, number) = found.ok_or("timestamp comparison operator not specified")?;
    let at: f64 = number.trim().parse().map_err(|_| "Invalid timestamp value specified")?;
    if !at.is_finite() {
        return Err("Invalid timestamp value specified".into());
    }
    if at < 0.0 {
        return Err("timestamp value must be >= 0.0".into());
    }
    Ok(Filter::Time { field, order, micros: micros(at) })
}
