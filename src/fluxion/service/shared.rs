//! The graph, shared by the modules of a node, and lent to a thread while the queues are matched there.

use super::turn::Turn;
use crate::fluxion::Fluxion;
use flux_service::{Errand, Fault, Work};
use flux_types::Idset;
use flux_wire::Errno;
use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

type Change = Box<dyn FnOnce(&mut Fluxion)>;

#[derive(Default)]
struct Place {
    /// Nothing as long as `sched-fluxion-resource` has no resources, or while it is lent.
    graph: RefCell<Option<Fluxion>>,
    /// A turn that is under way, and what tells it to end soon.
    away: RefCell<Option<(Work<Turn>, Arc<AtomicBool>)>>,
    /// A turn that has ended, for the scheduler: its decisions are still to be told.
    ended: RefCell<Option<Turn>>,
    /// What is to be done to the graph when it is back.
    late: RefCell<Vec<Change>>,
    /// Messages to any of the modules that wait for it.
    parked: Cell<usize>,
    /// Ranks that went down since the graph was lent: a turn may have given them out.
    lost: RefCell<Idset>,
}

/// Held by each of the modules.
#[derive(Clone, Default)]
pub(super) struct Shared(Rc<Place>);

impl Shared {
    /// # Errors
    /// EAGAIN as long as there is none. It must not be asked for while it is lent.
    pub(super) fn graph(&self) -> Result<RefMut<'_, Fluxion>, Fault> {
        RefMut::filter_map(self.0.graph.borrow_mut(), Option::as_mut)
            .map_err(|_| Fault::new(Errno::EAGAIN, "the resources are not known yet"))
    }

    /// There is one, or none any more. One that is lent is waited for first.
    pub(super) fn set(&self, fluxion: Option<Fluxion>) {
        self.recall();
        *self.0.graph.borrow_mut() = fluxion;
    }

    pub(super) fn is_there(&self) -> bool {
        self.is_lent() || self.0.graph.borrow().is_some()
    }

    pub(super) fn is_lent(&self) -> bool {
        self.0.away.borrow().is_some()
    }

    /// Does this to the graph as soon as it is here; ranks that go `down` with it are not given out by a turn under way.
    pub(super) fn change(&self, up: &Idset, down: &Idset, change: impl FnOnce(&mut Fluxion) + 'static) {
        if self.is_lent() || self.0.ended.borrow().is_some() {
            let mut lost = self.0.lost.borrow_mut();
            lost.extend_from(down);
            *lost = lost.subtract(up);
        }
        if self.is_lent() {
            self.0.late.borrow_mut().push(Box::new(change));
        } else if let Some(fluxion) = self.0.graph.borrow_mut().as_mut() {
            change(fluxion);
        }
    }

    /// Lends the graph to a turn; what it returns is to be run.
    pub(super) fn lend(&self, turn: impl FnOnce(Fluxion, Arc<AtomicBool>) -> Work<Turn>) -> Option<Errand> {
        let fluxion = self.0.graph.borrow_mut().take()?;
        let hurry = Arc::new(AtomicBool::new(false));
        let work = turn(fluxion, hurry.clone());
        let errand = work.errand();
        *self.0.away.borrow_mut() = Some((work, hurry));
        Some(errand)
    }

    /// A message waits: a turn under way ends soon.
    pub(super) fn park(&self) {
        self.0.parked.set(self.0.parked.get() + 1);
        self.hurry();
    }

    /// So many wait no more.
    pub(super) fn unpark(&self, count: usize) {
        self.0.parked.set(self.0.parked.get() - count);
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.0.parked.get() > 0
    }

    fn hurry(&self) {
        if let Some((_, hurry)) = &*self.0.away.borrow() {
            hurry.store(true, Relaxed);
        }
    }

    /// The graph is here afterwards: waits for a turn that is under way.
    pub(super) fn recall(&self) {
        self.hurry();
        let away = self.0.away.borrow_mut().take();
        let Some(mut turn) = away.and_then(|(work, _)| work.take()) else { return };
        let mut fluxion = turn.fluxion.take();
        for change in self.0.late.take() {
            if let Some(fluxion) = &mut fluxion {
                change(fluxion);
            }
        }
        *self.0.graph.borrow_mut() = fluxion;
        *self.0.ended.borrow_mut() = Some(turn);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.ended.borrow().is_some()
    }

    /// A turn whose decisions nobody has told, and the ranks that are down since.
    pub(super) fn take_ended(&self) -> Option<(Turn, Idset)> {
        let turn = self.0.ended.take()?;
        Some((turn, self.0.lost.take()))
    }
}
