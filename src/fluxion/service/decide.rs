//! `sched-fluxion-qmanager`: from the queues' decisions to answers.

use super::queues::FluxionQmanager;
use super::seconds;
use crate::error::MatchError;
use crate::fluxion::Allocation;
use crate::limits::{PAUSE_SECONDS_MAX, TURN_SECONDS_MAX};
use crate::policy::{Decision, Queue, QueuePolicy, Selection, Why};
use flux_sched::{Grant, annotate, deny};
use flux_service::{Cx, stopwatch};
use flux_types::{JobId, JobIdForm, ResourceSet};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

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
    /// Runs the queues that are due, in turns: after a while, whatever is left waits until others have had as long.
    pub(super) fn schedule(&mut self, cx: &mut Cx<'_>) {
        if self.backlog.is_some_and(|at| cx.now.mono < at) {
            return;
        }
        let (now, began) = (seconds(cx), stopwatch());
        let due = |(name, queue): (&String, &Queue)| queue.is_due().then(|| name.clone());
        let mut names: Vec<String> = self.queues.iter().filter_map(due).collect();
        // The queue whose turn was cut short goes on.
        let first = names.iter().position(|name| self.turn.as_ref() == Some(name)).unwrap_or(0);
        names.rotate_left(first);
        (self.turn, self.backlog) = (None, None);
        for name in names {
            let mut decisions = Vec::new();
            let mut is_over = false;
            {
                let (Ok(mut fluxion), Some(queue)) = (self.shared.graph(), self.queues.get_mut(&name)) else { return };
                while queue.is_due() && !is_over {
                    self.cycles += u64::from(!queue.is_stopped());
                    let left = TURN_SECONDS_MAX - (stopwatch() - began);
                    decisions.extend(queue.cycle_within(&mut fluxion, now, left).decisions);
                    is_over = stopwatch() - began > TURN_SECONDS_MAX;
                }
            }
            decisions.into_iter().for_each(|decision| self.decided(cx, decision));
            if is_over {
                self.turn = Some(name);
                let took = Duration::from_secs_f64((stopwatch() - began).clamp(0.0, PAUSE_SECONDS_MAX));
                self.backlog = Some(cx.now.mono.after(2 * took)); // It began at `now`, and others have as long as it took.
                break;
            }
        }
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
        let pending: Vec<String> = queue.into_iter().flat_map(Queue::order).map(encode).collect();
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
