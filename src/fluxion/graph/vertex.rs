//! One resource pool.

use super::EdgeId;
use crate::intern::{Subsystem, Text, TypeId};
use crate::planner::{Multi, Timeline};
use std::collections::BTreeMap;

/// Whether a pool may be given to new jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Up,
    Down,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Up => "up",
            Status::Down => "down",
        }
    }

    pub fn from_name(name: &str) -> Option<Status> {
        match name {
            "up" => Some(Status::Up),
            "down" => Some(Status::Down),
            _ => None,
        }
    }
}

/// A pool of `size` like units: a node, one core, 2 GB of memory.
#[derive(Clone, Debug)]
pub struct Vertex {
    pub kind: TypeId,
    pub basename: Text,
    pub unit: Text,
    pub name: Box<str>,
    /// Number within its type and place, -1 if it has none.
    pub id: i64,
    /// Number within the graph.
    pub uniq_id: i64,
    /// Execution target (broker rank) that owns the pool, -1 if none does.
    pub rank: i32,
    pub size: u32,
    pub status: Status,
    pub(super) is_removed: bool,
    /// A node, or something that has nothing below it but what leads to nodes.
    pub(super) leads_to_nodes: bool,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) paths: Vec<(Subsystem, Box<str>)>,
    pub(super) out: Vec<EdgeId>,
    pub(super) into: Vec<EdgeId>,
    /// Types of the targets of `out`.
    pub(super) child_kinds: Vec<TypeId>,
    /// Units of the pool in use.
    pub plan: Timeline,
    /// Jobs that touch the pool or anything below it.
    pub jobs: Timeline,
    /// Jobs that hold this pool now (`allocation_count`) or will (`reservation_count`).
    pub allocation_count: u32,
    pub reservation_count: u32,
    /// Units that jobs hold now, whatever their planned end.
    pub held_units: u32,
    /// Jobs that have something here or below now, whatever their planned end.
    pub running_count: u32,
    /// Jobs that will have something here or below.
    pub waiting_count: u32,
    /// What a match policy in Lua makes of it; 0: neither it nor anything below is to be used.
    pub(crate) script_score: i64,
    /// What exists and is used below this vertex, for pruning.
    pub below: Option<Box<Multi>>,
}

impl Vertex {
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether all edges lead to nodes.
    pub fn has_only_nodes(&self) -> bool {
        self.child_kinds == [TypeId::NODE]
    }

    /// Whether nothing can be found below but nodes and what leads to them.
    pub(crate) fn is_above_nodes(&self) -> bool {
        self.leads_to_nodes && self.kind != TypeId::NODE
    }

    /// Whether an edge leads to a vertex of this type, in whichever subsystem.
    pub fn has_child_of(&self, kind: TypeId) -> bool {
        self.child_kinds.contains(&kind)
    }

    pub fn has_property(&self, key: &str) -> bool {
        self.properties.contains_key(key)
    }

    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties.get(key).map(String::as_str)
    }

    pub(super) fn set_property(&mut self, key: &str, value: &str) {
        self.properties.insert(key.to_string(), value.to_string());
    }

    pub(super) fn remove_property(&mut self, key: &str) -> bool {
        self.properties.remove(key).is_some()
    }

    /// The path in every subsystem the vertex belongs to, `/cluster0/rack0/node1`.
    pub fn paths(&self) -> impl Iterator<Item = (Subsystem, &str)> {
        self.paths.iter().map(|(subsystem, path)| (*subsystem, &**path))
    }

    pub fn path(&self, subsystem: Subsystem) -> Option<&str> {
        self.paths().find(|(of, _)| *of == subsystem).map(|(_, path)| path)
    }

    /// Units free for the whole of `[time, time + duration)`; `None` if that ends after the plan.
    pub fn free(&self, time: i64, duration: i64) -> Option<u32> {
        time.checked_add(duration)?;
        Some((i64::from(self.size) - self.plan.peak(time, duration)).clamp(0, i64::from(u32::MAX)) as u32)
    }

    /// As `free`, for this very moment: what jobs hold past their planned end is not free.
    pub fn free_now(&self, now: i64, duration: i64) -> Option<u32> {
        Some(self.free(now, duration)?.min(self.size.saturating_sub(self.held_units)))
    }

    /// Whether more is planned than there is at some time in `[time, time + duration)`.
    pub(crate) fn is_overbooked(&self, time: i64, duration: i64) -> bool {
        self.plan.peak(time, duration) > i64::from(self.size)
    }

    /// A job takes units of the pool; `is_running`: now, else in the future.
    pub(crate) fn take_units(&mut self, start: i64, duration: i64, units: u32, is_running: bool) {
        self.plan.add(start, duration, i64::from(units));
        match is_running {
            true => {
                self.allocation_count += 1;
                self.held_units += units;
            }
            false => self.reservation_count += 1,
        }
    }

    /// Undoes `take_units`.
    pub(crate) fn give_units(&mut self, start: i64, duration: i64, units: u32, is_running: bool) {
        self.plan.remove(start, duration, i64::from(units));
        match is_running {
            true => {
                self.allocation_count -= 1;
                self.held_units -= units;
            }
            false => self.reservation_count -= 1,
        }
    }

    /// A job has something here or below.
    pub(crate) fn count_job(&mut self, start: i64, duration: i64, is_running: bool) {
        self.jobs.add(start, duration, 1);
        self.running_count += u32::from(is_running);
        self.waiting_count += u32::from(!is_running);
    }

    /// Undoes `count_job`.
    pub(crate) fn discount_job(&mut self, start: i64, duration: i64, is_running: bool) {
        self.jobs.remove(start, duration, 1);
        self.running_count -= u32::from(is_running);
        self.waiting_count -= u32::from(!is_running);
    }
}
