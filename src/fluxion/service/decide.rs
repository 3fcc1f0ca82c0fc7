//! `sched-fluxion-qmanager`: from the queues' decisions to answers.

use super::queues::FluxionQmanager;
use super::seconds;
use super::turn::{Taken, Turn};
use crate::error::MatchError;
use crate::fluxion::Allocation;
use crate::limits::TURN_IN_LOOP_SECONDS_MAX;
use crate::policy::{Decision, Queue, QueuePolicy, Selection, Why};
use flux_sched::{Grant, annotate, deny};
use flux_service::{Cx, Work, stopwatch};
use flux_types::{JobId, JobIdForm, ResourceSet};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How often what was done in a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) pending: u64,
    pub(super) running: u64,
    pub(super) reserved: u64,
    pub(super) rejected: u64,
    pub(super) complete: u64,
    pub(super) cancelled: u64,
    pub(super) reprioritized: u64,
}

/// A pair of texts for users: a key word and a sentence.
pub(super) fn why_body(queue: &str, why: Why) -> Value {
    let (reason, text) = match why {
        Why::NotLookedAt => ("queue-depth", "it is new, or deeper in the queue than is looked at"),
        Why::Busy => ("busy", "the resources it needs are in use"),
        Why::Reserved { .. } => ("reserved", "the resources it needs are in use; it has a reservation"),
        Why::Blocked => ("down", "it needs resources that are down"),
        Why::BehindAnother => ("behind", "a job before it in the queue waits, and the policy lets nobody pass"),
    };
    let mut body = json!({"queue": queue, "reason": reason, "text": text});
    if let Why::Reserved { at } = why {
        body["t_estimate"] = at.into();
    }
    body
}

impl FluxionQmanager {
    /// Runs the queues that are due: in the loop for a moment, and what is left, or what may take longer, in a thread.
    pub(super) fn schedule(&mut self, cx: &mut Cx<'_>) {
        // Those that have waited come first.
        self.is_postponed = self.shared.is_awaited();
        if self.is_postponed {
            return;
        }
        let (now, began, in_loop_max) = (seconds(cx), stopwatch(), self.in_loop_max());
        let due = |(name, queue): (&String, &Queue)| queue.is_due().then(|| name.clone());
        let mut names: Vec<String> = self.queues.iter().filter_map(due).collect();
        // The queue whose cycle was cut short goes on, else the one after it is next.
        if let Some((last, is_stopped)) = self.turn.take() {
            let first =
                names.iter().position(|name| if is_stopped { *name >= last } else { *name > last }).unwrap_or(0);
            names.rotate_left(first);
        }
        for name in names {
            let mut taken = Taken { is_over: true, ..Taken::default() };
            {
                let (Ok(mut fluxion), Some(queue)) = (self.shared.graph(), self.queues.get_mut(&name)) else { return };
                if fluxion.engine().graph.vertex_count() <= in_loop_max {
                    let is_over = || stopwatch() - began > TURN_IN_LOOP_SECONDS_MAX;
                    taken = Taken::of(queue, &mut fluxion, now, &is_over);
                    queue.settle();
                }
            }
            self.cycles += taken.cycles;
            taken.decisions.into_iter().for_each(|decision| self.decided(cx, decision));
            if taken.is_over {
                self.lend(cx, name, now);
                break;
            }
        }
        self.queues.retain(|_, queue| !queue.is_empty());
    }

    /// Goes on with a queue in a thread, if there is something left to do.
    fn lend(&mut self, cx: &mut Cx<'_>, name: String, now: i64) {
        let Some(queue) = self.queues.remove(&name) else { return };
        self.turn = Some((name.clone(), queue.is_stopped()));
        if !queue.is_due() {
            self.queues.insert(name, queue);
            return;
        }
        let errand = self.shared.lend(|fluxion, hurry| {
            let turn = Turn { fluxion: Some(fluxion), name, queue, now, hurry, taken: Taken::default() };
            Work::new(move || turn.run())
        });
        errand.into_iter().for_each(|errand| _ = cx.compute(errand));
    }

    /// A turn in a thread has ended: what it decided is told, but for jobs on what went down meanwhile.
    pub(super) fn turn_ended(&mut self, cx: &mut Cx<'_>) {
        let Some((Turn { name, mut queue, taken, .. }, lost)) = self.shared.take_ended() else { return };
        let is_lost = |allocation: &Allocation| {
            let ranks = ResourceSet::from_value(&allocation.r).map(|set| set.ranks()).unwrap_or_default();
            !lost.is_empty() && !ranks.intersect(&lost).is_empty()
        };
        self.cycles += taken.cycles;
        let (taken_back, decisions): (Vec<Decision>, Vec<Decision>) = taken
            .decisions
            .into_iter()
            .partition(|decision| matches!(decision, Decision::Start { allocation, .. } if is_lost(allocation)));
        for decision in taken_back {
            let Decision::Start { id, .. } = decision else { continue };
            if let Ok(mut fluxion) = self.shared.graph() {
                _ = fluxion.cancel(id);
            }
            queue.put_back(id);
        }
        queue.settle();
        self.turn = Some((name.clone(), queue.is_stopped()));
        self.queues.insert(name, queue);
        decisions.into_iter().for_each(|decision| self.decided(cx, decision));
        self.queues.retain(|_, queue| !queue.is_empty());
    }

