//! Which services a node has.

use flux_broker::{Factory, Groups, Heartbeat, Loader, Rexec};
use flux_jobs::{JobExec, JobInfo, JobIngest, JobList, JobManager};
use flux_kvs::{Algorithm, Kvs};
use flux_resource::{FitMode, Inventory, Method, Resource, SchedSimple};
use flux_service::{AnyService, Recovered};
use flux_types::resource_set::{Node, ResourceSet};
use serde_json::{Value, json};

/// The services of a node, and how to make one again.
pub(crate) struct Composed {
    /// Loaded in this order, unloaded in the reverse.
    pub(crate) services: Vec<Box<dyn AnyService>>,
    pub(crate) loader: Loader,
    /// What rank 0 is told of this node.
    pub(crate) announce: Option<Value>,
}

/// The services of a node that starts from `recovered`.
///
/// # Errors
/// A sentence: why there is nothing to run jobs on.
pub(crate) fn compose(
    hash: &str,
    hostname: &str,
    (rank, size): (u32, u32),
    recovered: Recovered,
) -> Result<Composed, String> {
    /// On ranks over 0: what is not there is asked for further up.
    const BELOW: &[&str] = &["groups", "rexec", "job-exec"];
    const BEFORE_KVS: &[&str] = &["heartbeat", "groups", "rexec"];
    const AFTER_KVS: &[&str] =
        &["resource", "job-manager", "job-ingest", "job-list", "job-info", "job-exec", "sched-simple"];
    let algorithm = Algorithm::from_name(hash).ok_or_else(|| format!("content.hash={hash}: use sha1 or sha256"))?;
    let found = found_here(hostname, rank)?;
    if rank > 0 {
        let announce = json!({"rank": rank, "R": found.set.to_value()});
        let make = move |name: &str| make(name, &found, size);
        let services = BELOW.iter().filter_map(|name| make(name)).collect();
        return Ok(Composed { services, loader: Box::new(make), announce: Some(announce) });
    }
    let make = move |name: &str| make(name, &found, size);
    let mut services: Vec<Box<dyn AnyService>> = BEFORE_KVS.iter().filter_map(|name| make(name)).collect();
    services.push(Box::new(Kvs::new(algorithm, recovered)));
    services.extend(AFTER_KVS.iter().filter_map(|name| make(name)));
    Ok(Composed { services, loader: Box::new(make), announce: None })
}

/// A service in its first state. The KVS is not among them: only a restart reads what is on disk.
fn make(name: &str, found: &Inventory, size: u32) -> Option<Factory> {
    Some(match name {
        "heartbeat" => Box::new(Heartbeat::default()),
        "groups" => Box::new(Groups::default()),
        "rexec" => Box::new(Rexec::default()),
        "resource" => Box::new(Resource::new(found.clone(), size)),
        "job-manager" => Box::new(JobManager::default()),
        "job-ingest" => Box::new(JobIngest::default()),
        "job-list" => Box::new(JobList::default()),
        "job-info" => Box::new(JobInfo::default()),
        "job-exec" => Box::new(JobExec::default()),
        "sched-simple" => Box::new(SchedSimple::new(FitMode::Worst)),
        _ => return None,
    })
}

/// The cores and GPUs of this machine that this process may use (RFC 20).
fn found_here(hostname: &str, rank: u32) -> Result<Inventory, String> {
    let found = flux_topo::scan(&flux_topo::Allowed::OfThisProcess).map_err(|error| error.to_string())?;
    let cores = found.cores.iter().map(|core| core.id).collect();
    let gpus = found.gpus.iter().map(|gpu| gpu.id).collect();
    let mut set = ResourceSet::new();
    set.insert(rank, Node::new(hostname, cores, gpus)).map_err(|error| error.to_string())?;
    Ok(Inventory { set, method: Method::DynamicDiscovery })
}
