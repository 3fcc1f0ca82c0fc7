//! The threads of the store. Each takes all operations that are waiting as one batch.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, JoinHandle};

use flux_service::{Completion, StoreOp, Tag};
use mio::Waker;

use super::database::Database;
use super::error::StoreError;
use super::log::Log;
use crate::limits::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX};
use crate::node::Owner;

/// An operation on its way to a thread.
#[derive(Debug)]
pub(super) struct Job {
    owner: Owner,
    tag: Tag,
    op: StoreOp,
    /// Of its data, for the bound on what is in flight.
    pub(super) bytes: usize,
}

impl Job {
    pub(super) fn new(owner: Owner, tag: Tag, op: StoreOp) -> Job {
        let bytes = match &op {
            StoreOp::Append { record, .. } => record.len(),
            StoreOp::Put { blobs, .. } => blobs.iter().map(|(hash, blob)| hash.len() + blob.len()).sum(),
            _ => 0,
        };
        Job { owner, tag, op, bytes }
    }

    fn done(&self, completion: Option<Completion>) -> Done {
        Done { owner: self.owner, tag: self.tag, bytes: self.bytes, completion }
    }
}

/// An operation that was performed; without a completion where none is promised.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) owner: Owner,
    pub(super) tag: Tag,
    pub(super) bytes: usize,
    pub(super) completion: Option<Completion>,
}

/// A running thread. Dropping it waits until all its operations are done.
#[derive(Debug)]
pub(super) struct Actor {
    jobs: Option<Sender<Vec<Job>>>,
    /// Given to it since the last `flush`.
    gathered: Vec<Job>,
    thread: Option<JoinHandle<()>>,
}

impl Actor {
    pub(super) fn of_log(log: Log, back: Sender<Vec<Done>>, waker: Option<Arc<Waker>>) -> Result<Actor, StoreError> {
        Actor::start("flux-store", move |jobs| run_log(log, &jobs, &Report { back, waker }))
    }

    pub(super) fn of_database(
        database: Database,
        back: Sender<Vec<Done>>,
        waker: Option<Arc<Waker>>,
    ) -> Result<Actor, StoreError> {
        Actor::start("flux-content", move |jobs| run_database(database, &jobs, &Report { back, waker }))
    }

    fn start(name: &str, body: impl FnOnce(Receiver<Vec<Job>>) + Send + 'static) -> Result<Actor, StoreError> {
        let (jobs, inbox) = mpsc::channel();
        let thread = Builder::new().name(name.to_owned()).spawn(move || body(inbox));
        let thread = thread.map_err(StoreError::io("start a thread for", Path::new(name)))?;
        Ok(Actor { jobs: Some(jobs), gathered: Vec::new(), thread: Some(thread) })
    }

    /// Gathers a job for the next `flush`.
    pub(super) fn add(&mut self, job: Job) {
        self.gathered.push(job);
    }

    /// Hands over what was gathered, as one batch: a thread that woke in between would split it.
    pub(super) fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let jobs = self.jobs.as_ref().expect("only dropping takes the channel away");
        jobs.send(std::mem::take(&mut self.gathered)).expect("a thread of the store ends only when it is told to");
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.flush();
        }
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported already.
            let _ = thread.join();
        }
    }
}

/// The way back to the loop.
struct Report {
    back: Sender<Vec<Done>>,
    waker: Option<Arc<Waker>>,
}

impl Report {
    fn send(&self, done: Vec<Done>) {
        // The loop has gone: at the end of the process nobody waits any more.
        let _ = self.back.send(done);
        if let Some(waker) = &self.waker {
            let _: io::Result<()> = waker.wake();
        }
    }
}

/// The first jobs that come, and all that have come by then, within the bounds of a batch.
fn next_batch(jobs: &Receiver<Vec<Job>>) -> Option<Vec<Job>> {
    let mut batch = jobs.recv().ok()?;
    let mut bytes: usize = batch.iter().map(|job| job.bytes).sum();
    while batch.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
        let Ok(more) = jobs.try_recv() else { break };
        bytes += more.iter().map(|job| job.bytes).sum::<usize>();
        batch.extend(more);
    }
    Some(batch)
}

/// While one fdatasync is under way the next batch gathers.
fn run_log(mut log: Log, jobs: &Receiver<Vec<Job>>, report: &Report) {
    while let Some(batch) = next_batch(jobs) {
        let mut done = Vec::with_capacity(batch.len());
        let mut rest = &batch[..];
        while let Some(first) = rest.first() {
            let appends = rest.iter().take_while(|job| matches!(job.op, StoreOp::Append { .. })).count();
            if appends == 0 {
                done.push(trim(&mut log, first));
                rest = &rest[1..];
            } else {
                append(&mut log, &rest[..appends], &mut done);
                rest = &rest[appends..];
            }
        }
        report.send(done);
    }
    if let Err(error) = log.close() {
        crate::stderr::line(&format!("flux-broker: {error}"));
    }
}

fn append(log: &mut Log, jobs: &[Job], done: &mut Vec<Done>) {
    let mut records = Vec::with_capacity(jobs.len());
    let mut any_sync = false;
    for job in jobs {
        let StoreOp::Append { record, sync } = &job.op else { unreachable!("only appends are gathered") };
        records.push(record.clone());
        any_sync |= *sync;
    }
    match log.append(&records, any_sync) {
        Ok(positions) => {
            let logged = positions.into_iter().map(|position| Completion::Logged { position });
            done.extend(jobs.iter().zip(logged).map(|(job, logged)| job.done(Some(logged))));
        }
        Err(error) => {
            let fault = error.to_fault();
            done.extend(jobs.iter().map(|job| job.done(Some(Completion::Failed(fault.clone())))));
        }
    }
}

fn trim(log: &mut Log, job: &Job) -> Done {
    if let StoreOp::Trim { before } = job.op
        && let Err(error) = log.trim(before)
    {
        // Nothing is lost by it; the next trim does what this one did not.
        crate::stderr::line(&format!("flux-broker: {error}"));
    }
    job.done(None)
}

fn run_database(mut database: Database, jobs: &Receiver<Vec<Job>>, report: &Report) {
    for job in jobs.iter().flatten() {
        let outcome = match &job.op {
            StoreOp::Horizon { below } => database.horizon(*below),
            StoreOp::Mark { epoch, hashes } => database.mark(*epoch, hashes).map(|count| Completion::Marked { count }),
            StoreOp::Sweep { epoch, cursor, last, deletes_max, rows_max } => {
                database.sweep(*epoch, (*cursor, *last), (*deletes_max, *rows_max))
            }
            StoreOp::Put { blobs, checkpoints } => database.put(blobs, checkpoints).map(|()| Completion::Stored),
            StoreOp::Get { hash } => database.get(hash).map(Completion::Blob),
            StoreOp::Append { .. } | StoreOp::Trim { .. } => unreachable!("the log's operations go to the log"),
        };
        let completion = outcome.unwrap_or_else(|error| Completion::Failed(error.to_fault()));
        report.send(vec![job.done(Some(completion))]);
    }
}
