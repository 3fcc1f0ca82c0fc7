//! Taking what is marked: planning it, recording it and writing it out.

use super::jobs::{Hold, JobHold};
use super::request::Need;
use super::schedule::Matched;
use crate::engine::Engine;
use crate::graph::{EdgeId, VertexId};
use crate::intern::{Subsystem, TypeId};
use crate::writer::{Emit, Writer};

/// How a walk over the marks treats what it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// Plans every exclusive vertex and records the job.
    All,
    /// Records the job; the vertices are planned already.
    Record,
    /// Only writes.
    Nothing,
}

/// One walk down the marks.
struct Walk<'a, 'w> {
    engine: &'a mut Engine,
    writer: &'w mut Writer,
    chosen: Vec<(VertexId, EdgeId)>,
    labels: &'a [(VertexId, String)],
    dominant: Subsystem,
    take: Take,
    job: JobHold,
    now: i64,
}

/// What a vertex is told by the one above it.
#[derive(Clone, Copy)]
struct From {
    needs: u32,
    is_exclusive: bool,
    /// Something above is taken whole: all below it is too.
    is_shadow: bool,
    is_parent_exclusive: bool,
    level: usize,
}

impl Engine {
    /// Walks down the marks of the last choice. False if nothing there was taken. The record of the job is completed
    /// in `job`.
    pub(crate) fn take(
        &mut self,
        matched: &Matched,
        job: JobHold,
        take: Take,
        now: i64,
        writer: &mut Writer,
    ) -> (bool, JobHold) {
        let dominant = self.dominant();
        let (Some(root), Some(mark)) = (self.graph.root(dominant), self.graph.marks.root()) else {
            return (false, job);
        };
        let chosen = self.graph.chosen_edges();
        let is_shadow = self.is_exclusive_type(root, mark.is_exclusive);
        let mut walk = Walk { engine: self, writer, chosen, labels: &matched.labels, dominant, take, job, now };
        let from = From {
            needs: mark.needs,
            is_exclusive: mark.is_exclusive,
            is_shadow,
            is_parent_exclusive: false,
            level: 1,
        };
        let count = walk.descend(root, from, &mut Need::new());
        let mut job = walk.job;
        job.touches.retain(|touch| !touch.is_empty());
        writer.times(matched.at, matched.at.saturating_add(matched.duration));
        (count > 0, job)
    }

    /// Whether all below a vertex is taken with it: by policy, or because a request chose it and asks for it so. A vertex
    /// on the way to another request is only passed, whatever its type.
    pub(crate) fn is_exclusive_type(&self, at: VertexId, is_chosen: bool) -> bool {
        let kind = self.graph.vertex(at).kind;
        (is_chosen && self.exclusive_types.contains(&kind)) || (self.policy.is_node_exclusive && kind == TypeId::NODE)
    }
}

impl Walk<'_, '_> {
    /// How many vertices at and below `at` are taken exclusively.
    fn descend(&mut self, at: VertexId, from: From, up: &mut Need) -> usize {
        let is_shadow = from.is_shadow || self.engine.is_exclusive_type(at, from.is_exclusive);
        let is_exclusive = from.is_exclusive || is_shadow;
        let mut below = Need::new();
        let mut count = 0;
        for edge in self.edges_of(at, is_shadow) {
            let target = self.engine.graph.edge(edge).target;
            let size = self.engine.graph.vertex(target).size;
            let mark = self.engine.graph.marks.get(edge);
            let next = From {
                needs: if is_shadow { size } else { mark.map_or(size, |mark| mark.needs) },
                is_exclusive: is_shadow || mark.is_some_and(|mark| mark.is_exclusive),
                is_shadow,
                is_parent_exclusive: is_exclusive,
                level: from.level + 1,
            };
            let taken = self.descend(target, next, &mut below);
            if taken > 0 {
                self.reorder(edge, target);
                self.writer.edge(&self.engine.graph, edge, is_exclusive);
                count += taken;
            }
        }
        self.settle(at, From { is_exclusive, ..from }, count, below, up)
    }

    fn edges_of(&self, at: VertexId, is_shadow: bool) -> Vec<EdgeId> {
        let graph = &self.engine.graph;
        if is_shadow {
            return graph.children(at, self.dominant).map(|(edge, _)| edge).collect();
        }
        let from = self.chosen.partition_point(|(source, _)| *source < at);
        let mine = self.chosen[from..].iter().take_while(|(source, _)| *source == at).map(|(_, edge)| *edge);
        mine.filter(|edge| graph.edge(*edge).subsystem == self.dominant && graph.is_tree_edge(*edge)).collect()
    }

    /// Plans and records one vertex, passes its use up and writes it.
    fn settle(&mut self, at: VertexId, from: From, count: usize, below: Need, up: &mut Need) -> usize {
        let count = count + usize::from(from.is_exclusive);
        if count == 0 {
            return 0;
        }
        if self.take != Take::Nothing {
            self.record(at, from, &below);
            let vertex = self.engine.graph.vertex(at);
            let used = if from.is_exclusive { vertex.size } else { vertex.size.saturating_sub(from.needs) };
            let prune = &self.engine.prune;
            for (kind, units) in std::iter::once((vertex.kind, i64::from(used))).chain(below) {
                if prune.has(kind) {
                    match up.iter_mut().find(|(of, _)| *of == kind) {
                        Some(entry) => entry.1 += units,
                        None => up.push((kind, units)),
                    }
                }
            }
        }
        let label = self.labels.iter().rev().find(|(of, _)| *of == at).map(|(_, label)| label.as_str());
        self.writer.vertex(
            &self.engine.graph,
            &Emit {
                at,
                level: from.level,
                needs: from.needs,
                is_exclusive: from.is_exclusive,
                is_parent_exclusive: from.is_parent_exclusive,
                label,
                filters: None,
            },
        );
        count
    }

    fn record(&mut self, at: VertexId, from: From, below: &Need) {
        let (start, duration, hold) = (self.job.at, self.job.duration, self.job.hold);
        let vertex = self.engine.graph.vertex_mut(at);
        let touch = self.job.touch_or_new(at);
        if from.is_exclusive && self.take == Take::All {
            vertex.take_units(start, duration, from.needs, hold == Hold::Allocated);
            touch.planned = Some(from.needs);
        }
        touch.is_tagged = true;
        touch.counts_job = true;
        vertex.count_job(start, duration, hold == Hold::Allocated);
        if let Some(multi) = &mut vertex.below
            && !below.is_empty()
        {
            let amount = |kind| below.iter().find(|(of, _)| *of == kind).map_or(0, |(_, units)| *units);
            let amounts: Vec<i64> = multi.types().map(amount).collect();
            multi.add(start, duration, &amounts);
            if hold == Hold::Allocated {
                amounts.iter().enumerate().for_each(|(index, units)| multi.hold(index, *units));
            }
            touch.below = Some(amounts.into_iter().map(Some).collect());
        }
        self.engine.graph.refresh_room(at);
    }

    /// A search that stops early looks first where most is free; it learns that here.
    fn reorder(&mut self, edge: EdgeId, target: VertexId) {
        if !self.engine.policy.stops_early {
            return;
        }
        let graph = &mut self.engine.graph;
        let Some(below) = &graph.vertex(target).below else { return };
        let last = below.len() - 1;
        let free = below.free_at(last, self.now);
        if free != 0 || !below.is_idle(last) {
            graph.set_weight(edge, free.max(0) as u64);
        }
    }
}
