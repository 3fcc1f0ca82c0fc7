//! Nodes that are away: the leader waits a while for them to come back; and a node that restarted asks the leader about every
//! shell it finds, so that none goes on for a job that has been given up (ADR 1).

use std::time::Duration;

use flux_service::{Cx, Fault, Outcome};
use flux_types::{Hostlist, Idset, JobId, eventlog};
use flux_wire::{Errno, Message, Rank, Target};
use serde::Deserialize;
use serde_json::json;

use super::{HELLO_WAIT, JobExec, Pending, RETRY_PAUSE};
use crate::body::WireId;
use crate::kvs;

/// How long a job whose leader restarted waits for nodes that are not there yet.
const NODE_WAIT: Duration = Duration::from_secs(300);
/// RFC 21: `crit`, of an exception that does not end the job.
const SEVERITY_NODE_LOST: u64 = 2;

/// What a node knows of a shell that an earlier broker started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Claim {
    /// It was started by this broker, or the leader wants it.
    #[default]
    Settled,
    /// The leader is being asked, or is to be.
    Open,
    /// As `Open`, of a shell whose leader has gone: the next one wants it, unless the job has ended meanwhile.
    Unsure,
    /// The job is over: it is to end.
    Over,
}

#[derive(Deserialize)]
struct ClaimBody {
    id: WireId,
    rank: u32,
}

#[derive(Deserialize)]
struct Verdict {
    over: bool,
}

impl JobExec {
    // The leader's side.

    /// The stream of a node broke, or could not be made.
    pub(super) fn node_unreachable(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize, fault: &Fault) {
        let (now, grace) = (cx.now.mono, self.config.node_grace);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let part = &mut job.parts[shell];
        let rank = part.rank;
        // The service of the node is being reloaded; the shell waits for it, too.
        let is_reloaded = fault.errno == Errno::ENOSYS && part.started;
        if fault.errno != Errno::EHOSTUNREACH && !is_reloaded {
            let note = format!("lost contact with the node of rank {rank}: {fault}");
            return self.shell_lost(cx, id, shell, None, &note);
        }
        let away = now.since(*part.away_since.get_or_insert(now));
        let restarts = cx.node.statedir.is_some() && cx.node.attr("broker.boot-method") == Some("config");
        let patience = match part.started {
            true if is_reloaded => HELLO_WAIT,
            // After a restart nodes may come back later than the job is looked at, also one of which no more is known than its R.
            false if job.is_found => NODE_WAIT,
            // Also one that was just asked: it says what it has started when it is back, and starts what it has not.
            _ if restarts => grace,
            _ => Duration::ZERO,
        };
        if job.killing.is_none() && away < patience {
            part.absent = true;
            self.absent_at.get_or_insert(now.after(RETRY_PAUSE));
            return;
        }
        let host = host_of(cx, rank);
        if job.critical.as_ref().is_none_or(|critical| critical.contains(shell as u32)) {
            // The first loss ends the job; the others follow from it.
            if job.killing.is_none() {
                self.raise(cx, id, 0, "exec", &format!("node failure on {host} (rank {rank})"), None);
            }
        } else {
            let note = format!("node failure on {host} (shell rank {shell})");
            self.raise(cx, id, SEVERITY_NODE_LOST, "node-failure", &note, None);
        }
        self.shell_ended(cx, id, shell, super::leader::STATUS_UNKNOWN);
    }

    /// Nodes that were not there are asked again.
    pub(super) fn ring_absent(&mut self, cx: &mut Cx<'_>) {
        if self.absent_at.take_if(|at| *at <= cx.now.mono).is_none() {
            return;
        }
        let absent = |(id, job): (&JobId, &super::job::Job)| {
            let parts = job.parts.iter().enumerate().filter(|(_, part)| part.absent && part.status.is_none());
            (*id, parts.map(|(shell, _)| shell as u32).collect::<Idset>())
        };
        let absent: Vec<(JobId, Idset)> = self.jobs.iter().map(absent).collect();
        for (id, shells) in absent.iter().filter(|(_, shells)| !shells.is_empty()) {
            self.launch_shells(cx, *id, shells);
        }
    }

