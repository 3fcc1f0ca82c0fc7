//! Namespaces: there from when their creation was acknowledged until somebody asks to remove them, and gone thereafter.

use std::time::Duration;

#[derive(Debug)]
struct Space {
    owner: u32,
    created: Option<Duration>,
    remove_began: Option<Duration>,
    removed: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Spaces {
    all: Vec<Space>,
}

pub(crate) fn name(space: usize) -> String {
    format!("space-{space}")
}

impl Spaces {
    pub(crate) fn begin(&mut self, owner: u32) -> usize {
        self.all.push(Space { owner, created: None, remove_began: None, removed: None });
        self.all.len() - 1
    }

    pub(crate) fn created(&mut self, space: usize, now: Duration) {
        self.all[space].created = Some(now);
    }

    pub(crate) fn begin_remove(&mut self, space: usize, now: Duration) {
        self.all[space].remove_began.get_or_insert(now);
    }

    pub(crate) fn removed(&mut self, space: usize, now: Duration) {
        self.all[space].removed.get_or_insert(now);
    }

    pub(crate) fn owner(&self, space: usize) -> u32 {
        self.all[space].owner
    }

    /// Those that were created; some of them may be gone.
    pub(crate) fn known(&self) -> Vec<usize> {
        (0..self.all.len()).filter(|space| self.all[*space].created.is_some()).collect()
    }

    /// Something was asked of it at `began` and answered now. `there`: the answer says that it is.
    pub(crate) fn judge(&self, space: usize, began: Duration, there: bool) -> Option<String> {
        let Space { created, remove_began, removed, .. } = &self.all[space];
        match there {
            true if removed.is_some_and(|at| at < began) => {
                Some(format!("namespace {} was removed, and answers", name(space)))
            }
            false if created.is_some_and(|at| at < began) && remove_began.is_none() => {
                Some(format!("namespace {} was created and not removed, and is not there", name(space)))
            }
            _ => None,
        }
    }
}
