//! Cores and memory from `/sys/devices/system`.

use crate::files::{cpu_list, numbered, text};
use crate::{Core, Numa};
use flux_sys::affinity::CpuSet;
use std::collections::BTreeSet;
use std::path::Path;

/// What the kernel calls the sets a processor belongs to, from the core outwards; where it renamed one, the new name first.
const CORE_SETS: &[&str] = &["topology/core_cpus_list", "topology/thread_siblings_list"];
const PACKAGE_SETS: &[&str] = &["topology/package_cpus_list", "topology/core_siblings_list"];
/// Sets between core and package that order the cores, as they are levels of hwloc's tree.
const INNER_SETS: &[&str] = &[
    "topology/die_cpus_list",
    "topology/cluster_cpus_list",
    "cache/index3/shared_cpu_list",
    "cache/index2/shared_cpu_list",
];

/// A core before it has a number.
struct Found {
    cpus: CpuSet,
    package: CpuSet,
    numa: Option<u32>,
    /// The first processors of all sets around it, the widest set first: the order of hwloc's logical indexes.
    place: Vec<u32>,
}

/// The cores that have a processor in `usable`, numbered as hwloc would.
pub(crate) fn scan(root: &Path, usable: &CpuSet, numa: &[Numa]) -> Vec<Core> {
    let dir = root.join("sys/devices/system/cpu");
    let mut sets = KnownSets::default();
    let mut found = Vec::new();
    let mut seen = CpuSet::new();
    for cpu in usable.iter() {
        if seen.contains(cpu) {
            continue; // A sibling of a core we have: each core is read once.
        }
        let dir = dir.join(format!("cpu{cpu}"));
        let core =
            first_list(&dir, CORE_SETS).filter(|set| set.contains(cpu)).unwrap_or_else(|| [cpu].into_iter().collect());
        for sibling in core.iter() {
            seen.insert(sibling);
        }
        found.push(place(core, cpu, &dir, numa, &mut sets));
    }
    found.sort_by(|a, b| a.place.cmp(&b.place));
    number(&found, usable)
}

fn number(found: &[Found], usable: &CpuSet) -> Vec<Core> {
    let mut packages: Vec<&CpuSet> = Vec::new();
    let mut cores = Vec::new();
    for core in found {
        let package = packages.iter().position(|known| *known == &core.package).unwrap_or_else(|| {
            packages.push(&core.package);
            packages.len() - 1
        });
        let cpus = core.cpus.iter().filter(|cpu| usable.contains(*cpu)).collect();
        cores.push(Core { id: cores.len() as u32, cpus, package: package as u32, numa: core.numa });
    }
    cores
}

fn place(core: CpuSet, cpu: u32, dir: &Path, numa: &[Numa], sets: &mut KnownSets) -> Found {
    let package = sets.get(dir, PACKAGE_SETS, 0, cpu);
    let node = numa.iter().find(|node| node.cpus.binary_search(&cpu).is_ok());
    let node_set: Option<CpuSet> = node.map(|node| node.cpus.iter().copied().collect());
    let mut around: Vec<CpuSet> = INNER_SETS
        .iter()
        .enumerate()
        .map(|(level, name)| sets.get(dir, std::slice::from_ref(name), level + 1, cpu))
        .chain([package.clone(), core.clone()])
        .chain(node_set)
        .collect();
    around.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let place = around.iter().filter_map(|set| set.iter().next()).collect();
    Found { cpus: core, package, numa: node.map(|node| node.id), place }
}

/// Sets that were read already, by level: a package is read once, not once per core.
#[derive(Default)]
struct KnownSets {
    levels: Vec<Vec<CpuSet>>,
}

impl KnownSets {
    fn get(&mut self, dir: &Path, names: &[&str], level: usize, cpu: u32) -> CpuSet {
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        let known = &mut self.levels[level];
        if let Some(set) = known.iter().find(|set| set.contains(cpu)) {
            return set.clone();
        }
        // A level that the machine does not show adds nothing to the order.
        let set = first_list(dir, names).filter(|set| set.contains(cpu)).unwrap_or_else(|| [cpu].into_iter().collect());
        known.push(set.clone());
        set
    }
}

fn first_list(dir: &Path, names: &[&str]) -> Option<CpuSet> {
    names.iter().find_map(|name| cpu_list(&dir.join(name)))
}

/// The NUMA nodes of the host, in the order of their numbers. A kernel without them has none.
pub(crate) fn numa(root: &Path) -> Vec<Numa> {
    let foreign = crate::gpus::memory_nodes(root);
    let dir = root.join("sys/devices/system/node");
    let node = |(id, name): (u32, String)| {
        let cpus: BTreeSet<u32> = cpu_list(&dir.join(&name).join("cpulist")).iter().flat_map(CpuSet::iter).collect();
        let memory_bytes = text(&dir.join(&name).join("meminfo")).and_then(|text| memory_total(&text)).unwrap_or(0);
        Numa { id, memory_bytes, cpus: cpus.into_iter().collect() }
    };
    numbered(&dir, "node").into_iter().filter(|(id, _)| !foreign.contains(id)).map(node).collect()
}

/// `Node 0 MemTotal:       5597400 kB`
fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.contains("MemTotal:"))?;
    let kib: u64 = line.split_once("MemTotal:")?.1.split_ascii_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}
