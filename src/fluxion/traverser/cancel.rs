//! Giving back: all of a job, or what it holds on some ranks.

use super::jobs::{Hold, JobHold, Touch};
use crate::engine::Engine;
use crate::error::MatchError;
use crate::graph::{Graph, VertexId};
use crate::intern::{Subsystem, TypeId};
use std::collections::{BTreeMap, BTreeSet};

/// How many vertices a cancel has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CancelStats {
    pub preorder: u64,
    pub postorder: u64,
}

/// Which part of a job to give back.
#[derive(Clone, Debug)]
pub enum Release {
    /// Everything these ranks own.
    Ranks(BTreeSet<i32>),
    /// These very vertices.
    Vertices(Vec<VertexId>),
}

impl Engine {
    /// Gives back all that a job holds.
    ///
    /// # Errors
    /// `NotFound` if it holds nothing.
    pub fn cancel(&mut self, id: u64) -> Result<CancelStats, MatchError> {
        let job = self.jobs.remove(&id).ok_or_else(|| MatchError::NotFound(format!("nonexistent job {id}")))?;
        let stats = self.cancel_stats(&job);
        for touch in &job.touches {
            self.graph.release(&job, touch);
        }
        Ok(stats)
    }

    /// What a walk down the tags of a job would visit: the tagged vertices and their children.
    fn cancel_stats(&self, job: &JobHold) -> CancelStats {
        let dominant = self.dominant();
        let is_tagged = |at: VertexId| job.touch(at).is_some_and(|touch| touch.is_tagged);
        let Some(root) = self.graph.root(dominant).filter(|root| is_tagged(*root)) else {
            return CancelStats::default();
        };
        let mut stats = CancelStats::default();
        let mut next = vec![root];
        while let Some(at) = next.pop() {
            stats.preorder += 1;
            stats.postorder += 1;
            for (_, child) in self.graph.children(at, dominant) {
                match is_tagged(child) {
                    true => next.push(child),
                    false => stats.preorder += 1,
                }
            }
        }
        stats
    }

    /// Gives back a part of an allocation. True if nothing is left of the job, which then is gone.
    ///
    /// # Errors
    /// `NotFound` if the job or a rank does not exist; `Invalid` if it is a reservation, or holds less than it is to
    /// give back. Then the job is as it was.
    pub fn partial_cancel(&mut self, id: u64, release: &Release) -> Result<bool, MatchError> {
        let job = self.jobs.get(&id).ok_or_else(|| MatchError::NotFound(format!("nonexistent job {id}")))?;
        if job.hold == Hold::Reserved {
            return Err(MatchError::Invalid("reservations not currently supported by partial cancel".into()));
        }
        let dominant = self.dominant();
        let root = self.graph.root(dominant).ok_or_else(|| MatchError::NotFound("the graph is empty".into()))?;
        let is_tagged = job.touch(root).is_some_and(|touch| touch.is_tagged);
        let vertices = match release {
            Release::Vertices(list) => list.clone(),
            Release::Ranks(ranks) => self.held_on(job, ranks)?,
        };
        let tops = self.tops_of(release, &vertices)?;
        let mut job = self.jobs.remove(&id).expect("the job was there a moment ago");
        if !is_tagged {
            // The job was taken by a walk over another subsystem: only what is planned can be given back.
            for touch in &job.touches {
                self.graph.release(&job, touch);
            }
            return Ok(true);
        }
        let is_ranked = |job: &JobHold, graph: &Graph| {
            job.touches.iter().any(|touch| touch.planned.is_some() && graph.vertex(touch.at).rank >= 0)
        };
        let has_ranks = is_ranked(&job, &self.graph);
        // Filters that count nothing of the job cannot say when it is gone: it stays until it is cancelled.
        let is_counted = job.touch(root).is_some_and(|touch| touch.below.is_some());
        let freed = self.release_vertices(&mut job, &vertices);
        let has_nothing_left = match has_ranks {
            true => !is_ranked(&job, &self.graph),
            false => job.touches.iter().all(|touch| touch.planned.is_none()),
        };
        if !has_nothing_left || !is_counted {
            if is_counted {
                self.release_above(&mut job, &tops, &freed, dominant);
            }
            job.touches.retain(|touch| !touch.is_empty());
            self.jobs.insert(id, job);
            return Ok(false);
        }
        for touch in &job.touches {
            self.graph.release(&job, touch);
        }
        Ok(true)
    }

