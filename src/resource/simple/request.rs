//! What a job asks of the simple scheduler.

use flux_types::constraint::Constraint;
use flux_types::{Idset, Jobspec, ResourceSet};

/// A version 1 request (RFC 25), compiled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// `None`: any number of nodes serves.
    pub(crate) nnodes: Option<u32>,
    pub(crate) nslots: u32,
    pub(crate) cores: u32,
    pub(crate) gpus: u32,
    /// Whole nodes, all that is on them.
    pub(crate) exclusive: bool,
    /// Seconds; 0 is as long as the instance.
    pub(crate) duration: f64,
    pub(crate) constraint: Option<Box<Constraint>>,
}

impl Request {
    /// # Errors
    /// A sentence: what of the jobspec this scheduler cannot serve.
    pub(crate) fn from_jobspec(jobspec: &Jobspec) -> Result<Request, String> {
        let summary = jobspec.summary().map_err(|error| error.to_string())?;
        let constraint = match jobspec.constraints() {
            Some(value) => Some(Box::new(Constraint::from_value(value).map_err(|error| error.to_string())?)),
            None => None,
        };
        Ok(Request {
            nnodes: summary.nnodes,
            nslots: summary.nslots.max(1),
            cores: summary.cores_per_slot,
            gpus: summary.gpus_per_slot,
            exclusive: summary.exclusive,
            duration: summary.duration,
            constraint,
        })
    }

    /// The ranks of `set` the job may use.
    pub(crate) fn eligible(&self, set: &ResourceSet) -> Idset {
        match &self.constraint {
            Some(constraint) => set.matching(constraint),
            None => set.ranks(),
        }
    }

    /// Slots on each of the nodes, if their number is fixed: as even as can be, the first ones the larger.
    pub(crate) fn slots_by_node(&self) -> Option<Vec<u32>> {
        let nodes = self.nnodes?.max(1);
        let (each, more) = (self.nslots / nodes, self.nslots % nodes);
        Some((0..nodes).map(|at| each + u32::from(at < more)).collect())
    }
}
