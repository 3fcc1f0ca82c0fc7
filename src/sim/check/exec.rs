//! What shells did: which cores were in use by whom, and how each of them ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flux_types::JobId;

use crate::shell::ShellId;
use crate::world::World;

#[derive(Debug, Default)]
pub(crate) struct Exec {
    in_use: BTreeMap<(usize, u32), ShellId>,
    /// Shells whose tasks ran, by job and shell rank, and how many lines they printed.
    started: BTreeSet<(JobId, u32)>,
    pub(super) printed: BTreeMap<(JobId, u32), u64>,
    /// How they ended, if they came to say so.
    pub(super) finished: BTreeMap<(JobId, u32), i32>,
    /// Where its shells ran, by job.
    hosts: BTreeMap<JobId, BTreeSet<u32>>,
    /// When tasks ended last.
    pub(crate) last_end: Duration,
    /// Jobs whose node lost its power while they ran.
    pub(super) uncertain: BTreeSet<JobId>,
}

impl World {
    pub(crate) fn tasks_started(&mut self, id: ShellId) {
        let shell = &self.shells[&id];
        let (job, rank, host, cores) = (shell.job, shell.rank, shell.host, shell.cores.clone());
        self.trace.note(self.now, id.0, || format!("tasks of job {job} start on rank {host}, cores {cores:?}"));
        if !self.history.exec.started.insert((job, rank)) {
            self.violated("exec", format!("shell {rank} of job {job} starts its tasks a second time"));
        }
        self.history.exec.hosts.entry(job).or_default().insert(host as u32);
        if let Some(text) = self.history.ledger.used(job, host as u32, &cores)
            && !self.history.exec.uncertain.contains(&job)
        {
            self.violated("ledger", text);
        }
        for core in cores {
            if let Some(other) = self.history.exec.in_use.insert((host, core), id) {
                let other = self.shells.get(&other).map_or(JobId(0), |other| other.job);
                let text = format!("core {core} of rank {host} is used by jobs {other} and {job} at once");
                self.violated("resources", text);
            }
        }
    }

    pub(crate) fn tasks_ended(&mut self, id: ShellId) {
        let shell = &self.shells[&id];
        let (job, rank, host, cores) = (shell.job, shell.rank, shell.host, shell.cores.clone());
        self.trace.note(self.now, id.0, || format!("tasks of job {job} end on rank {host}"));
        let printed = shell.printed();
        self.history.exec.last_end = self.now;
        self.history.exec.printed.insert((job, rank), printed);
        for core in cores {
            if self.history.exec.in_use.get(&(host, core)) == Some(&id) {
                self.history.exec.in_use.remove(&(host, core));
            }
        }
    }

    pub(crate) fn shell_finished(&mut self, id: ShellId, status: i32) {
        let shell = &self.shells[&id];
        self.history.exec.finished.insert((shell.job, shell.rank), status);
    }

    /// It is ended early: what it says in the end may not be heard. Its job is not started afresh.
    pub(crate) fn shell_is_dismissed(&mut self, id: ShellId) {
        let shell = &self.shells[&id];
        self.history.exec.finished.remove(&(shell.job, shell.rank));
        self.history.exec.uncertain.insert(shell.job);
    }

    /// What was known of the shell may be lost with the power of its machine or of rank 0: its job may be started afresh (ADR 2).
    pub(crate) fn shell_is_uncertain(&mut self, id: ShellId) {
        let shell = &self.shells[&id];
        let key = (shell.job, shell.rank);
        self.history.exec.started.remove(&key);
        self.history.exec.finished.remove(&key);
        self.history.exec.uncertain.insert(shell.job);
    }
}

impl Exec {
    /// The ranks that a job ran on. None of one that may have run twice.
    pub(super) fn hosts_of(&self, job: JobId) -> Vec<u32> {
        let known = self.hosts.get(&job).filter(|_| !self.uncertain.contains(&job));
        known.into_iter().flatten().copied().collect()
    }

    pub(super) fn shells_of(&self, job: JobId) -> usize {
        self.started.range((job, 0)..=(job, u32::MAX)).count()
    }
}
