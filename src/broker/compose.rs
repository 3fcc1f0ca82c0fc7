//! Which services a node has: the same under the runtime and under the simulator.

use flux_fluxion::FluxionModules;
use flux_jobs::{JobExec, JobInfo, JobIngest, JobList, JobManager};
use flux_kvs::{Algorithm, Kvs, KvsFollower};
use flux_resource::{FitMode, Inventory, Known, Resource, ResourceReduce, SchedSimple};
use flux_service::{AnyService, Recovered};
use serde_json::{Value, json};

use crate::modules::{Factory, Loader};
use crate::service::{Cron, Groups, Heartbeat, Rexec};

/// The services of a node, and how to make one again.
pub struct Composed {
    /// Loaded in this order, unloaded in the reverse.
    pub services: Vec<Box<dyn AnyService>>,
    pub loader: Loader,
    /// What rank 0 is told of this node.
    pub announce: Option<Value>,
}

/// The services of a node that has the resources `found` and starts from `recovered`; `hash` names the content store's algorithm.
///
/// # Errors
/// A sentence: there is no such algorithm.
pub fn compose(
    hash: &str,
    found: Inventory,
    (rank, size): (u32, u32),
    recovered: Recovered,
    scheduler: Scheduler,
) -> Result<Composed, String> {
    /// On ranks over 0: what is not there is asked for further up.
    const BELOW: &[&str] = &["heartbeat", "groups", "rexec", "kvs", "resource", "job-ingest", "job-info", "job-exec"];
    const BEFORE_KVS: &[&str] = &["heartbeat", "groups", "rexec"];
    const AFTER_KVS: &[&str] = &["resource", "job-manager", "job-ingest", "job-list", "job-info", "job-exec", "cron"];
    let algorithm = Algorithm::from_name(hash).ok_or_else(|| format!("content.hash={hash}: use sha1 or sha256"))?;
    if rank > 0 {
        let announce = json!({"ranks": rank.to_string(), "R": found.set.to_value()});
        let below = maker(found, size);
        let make = move |name: &str| match name {
            "kvs" => Some(Box::new(KvsFollower::new(algorithm)) as Factory),
            "resource" => Some(Box::new(ResourceReduce::default()) as Factory),
            name => below(name),
        };
        // An id has room for so many makers; who is on a broker beyond asks further up.
        let makes_ids = |name: &str| name != "job-ingest" || rank < flux_types::limits::FLUID_GENERATORS_MAX;
        let services = BELOW.iter().copied().filter(|name| makes_ids(name)).filter_map(&make).collect();
        return Ok(Composed { services, loader: Box::new(make), announce: Some(announce) });
    }
    let make = maker(found, size);
    let mut services: Vec<Box<dyn AnyService>> = BEFORE_KVS.iter().filter_map(|name| make(name)).collect();
    services.push(Box::new(Kvs::new(algorithm, recovered)));
    services.extend(AFTER_KVS.iter().chain(scheduler.modules()).filter_map(|name| make(name)));
    Ok(Composed { services, loader: Box::new(make), announce: None })
}

/// Who gives resources to jobs from the start. Any of them can be loaded later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    Fluxion,
    Simple,
    Nobody,
}

impl Scheduler {
    /// What `modules.alternatives.sched` of the configuration names; `FLUX_SCHED_MODULE=none` in the environment means
    /// nobody.
    ///
    /// # Errors
    /// A sentence: a name that is no scheduler.
    pub fn choose(config: &Value, env: Option<&str>) -> Result<Scheduler, String> {
        if env == Some("none") {
            return Ok(Scheduler::Nobody);
        }
        match &config["modules"]["alternatives"]["sched"] {
            Value::Null => Ok(Scheduler::Fluxion),
            Value::String(name) if name == "sched-fluxion-qmanager" => Ok(Scheduler::Fluxion),
            Value::String(name) if name == "sched-simple" => Ok(Scheduler::Simple),
            other => Err(format!("modules.alternatives.sched={other}: use sched-fluxion-qmanager or sched-simple")),
        }
    }

    fn modules(self) -> &'static [&'static str] {
        match self {
            Scheduler::Fluxion => &FluxionModules::NAMES,
            Scheduler::Simple => &["sched-simple"],
            Scheduler::Nobody => &[],
        }
    }
}

/// Makes services by name; all it makes belong to one node.
fn maker(found: Inventory, size: u32) -> impl Fn(&str) -> Option<Factory> {
    let fluxion = FluxionModules::default();
    let known = Known::default();
    move |name: &str| match name {
        "resource" => Some(Box::new(Resource::new(found.clone(), size).knowing(known.clone())) as Factory),
        name => make(name, &found).or_else(|| fluxion.make(name)),
    }
}

/// A service in its first state. The KVS is not among them: only a restart reads what is on disk.
fn make(name: &str, found: &Inventory) -> Option<Factory> {
    Some(match name {
        "heartbeat" => Box::new(Heartbeat::default()),
        "cron" => Box::new(Cron::default()),
        "groups" => Box::new(Groups::default()),
        "rexec" => Box::new(Rexec::default()),
        "job-manager" => Box::new(JobManager::default()),
        "job-ingest" => Box::new(JobIngest::default()),
        "job-list" => Box::new(JobList::default()),
        "job-info" => Box::new(JobInfo::default()),
        "job-exec" => Box::new(JobExec::with_gpus(found.gpu_devices.clone())),
        "sched-simple" => Box::new(SchedSimple::new(FitMode::Worst)),
        _ => return None,
    })
}