    /// A node has a shell and asks whether it is wanted.
    pub(super) fn claim(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: ClaimBody = request.decode()?;
        let id = body.id.id();
        let Some(job) = self.jobs.get(&id) else {
            let tag = kvs::lookup(cx, &kvs::job_key(id, "eventlog"), 0);
            self.pending.insert(tag, Pending::Claimed(request.clone()));
            return Ok(());
        };
        let found = job.parts.iter().position(|part| part.rank == Rank(body.rank));
        let wanted = found.filter(|shell| job.parts[*shell].status.is_none());
        let waits = wanted.filter(|shell| job.parts[*shell].absent && job.parts[*shell].launch.is_none());
        cx.respond(request, json!({"over": wanted.is_none()}));
        if let Some(shell) = waits {
            self.launch_shells(cx, id, &Idset::range(shell as u32, shell as u32));
        }
        Ok(())
    }

    /// The job is not ours. If its log says that it ended, or there is none, it is over; else the manager has not told us of it yet.
    pub(super) fn on_claimed_log(&mut self, cx: &mut Cx<'_>, request: &Message, reply: &Message) {
        let ended = |name: &str| matches!(name, "finish" | "clean" | "release" | "free");
        // A log that was cut off before the job got its resources: it will get others.
        let is_over = |log: &[eventlog::Entry]| {
            log.iter().any(|entry| ended(&entry.name)) || !log.iter().any(|entry| entry.name == "alloc")
        };
        match (Fault::of(reply), kvs::text(reply)) {
            (Some(fault), _) if fault.errno == Errno::ENOENT => cx.respond(request, json!({"over": true})),
            (None, Ok(log)) if eventlog::decode(&log).is_ok_and(|log| is_over(&log)) => {
                cx.respond(request, json!({"over": true}));
            }
            _ => cx.respond_error(request, &Fault::from(Errno::EAGAIN)),
        }
    }

    // The node's side.

    /// Asks the leader about shells that it has not asked for.
    pub(super) fn claim_shells(&mut self, cx: &mut Cx<'_>) {
        self.claims_at = None;
        let open = |shell: &&mut super::node::Shell| matches!(shell.claim, Claim::Open | Claim::Unsure);
        let mut asked = Vec::new();
        for shell in self.shells.values_mut().filter(open) {
            match shell.leader {
                Some(_) => shell.claim = Claim::Settled,
                None => asked.push(shell.id),
            }
        }
        for id in asked {
            let body = json!({"id": id.0, "rank": cx.node.rank.0});
            let tag = cx.request("job-exec.claim", Target::Rank(Rank::ROOT), body);
            self.pending.insert(tag, Pending::Claim(id));
        }
    }

    pub(super) fn on_claim(&mut self, cx: &mut Cx<'_>, id: JobId, reply: &Message) {
        let is_open = |shell: &&mut super::node::Shell| matches!(shell.claim, Claim::Open | Claim::Unsure);
        let Some(shell) = self.shells.get_mut(&id).filter(is_open) else { return };
        match (shell.leader.is_some(), reply.decode::<Verdict>()) {
            _ if reply.errno().is_some() => _ = self.claims_at.get_or_insert(cx.now.mono.after(RETRY_PAUSE)),
            (true, _) | (false, Ok(Verdict { over: false })) => shell.claim = Claim::Settled,
            (false, Ok(Verdict { over: true })) if shell.claim == Claim::Unsure && shell.finished => {
                self.forget_shell(cx, id);
            }
            (false, Ok(Verdict { over: true })) => {
                shell.claim = Claim::Over;
                self.end_unwanted(cx, id);
            }
            (false, Err(_)) => _ = self.claims_at.get_or_insert(cx.now.mono.after(RETRY_PAUSE)),
        }
    }

    /// A shell that nobody wants is told so when it says hello, and forgotten when it is gone.
    pub(super) fn end_unwanted(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(shell) = self.shells.get_mut(&id).filter(|shell| shell.claim == Claim::Over) else { return };
        if shell.remains.is_some() {
            return self.forget_shell(cx, id);
        }
        if let Some(hello) = &shell.hello {
            cx.end_stream(hello);
        }
    }

    /// No shell of an earlier broker runs here that may be unwanted: the node may be given new work.
    pub(super) fn claims_are_settled(&self) -> bool {
        self.shells.values().all(|shell| matches!(shell.claim, Claim::Settled | Claim::Unsure))
    }
}

/// The host of a rank, as all know it.
fn host_of(cx: &Cx<'_>, rank: Rank) -> String {
    let hosts = cx.node.attr("hostlist").and_then(|text| Hostlist::parse(text).ok());
    hosts.and_then(|hosts| hosts.nth(rank.0 as usize)).map_or_else(|| "(unknown)".to_owned(), |host| host.to_string())
}
