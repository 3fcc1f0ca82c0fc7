//! Free and allocated cores and GPUs, node by node.

use std::collections::BTreeMap;
use std::fmt;

use flux_types::{Idset, ResourceSet, resource_set};

use super::request::Request;

/// Which of the nodes that could serve are taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FitMode {
    /// By rank.
    First,
    /// The fullest: leaves large holes for large jobs.
    Best,
    /// The emptiest: spreads the load.
    Worst,
}

/// Why a request gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoFit {
    /// Not now.
    Busy,
    /// Not with all that is there, even if it were free and up.
    Never(String),
}

impl fmt::Display for NoFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("the resources are in use"),
            Self::Never(why) => write!(f, "unsatisfiable request: {why}"),
        }
    }
}

#[derive(Clone, Debug)]
struct Free {
    cores: Idset,
    gpus: Idset,
}

/// The resources of the scheduler.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    all: ResourceSet,
    free: BTreeMap<u32, Free>,
    up: Idset,
    /// Totals of what is free and up: most requests that cannot be met fail on these alone.
    free_cores: usize,
}

impl Pool {
    pub(crate) fn new(all: ResourceSet, up: Idset) -> Pool {
        let free = all.iter().map(|(rank, node)| (rank, Free { cores: node.cores.clone(), gpus: node.gpus.clone() }));
        let mut pool = Pool { free: free.collect(), all, up, free_cores: 0 };
        pool.count_free();
        pool
    }

    fn count_free(&mut self) {
        let up = self.free.iter().filter(|(rank, _)| self.up.contains(**rank));
        self.free_cores = up.map(|(_, free)| free.cores.count()).sum();
    }

    pub(crate) fn all(&self) -> &ResourceSet {
        &self.all
    }

    pub(crate) fn set_expiration(&mut self, expiration: f64) {
        self.all.expiration = expiration;
    }

    pub(crate) fn mark(&mut self, ranks: &Idset, up: bool) {
        if up {
            self.up.extend_from(ranks)
        } else {
            self.up.remove_all(ranks)
        }
        self.count_free();
    }

    pub(crate) fn down(&self) -> ResourceSet {
        self.all.copy_ranks(&self.all.ranks().subtract(&self.up))
    }

    pub(crate) fn allocated(&self) -> ResourceSet {
        let mut set = ResourceSet::new();
        for (rank, node) in self.all.iter() {
            let free = &self.free[&rank];
            let mut used =
                resource_set::Node::new("", node.cores.subtract(&free.cores), node.gpus.subtract(&free.gpus));
            used.host = node.host.clone();
            set.insert(rank, used).expect("each rank comes once");
        }
        set
    }

    /// Takes what `request` needs: R without times. Nothing is taken unless all is.
    pub(crate) fn alloc(&mut self, request: &Request, mode: FitMode) -> Result<ResourceSet, NoFit> {
        let needed = request.nslots as usize * request.cores as usize;
        if !request.exclusive && needed > self.free_cores {
            self.feasible(request)?;
            return Err(NoFit::Busy);
        }
        let eligible = request.eligible(&self.all).intersect(&self.up);
        match self.choose(request, mode, &eligible) {
            Some(set) => {
                self.take(&set).expect("what was chosen is free");
                Ok(set)
            }
            None => {
                self.feasible(request)?;
                Err(NoFit::Busy)
            }
        }
    }

    /// Could the request be met if everything were free and up?
    pub(crate) fn feasible(&self, request: &Request) -> Result<(), NoFit> {
        let eligible = request.eligible(&self.all);
        let whole = Pool::new(self.all.clone(), eligible.clone());
        if whole.choose(request, FitMode::First, &eligible).is_some() {
            return Ok(());
        }
        Err(NoFit::Never(whole.shortage(request, &eligible)))
    }

