//! Drained targets: who, since when, and why.

use std::collections::BTreeMap;

use flux_service::Fault;
use flux_types::Idset;
use flux_wire::Errno;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What happens where a target is drained already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overwrite {
    /// It is an error to name it.
    Refuse,
    /// Only targets without a reason get one; no error.
    KeepReason,
    /// The reason changes, the time does not.
    Reason,
    /// Both change.
    ReasonAndTime,
}

impl Overwrite {
    /// The `mode` of a `resource.drain` request.
    pub(crate) fn from_mode(mode: Option<&str>) -> Result<Overwrite, Fault> {
        match mode {
            None => Ok(Self::Refuse),
            Some("update") => Ok(Self::KeepReason),
            Some("overwrite") => Ok(Self::Reason),
            Some("force-overwrite") => Ok(Self::ReasonAndTime),
            Some(other) => Err(Fault::new(Errno::EINVAL, format!("invalid drain mode {other}"))),
        }
    }

    /// The number in the event (RFC 44).
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Refuse | Self::KeepReason => 0,
            Self::Reason => 1,
            Self::ReasonAndTime => 2,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drained {
    since: f64,
    reason: Option<String>,
}

/// The context of a `drain` or `undrain` event.
#[derive(Deserialize)]
pub(crate) struct DrainContext {
    pub(crate) idset: String,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) overwrite: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Drains(BTreeMap<u32, Drained>);

impl Drains {
    pub(crate) fn ranks(&self) -> Idset {
        self.0.keys().copied().collect()
    }

    pub(crate) fn ranks_with_reason(&self) -> Idset {
        self.0.iter().filter(|(_, drained)| drained.reason.is_some()).map(|(rank, _)| *rank).collect()
    }

    /// Applies a `drain` event.
    pub(crate) fn drain(&mut self, ranks: &Idset, since: f64, reason: Option<&str>, overwrite: u32) {
        for rank in ranks.iter() {
            match (self.0.get_mut(&rank), overwrite) {
                (None, _) | (Some(_), 2) => {
                    self.0.insert(rank, Drained { since, reason: reason.map(str::to_owned) });
                }
                (Some(drained), 1) => drained.reason = reason.map(str::to_owned),
                (Some(drained), _) if drained.reason.is_none() => drained.reason = reason.map(str::to_owned),
                (Some(_), _) => {}
            }
        }
    }

    /// Applies an `undrain` event.
    pub(crate) fn undrain(&mut self, ranks: &Idset) {
        self.0.retain(|rank, _| !ranks.contains(*rank));
    }

    /// What is known of these ranks, to be put back if an event on them cannot be stored.
    pub(crate) fn of(&self, ranks: &Idset) -> Vec<(u32, Option<Drained>)> {
        ranks.iter().map(|rank| (rank, self.0.get(&rank).cloned())).collect()
    }

    /// An event was not stored: its ranks are what they were.
    pub(crate) fn put_back(&mut self, former: Vec<(u32, Option<Drained>)>) {
        for (rank, drained) in former {
            match drained {
                Some(drained) => drop(self.0.insert(rank, drained)),
                None => drop(self.0.remove(&rank)),
            }
        }
    }

    /// `{"0-3": {"timestamp", "reason"}}`, equal ones together.
    pub(crate) fn to_value(&self) -> Value {
        let mut groups: Vec<(&Drained, Idset)> = Vec::new();
        for (rank, drained) in &self.0 {
            match groups.iter_mut().find(|(one, _)| *one == drained) {
                Some((_, ranks)) => {
                    ranks.insert(*rank);
                }
                None => groups.push((drained, Idset::range(*rank, *rank))),
            }
        }
        let entry = |(drained, ranks): (&Drained, Idset)| {
            let reason = drained.reason.as_deref().unwrap_or("");
            (ranks.to_string(), json!({"timestamp": drained.since, "reason": reason}))
        };
        Value::Object(groups.into_iter().map(entry).collect::<Map<String, Value>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overwrite_decides_what_a_second_drain_changes() {
        let one = Idset::range(1, 1);
        for (overwrite, since, reason) in [(0, 10.0, "old"), (1, 10.0, "new"), (2, 20.0, "new")] {
            let mut drains = Drains::default();
            drains.drain(&one, 10.0, Some("old"), 0);
            drains.drain(&one, 20.0, Some("new"), overwrite);
            assert_eq!(drains.to_value(), json!({"1": {"timestamp": since, "reason": reason}}), "{overwrite}");
        }
    }

    #[test]
    fn targets_with_one_reason_and_time_are_listed_together() {
        let mut drains = Drains::default();
        drains.drain(&Idset::range(0, 3), 10.0, None, 0);
        drains.drain(&Idset::range(2, 2), 10.0, Some("disk"), 0);
        drains.undrain(&Idset::range(0, 0));
        let want = json!({"1,3": {"timestamp": 10.0, "reason": ""}, "2": {"timestamp": 10.0, "reason": "disk"}});
        assert_eq!(drains.to_value(), want);
    }
}
