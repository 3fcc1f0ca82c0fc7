//! Work that takes long, which a service lets be done beside the loop.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

enum Stage<T> {
    Waiting(Box<dyn FnOnce() -> T + Send>),
    Running,
    Ended(T),
    Taken,
}

struct Inner<T> {
    stage: Mutex<Stage<T>>,
    ended: Condvar,
}

impl<T> Inner<T> {
    fn stage(&self) -> MutexGuard<'_, Stage<T>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of work and, later, what came of it. The service keeps it, and hands its [`Errand`] out with `Cx::compute`; the
/// completion of that says that [`Work::take`] has something to take.
pub struct Work<T>(Arc<Inner<T>>);

impl<T: Send + 'static> Work<T> {
    pub fn new(work: impl FnOnce() -> T + Send + 'static) -> Work<T> {
        let stage = Mutex::new(Stage::Waiting(Box::new(work)));
        Work(Arc::new(Inner { stage, ended: Condvar::new() }))
    }

    /// What is handed out to be run.
    pub fn errand(&self) -> Errand {
        Errand(self.0.clone())
    }

    /// What came of it: waits for whoever is at it, and does it here if nobody has begun. `None` if that was taken before.
    pub fn take(&self) -> Option<T> {
        self.0.run();
        let mut stage = self.0.stage();
        while matches!(*stage, Stage::Running) {
            stage = self.0.ended.wait(stage).unwrap_or_else(PoisonError::into_inner);
        }
        match std::mem::replace(&mut *stage, Stage::Taken) {
            Stage::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }
}

trait Run: Send + Sync {
    fn run(&self);
}

impl<T: Send> Run for Inner<T> {
    fn run(&self) {
        let mut stage = self.stage();
        let work = match std::mem::replace(&mut *stage, Stage::Running) {
            Stage::Waiting(work) => work,
            other => return *stage = other,
        };
        drop(stage);
        let outcome = work();
        *self.stage() = Stage::Ended(outcome);
        self.ended.notify_all();
    }
}

/// Work without its type, as it goes to whoever has a thread for it. Two are equal if they are the same.
#[derive(Clone)]
pub struct Errand(Arc<dyn Run>);

impl Errand {
    /// Does the work, unless that has been begun.
    pub fn run(&self) {
        self.0.run();
    }
}

impl PartialEq for Errand {
    fn eq(&self, other: &Errand) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errand")
    }
}

#[cfg(test)]
mod tests {
    use super::Work;

    #[test]
    fn work_is_done_once_by_whoever_comes_first_and_its_outcome_is_taken_once() {
        for is_run in [false, true] {
            let (told, heard) = std::sync::mpsc::channel();
            let work = Work::new(move || {
                told.send(()).expect("somebody listens");
                7
            });
            let errand = work.errand();
            assert_eq!(errand, work.errand());
            if is_run {
                errand.run();
            }
            assert_eq!(work.take(), Some(7));
            errand.run();
            assert_eq!(work.take(), None);
            assert_eq!(heard.iter().count(), 1);
        }
    }

    #[test]
    fn who_takes_waits_for_whoever_is_at_it() {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel();
        let work = Work::new(move || {
            begun.send(()).expect("somebody listens");
            gone.recv().expect("told to go on");
            7
        });
        let errand = work.errand();
        std::thread::scope(|scope| {
            scope.spawn(move || errand.run());
            begins.recv().expect("it begins");
            go.send(()).expect("it listens");
            assert_eq!(work.take(), Some(7));
        });
    }
}