    fn held_on(&self, job: &JobHold, ranks: &BTreeSet<i32>) -> Result<Vec<VertexId>, MatchError> {
        let mut held = Vec::new();
        for rank in ranks {
            let owned = self.graph.of_rank(*rank);
            if owned.is_empty() {
                return Err(MatchError::NotFound(format!("{rank} not found in by_rank map")));
            }
            let is_held = |at: &VertexId| job.touch(*at).is_some_and(|touch| touch.is_tagged);
            held.extend(owned.iter().copied().filter(is_held));
            // What is below a rank and of no rank of its own goes with it.
            let top = self.graph.rank_root(*rank).map(|top| self.graph.subtree(top, self.dominant()));
            let unranked = top.into_iter().flatten().filter(|at| self.graph.vertex(*at).rank < 0);
            held.extend(unranked.filter(is_held));
        }
        Ok(held)
    }

    /// The topmost vertex of every rank that gives something back.
    fn tops_of(&self, release: &Release, vertices: &[VertexId]) -> Result<BTreeMap<i32, VertexId>, MatchError> {
        let mut tops: BTreeMap<i32, VertexId> = BTreeMap::new();
        match release {
            Release::Ranks(ranks) => {
                for rank in ranks {
                    tops.extend(self.graph.rank_root(*rank).map(|top| (*rank, top)));
                }
            }
            Release::Vertices(_) => {
                let length = |at: VertexId| self.graph.vertex(at).path(Subsystem::CONTAINMENT).map_or(0, str::len);
                for at in vertices {
                    let rank = self.graph.vertex(*at).rank;
                    let top = tops.entry(rank).or_insert(*at);
                    if length(*at) < length(*top) {
                        *top = *at;
                    }
                }
            }
        }
        if tops.is_empty() { Err(MatchError::Invalid("nothing to release".into())) } else { Ok(tops) }
    }

    /// Gives back what is planned at and below these vertices; returns how much of what, by rank.
    fn release_vertices(&mut self, job: &mut JobHold, vertices: &[VertexId]) -> BTreeMap<i32, BTreeMap<TypeId, i64>> {
        let mut freed: BTreeMap<i32, BTreeMap<TypeId, i64>> = BTreeMap::new();
        for at in vertices {
            let Some(touch) = job.touch(*at).cloned() else { continue };
            self.graph.release(job, &touch);
            let (rank, kind) = (self.graph.vertex(*at).rank, self.graph.vertex(*at).kind);
            if let Some(units) = touch.planned {
                *freed.entry(rank).or_default().entry(kind).or_default() += i64::from(units);
            }
            if let Some(touch) = job.touch_mut(*at) {
                *touch = Touch { at: *at, is_tagged: false, counts_job: false, planned: None, below: None };
            }
        }
        freed
    }

    /// Lowers the counts of every vertex above what was freed, and takes the job off those that have nothing of it left.
    fn release_above(
        &mut self,
        job: &mut JobHold,
        tops: &BTreeMap<i32, VertexId>,
        freed: &BTreeMap<i32, BTreeMap<TypeId, i64>>,
        dominant: Subsystem,
    ) {
        let mut above: BTreeMap<VertexId, BTreeMap<TypeId, i64>> = BTreeMap::new();
        for (rank, top) in tops {
            let mut at = *top;
            while let Some(parent) = self.graph.parent(at, dominant) {
                let sums = above.entry(parent).or_default();
                for (kind, units) in freed.get(rank).into_iter().flatten() {
                    *sums.entry(*kind).or_default() += units;
                }
                at = parent;
            }
        }
        let in_use = self.above_planned(job, dominant);
        for (at, sums) in &above {
            match in_use.contains(at) {
                true => self.graph.reduce(job, *at, sums),
                false => self.graph.release_whole(job, *at),
            }
        }
    }