    fn decided(&mut self, cx: &mut Cx<'_>, decision: Decision) {
        match decision {
            Decision::Start { id, allocation, selection } => self.started(cx, id, *allocation, selection),
            Decision::Reject { id, error } => {
                let Some((message, name)) = self.messages.remove(&id) else { return };
                self.counts.entry(name).or_default().rejected += 1;
                let kind = if error == MatchError::Unsatisfiable { "unsatisfiable" } else { "match error" };
                deny(cx, &message, id, &format!("alloc denied due to type=\"{kind}\""));
            }
            Decision::Estimate { id, at } => {
                let Some((message, name)) = self.messages.get(&id) else { return };
                self.counts.entry(name.clone()).or_default().reserved += u64::from(at.is_some());
                let selection = at.map(|_| Selection::Reserved.name());
                let sched = json!({"t_estimate": at.map(|at| at as f64), "selection_type": selection});
                annotate(cx, message, id, json!({"sched": sched}));
            }
        }
    }

    fn started(&mut self, cx: &mut Cx<'_>, id: u64, allocation: Allocation, selection: Selection) {
        let Some((message, name)) = self.messages.remove(&id) else { return };
        let mut r = allocation.r;
        exact_times(&mut r, cx.now.wall.timestamp(), allocation.duration);
        // What is neither core nor GPU has no place in the execution part.
        let set = ResourceSet::from_value(&r).unwrap_or_default();
        let sched = json!({"t_estimate": null, "selection_type": selection.name(), "resource_summary": set.dumps()});
        if self.handshake.grant(cx, &message, Grant { id, set, r, annotations: json!({"sched": sched}) }) {
            self.counts.entry(name.clone()).or_default().running += 1;
            self.running.insert(id, name);
        }
    }

    pub(super) fn all_stats(&self) -> Value {
        let seen = self.counts.keys().chain(self.queues.keys()).chain(self.running.values()).chain(&self.configured);
        let names: BTreeSet<&String> = seen.collect();
        let queues = names.into_iter().map(|name| (name.clone(), self.queue_stats(name)));
        json!({"queues": Value::Object(queues.collect()), "cycles": self.cycles})
    }

    fn queue_stats(&self, name: &str) -> Value {
        let config = self.config_of(name);
        let counts = self.counts.get(name).copied().unwrap_or_default();
        let encode = |id: u64| JobId(id).encode(JobIdForm::F58Plain);
        let queue = self.queues.get(name);
        let pending: Vec<String> = match queue {
            Some(queue) => queue.order().map(encode).collect(),
            // It is in a turn.
            None => self.messages.iter().filter(|(_, (_, of))| of == name).map(|(id, _)| encode(*id)).collect(),
        };
        let blocked: Vec<String> = queue.into_iter().flat_map(Queue::blocked).map(encode).collect();
        let running: Vec<String> =
            self.running.iter().filter(|(_, of)| *of == name).map(|(id, _)| encode(*id)).collect();
        let mut policy_parameters = json!({});
        if matches!(config.policy, QueuePolicy::Hybrid | QueuePolicy::Conservative) {
            policy_parameters["reservation-depth"] = config.reservation_depth.to_string().into();
        }
        json!({"policy": config.policy.name(), "queue_depth": config.queue_depth,
            "max_queue_depth": config.queue_depth_max,
            "queue_parameters": {"queue-depth": config.queue_depth.to_string()},
            "policy_parameters": policy_parameters,
            "action_counts": {"pending": counts.pending, "running": counts.running, "reserved": counts.reserved,
                "rejected": counts.rejected, "complete": counts.complete, "cancelled": counts.cancelled,
                "reprioritized": counts.reprioritized},
            "pending_queues": {"pending": pending, "pending_provisional": [], "blocked": blocked},
            "scheduled_queues": {"running": running, "rejected": [], "canceled": []}})
    }
}

/// The graph plans in whole seconds. A job gets its time to the fraction, from when it was in fact given resources.
fn exact_times(r: &mut Value, start: f64, duration: f64) {
    let execution = &mut r["execution"];
    let limit = execution["expiration"].as_f64().unwrap_or(0.0);
    execution["starttime"] = start.into();
    if duration > 0.0 && limit > 0.0 {
        let is_cut = limit < (start + duration).floor();
        execution["expiration"] = if is_cut { limit } else { start + duration }.into();
    }
}