    fn shortage(&self, request: &Request, eligible: &Idset) -> String {
        let nodes = || eligible.iter().filter_map(|rank| self.all.get(rank));
        let exclusive = if request.exclusive { "exclusive " } else { "" };
        if let Some(nnodes) = request.nnodes.filter(|n| *n as usize > eligible.count()) {
            return format!("need {nnodes} {exclusive}node(s), only {} eligible", eligible.count());
        }
        let fits = |node: &resource_set::Node| slots_in(request, &node.cores, &node.gpus) as usize;
        let slots: usize = nodes().map(fits).sum();
        let have = match request.nnodes {
            Some(nnodes) => format!("on {nnodes} node(s), only {slots} such slot(s) in all"),
            None => format!("only {slots} such slot(s) available"),
        };
        let (cores, gpus): (usize, usize) =
            nodes().fold((0, 0), |(c, g), node| (c + node.cores.count(), g + node.gpus.count()));
        if request.gpus > 0 && slots == 0 {
            let (slots, gpus_each) = (request.nslots, request.gpus);
            return format!("need {slots} slot(s) with {gpus_each} GPU(s) each, only 0 available (total GPUs: {gpus})");
        }
        format!("need {} slot(s) of {} core(s), {have} (total cores: {cores})", request.nslots, request.cores)
    }

    /// Nodes that could serve, in the order in which `mode` takes them.
    fn candidates(&self, mode: FitMode, eligible: &Idset) -> Vec<(u32, &Free)> {
        let mut list: Vec<(u32, &Free)> =
            eligible.iter().filter_map(|rank| Some((rank, self.free.get(&rank)?))).collect();
        match mode {
            FitMode::First => {}
            FitMode::Best => list.sort_by_key(|(_, free)| free.cores.count()),
            FitMode::Worst => list.sort_by_key(|(_, free)| std::cmp::Reverse(free.cores.count())),
        }
        list
    }

    fn choose(&self, request: &Request, mode: FitMode, eligible: &Idset) -> Option<ResourceSet> {
        let picked = match (request.slots_by_node(), request.exclusive) {
            (Some(slots), _) => self.on_fixed_nodes(request, mode, eligible, &slots)?,
            (None, true) => self.on_whole_nodes(request, mode, eligible)?,
            (None, false) => self.anywhere(request, mode, eligible)?,
        };
        let mut set = ResourceSet::new();
        for (rank, cores, gpus) in picked {
            let mut node = resource_set::Node::new("", cores, gpus);
            node.host = self.all.get(rank)?.host.clone();
            set.insert(rank, node).ok()?;
        }
        set.nslots = Some(request.nslots);
        Some(set)
    }

    fn is_idle(&self, rank: u32, free: &Free) -> bool {
        self.all.get(rank).is_some_and(|node| node.cores == free.cores && node.gpus == free.gpus)
    }

    /// The number of nodes is given. The largest shares are placed first, each on the first node that has room.
    fn on_fixed_nodes(&self, request: &Request, mode: FitMode, eligible: &Idset, slots: &[u32]) -> Option<Vec<Share>> {
        let mut candidates = self.candidates(mode, eligible);
        candidates.retain(|(rank, free)| !request.exclusive || self.is_idle(*rank, free));
        let mut picked: Vec<Share> = Vec::with_capacity(slots.len());
        for want in slots {
            let fits = |free: &Free| slots_in(request, &free.cores, &free.gpus) >= (*want).max(1);
            let at = candidates.iter().position(|(_, free)| fits(free))?;
            let (rank, free) = candidates.remove(at);
            picked.push(if request.exclusive {
                (rank, free.cores.clone(), free.gpus.clone())
            } else {
                share(request, rank, free, (*want).max(1))
            });
        }
        Some(picked)
    }

    fn on_whole_nodes(&self, request: &Request, mode: FitMode, eligible: &Idset) -> Option<Vec<Share>> {
        let mut left = request.nslots;
        let mut picked = Vec::new();
        for (rank, free) in self.candidates(mode, eligible) {
            if left == 0 {
                break;
            }
            let fit = slots_in(request, &free.cores, &free.gpus);
            if fit > 0 && self.is_idle(rank, free) {
                left = left.saturating_sub(fit);
                picked.push((rank, free.cores.clone(), free.gpus.clone()));
            }
        }
        (left == 0).then_some(picked)
    }

