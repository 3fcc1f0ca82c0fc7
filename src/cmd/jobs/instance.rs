//! What a job that is an instance says about itself.

use std::rc::Rc;

use flux_client::{Handle, Payload, Target};
use flux_types::ResourceSet;
use serde_json::Value as Json;

use super::info::JobInfo;
use super::stats::Stats;
use crate::format::Value;

/// Statistics and resources of an instance.
#[derive(Debug)]
pub(crate) struct Instance {
    stats: Stats,
    /// `all`, `down` and `allocated`.
    resources: Option<[ResourceSet; 3]>,
}

impl Instance {
    /// Asks the instance behind a running job; `None` if it is none, or does not answer.
    pub(crate) fn of(job: &JobInfo) -> Option<Rc<Instance>> {
        if job.status_abbrev() != "R" {
            return None;
        }
        let mut flux = Handle::open_uri(&job.reachable_uri()?).ok()?;
        let stats = Stats::fetch(&mut flux, &[]).ok()?;
        let answer = flux.call("resource.sched-status", Target::Any, Payload::None).ok();
        let set = |answer: &Json, key: &str| match &answer[key] {
            Json::Null => Some(ResourceSet::default()),
            value => ResourceSet::from_value(value).ok(),
        };
        let resources =
            answer.and_then(|answer| Some([set(&answer, "all")?, set(&answer, "down")?, set(&answer, "allocated")?]));
        Some(Rc::new(Instance { stats, resources }))
    }

    /// The field behind `instance.`
    pub(super) fn field(&self, path: &str) -> Value {
        match path {
            "utilization" => self.share(|set| set.count("core") as u64),
            "gpu_utilization" => self.share(|set| set.count("gpu") as u64),
            "progress" if self.stats.total > 0 => (self.stats.inactive as f64 / self.stats.total as f64).into(),
            "stats" => {
                let Stats { pending, running, successful, failed, .. } = self.stats;
                format!("PD:{pending} R:{running} CD:{successful} F:{failed}").into()
            }
            path => match path.split_once('.') {
                Some(("stats", name)) => self.count(name),
                Some(("resources", path)) => {
                    path.split_once('.').map_or(Value::Empty, |(set, of)| self.amount(set, of))
                }
                _ => Value::Empty,
            },
        }
    }

    fn count(&self, name: &str) -> Value {
        let stats = &self.stats;
        match name {
            "total" => stats.total,
            "pending" => stats.pending,
            "running" => stats.running,
            "inactive" => stats.inactive,
            "active" => stats.active(),
            "successful" => stats.successful,
            "failed" => stats.failed,
            "canceled" => stats.canceled,
            "timeout" => stats.timeout,
            "inactive_purged" => stats.purged,
            _ => return Value::Empty,
        }
        .into()
    }

    fn share(&self, count: impl Fn(&ResourceSet) -> u64) -> Value {
        let Some([all, _, allocated]) = &self.resources else { return Value::Empty };
        match count(all) {
            0 => Value::Empty,
            total => (count(allocated) as f64 / total as f64).into(),
        }
    }

    fn amount(&self, set: &str, of: &str) -> Value {
        let Some([all, down, allocated]) = &self.resources else { return Value::Empty };
        let chosen = match set {
            "all" => all.clone(),
            "down" => down.clone(),
            "allocated" => allocated.clone(),
            "up" => all.diff(down),
            "free" => all.diff(down).diff(allocated),
            _ => return Value::Empty,
        };
        match of {
            "ncores" => (chosen.count("core") as u64).into(),
            "ngpus" => (chosen.count("gpu") as u64).into(),
            "nnodes" => (chosen.ranks().count() as u64).into(),
            _ => Value::Empty,
        }
    }
}
