//! What every job holds: the record by which it is given back.

use crate::graph::VertexId;
use std::collections::BTreeMap;

/// Whether a job has resources or will have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Allocated,
    Reserved,
}

/// What a job takes of one vertex. A job's span of time is the same everywhere.
#[derive(Clone, Debug)]
pub struct Touch {
    pub at: VertexId,
    /// The job is seen here by a walk down from the root.
    pub is_tagged: bool,
    /// The vertex counts the job among those that touch it.
    pub counts_job: bool,
    /// Units taken of the pool itself.
    pub planned: Option<u32>,
    /// Units taken below the vertex, one per counted type; `None` once that part is given back.
    pub below: Option<Box<[Option<i64>]>>,
}

impl Touch {
    pub(super) fn is_empty(&self) -> bool {
        !self.is_tagged && !self.counts_job && self.planned.is_none() && self.below.is_none()
    }
}

/// All a job holds.
#[derive(Clone, Debug)]
pub struct JobHold {
    pub hold: Hold,
    /// Seconds since the epoch of the graph.
    pub at: i64,
    /// Seconds.
    pub duration: i64,
    /// Seconds that its match took.
    pub overhead: f64,
    /// Sorted by vertex.
    pub(crate) touches: Vec<Touch>,
}

impl JobHold {
    pub fn touch(&self, at: VertexId) -> Option<&Touch> {
        self.touches.binary_search_by_key(&at, |touch| touch.at).ok().map(|index| &self.touches[index])
    }

    pub(crate) fn touch_mut(&mut self, at: VertexId) -> Option<&mut Touch> {
        self.touches.binary_search_by_key(&at, |touch| touch.at).ok().map(|index| &mut self.touches[index])
    }

    /// The touch of a vertex, made if there is none.
    pub(crate) fn touch_or_new(&mut self, at: VertexId) -> &mut Touch {
        let index = match self.touches.binary_search_by_key(&at, |touch| touch.at) {
            Ok(index) => index,
            Err(index) => {
                let new = Touch { at, is_tagged: false, counts_job: false, planned: None, below: None };
                self.touches.insert(index, new);
                index
            }
        };
        &mut self.touches[index]
    }

    pub fn touches(&self) -> &[Touch] {
        &self.touches
    }
}

/// All holds by job id.
pub type JobTable = BTreeMap<u64, JobHold>;
