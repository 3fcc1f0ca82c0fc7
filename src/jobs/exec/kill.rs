//! Ending jobs: exceptions, signals, time limits, and what is done when nothing helps (flux-config-exec(5)).

use std::time::Duration;

use flux_service::{Cx, Mono, Outcome, enforced};
use flux_types::{Idset, JobId};
use flux_wire::Message;
use serde::Deserialize;
use serde_json::{Value, json};

use super::JobExec;
use super::config::KILL_PAUSE_MAX;
use super::job::{Job, Killing, Phase};
use crate::body::WireId;

const SIGALRM: i32 = 14;
/// After this many pauses the shells themselves are killed.
const PAUSES_BEFORE_SHELLS: u32 = 5;

#[derive(Deserialize)]
struct Exception {
    id: WireId,
    #[serde(rename = "type")]
    kind: String,
    severity: i64,
    wait_status: Option<i32>,
}

#[derive(Deserialize)]
struct Expiration {
    id: WireId,
    expiration: f64,
}

#[derive(Deserialize)]
struct CriticalRanks {
    id: WireId,
    ranks: String,
}

impl Job {
    /// When the clock matters next to this job.
    pub(super) fn next_timer(&self) -> Option<Mono> {
        let killing = self.killing.map(|killing| killing.next);
        let mock = self.mock.as_ref().and_then(|mock| mock.ends);
        let late =
            [self.ack_at, self.limit, self.barrier_by, self.exit_by.as_ref().map(|(at, ..)| *at), self.shells_by];
        killing.into_iter().chain(mock).chain(late.into_iter().flatten()).min()
    }
}

impl JobExec {
    /// The event `job-exception`: a fatal one ends the job.
    pub(super) fn exception(&mut self, cx: &mut Cx<'_>, event: &Message) -> Outcome {
        if self.wait_for_all(event) {
            return Ok(());
        }
        let body: Exception = event.decode()?;
        if body.severity == 0 {
            self.begin_kill(cx, body.id.id(), &body.kind, body.wait_status);
        }
        Ok(())
    }

    pub(super) fn begin_kill(&mut self, cx: &mut Cx<'_>, id: JobId, kind: &str, status: Option<i32>) {
        let signum = if kind == "timeout" { SIGALRM } else { self.config.term_signal };
        let pause = self.config.kill_timeout;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.killing.is_some() || matches!(job.phase, Phase::Ending | Phase::Syncing) {
            return;
        }
        job.status_named = status.filter(|status| *status > 0);
        let now = cx.now.mono;
        job.killing = Some(Killing { began: now, next: now.after(pause), attempts: 0 });
        if job.mock.is_some() {
            return self.end_mock(cx, id, signum);
        }
        self.signal_tasks(cx, id, signum);
    }

    fn signal_tasks(&mut self, cx: &mut Cx<'_>, id: JobId, signum: i32) {
        let Some(job) = self.jobs.get(&id) else { return };
        job.order(cx, &job.ranks_left(), json!({"id": id.0, "command": {"type": "signal", "signum": signum}}));
    }

    fn kill_shells(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let signum = self.config.kill_signal;
        let Some(job) = self.jobs.get(&id) else { return };
        job.order(cx, &job.ranks_left(), json!({"id": id.0, "kill": signum}));
    }

    /// What is due of jobs' clocks: time limits, the steps of ending, mock jobs that are over.
    pub(super) fn ring_jobs(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let due = |job: &&Job| job.next_timer().is_some_and(|at| at <= now);
        let due: Vec<JobId> = self.jobs.values().filter(due).map(|job| job.id).collect();
        for id in due {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if job.ack_at.take_if(|at| *at <= now).is_some() {
                job.acknowledge_stored(cx);
            }
            if job.limit.take_if(|at| *at <= now).is_some() {
                self.raise(cx, id, 0, "timeout", "resource allocation expired", None);
            }
            self.ring_mock(cx, id);
            self.ring_late(cx, id);
            let killing = self.jobs.get(&id).and_then(|job| job.killing);
            if let Some(killing) = killing.filter(|killing| killing.next <= now) {
                self.kill_step(cx, id, killing);
            }
        }
    }