    fn anywhere(&self, request: &Request, mode: FitMode, eligible: &Idset) -> Option<Vec<Share>> {
        let mut left = request.nslots;
        let mut picked = Vec::new();
        for (rank, free) in self.candidates(mode, eligible) {
            if left == 0 {
                break;
            }
            let fit = slots_in(request, &free.cores, &free.gpus).min(left);
            if fit > 0 {
                left -= fit;
                picked.push(share(request, rank, free, fit));
            }
        }
        (left == 0).then_some(picked)
    }

    /// Marks the resources of a job as allocated; all or nothing.
    ///
    /// # Errors
    /// A sentence: what is not there, or not free.
    pub(crate) fn take(&mut self, set: &ResourceSet) -> Result<(), String> {
        for (rank, node) in set.iter() {
            let free = self.free.get(&rank).ok_or_else(|| format!("rank {rank} is not among the resources"))?;
            if !node.cores.is_subset(&free.cores) || !node.gpus.is_subset(&free.gpus) {
                return Err(format!("resources of rank {rank} are allocated already"));
            }
        }
        self.change(set, |_, free, node| {
            free.cores.remove_all(&node.cores);
            free.gpus.remove_all(&node.gpus);
        });
        Ok(())
    }

    /// Of the resources of a job, the nodes that are here, with all that the job has of them.
    pub(crate) fn part_of(&self, set: &ResourceSet) -> ResourceSet {
        let here = |(rank, node): &(u32, &resource_set::Node)| {
            let known = self.all.get(*rank);
            known.is_some_and(|known| node.cores.is_subset(&known.cores) && node.gpus.is_subset(&known.gpus))
        };
        set.copy_ranks(&set.iter().filter(here).map(|(rank, _)| rank).collect())
    }

    /// Gives resources back. What is not (or no more) among the resources is left out.
    pub(crate) fn release(&mut self, set: &ResourceSet) {
        let all = std::mem::take(&mut self.all);
        self.change(set, |rank, free, node| {
            let Some(present) = all.get(rank) else { return };
            free.cores.extend_from(&node.cores.intersect(&present.cores));
            free.gpus.extend_from(&node.gpus.intersect(&present.gpus));
        });
        self.all = all;
    }

    fn change(&mut self, set: &ResourceSet, apply: impl Fn(u32, &mut Free, &resource_set::Node)) {
        for (rank, node) in set.iter() {
            let Some(free) = self.free.get_mut(&rank) else { continue };
            let before = free.cores.count();
            apply(rank, free, node);
            if self.up.contains(rank) {
                self.free_cores = self.free_cores + free.cores.count() - before;
            }
        }
    }

    pub(crate) fn check(&self) {
        for (rank, free) in &self.free {
            let node = self.all.get(*rank).expect("free resources are of known nodes");
            assert!(free.cores.is_subset(&node.cores) && free.gpus.is_subset(&node.gpus), "rank {rank} has too much");
        }
        let mut fresh = self.clone();
        fresh.count_free();
        assert_eq!(fresh.free_cores, self.free_cores, "the count of free cores is off");
    }
}

/// Rank, cores, GPUs.
type Share = (u32, Idset, Idset);

/// How many slots fit into these ids.
fn slots_in(request: &Request, cores: &Idset, gpus: &Idset) -> u32 {
    let by_cores = cores.count().checked_div(request.cores as usize).unwrap_or(usize::MAX);
    let by_gpus = gpus.count().checked_div(request.gpus as usize).unwrap_or(usize::MAX);
    u32::try_from(by_cores.min(by_gpus)).unwrap_or(u32::MAX)
}

fn share(request: &Request, rank: u32, free: &Free, slots: u32) -> Share {
    let (mut cores, mut gpus) = (free.cores.clone(), free.gpus.clone());
    let cores = cores.take_first(slots as usize * request.cores as usize);
    (rank, cores, gpus.take_first(slots as usize * request.gpus as usize))
}

#[cfg(test)]
mod tests;
