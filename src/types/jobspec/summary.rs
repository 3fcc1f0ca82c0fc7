//! What job listings and schedulers want to know about a version 1 request, as numbers.

use super::{Jobspec, JobspecError, TaskCount};

/// The request in numbers. Counts are totals over the whole job unless the name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Absent when the request names no node: any number may serve.
    pub nnodes: Option<u32>,
    /// All slots, over all nodes.
    pub nslots: u32,
    pub cores_per_slot: u32,
    pub gpus_per_slot: u32,
    /// Whole nodes are asked for.
    pub exclusive: bool,
    /// Seconds; 0 is unlimited.
    pub duration: f64,
    /// Absent when it depends on the nodes or cores yet to be allocated: then see `tasks_per`.
    pub ntasks: Option<u32>,
    /// Absent for exclusive nodes, whose cores are known only with R.
    pub ncores: Option<u32>,
    /// Set when `ntasks` must wait for R.
    pub tasks_per: Option<TasksPer>,
}

/// A task count that multiplies what R will hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TasksPer {
    Node(u32),
    Core(u32),
}

impl Summary {
    /// Fills in what depends on the allocation: R's node and core counts.
    pub fn settle(&mut self, nnodes: u32, ncores: u32) {
        self.nnodes = Some(nnodes);
        self.ncores = Some(ncores);
        match self.tasks_per {
            Some(TasksPer::Node(count)) => self.ntasks = Some(nnodes.saturating_mul(count)),
            Some(TasksPer::Core(count)) => self.ntasks = Some(ncores.saturating_mul(count)),
            None => {}
        }
    }
}

#[derive(Default)]
struct Tally {
    nnodes: Option<u32>,
    nslots: Option<u32>,
    cores: Option<u32>,
    gpus: u32,
    exclusive: bool,
}

impl Jobspec {
    /// The request in numbers, by the rules flux-core lists and schedules with.
    ///
    /// # Errors
    /// `Value` if a count is no integer, a total does not fit, or there is no slot or no core.
    pub fn summary(&self) -> Result<Summary, JobspecError> {
        let mut tally = Tally::default();
        tally_level(&self.resources, 1, &mut tally)?;
        let slots_each = tally.nslots.ok_or_else(|| JobspecError::value("resources", "a request with a slot"))?;
        let cores_per_slot = tally.cores.ok_or_else(|| JobspecError::value("resources", "a request with a core"))?;
        let nslots = product(slots_each, tally.nnodes.unwrap_or(1))?;
        let all_cores = product(nslots, cores_per_slot)?;
        let mut out = Summary {
            nnodes: tally.nnodes,
            nslots,
            cores_per_slot,
            gpus_per_slot: tally.gpus,
            exclusive: tally.exclusive,
            duration: self.duration().unwrap_or(0.0),
            ntasks: None,
            ncores: (!(tally.nnodes.is_some() && tally.exclusive)).then_some(all_cores),
            tasks_per: None,
        };
        match (self.per_resource()?, tally.nnodes) {
            (Some(TasksPer::Node(count)), Some(nnodes)) => out.ntasks = Some(product(nnodes, count)?),
            (Some(TasksPer::Core(count)), None) => out.ntasks = Some(product(all_cores, count)?),
            (Some(later), _) => out.tasks_per = Some(later),
            (None, _) => out.ntasks = Some(self.task_total(nslots)?),
        }
        Ok(out)
    }

    fn task_total(&self, nslots: u32) -> Result<u32, JobspecError> {
        match self.tasks.first().map(|task| &task.count) {
            Some(TaskCount::Total(total)) => Ok(*total),
            _ => Ok(nslots),
        }
    }

    /// The shell option `per-resource`, if it names nodes or cores.
    fn per_resource(&self) -> Result<Option<TasksPer>, JobspecError> {
        const AT: &str = "attributes.system.shell.options.per-resource";
        let Some(option) = self.shell_option("per-resource") else { return Ok(None) };
        let kind = option.get("type").and_then(|kind| kind.as_str());
        let kind = kind.ok_or_else(|| JobspecError::type_(AT, "a mapping with a type"))?;
        let count = match option.get("count") {
            None => 1,
            Some(count) => super::parse::positive(count)
                .ok_or_else(|| JobspecError::value(format!("{AT}.count"), "an integer >= 1"))?,
        };
        Ok(match kind {
            "node" => Some(TasksPer::Node(count)),
            "core" => Some(TasksPer::Core(count)),
            _ => None,
        })
    }
}

fn tally_level(level: &[super::Vertex], factor: u32, tally: &mut Tally) -> Result<(), JobspecError> {
    for vertex in level {
        let count = vertex.count.fixed().filter(|count| *count > 0);
        let count = match (count, vertex.kind.as_str()) {
            (Some(count), _) => count,
            (None, "gpu") if vertex.count.fixed() == Some(0) => continue,
            _ => return Err(JobspecError::value(format!("count of '{}'", vertex.kind), "an integer >= 1")),
        };
        let factor = product(factor, count)?;
        match vertex.kind.as_str() {
            "node" => {
                tally.nnodes = Some(factor);
                tally.exclusive |= vertex.exclusive == Some(true);
            }
            "slot" => tally.nslots = Some(count),
            "core" => tally.cores = Some(count),
            "gpu" => tally.gpus = count,
            _ => {}
        }
        tally_level(&vertex.with, factor, tally)?;
    }
    Ok(())
}

fn product(a: u32, b: u32) -> Result<u32, JobspecError> {
    let fits = a.checked_mul(b).filter(|n| *n <= crate::limits::JOBSPEC_COUNT_MAX);
    fits.ok_or_else(|| JobspecError::value("resources", "a request whose totals fit 31 bits"))
}
