//! A thread for what takes long: errands are run there in order, while the loop goes on.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Builder;

use flux_service::{Completion, Errand, Tag};
use mio::Waker;

use crate::limits::COMPUTE_STACK_BYTES;
use crate::node::{Input, Owner};

type Job = (Owner, Tag, Errand);

/// The thread, once it is needed, and what it has done. The process does not wait for it when it ends.
pub(crate) struct Computer {
    waker: Arc<Waker>,
    errands: Option<Sender<Job>>,
    back: Sender<(Owner, Tag)>,
    done: Receiver<(Owner, Tag)>,
}

impl Computer {
    pub(crate) fn new(waker: Arc<Waker>) -> Computer {
        let (back, done) = mpsc::channel();
        Computer { waker, errands: None, back, done }
    }

    /// Lets an errand be run; here and now if there can be no thread.
    pub(crate) fn submit(&mut self, owner: Owner, tag: Tag, errand: Errand) {
        if self.errands.is_none() {
            self.errands = self.start().ok();
        }
        let left = match &self.errands {
            Some(errands) => errands.send((owner, tag, errand)).err().map(|error| error.0.2),
            None => Some(errand),
        };
        if let Some(errand) = left {
            errand.run();
            // Both ends are ours.
            let _ = self.back.send((owner, tag));
            let _: io::Result<()> = self.waker.wake();
        }
    }

    fn start(&self) -> io::Result<Sender<Job>> {
        let (errands, inbox) = mpsc::channel();
        let (back, waker) = (self.back.clone(), self.waker.clone());
        let body = move || run(&inbox, &back, &waker);
        Builder::new().name("flux-compute".to_owned()).stack_size(COMPUTE_STACK_BYTES).spawn(body)?;
        Ok(errands)
    }

    /// Takes the completions that are there.
    pub(crate) fn drain(&self, inbox: &mut VecDeque<Input>) {
        let ended = |(owner, tag)| Input::Completion { owner, tag, completion: Completion::Done };
        inbox.extend(self.done.try_iter().map(ended));
    }
}

fn run(errands: &Receiver<Job>, back: &Sender<(Owner, Tag)>, waker: &Waker) {
    while let Ok((owner, tag, errand)) = errands.recv() {
        errand.run();
        if back.send((owner, tag)).is_err() {
            return;
        }
        let _: io::Result<()> = waker.wake();
    }
}
