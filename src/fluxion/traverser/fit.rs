//! Whether a vertex is what a request asks for.

use super::request::Request;
use super::select::Search;
use crate::graph::{Status, Vertex, VertexId};
use crate::intern::TypeId;

/// What the search does at a vertex.
pub(super) enum Fit<'r> {
    /// Fills slots from its children: the slots that are alternatives here, and how many are wanted.
    Slots(&'r [Request], u32),
    /// It is a requested resource; its children are searched for these.
    Resource(&'r [Request]),
    /// It is a requested resource; its children are searched for these in turn.
    Rounds(&'r [Vec<Request>]),
    /// It is above the first requested resource; the search goes on below.
    Above,
}

impl Search<'_> {
    /// `None` if the vertex is no part of any match. `is_pristine`: nothing above it has matched yet, so that a
    /// request may begin further down.
    pub(super) fn fit<'r>(&self, at: VertexId, requests: &'r [Request], is_pristine: bool) -> Option<Fit<'r>> {
        let vertex = self.graph.vertex(at);
        let mut matched: Option<&'r Request> = None;
        let mut slots: Option<(&'r [Request], u32)> = None;
        let mut has_slot = false;
        for request in requests {
            if request.kind == vertex.kind {
                // One request per type at a level: with two it would not be clear which is meant.
                if matched.is_some() || has_slot {
                    return None;
                }
                matched = Some(request);
                for slot in request.with.iter().filter(|with| with.kind == TypeId::SLOT) {
                    let alternatives = if self.is_flexible { &request.with } else { std::slice::from_ref(slot) };
                    slots = Some((alternatives, slot.count.best_of_all()));
                }
            } else if request.kind == TypeId::SLOT {
                if matched.is_some() || (has_slot && !self.is_flexible) {
                    return None;
                }
                let alternatives = if self.is_flexible { requests } else { std::slice::from_ref(request) };
                slots = Some((alternatives, request.count.best_of_all()));
                has_slot = true;
            }
        }
        if let Some(request) = matched.filter(|request| !request.rounds.is_empty()) {
            return Some(Fit::Rounds(&request.rounds));
        }
        let slots = slots.filter(|(list, _)| list.iter().any(|slot| holds_slot(vertex, slot)));
        match (slots, matched) {
            (Some((list, count)), _) => Some(Fit::Slots(list, count)),
            (None, Some(request)) => Some(Fit::Resource(&request.with)),
            (None, None) => is_pristine.then_some(Fit::Above),
        }
    }

    /// The slots that are made of the children of a vertex, and how many, if the requests are slots and it can be.
    pub(super) fn slots_at<'r>(&self, at: VertexId, requests: &'r [Request]) -> Option<(&'r [Request], u32)> {
        let first = requests.first().filter(|first| first.kind == TypeId::SLOT)?;
        let vertex = self.graph.vertex(at);
        let is_here = requests.iter().any(|slot| holds_slot(vertex, slot));
        is_here.then(|| (requests, first.count.best_of_all()))
    }

    /// Whether the search may go into a vertex at all.
    pub(super) fn may_enter(&self, at: VertexId, is_exclusive: bool, requests: &[Request], is_dominant: bool) -> bool {
        let vertex = self.graph.vertex(at);
        let meta = &self.meta;
        if vertex.status != Status::Up && !meta.ignores_status {
            return false;
        }
        let is_node = vertex.kind == TypeId::NODE || vertex.kind == TypeId::STORAGE_NODE;
        if is_node && meta.constraint.is_some_and(|constraint| !constraint.allows(vertex)) {
            return false;
        }
        if self.free(vertex).is_none_or(|free| free == 0) || self.taken.holds(at) {
            return false;
        }
        if self.taken.holds_below(at) && requests.iter().any(|request| request.kind == vertex.kind) {
            return false; // Some of it is in another round.
        }
        let mut slots = requests.iter().filter(|request| request.kind == TypeId::SLOT).peekable();
        if is_dominant && slots.peek().is_some() {
            let fits = |request: &Request| self.has_below(vertex, request);
            // Alternatives side by side: one that fits is enough.
            if !(if self.is_flexible { slots.any(fits) } else { slots.all(fits) }) {
                return false;
            }
        }
        requests.iter().filter(|request| request.kind == vertex.kind && request.kind != TypeId::SLOT).all(|request| {
            self.is_exclusively_free(vertex, is_exclusive, request) && (!is_dominant || self.has_below(vertex, request))
        })
    }

    /// Units of a vertex that are free at the time of the search.
    pub(super) fn free(&self, vertex: &Vertex) -> Option<u32> {
        match self.meta.is_now {
            true => vertex.free_now(self.meta.at, self.meta.duration),
            false => vertex.free(self.meta.at, self.meta.duration),
        }
    }

    fn is_exclusively_free(&self, vertex: &Vertex, is_exclusive: bool, request: &Request) -> bool {
        if is_exclusive && request.exclusive == Some(false) {
            return false; // What is under a slot cannot be asked for as shared.
        }
        if !is_exclusive && request.exclusive != Some(true) {
            return true;
        }
        let meta = &self.meta;
        // A job that overruns its time still holds its resources, though the plan says they are free.
        if meta.is_now && (vertex.allocation_count > 0 || vertex.running_count > 0) {
            return false;
        }
        meta.at.checked_add(meta.duration).is_some() && vertex.jobs.peak(meta.at, meta.duration) == 0
    }

    fn has_below(&self, vertex: &Vertex, request: &Request) -> bool {
        match &vertex.below {
            Some(below) if !request.need.is_empty() => {
                below.fits(self.meta.at, self.meta.duration, &request.need).is_ok()
            }
            _ => true,
        }
    }
}

/// Everything a slot is made of hangs directly below the vertex.
fn holds_slot(vertex: &Vertex, slot: &Request) -> bool {
    slot.with.iter().all(|with| vertex.has_child_of(with.kind))
}
