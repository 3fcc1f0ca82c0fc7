//! `policy.limits` (RFC 33): how long and how large a job may be, in general and on its queue.

use std::collections::BTreeMap;

use flux_service::Fault;
use flux_types::{At, Jobspec, format_fsd, parse_fsd};
use flux_wire::Errno;
use serde_json::Value;

/// Limits of one place. `None` is no word on it; a larger place may have one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Limits {
    /// Seconds; infinite is unlimited.
    duration: Option<f64>,
    max: Size,
    min: Size,
}

/// Counts; -1 is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    nnodes: Option<i64>,
    ncores: Option<i64>,
    ngpus: Option<i64>,
}

/// All limits there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Policy {
    general: Limits,
    /// With what virtual queues have from their parents.
    queues: BTreeMap<String, Limits>,
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

impl Size {
    fn read(table: Option<&Value>, at: &str) -> Result<Size, Fault> {
        let count = |key: &str| match table.and_then(|table| table.get(key)).map(Value::as_i64) {
            None => Ok(None),
            Some(Some(count)) if count >= -1 => Ok(Some(count)),
            Some(_) => {
                let text = format!("{at}policy.limits.job-size: size must be -1 (unlimited), or >= 0");
                Err(invalid(text))
            }
        };
        Ok(Size { nnodes: count("nnodes")?, ncores: count("ncores")?, ngpus: count("ngpus")? })
    }

    fn or(self, wider: Size) -> Size {
        Size {
            nnodes: self.nnodes.or(wider.nnodes),
            ncores: self.ncores.or(wider.ncores),
            ngpus: self.ngpus.or(wider.ngpus),
        }
    }
}

impl Limits {
    fn read(holder: &Value, at: &str) -> Result<Limits, Fault> {
        let limits = holder.at("/policy/limits");
        let get = |key: &str| limits.and_then(|limits| limits.get(key));
        let malformed = || invalid(format!("{at}policy.limits.duration: FSD value is malformed"));
        let duration = match get("duration") {
            None => None,
            Some(text) => {
                let seconds = text.as_str().and_then(parse_fsd).ok_or_else(malformed)?;
                Some(if seconds == 0.0 { f64::INFINITY } else { seconds })
            }
        };
        let size = get("job-size");
        let part = |key: &str| Size::read(size.and_then(|size| size.get(key)), at);
        Ok(Limits { duration, max: part("max")?, min: part("min")? })
    }

    fn or(self, wider: Limits) -> Limits {
        Limits { duration: self.duration.or(wider.duration), max: self.max.or(wider.max), min: self.min.or(wider.min) }
    }

    fn any(&self) -> bool {
        *self != Limits::default()
    }
}

impl Policy {
    /// # Errors
    /// EINVAL and the key that makes no sense.
    pub(super) fn read(config: &Value) -> Result<Policy, Fault> {
        let general = Limits::read(config, "")?;
        let mut queues = BTreeMap::new();
        let table = config.get("queues").and_then(Value::as_object);
        for (name, entry) in table.into_iter().flatten() {
            let own = Limits::read(entry, &format!("queues.{name}."))?;
            let parent = entry.get("parent").and_then(Value::as_str);
            let parent = parent.and_then(|parent| Some((parent, table?.get(parent)?)));
            let inherited = match parent {
                Some((parent, entry)) => Limits::read(entry, &format!("queues.{parent}."))?,
                None => Limits::default(),
            };
            queues.insert(name.clone(), own.or(inherited));
        }
        Ok(Policy { general, queues })
    }

    /// # Errors
    /// EINVAL and the limit that the job would break.
    pub(super) fn check(&self, jobspec: &Value, queue: Option<&str>) -> Result<(), Fault> {
        let own = queue.and_then(|queue| self.queues.get(queue)).copied().unwrap_or_default();
        let limits = own.or(self.general);
        if !limits.any() {
            return Ok(());
        }
        let place = queue.map(|queue| format!(" for queue {queue}")).unwrap_or_default();
        check_duration(jobspec, limits.duration, &place)?;
        let parsed = Jobspec::from_value(jobspec.clone()).map_err(|error| invalid(error.to_string()))?;
        let Ok(size) = parsed.summary() else { return Ok(()) };
        let slots = i64::from(size.nslots);
        // What a job leaves open counts as nothing.
        let counts = [
            ("nnodes", size.nnodes.map_or(0, i64::from), limits.max.nnodes, limits.min.nnodes),
            ("ncores", slots * i64::from(size.cores_per_slot), limits.max.ncores, limits.min.ncores),
            ("ngpus", slots * i64::from(size.gpus_per_slot), limits.max.ngpus, limits.min.ngpus),
        ];
        for (what, count, max, _) in counts {
            if let Some(max) = max.filter(|max| *max >= 0 && count > *max) {
                return Err(invalid(format!("requested {what} ({count}) exceeds policy limit of {max}{place}")));
            }
        }
        for (what, count, _, min) in counts {
            if let Some(min) = min.filter(|min| *min >= 0 && count < *min) {
                return Err(invalid(format!("requested {what} ({count}) is under policy limit of {min}{place}")));
            }
        }
        Ok(())
    }
}

fn check_duration(jobspec: &Value, limit: Option<f64>, place: &str) -> Result<(), Fault> {
    let Some(limit) = limit.filter(|limit| limit.is_finite()) else { return Ok(()) };
    let duration = jobspec.at("/attributes/system/duration").and_then(Value::as_f64).unwrap_or(0.0);
    if duration != 0.0 && duration <= limit {
        return Ok(());
    }
    let text = |seconds: f64| format_fsd(seconds).unwrap_or_default();
    let requested = if duration == 0.0 { "unlimited".to_owned() } else { text(duration) };
    let limit = text(limit);
    Err(invalid(format!("requested duration ({requested}) exceeds policy limit of {limit}{place}")))
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