    fn kill_step(&mut self, cx: &mut Cx<'_>, id: JobId, mut killing: Killing) {
        let (now, pause) = (cx.now.mono, self.config.kill_timeout);
        let since = now.since(killing.began);
        if since < pause * PAUSES_BEFORE_SHELLS {
            self.signal_tasks(cx, id, self.config.kill_signal);
            killing.next = now.after(pause.max(Duration::from_millis(1)));
        } else {
            self.kill_shells(cx, id);
            killing.attempts += 1;
            let tired = match self.config.max_kill_timeout {
                Some(max) => since >= max,
                None => killing.attempts >= self.config.max_kill_count,
            };
            if tired {
                return self.give_up(cx, id);
            }
            let doubled = pause * 2u32.saturating_pow(killing.attempts - 1);
            killing.next = now.after(doubled.clamp(Duration::from_millis(1), KILL_PAUSE_MAX));
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.killing = Some(killing);
        }
    }

    /// Nothing helps: the nodes are drained, and the job ends without them.
    fn give_up(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let left = job.parts.iter().enumerate().filter(|(_, part)| part.status.is_none());
        let (shells, ranks): (Vec<usize>, Idset) = left.map(|(shell, part)| (shell, part.rank.0)).unzip();
        self.drain(cx, &ranks, &format!("unkillable user processes for job {id}"));
        for shell in shells {
            self.shell_ended(cx, id, shell, self.config.kill_signal);
        }
    }

    pub(super) fn set_expiration(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.wait_for_all(request) {
            return Ok(());
        }
        let body: Expiration = request.decode()?;
        let id = body.id.id();
        let Some(job) = self.jobs.get_mut(&id) else {
            return Err(flux_service::Fault::new(flux_wire::Errno::ENOENT, "Job not found"));
        };
        job.expiration = Some(body.expiration).filter(|at| *at > 0.0);
        let command = json!({"type": "expiration", "expiration": body.expiration});
        job.order(cx, &job.ranks(), json!({"id": id.0, "command": command}));
        job.set_limit(cx);
        cx.respond_empty(request);
        Ok(())
    }

    pub(super) fn set_critical_ranks(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.wait_for_all(request) {
            return Ok(());
        }
        let body: CriticalRanks = request.decode()?;
        let fault = |errno, text: &str| flux_service::Fault::new(errno, text);
        let Some(job) = self.jobs.get_mut(&body.id.id()) else {
            return Err(fault(flux_wire::Errno::ENOENT, "Job not found"));
        };
        if !request.cred.authorize(job.userid) && enforced("critical-ranks") {
            return Err(fault(flux_wire::Errno::EPERM, "Permission denied"));
        }
        let ranks: Idset = body.ranks.parse().map_err(|_| fault(flux_wire::Errno::EINVAL, "ranks is no idset"))?;
        job.critical = Some(ranks);
        cx.respond_empty(request);
        Ok(())
    }

    /// The event `shell-ID.kill`, which the manager publishes: every node looks for shells of its own.
    pub(super) fn kill_event(&mut self, cx: &mut Cx<'_>, event: &Message) -> Outcome {
        if self.wait_for_all(event) {
            return Ok(());
        }
        let id = event.topic().strip_prefix("shell-").and_then(|rest| rest.strip_suffix(".kill"));
        let id = id.and_then(|text| text.parse().ok()).map(JobId);
        let signum = event.payload.value()?.get("signum").and_then(Value::as_i64);
        if let (Some(id), Some(signum @ 1..=64)) = (id, signum) {
            self.command(cx, id, json!({"type": "signal", "signum": signum}));
        }
        Ok(())
    }
}

impl Job {
    /// From the time of day in R to our clock.
    pub(super) fn set_limit(&mut self, cx: &Cx<'_>) {
        let left = self.expiration.map(|at| (at - cx.now.wall.0.as_secs_f64()).clamp(0.0, 1e9));
        self.limit = left.map(|left| cx.now.mono.after(Duration::from_secs_f64(left)));
    }
}
