//! What this node has: cores, memory, GPUs.
//!
//! Two ways lead there. [`scan`] reads what a broker needs at its start from `/sys` and `/proc` alone: about three files per
//! core. [`hwloc`] loads the whole topology (1 ms here, but its cost grows to hundreds on large nodes) and is asked only for
//! the XML document that tools and MPI libraries read; [`xml`] reads such a document back. The two agree on what they number: the logical core
//! ids of hwloc, which are those in R (RFC 20). See doc/adr/0003-static-linking-and-hwloc.md.
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]

mod cores;
mod files;
mod gpus;
pub mod hwloc;
pub mod limits;
pub mod xml;

use flux_sys::affinity::{self, CpuSet};
use std::fmt;
use std::io;
use std::path::Path;

/// A core. Its processors are numbered as the kernel does, for binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// The logical index among the cores of the inventory: 0, 1, 2, ... without gaps. This is the id in R.
    pub id: u32,
    /// Its hardware threads that may be used, in rising order; at least one.
    pub cpus: Vec<u32>,
    /// The logical index of its package (socket).
    pub package: u32,
    /// The kernel's number of its NUMA node.
    pub numa: Option<u32>,
}

/// A node of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numa {
    /// The kernel's number.
    pub id: u32,
    pub memory_bytes: u64,
    /// All its online processors, whether they may be used or not.
    pub cpus: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vendor {
    Nvidia,
    Amd,
    Intel,
    Other,
}

/// A GPU that can compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// 0, 1, 2, ... over all vendors: the id in R. For one vendor it counts as CUDA does in PCI order, or as ROCm does.
    pub id: u32,
    pub vendor: Vendor,
    pub model: String,
    /// `0000:07:00.0`
    pub pci: String,
    /// `GPU-...`, or AMD's unique id in hexadecimal.
    pub uuid: Option<String>,
    pub numa: Option<u32>,
}

/// What a node has that this process may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub cores: Vec<Core>,
    pub gpus: Vec<Gpu>,
    pub numa: Vec<Numa>,
}

/// Why there is no inventory.
#[derive(Debug)]
pub enum TopoError {
    /// A system call or file that must work failed.
    System { what: String, error: io::Error },
    /// hwloc refused. It gives an errno and no words.
    Hwloc { what: &'static str, error: io::Error },
    /// Not a topology.
    Xml { what: String },
    /// Nothing is left that this process may use.
    Empty,
}

impl TopoError {
    /// The Linux errno of the failure.
    pub fn errno(&self) -> i32 {
        match self {
            TopoError::System { error, .. } | TopoError::Hwloc { error, .. } => {
                error.raw_os_error().unwrap_or(libc::EIO)
            }
            TopoError::Xml { .. } => libc::EINVAL,
            TopoError::Empty => libc::ENODEV,
        }
    }
}

impl fmt::Display for TopoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopoError::System { what, error } => write!(f, "{what}: {error}"),
            TopoError::Hwloc { what, error } => write!(f, "hwloc could not {what}: {error}"),
            TopoError::Xml { what } => write!(f, "not a hwloc topology: {what}"),
            TopoError::Empty => write!(f, "no core is left that this process may use"),
        }
    }
}

impl std::error::Error for TopoError {}

/// Which processors count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// Those this process may run on: its affinity, and with it its cpuset. What is left is numbered from 0.
    #[default]
    OfThisProcess,
    /// Just these.
    These(CpuSet),
    /// All that are online: numbering as on the whole machine.
    All,
}

/// Reads the inventory of this node from `/sys` and `/proc`.
///
/// # Errors
/// When no core is left. A machine without `/sys` (a bare root directory) has one core per processor that may be used, and no
/// GPUs.
pub fn scan(allowed: &Allowed) -> Result<Inventory, TopoError> {
    scan_at(Path::new("/"), allowed)
}

/// As [`scan`], with `sys/` and `proc/` under another directory: recorded machines are tests.
///
/// # Errors
/// As [`scan`].
pub fn scan_at(root: &Path, allowed: &Allowed) -> Result<Inventory, TopoError> {
    let own =
        || affinity::get(0).map_err(|error| TopoError::System { what: "reading our affinity".to_string(), error });
    let online = match files::cpu_list(&root.join("sys/devices/system/cpu/online")) {
        Some(cpus) => cpus,
        None => own()?,
    };
    let usable: CpuSet = match allowed {
        Allowed::All => online,
        Allowed::These(cpus) => online.iter().filter(|cpu| cpus.contains(*cpu)).collect(),
        Allowed::OfThisProcess => {
            let own = own()?;
            online.iter().filter(|cpu| own.contains(*cpu)).collect()
        }
    };
    let numa = cores::numa(root);
    let cores = cores::scan(root, &usable, &numa);
    if cores.is_empty() {
        return Err(TopoError::Empty);
    }
    Ok(Inventory { cores, gpus: gpus::scan(root), numa })
}

impl Gpu {
    /// The device files that a program needs to use this GPU, as far as they are there. Some are for all GPUs of its vendor.
    pub fn devices(&self) -> Vec<String> {
        self.devices_at(Path::new("/"))
    }

    /// As [`Gpu::devices`], of a machine as [`scan_at`] has it.
    pub fn devices_at(&self, root: &Path) -> Vec<String> {
        gpus::devices(root, self)
    }
}

impl Inventory {
    /// The processors of some cores, for binding a job to them. `None` if one of the ids is not here.
    pub fn cpus_of(&self, core_ids: impl IntoIterator<Item = u32>) -> Option<CpuSet> {
        let mut cpus = CpuSet::new();
        for id in core_ids {
            for cpu in &self.cores.get(id as usize)?.cpus {
                cpus.insert(*cpu);
            }
        }
        Some(cpus)
    }

    /// What is left of it for this process, by its affinity; the cores are numbered from 0 again.
    ///
    /// # Errors
    /// When nothing is left, or the affinity cannot be read.
    pub fn of_this_process(mut self) -> Result<Inventory, TopoError> {
        let own =
            affinity::get(0).map_err(|error| TopoError::System { what: "reading our affinity".to_string(), error })?;
        for core in &mut self.cores {
            core.cpus.retain(|cpu| own.contains(*cpu));
        }
        self.cores.retain(|core| !core.cpus.is_empty());
        for (id, core) in self.cores.iter_mut().enumerate() {
            core.id = id as u32;
        }
        if self.cores.is_empty() { Err(TopoError::Empty) } else { Ok(self) }
    }

    /// Bytes of memory in all NUMA nodes.
    pub fn memory_bytes(&self) -> u64 {
        self.numa.iter().map(|node| node.memory_bytes).sum()
    }
}

#[cfg(test)]
mod tests;
