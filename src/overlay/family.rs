//! What a broker knows of its children.

use flux_service::Mono;
use flux_types::Idset;
use flux_wire::RouteId;

use crate::status::Status;
use crate::tree::Tree;

/// A child and what it last said of itself.
#[derive(Clone, Debug)]
pub struct Child {
    pub rank: u32,
    /// Of its present life; `None` while it is not connected.
    pub uuid: Option<RouteId>,
    pub status: Status,
    /// It has not been heard of for longer than it should.
    pub torpid: bool,
    pub since: Mono,
    /// Why it is lost.
    pub error: Option<String>,
}

const STATUSES: usize = Status::Offline as usize + 1;

/// The children of one broker, in the order of their ranks. What one of them does costs the same among two as among thousands.
#[derive(Clone, Debug)]
pub struct Family {
    rank: u32,
    children: Vec<Child>,
    /// How many children have each status, by its number.
    counts: [usize; STATUSES],
    since: Mono,
    status: Status,
}

impl Family {
    pub fn new(tree: &Tree, rank: u32, now: Mono) -> Family {
        let child = |rank: &u32| Child {
            rank: *rank,
            uuid: None,
            status: Status::Offline,
            torpid: false,
            since: now,
            error: None,
        };
        let children: Vec<Child> = tree.children(rank).iter().map(child).collect();
        debug_assert!(children.is_sorted_by_key(|child| child.rank));
        let mut counts = [0; STATUSES];
        counts[Status::Offline as usize] = children.len();
        let status = Status::of_children(children.iter().map(|child| child.status).take(1));
        Family { rank, children, counts, since: now, status }
    }

    fn place(&self, rank: u32) -> Option<usize> {
        self.children.binary_search_by_key(&rank, |child| child.rank).ok()
    }

    pub fn rank(&self) -> u32 {
        self.rank
    }

    pub fn children(&self) -> &[Child] {
        &self.children
    }

    pub fn child(&self, rank: u32) -> Option<&Child> {
        self.place(rank).map(|at| &self.children[at])
    }

    /// A child's status is this now, and ours follows.
    fn set_status(&mut self, at: usize, status: Status, now: Mono) {
        let child = &mut self.children[at];
        self.counts[child.status as usize] -= 1;
        self.counts[status as usize] += 1;
        child.status = status;
        let present = (1..=Status::Offline as u32).filter(|number| self.counts[*number as usize] > 0);
        let status = Status::of_children(present.filter_map(Status::from_number));
        if status != self.status {
            self.status = status;
            self.since = now;
        }
    }

    /// This broker with all below it.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Since when the status is what it is.
    pub fn since(&self) -> Mono {
        self.since
    }

    /// Children that are connected.
    pub fn online(&self) -> Idset {
        self.children.iter().filter(|child| child.status.is_online()).map(|child| child.rank).collect()
    }

    /// A child is there; `false` if it is none of ours.
    pub fn joined(&mut self, rank: u32, uuid: RouteId, status: Status, now: Mono) -> bool {
        let Some(at) = self.place(rank) else { return false };
        let before = self.children[at].status;
        self.children[at] = Child { rank, uuid: Some(uuid), status: before, torpid: false, since: now, error: None };
        self.set_status(at, status, now);
        true
    }

    /// A child says how it is.
    pub fn reported(&mut self, rank: u32, status: Status, now: Mono) {
        let Some(at) = self.place(rank) else { return };
        if self.children[at].status != status {
            self.children[at].since = now;
            self.set_status(at, status, now);
        }
    }

    /// A child has gone: with a word (`error` is `None`), or lost.
    pub fn left(&mut self, rank: u32, error: Option<String>, now: Mono) {
        let Some(at) = self.place(rank) else { return };
        let status = if error.is_some() { Status::Lost } else { Status::Offline };
        let child = &mut self.children[at];
        child.uuid = None;
        child.torpid = false;
        child.error = error;
        child.since = now;
        self.set_status(at, status, now);
    }

    /// A child is torpid, or is so no more; `true` if that is news.
    pub fn set_torpid(&mut self, rank: u32, torpid: bool) -> bool {
        let Some(at) = self.place(rank) else { return false };
        std::mem::replace(&mut self.children[at].torpid, torpid) != torpid
    }

    /// Why a child that is not connected could not come.
    pub fn refused(&mut self, rank: u32, error: String) {
        let child = self.place(rank).map(|at| &mut self.children[at]);
        if let Some(child) = child.filter(|child| !child.status.is_online()) {
            child.error = Some(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_full_when_all_are_there_and_degraded_when_one_is_lost() {
        let tree = Tree::named("kary:2", 3).unwrap();
        let now = Mono::default();
        let mut family = Family::new(&tree, 0, now);
        assert_eq!(family.status(), Status::Partial);
        assert!(family.joined(1, "a".into(), Status::Full, now));
        assert!(family.joined(2, "b".into(), Status::Full, now));
        assert!(!family.joined(3, "c".into(), Status::Full, now));
        assert_eq!((family.status(), family.online().count()), (Status::Full, 2));
        family.left(2, Some("lost connection".into()), now);
        assert_eq!((family.status(), family.child(2).unwrap().status), (Status::Degraded, Status::Lost));
        family.joined(2, "d".into(), Status::Full, now);
        family.left(2, None, now);
        assert_eq!(family.status(), Status::Partial);
        family.reported(1, Status::Degraded, now);
        assert_eq!(family.status(), Status::Degraded);
    }
}
