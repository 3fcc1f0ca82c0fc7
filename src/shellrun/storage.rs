//! When the shell brings data into the job's storage and out of it.

use serde_json::json;
use std::time::SystemTime;

use crate::shell::{Phase, Shell};
use crate::staging::{Order, Staging, Way};
use crate::start::StartFailure;

const ERR: u8 = 3;

impl Shell {
    /// Brings data in if the job has storage, then starts the tasks.
    pub(crate) fn stage_in(&mut self) {
        if self.plan.storages.is_empty() {
            return self.launch();
        }
        self.phase = Phase::StagingIn;
        self.make_tmpdir();
        self.staged = Some(SystemTime::now());
        self.transfer(Way::In);
    }

    /// Tasks have ended: what is one for all nodes is cleared when all of them have.
    pub(crate) fn clear_storage(&mut self) {
        self.phase = Phase::StagingOut;
        let is_shared = self.plan.storages.iter().any(|storage| storage.is_per_job);
        if is_shared && self.bundle.shell_count > 1 {
            self.enter(json!({"type": "barrier", "name": "storage-out"}));
        } else {
            self.stage_out();
        }
    }

    pub(crate) fn stage_out(&mut self) {
        self.transfer(Way::Out);
    }

    fn transfer(&mut self, way: Way) {
        let is_first = self.bundle.shell_rank == 0;
        let mine = self.plan.storages.iter().filter(|storage| is_first || !storage.is_per_job);
        let order = Order {
            way,
            storages: mine.cloned().collect(),
            host: Some(self.plan.node.host.clone()).filter(|_| self.bundle.shell_count > 1),
            since: self.staged.unwrap_or(SystemTime::UNIX_EPOCH),
        };
        match Staging::start(order) {
            Ok(staging) => self.staging = Some(staging),
            Err(error) => self.transferred(way, Err(error.to_string())),
        }
    }

    /// The transfer is over.
    pub(crate) fn staging_ended(&mut self) {
        if let Some(staging) = self.staging.take() {
            self.transferred(staging.way, staging.outcome());
        }
    }

    fn transferred(&mut self, way: Way, outcome: Result<(), String>) {
        match (way, outcome) {
            (Way::In, Ok(())) if self.bundle.shell_count > 1 => {
                self.enter(json!({"type": "barrier", "name": "storage-in"}));
            }
            (Way::In, Ok(())) => self.launch(),
            (Way::In, Err(note)) => {
                for storage in &mut self.plan.storages {
                    (storage.stage_out, storage.is_cache) = (None, false); // What is there is not the job's work.
                }
                self.plan.tasks.clear();
                if self.code > 0 {
                    self.phase = Phase::Running; // A signal ended it.
                    return self.check_end();
                }
                self.start_failed(&StartFailure { note, code: 1 });
            }
            (Way::Out, outcome) => {
                if let Err(note) = outcome {
                    self.log(ERR, &note);
                    self.raise("storage", &note);
                    self.code = self.code.max(1);
                }
                self.end();
            }
        }
    }
}
