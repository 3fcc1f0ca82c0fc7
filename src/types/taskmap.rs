//! Which task runs on which node (RFC 34).

mod text;

use crate::idset::Idset;
use crate::limits::{TASKMAP_NODES_MAX, TASKMAP_TASKS_MAX};

pub use text::TaskmapError;

/// `ppn` tasks on each of `nnodes` nodes from `nodeid` on, and all of that `repeat` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    nodeid: u32,
    nnodes: u32,
    ppn: u32,
    repeat: u32,
}

impl Block {
    /// Tasks of one repetition.
    fn round(&self) -> u64 {
        u64::from(self.nnodes) * u64::from(self.ppn)
    }

    fn end(&self) -> u32 {
        self.nodeid + self.nnodes
    }
}

/// The map of a job's tasks to its nodes, in blocks. The empty map means that the mapping is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taskmap {
    blocks: Vec<Block>,
    tasks: u64,
}

impl Taskmap {
    /// The unknown mapping.
    pub const fn new() -> Taskmap {
        Taskmap { blocks: Vec::new(), tasks: 0 }
    }

    pub fn is_unknown(&self) -> bool {
        self.blocks.is_empty()
    }

    /// How many tasks there are; 0 if the mapping is unknown.
    pub fn ntasks(&self) -> usize {
        self.tasks as usize
    }

    /// One more than the largest node id; 0 if the mapping is unknown.
    pub fn nnodes(&self) -> usize {
        self.blocks.iter().map(|b| b.end() as usize).max().unwrap_or(0)
    }

    /// Puts the next tasks on `nnodes` nodes from `nodeid` on, `ppn` each. Blocks that continue or repeat the
    /// last one melt into it, so that block and cyclic distributions stay short.
    ///
    /// # Errors
    /// `BadBlock` if `nnodes` or `ppn` is 0, `TooLarge` over the limits.
    pub fn append(&mut self, nodeid: u32, nnodes: u32, ppn: u32) -> Result<(), TaskmapError> {
        let block = self.admit(nodeid, nnodes, ppn, 1)?;
        let Some(last) = self.blocks.last_mut() else {
            self.blocks.push(block);
            return Ok(());
        };
        let single = last.nodeid == nodeid && last.nnodes == 1 && nnodes == 1 && last.repeat == 1;
        if nodeid == last.end() && ppn == last.ppn && last.repeat == 1 {
            last.nnodes += nnodes;
            self.melt_repeat();
        } else if single {
            last.ppn += ppn;
            self.melt_repeat();
        } else if (last.nodeid, last.nnodes, last.ppn) == (nodeid, nnodes, ppn) {
            last.repeat += 1;
        } else {
            self.blocks.push(block);
        }
        Ok(())
    }

    /// The tasks on a node; empty if there are none.
    pub fn taskids(&self, nodeid: u32) -> Idset {
        let mut ids = Idset::new();
        self.each_run(nodeid, |first, ppn| ids.insert_range(first, first + ppn - 1));
        ids
    }

    /// How many tasks are on a node.
    pub fn ntasks_on(&self, nodeid: u32) -> usize {
        let on_node = |b: &&Block| b.nodeid <= nodeid && nodeid < b.end();
        self.blocks.iter().filter(on_node).map(|b| b.ppn as usize * b.repeat as usize).sum()
    }

    /// The node of a task; `None` if there is no such task.
    pub fn nodeid(&self, taskid: u32) -> Option<u32> {
        let mut offset = u64::from(taskid);
        for block in &self.blocks {
            let total = block.round() * u64::from(block.repeat);
            if offset < total {
                return Some(block.nodeid + (offset % block.round() / u64::from(block.ppn)) as u32);
            }
            offset -= total;
        }
        None
    }

    /// Whether `other` has as many nodes and as many tasks, so that it may stand in for this map.
    pub fn has_shape_of(&self, other: &Taskmap) -> bool {
        self.nnodes() == other.nnodes() && self.ntasks() == other.ntasks()
    }

    /// Calls `visit` with the first task and the number of tasks of each run on `nodeid`.
    fn each_run(&self, nodeid: u32, mut visit: impl FnMut(u32, u32)) {
        let mut current = 0u64;
        for block in &self.blocks {
            if block.nodeid <= nodeid && nodeid < block.end() {
                let offset = u64::from(nodeid - block.nodeid) * u64::from(block.ppn);
                for round in 0..u64::from(block.repeat) {
                    visit((current + round * block.round() + offset) as u32, block.ppn);
                }
            }
            current += block.round() * u64::from(block.repeat);
        }
    }

    /// Checks a new block against the limits and counts its tasks.
    fn admit(&mut self, nodeid: u32, nnodes: u32, ppn: u32, repeat: u32) -> Result<Block, TaskmapError> {
        if nnodes == 0 || ppn == 0 || repeat == 0 {
            return Err(TaskmapError::BadBlock);
        }
        let round = u64::from(nnodes) * u64::from(ppn);
        let tasks = round.checked_mul(u64::from(repeat)).and_then(|more| self.tasks.checked_add(more));
        let tasks = tasks.filter(|tasks| *tasks <= TASKMAP_TASKS_MAX).ok_or(TaskmapError::TooLarge)?;
        if u64::from(nodeid) + u64::from(nnodes) > TASKMAP_NODES_MAX {
            return Err(TaskmapError::TooLarge);
        }
        self.tasks = tasks;
        Ok(Block { nodeid, nnodes, ppn, repeat })
    }

    /// After the last block changed: if it now repeats the one before, counts it there.
    fn melt_repeat(&mut self) {
        if let [.., before, last] = self.blocks.as_mut_slice()
            && (before.nodeid, before.nnodes, before.ppn) == (last.nodeid, last.nnodes, last.ppn)
        {
            before.repeat += last.repeat;
            self.blocks.pop();
        }
    }
}

#[cfg(test)]
mod tests;
