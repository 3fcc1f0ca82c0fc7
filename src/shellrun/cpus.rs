//! From the cores of R to the processors that the kernel knows.

use flux_shell::affinity::Affinity;
use flux_sys::affinity::CpuSet;
use flux_types::Idset;

/// Looked up when the first task needs it: many jobs have all cores of their node, and are not bound at all.
#[derive(Debug, Default)]
pub(crate) struct Cpus {
    /// Processors by core, in the order of hwloc's logical indices.
    cores: Option<Vec<Vec<u32>>>,
}

/// What a fork server has found before any shell was made of it.
static PREPARED: std::sync::OnceLock<Vec<Vec<u32>>> = std::sync::OnceLock::new();

/// Looks the processors up for all shells that will be copies of this process.
pub(crate) fn prepare() {
    PREPARED.get_or_init(scan);
}

impl Cpus {
    /// The processors for these cores; `None`: nothing to bind to, or no need to. Explicit maps name processors themselves.
    pub(crate) fn of(&mut self, cores: &Idset, affinity: &Affinity) -> Option<CpuSet> {
        if let Affinity::Map(_) = affinity {
            return Some(cores.iter().collect());
        }
        let known = self.cores.get_or_insert_with(|| PREPARED.get().cloned().unwrap_or_else(scan));
        if cores.count() >= known.len() {
            return None;
        }
        let mut cpus = CpuSet::new();
        for core in cores.iter() {
            for cpu in known.get(core as usize)? {
                cpus.insert(*cpu);
            }
        }
        Some(cpus)
    }
}

fn scan() -> Vec<Vec<u32>> {
    match flux_topo::scan(&flux_topo::Allowed::OfThisProcess) {
        Ok(inventory) => inventory.cores.into_iter().map(|core| core.cpus.into_iter().collect()).collect(),
        Err(_) => Vec::new(),
    }
}