    /// Every vertex above one that the job still holds.
    fn above_planned(&self, job: &JobHold, dominant: Subsystem) -> BTreeSet<VertexId> {
        let mut above = BTreeSet::new();
        for touch in job.touches.iter().filter(|touch| touch.planned.is_some()) {
            let mut at = touch.at;
            while let Some(parent) = self.graph.parent(at, dominant)
                && above.insert(parent)
            {
                at = parent;
            }
        }
        above
    }
}

impl Graph {
    /// Puts one touch of a job on its vertex.
    pub(super) fn claim(&mut self, job: &JobHold, touch: &Touch) {
        let vertex = self.vertex_mut(touch.at);
        let is_running = job.hold == Hold::Allocated;
        if touch.counts_job {
            vertex.count_job(job.at, job.duration, is_running);
        }
        if let Some(units) = touch.planned {
            vertex.take_units(job.at, job.duration, units, is_running);
        }
        if let (Some(below), Some(multi)) = (&touch.below, &mut vertex.below) {
            for (index, units) in below.iter().enumerate() {
                if let Some(units) = units {
                    multi.add_at(index, job.at, job.duration, *units);
                    multi.hold(index, if is_running { *units } else { 0 });
                }
            }
        }
        self.refresh_room(touch.at);
    }

    /// Takes one touch of a job off its vertex.
    pub(super) fn release(&mut self, job: &JobHold, touch: &Touch) {
        let vertex = self.vertex_mut(touch.at);
        let is_running = job.hold == Hold::Allocated;
        if touch.counts_job {
            vertex.discount_job(job.at, job.duration, is_running);
        }
        if let Some(units) = touch.planned {
            vertex.give_units(job.at, job.duration, units, is_running);
        }
        if let (Some(below), Some(multi)) = (&touch.below, &mut vertex.below) {
            for (index, units) in below.iter().enumerate() {
                if let Some(units) = units {
                    multi.remove_at(index, job.at, job.duration, *units);
                    multi.hold(index, if is_running { -units } else { 0 });
                }
            }
        }
        self.refresh_room(touch.at);
    }

    /// Lowers what a job takes below a vertex. Once that is nothing, the job is off the vertex.
    fn reduce(&mut self, job: &mut JobHold, at: VertexId, freed: &BTreeMap<TypeId, i64>) {
        let (start, duration, is_running) = (job.at, job.duration, job.hold == Hold::Allocated);
        let vertex = self.vertex_mut(at);
        let Some(touch) = job.touch_mut(at).filter(|touch| touch.is_tagged) else { return };
        let (Some(below), Some(multi)) = (&mut touch.below, &mut vertex.below) else { return };
        let kinds: Vec<TypeId> = multi.types().collect();
        for (index, kind) in kinds.into_iter().enumerate().take(below.len()) {
            let Some(have) = below[index] else { continue };
            let less = freed.get(&kind).copied().unwrap_or(0).min(have);
            multi.hold(index, if is_running { -less } else { 0 });
            if less == have {
                multi.remove_at(index, start, duration, have);
                below[index] = None;
            } else if less > 0 {
                multi.reduce_at(index, start, duration, less);
                below[index] = Some(have - less);
            }
        }
        self.refresh_room(at);
    }

    /// Takes a job off a vertex.
    fn release_whole(&mut self, job: &mut JobHold, at: VertexId) {
        let Some(touch) = job.touch(at).cloned() else { return };
        self.release(job, &touch);
        if let Some(touch) = job.touch_mut(at) {
            *touch = Touch { at, is_tagged: false, counts_job: false, planned: None, below: None };
        }
    }
}
