//! Putting a job back where a document says it is.

use super::jobs::{Hold, JobHold};
use super::schedule::Matched;
use super::take::Take;
use crate::engine::Engine;
use crate::error::{GraphError, MatchError};
use crate::graph::{Mark, VertexId};
use crate::intern::Subsystem;
use crate::limits::JOB_COUNT_MAX;
use crate::reader::Claim;
use crate::writer::Writer;

impl Engine {
    /// Records that a job holds what a document claims, from `at` for `duration` seconds.
    ///
    /// # Errors
    /// `Exists` if the job holds something already, `Invalid` for bad times, or a graph error of kind `Busy` if a
    /// resource is not free. Then nothing has changed.
    pub fn update_job(
        &mut self,
        id: u64,
        claim: &Claim,
        (hold, at, duration): (Hold, i64, i64),
        now: i64,
        writer: &mut Writer,
    ) -> Result<(), MatchError> {
        if at < 0 || duration < 1 || at.checked_add(duration).is_none() {
            return Err(MatchError::Invalid(format!("invalid time ({at}, {duration})")));
        }
        if self.jobs.contains_key(&id) || self.jobs.len() >= JOB_COUNT_MAX {
            return Err(MatchError::Exists(id));
        }
        for vertex in claim.exclusive.iter().chain(&claim.shared).map(|at| self.graph.vertex(*at)) {
            if vertex.free(at, duration).is_none_or(|free| free < vertex.size) {
                return Err(GraphError::Busy(format!("{} is unavailable", vertex.name)).into());
            }
        }
        self.mark_claim(claim)?;
        let mut job = JobHold { hold, at, duration, overhead: 0.0, touches: Vec::new() };
        let mut exclusive: Vec<VertexId> = claim.exclusive.clone();
        exclusive.sort_unstable();
        exclusive.dedup();
        for vertex in exclusive {
            self.plan_whole(&mut job, vertex);
        }
        let matched = Matched { at, duration, is_reserved: hold == Hold::Reserved, labels: Vec::new() };
        self.exclusive_types = self.base_exclusive_types();
        if self.graph.marks.root().is_some() {
            job = self.take(&matched, job, Take::Record, now, writer).1;
        }
        self.jobs.insert(id, job);
        Ok(())
    }

    fn mark_claim(&mut self, claim: &Claim) -> Result<(), GraphError> {
        self.graph.begin_marks();
        for (source, target, needs, is_exclusive) in &claim.edges {
            let edge = self.graph.edge_between(*source, *target).ok_or_else(|| {
                let name = |at| self.graph.vertex(at).name.clone();
                GraphError::Missing(format!("edge from {} to {} not found in graph", name(*source), name(*target)))
            })?;
            self.graph.marks.set(edge, Mark { needs: *needs, is_exclusive: *is_exclusive });
        }
        // A claim in containment cannot be walked by an engine that walks something else.
        if let Some((needs, is_exclusive)) = claim.root.filter(|_| self.dominant() == Subsystem::CONTAINMENT) {
            self.graph.marks.set_root(Mark { needs, is_exclusive });
        }
        Ok(())
    }

    fn plan_whole(&mut self, job: &mut JobHold, at: VertexId) {
        let vertex = self.graph.vertex_mut(at);
        vertex.take_units(job.at, job.duration, vertex.size, job.hold == Hold::Allocated);
        job.touch_or_new(at).planned = Some(vertex.size);
        self.graph.refresh_room(at);
    }

    /// Moves the end of what a job holds.
    ///
    /// # Errors
    /// `NotFound` if it holds nothing, `Invalid` if the end would be before the beginning.
    pub fn set_job_end(&mut self, id: u64, end: i64) -> Result<(), MatchError> {
        let mut job = self.jobs.remove(&id).ok_or_else(|| MatchError::NotFound(format!("nonexistent job {id}")))?;
        if end <= job.at {
            self.jobs.insert(id, job);
            return Err(MatchError::Invalid(format!("job {id} would end before it begins")));
        }
        job.touches.iter().for_each(|touch| self.graph.release(&job, touch));
        job.duration = end - job.at;
        job.touches.iter().for_each(|touch| self.graph.claim(&job, touch));
        for touch in job.touches.iter().filter(|touch| touch.planned.is_some()) {
            self.graph.note_longer(touch.at, job.at, job.duration);
        }
        self.jobs.insert(id, job);
        Ok(())
    }
}
