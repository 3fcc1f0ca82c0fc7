//! What a job needs, and how much of it is there.

use flux_types::constraint::Constraint;
use flux_types::jobspec::Summary;
use flux_types::{Idset, Jobspec, ResourceSet};
use serde_json::{Value, json};

/// The answer of `sched.resource-status`.
pub(super) struct Room {
    all: ResourceSet,
    down: Idset,
    allocated: ResourceSet,
}

impl Room {
    pub(super) fn read(status: &Value) -> Option<Room> {
        let set = |key: &str| match status.get(key) {
            None | Some(Value::Null) => Some(ResourceSet::new()),
            Some(value) => ResourceSet::from_value(value).ok(),
        };
        Some(Room { all: set("all")?, down: set("down")?.ranks(), allocated: set("allocated")? })
    }
}

/// A version 1 request (RFC 25) in numbers. Others are not compared with anything.
pub(super) struct Need {
    summary: Summary,
    constraint: Option<Constraint>,
}

/// The comparison.
pub(super) struct Found {
    pub(super) enough: bool,
    pub(super) text: String,
    pub(super) value: Value,
}

/// Free cores and GPUs of one node.
struct Free {
    cores: usize,
    gpus: usize,
    whole: bool,
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn is(count: usize, what: &str) -> String {
    format!("{count} {} {what}", if count == 1 { "is" } else { "are" })
}

impl Need {
    pub(super) fn of(jobspec: &Value) -> Option<Need> {
        let jobspec = Jobspec::from_value(jobspec.clone()).ok()?;
        let summary = jobspec.summary().ok()?;
        let constraint = match jobspec.constraints() {
            Some(value) => Some(Constraint::from_value(value).ok()?),
            None => None,
        };
        Some(Need { summary, constraint })
    }

    fn slots_in(&self, cores: usize, gpus: usize) -> usize {
        let fit = |have: usize, each: u32| have.checked_div(each as usize).unwrap_or(usize::MAX);
        fit(cores, self.summary.cores_per_slot).min(fit(gpus, self.summary.gpus_per_slot))
    }

    /// Can this node take so many slots, or as a whole if whole nodes are asked for?
    fn fits(&self, free: &Free, slots: usize) -> bool {
        (!self.summary.exclusive || free.whole) && self.slots_in(free.cores, free.gpus) >= slots
    }

    pub(super) fn compare(&self, room: &Room) -> Found {
        let eligible = match &self.constraint {
            Some(constraint) => room.all.matching(constraint),
            None => room.all.ranks(),
        };
        let up = eligible.subtract(&room.down);
        let free: Vec<Free> = up.iter().filter_map(|rank| free_on(room, rank)).collect();
        let down = eligible.count() - up.count();
        let mut found = match self.summary.nnodes {
            Some(nodes) => self.compare_nodes(nodes as usize, eligible.count(), &free),
            None => self.compare_slots(&free),
        };
        if down > 0 {
            found.text.push_str(&format!("; {}", is(down, "down or drained")));
        }
        if let (Some(_), Value::Object(value)) = (&self.constraint, &mut found.value) {
            found.text.push_str(&format!(" (of the {} that it may use)", plural(eligible.count(), "node")));
            value.insert("eligible".into(), eligible.count().into());
        }
        found
    }

    fn compare_nodes(&self, nodes: usize, eligible: usize, free: &[Free]) -> Found {
        // Slots are spread evenly (RFC 25).
        let slots = (self.summary.nslots as usize).div_ceil(nodes.max(1));
        let usable = free.iter().filter(|free| self.fits(free, slots)).count();
        let enough = usable >= nodes;
        let (kind, state) = if self.summary.exclusive { ("whole node", "free") } else { ("node", "free for it") };
        let text = format!("it needs {}, and {}", plural(nodes, kind), is(usable, state));
        let value = json!({"needed": {"nodes": nodes}, "free": {"nodes": usable}, "nodes": eligible});
        Found { enough, text, value }
    }

    fn compare_slots(&self, free: &[Free]) -> Found {
        let summary = &self.summary;
        let slots = summary.nslots as usize;
        let (cores, gpus) = (slots * summary.cores_per_slot as usize, slots * summary.gpus_per_slot as usize);
        let (free_cores, free_gpus): (usize, usize) =
            free.iter().fold((0, 0), |(cores, gpus), free| (cores + free.cores, gpus + free.gpus));
        let fitting: usize = free.iter().filter(|f| self.fits(f, 1)).map(|f| self.slots_in(f.cores, f.gpus)).sum();
        let enough = fitting >= slots;
        let mut text = format!("it needs {}", plural(cores, "core"));
        if gpus > 0 {
            text.push_str(&format!(" and {}", plural(gpus, "GPU")));
        }
        text.push_str(&format!(", and {}", is(free_cores, "free")));
        if gpus > 0 {
            text.push_str(&format!(" with {}", plural(free_gpus, "GPU")));
        }
        if !enough && free_cores >= cores && free_gpus >= gpus {
            text.push_str(&format!(
                ", but not {} to a slot on one node",
                plural(summary.cores_per_slot as usize, "core")
            ));
        }
        let value = json!({"needed": {"cores": cores, "gpus": gpus}, "free": {"cores": free_cores, "gpus": free_gpus}});
        Found { enough, text, value }
    }
}

fn free_on(room: &Room, rank: u32) -> Option<Free> {
    let node = room.all.get(rank)?;
    let used = room.allocated.get(rank);
    let count = |all: &Idset, used: Option<&Idset>| used.map_or(all.count(), |used| all.subtract(used).count());
    let cores = count(&node.cores, used.map(|node| &node.cores));
    let gpus = count(&node.gpus, used.map(|node| &node.gpus));
    Some(Free { cores, gpus, whole: cores == node.cores.count() && gpus == node.gpus.count() })
}
