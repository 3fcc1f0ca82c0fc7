//! The leader after a restart: what the KVS knows of a job whose shells may still run. And the service that is unloaded while
//! jobs run: the next one goes on with them, as after a restart of the broker.

use flux_service::{Cx, Fault, Outcome};
use flux_types::{JobId, eventlog};
use flux_wire::{Errno, Kind, Message};
use serde_json::json;

use super::job::Phase;
use super::{JobExec, Pending};
use crate::kvs;

fn unloaded() -> Fault {
    Fault::new(Errno::ENOSYS, "job-exec is being unloaded")
}

impl JobExec {
    /// The service ends: what was heard of jobs goes into the store, shells come again until there is another service, and
    /// leaders ask again.
    pub(super) fn part(&mut self, cx: &mut Cx<'_>) {
        let running = self.jobs.values().filter(|job| matches!(job.phase, Phase::Launching | Phase::Running));
        self.dirty.extend(running.map(|job| job.id));
        self.commit_lines(cx);
        let gone = unloaded();
        for shell in self.shells.values_mut() {
            for stream in [shell.hello.take(), shell.leader.take()].into_iter().flatten() {
                cx.respond_error(&stream, &gone);
            }
        }
        for relay in std::mem::take(&mut self.relays).values() {
            cx.respond_error(relay.request(), &gone);
        }
        for message in std::mem::take(&mut self.recovery.waiting) {
            if message.kind() == Kind::Request {
                cx.respond_error(&message, &gone);
            }
        }
    }

    /// Whoever comes between the end of the service and its removal must come again: nobody would look after it.
    pub(super) fn serves(&self) -> Outcome {
        if self.stopping { Err(unloaded()) } else { Ok(()) }
    }

    pub(super) fn look(&mut self, cx: &mut Cx<'_>, id: JobId) {
        self.make_namespace(cx, id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.phase = Phase::Looking;
        let tag = kvs::lookup(cx, &job.guest_key("exec.eventlog"), 0);
        self.pending.insert(tag, Pending::LookLog(id));
    }

    pub(super) fn on_log_found(&mut self, cx: &mut Cx<'_>, id: JobId, reply: &Message) {
        let log = kvs::text(reply).unwrap_or_default();
        let (mut begun, mut ended, mut exit_told) = (false, None, false);
        for entry in eventlog::decode(&log).unwrap_or_default() {
            match entry.name.as_str() {
                "starting" => begun = true,
                "shell.task-exit" => exit_told = true,
                "complete" => ended = Some(entry.get("status").and_then(|status| status.as_i64()).unwrap_or(1 << 8)),
                _ => {}
            }
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.task_exit_told = exit_told;
        if let Some(status) = ended {
            // All was over; only the manager has not heard of it.
            self.say(cx, id, "reattached", json!({}));
            self.tell_end(cx, id, i32::try_from(status).unwrap_or(1 << 8));
            return self.settled(cx, id);
        }
        let mock = super::mock::asked(job.jobspec());
        if let Some(mock) = mock {
            self.note(cx, id, "reattach", None);
            return self.start_mock(cx, id, &mock);
        }
        if !begun {
            // Nothing of it was recorded: no shell was started, or a node knows of one.
            job.reattach = false;
            self.note(cx, id, "init", None);
            self.note(cx, id, "starting", None);
            self.dirty.remove(&id);
            return self.launch_parts(cx, id);
        }
        let tag = kvs::lookup(cx, &job.guest_key("exec.taken"), 0);
        self.pending.insert(tag, Pending::LookTaken(id));
    }

    pub(super) fn on_taken_found(&mut self, cx: &mut Cx<'_>, id: JobId, reply: &Message) {
        let taken: Vec<u64> = match Fault::of(reply) {
            Some(_) => Vec::new(),
            None => kvs::bytes(reply).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default(),
        };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        for (part, taken) in job.parts.iter_mut().zip(taken) {
            (part.taken, part.stored, part.told) = (taken, taken, taken);
        }
        self.note(cx, id, "reattach", None);
        self.launch_parts(cx, id);
    }
}
