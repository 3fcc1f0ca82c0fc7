//! Which task runs on which node.

use flux_types::{Hostlist, Jobspec, Taskmap};
use serde_json::Value;

use crate::ShellError;
use crate::bundle::Allocation;
use crate::limits::{LOCAL_TASKS_MAX, TASKS_MAX};

/// The distribution of a job's tasks over its nodes, in blocks: what flux-core does where no other map is asked for.
///
/// # Errors
/// [`ShellError::Jobspec`], [`ShellError::TooMany`], [`ShellError::Option`]
pub fn block(spec: &Jobspec, allocation: &Allocation) -> Result<Taskmap, ShellError> {
    let cores: Vec<u64> = allocation.nodes.iter().map(|node| node.cores.count() as u64).collect();
    let counts = match per_resource(spec)? {
        Some((by_core, count)) => cores.iter().map(|cores| if by_core { cores * count } else { count }).collect(),
        None => spread(spec, &cores)?,
    };
    let mut map = Taskmap::new();
    for (nodeid, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        if count > u64::from(LOCAL_TASKS_MAX) {
            return Err(ShellError::TooMany { what: "tasks on one node", max: LOCAL_TASKS_MAX.into() });
        }
        let added = map.append(nodeid as u32, 1, count as u32);
        added.map_err(|error| ShellError::Taskmap(error.to_string()))?;
    }
    Ok(map)
}

/// The option `per-resource`: `(by core, how many)`.
fn per_resource(spec: &Jobspec) -> Result<Option<(bool, u64)>, ShellError> {
    let Some(option) = spec.shell_option("per-resource") else { return Ok(None) };
    let bad = |why: &str| ShellError::Option { name: "per-resource", why: why.to_owned() };
    let by_core = match option.get("type").and_then(Value::as_str) {
        Some("core") => true,
        Some("node") => false,
        _ => return Err(bad("the type is node or core")),
    };
    let count = option.get("count").map_or(Some(1), Value::as_u64);
    let count = count.filter(|count| (1..=u64::from(TASKS_MAX)).contains(count)).ok_or_else(|| bad("a bad count"))?;
    Ok(Some((by_core, count)))
}

/// Tasks go to the node with the most free cores, one at a time; used-up nodes are refilled when tasks are left over.
fn spread(spec: &Jobspec, cores: &[u64]) -> Result<Vec<u64>, ShellError> {
    let wrong = |error: flux_types::JobspecError| ShellError::Jobspec(error.to_string());
    let mut summary = spec.summary().map_err(wrong)?;
    let total = cores.iter().sum::<u64>();
    summary.settle(cores.len() as u32, u32::try_from(total).unwrap_or(u32::MAX));
    let tasks = u64::from(summary.ntasks.unwrap_or(summary.nslots));
    if tasks == 0 || tasks > u64::from(TASKS_MAX) {
        return Err(ShellError::TooMany { what: "tasks", max: TASKS_MAX.into() });
    }
    let smallest = cores.iter().copied().min().unwrap_or(0).max(1);
    let wanted = if summary.cores_per_slot > 0 { u64::from(summary.cores_per_slot) } else { total / tasks };
    let per_task = wanted.clamp(1, smallest);
    let mut free: Vec<u64> = cores.to_vec();
    let mut counts = vec![0; cores.len()];
    // The order of the largest nodes first, those used going to the back (a stable sort keeps the order of ranks).
    let mut queue = std::collections::VecDeque::new();
    for _ in 0..tasks {
        let at = loop {
            match queue.pop_front() {
                Some(at) if free[at] >= per_task => break at,
                Some(_) => {}
                None => {
                    if queue_is_dry(&free, per_task) {
                        free.copy_from_slice(cores);
                        free.iter_mut().for_each(|cores| *cores = (*cores).max(per_task));
                    }
                    let mut order: Vec<usize> = (0..cores.len()).collect();
                    order.sort_by_key(|at| std::cmp::Reverse(free[*at]));
                    queue.extend(order);
                }
            }
        };
        free[at] -= per_task;
        counts[at] += 1;
        queue.push_back(at);
    }
    Ok(counts)
}

fn queue_is_dry(free: &[u64], per_task: u64) -> bool {
    free.iter().all(|cores| *cores < per_task)
}

/// The map that the job asks for with the option `taskmap` (`flux submit --taskmap`), made from the block map.
/// `hostfile` gives the text of the file that the scheme of that name names.
///
/// # Errors
/// [`ShellError::Taskmap`], [`ShellError::Option`]
pub fn remap(
    spec: &Jobspec,
    allocation: &Allocation,
    block: Taskmap,
    hostfile: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Taskmap, ShellError> {
    let Some(option) = spec.shell_option("taskmap") else { return Ok(block) };
    let bad = |why: String| ShellError::Option { name: "taskmap", why };
    let scheme = option.get("scheme").and_then(Value::as_str).ok_or_else(|| bad("it has no scheme".into()))?;
    let value = option.get("value").and_then(Value::as_str).unwrap_or("");
    let map = match scheme {
        "block" => block.clone(),
        "cyclic" => cyclic(&block, value)?,
        "manual" => Taskmap::parse(value).map_err(|error| ShellError::Taskmap(error.to_string()))?,
        "hostfile" => from_hosts(allocation, &block, &hostfile(value).map_err(ShellError::Taskmap)?)?,
        _ => return Err(ShellError::Scheme(scheme.to_owned())),
    };
    if !map.has_shape_of(&block) {
        let (got, want) = (map.ntasks(), block.ntasks());
        let (got_nodes, want_nodes) = (map.nnodes(), block.nnodes());
        let why = format!("it has {got} tasks on {got_nodes} nodes, not {want} on {want_nodes}");
        return Err(ShellError::Taskmap(why));
    }
    Ok(map)
}

/// Rounds over the nodes, `stride` tasks each.
fn cyclic(block: &Taskmap, value: &str) -> Result<Taskmap, ShellError> {
    let stride: u32 = if value.is_empty() { 1 } else { value.parse().unwrap_or(0) };
    if stride == 0 {
        return Err(ShellError::Option { name: "taskmap", why: format!("invalid cyclic stride: {value}") });
    }
    let mut left: Vec<u32> = (0..block.nnodes()).map(|node| block.ntasks_on(node as u32) as u32).collect();
    let mut map = Taskmap::new();
    while map.ntasks() < block.ntasks() {
        for (nodeid, left) in left.iter_mut().enumerate().filter(|(_, left)| **left > 0) {
            let count = stride.min(*left);
            map.append(nodeid as u32, 1, count).map_err(|error| ShellError::Taskmap(error.to_string()))?;
            *left -= count;
        }
    }
    Ok(map)
}

/// One task to each host of the list in turn, over and over.
fn from_hosts(allocation: &Allocation, block: &Taskmap, text: &str) -> Result<Taskmap, ShellError> {
    let mut hosts = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let list: Hostlist = line.parse().map_err(|_| ShellError::Taskmap(format!("{line:?} is no list of hosts")))?;
        hosts.extend(list.iter().map(|host| host.to_string()));
    }
    let mut map = Taskmap::new();
    for host in hosts.iter().cycle().take(if hosts.is_empty() { 0 } else { block.ntasks() }) {
        let nodeid = allocation.nodes.iter().position(|node| node.host == *host);
        let nodeid = nodeid.ok_or_else(|| ShellError::Taskmap(format!("host {host} is not in this job")))?;
        map.append(nodeid as u32, 1, 1).map_err(|error| ShellError::Taskmap(error.to_string()))?;
    }
    Ok(map)
}
