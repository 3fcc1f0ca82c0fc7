//! Brokers between the leader and the nodes of a job: what goes to many nodes goes to each child once, and what the nodes say is put
//! together on its way up (ADR 15).
//!
//! A launch or an order that has `ranks` is for those; the service on each broker passes it on, split by children. The answers of a
//! launch for many are `{"type":"said","said":[[shells, number, what], ...]}`: what these shells said, each under this number of its
//! own. `started` is number 0; what ends a stream without an event has the last of all numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use flux_service::{Cx, Fault, LogLevel, Mono, Outcome, Plant, Tag, planted};
use flux_types::{Idset, JobId};
use flux_wire::{Errno, Message, Rank, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{JobExec, Pending};
use crate::body::WireId;
use crate::limits::RELAY_SAID_MAX;

/// How long what all shells say is held for those that have not said it.
const HOLD: Duration = Duration::from_millis(20);
/// How long output is held for that of others.
const HOLD_OUTPUT: Duration = Duration::from_millis(1);
/// The number of what is said of a shell that is gone.
const LAST: u64 = u64::MAX;

/// A launch that was passed on: the job, and a number of its own.
pub(super) type RelayKey = (JobId, u64);

/// What some shells said.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub shells: Idset,
    pub what: Value,
}

/// A launch that was passed on, and what its shells have said since the last answer.
#[derive(Debug)]
pub(super) struct Relay {
    request: Message,
    /// The shells that have not ended, each with how many of the things it has said that all shells say.
    level: BTreeMap<u32, u32>,
    /// How many shells are at each level.
    at_level: BTreeMap<u32, u32>,
    /// By number, so that what each shell says stays in order.
    said: BTreeMap<u64, Vec<Said>>,
    count: usize,
    flush_at: Option<Mono>,
}

impl Relay {
    pub(super) fn request(&self) -> &Message {
        &self.request
    }
}

#[derive(Deserialize)]
struct Many {
    id: WireId,
    ranks: Idset,
    shells: Idset,
}

#[derive(Deserialize)]
struct ManyOrders {
    id: WireId,
    ranks: Idset,
    #[serde(default)]
    done: bool,
}

/// How a thing that is said counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All shells say it.
    Step,
    /// All shells say it, and nothing thereafter.
    End,
    /// It is not to wait.
    Urgent,
    /// Output, and what else only this shell says.
    Own,
}

fn kind(what: &Value) -> Kind {
    match what.get("type").and_then(Value::as_str) {
        Some("started" | "barrier") => Kind::Step,
        Some("finish" | "failed" | "lost" | "unreachable") => Kind::End,
        Some("exception" | "passed") => Kind::Urgent,
        _ => Kind::Own,
    }
}

/// Shells say the same thing, but for the data that they bring to a barrier.
fn is_same(said: &Value, what: &Value) -> bool {
    let of_barrier = |it: &Value| it.get("type").is_some_and(|kind| kind == "barrier");
    if of_barrier(said) && of_barrier(what) { said["name"] == what["name"] } else { said == what }
}

/// Puts the data together that shells bring to a barrier.
fn merge_data(into: &mut Value, mut what: Value) {
    let Some(data) = what.get_mut("data").map(Value::take) else { return };
    match (into.get_mut("data").and_then(Value::as_object_mut), data) {
        (Some(all), Value::Object(data)) => all.extend(data),
        (None, data) => into["data"] = data,
        _ => {}
    }
}

impl Relay {
    fn new(request: &Message, shells: &Idset) -> Relay {
        Relay {
            request: request.clone(),
            level: shells.iter().map(|shell| (shell, 0)).collect(),
            at_level: BTreeMap::from([(0, shells.count() as u32)]),
            said: BTreeMap::new(),
            count: 0,
            flush_at: None,
        }
    }

    fn leave(&mut self, level: u32) {
        if let Some(count) = self.at_level.get_mut(&level) {
            *count -= 1;
            if *count == 0 {
                self.at_level.remove(&level);
            }
        }
    }

    fn forget(&mut self, shell: u32) {
        if let Some(level) = self.level.remove(&shell) {
            self.leave(level);
        }
    }

    /// Each of these shells has said one more of the things that all say. Answers whether all have said that.
    fn step(&mut self, shells: &Idset) -> bool {
        let mut reached = 0;
        for shell in shells.iter() {
            let Some(level) = self.level.get_mut(&shell) else { continue };
            *level += 1;
            reached = *level;
            self.leave(reached - 1);
            *self.at_level.entry(reached).or_default() += 1;
        }
        self.at_level.first_key_value().is_none_or(|(least, _)| *least >= reached)
    }

    fn hear(&mut self, now: Mono, shells: &Idset, number: u64, what: Value) {
        let kind = kind(&what);
        let (all, hold) = match kind {
            Kind::Step => (self.step(shells), HOLD),
            Kind::End => {
                shells.iter().for_each(|shell| self.forget(shell));
                (self.level.is_empty(), HOLD)
            }
            Kind::Urgent => (true, HOLD),
            Kind::Own => (self.level.len() <= 1, HOLD_OUTPUT),
        };
        let same = self.said.entry(number).or_default();
        let known = match kind {
            Kind::Step | Kind::End => same.iter().position(|said| is_same(&said.what, &what)),
            Kind::Urgent | Kind::Own => None,
        };
        match known {
            Some(_) if planted(Plant::MergedForgotten) => {}
            Some(at) => {
                same[at].shells.extend_from(shells);
                merge_data(&mut same[at].what, what);
            }
            None => {
                same.push(Said { shells: shells.clone(), what });
                self.count += 1;
            }
        }
        let due = if all || self.count >= RELAY_SAID_MAX { now } else { now.after(hold) };
        self.flush_at = Some(self.flush_at.map_or(due, |at| at.min(due)));
    }

    fn flush(&mut self, cx: &mut Cx<'_>) {
        self.flush_at = None;
        self.count = 0;
        let said = std::mem::take(&mut self.said).into_iter();
        let said = said.flat_map(|(number, said)| said.into_iter().map(move |said| (number, said)));
        let said: Vec<Value> = said.map(|(number, said)| json!([said.shells.to_string(), number, said.what])).collect();
        if !said.is_empty() {
            cx.respond(&self.request, json!({"type": "said", "said": said}));
        }
    }
}

/// What a node or relay says on the stream of a launch, in its one form: shells, number, and what.
pub(super) fn all_said(shells: &Idset, reply: &Value, mut take: impl FnMut(&Idset, u64, &Value)) -> Result<(), String> {
    let array = |key: &str| reply.get(key).and_then(Value::as_array).ok_or_else(|| format!("no {key}"));
    match reply.get("type").and_then(Value::as_str) {
        Some("said") => {
            for said in array("said")? {
                let of = said.get(0).and_then(Value::as_str).and_then(|text| text.parse::<Idset>().ok());
                let (Some(of), Some(number), Some(what)) = (of, said.get(1).and_then(Value::as_u64), said.get(2))
                else {
                    return Err(said.to_string());
                };
                take(&of.intersect(shells), number, what);
            }
        }
        Some("events") => {
            for pair in array("events")? {
                let (Some(number), Some(event)) = (pair.get(0).and_then(Value::as_u64), pair.get(1)) else {
                    return Err(pair.to_string());
                };
                take(shells, number, event);
            }
        }
        Some("started") => take(shells, 0, reply),
        Some(_) => take(shells, LAST, reply),
        None => return Err(reply.to_string()),
    }
    Ok(())
}

/// The stream of these shells has ended; nothing more is heard of them on it.
pub(super) fn unreachable(fault: &Fault) -> Value {
    json!({"type": "unreachable", "errno": fault.errno.0, "note": fault.text})
}

/// What [`unreachable`] told.
pub(super) fn reason(what: &Value) -> Fault {
    let errno = what.get("errno").and_then(Value::as_i64).and_then(|errno| i32::try_from(errno).ok());
    let note = what.get("note").and_then(Value::as_str).unwrap_or_default();
    Fault::new(errno.map_or(Errno::EPROTO, Errno), note)
}

/// Ranks by the broker that is next on the way to them: a child, or this one.
fn by_hop(cx: &Cx<'_>, ranks: &Idset) -> BTreeMap<u32, Idset> {
    let mut hops: BTreeMap<u32, Idset> = BTreeMap::new();
    for rank in ranks.iter() {
        let hop = cx.node.below.get(&rank).copied().unwrap_or(rank);
        hops.entry(hop).or_default().insert(rank);
    }
    hops
}

/// Of `shells`, which belong to `all` in their order, those of `ranks`.
fn shells_of(all: &Idset, shells: &Idset, ranks: &Idset) -> Idset {
    let pairs = all.iter().zip(shells.iter());
    pairs.filter(|(rank, _)| ranks.contains(*rank)).map(|(_, shell)| shell).collect()
}

/// Launches shells on these ranks: `body` is what all are told. Answers each stream with the shells that it is for.
pub(super) fn spread_launch(cx: &mut Cx<'_>, body: &Value, ranks: &Idset, shells: &Idset) -> Vec<(Tag, Idset)> {
    let mut streams = Vec::new();
    for (hop, below) in by_hop(cx, ranks) {
        let of = shells_of(ranks, shells, &below);
        let mut body = body.clone();
        let tag = match of.first() {
            Some(shell) if below == Idset::range(hop, hop) => launch_one(cx, Rank(hop), shell, body),
            _ => {
                body["ranks"] = below.to_string().into();
                body["shells"] = of.to_string().into();
                cx.request_stream("job-exec.launch", Target::Rank(Rank(hop)), body)
            }
        };
        streams.push((tag, of));
    }
    streams
}

/// The same for one node.
pub(super) fn launch_one(cx: &mut Cx<'_>, rank: Rank, shell: u32, mut body: Value) -> Tag {
    body["shell_rank"] = shell.into();
    cx.request_stream("job-exec.launch", Target::Rank(rank), body)
}

/// Gives an order to the nodes of these ranks. In `acks` are ranks, and the number up to which what their shells said is stored.
pub(super) fn spread_order(cx: &mut Cx<'_>, order: &Value, ranks: &Idset) {
    for (hop, below) in by_hop(cx, ranks) {
        let mut order = order.clone();
        if let Some(acks) = order.get_mut("acks") {
            *acks = acks_of(acks, &below);
        }
        if below == Idset::range(hop, hop) {
            order_one(cx, Rank(hop), order);
        } else {
            order["ranks"] = below.to_string().into();
            cx.notify("job-exec.order", Target::Rank(Rank(hop)), order);
        }
    }
}

/// The same for one node.
pub(super) fn order_one(cx: &mut Cx<'_>, rank: Rank, mut order: Value) {
    if let Some(acks) = order.as_object_mut().and_then(|order| order.remove("acks")) {
        order["command"] = json!({"type": "acked", "seq": acks[0][1]});
    }
    cx.notify("job-exec.order", Target::Rank(rank), order);
}

/// Those for `ranks`.
fn acks_of(acks: &Value, ranks: &Idset) -> Value {
    let one = |ack: &Value| {
        let of: Idset = ack.get(0)?.as_str()?.parse().ok()?;
        let of = of.intersect(ranks);
        (!of.is_empty()).then(|| json!([of.to_string(), ack[1]]))
    };
    acks.as_array().into_iter().flatten().filter_map(one).collect()
}

impl JobExec {
    /// A launch for more ranks than this one.
    pub(super) fn relay_launch(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let Many { id, ranks, shells } = request.decode()?;
        if ranks.count() != shells.count() || ranks.iter().any(|rank| !reaches(cx, rank)) {
            return Err(Fault::new(Errno::EPROTO, format!("the ranks {ranks} are not those below this one")));
        }
        let id = id.id();
        // A leader that asks again is told from now on; what an earlier one was to be told is not.
        for (_, relay) in self.relays.range_mut((id, 0)..=(id, u64::MAX)) {
            shells.iter().for_each(|shell| relay.forget(shell));
        }
        let mut body = (*request.payload.value()?).clone();
        if let Some(body) = body.as_object_mut() {
            body.shift_remove("ranks");
            body.shift_remove("shells");
        }
        self.relays_made += 1;
        let key = (id, self.relays_made);
        self.relays.insert(key, Relay::new(request, &shells));
        for (tag, of) in spread_launch(cx, &body, &ranks, &shells) {
            self.pending.insert(tag, Pending::Relay(key, of));
        }
        Ok(())
    }

    pub(super) fn on_relay_reply(&mut self, cx: &mut Cx<'_>, key: RelayKey, shells: &Idset, reply: &Message) {
        let now = cx.now.mono;
        let Some(relay) = self.relays.get_mut(&key) else { return };
        if let Some(fault) = Fault::of(reply) {
            let left: Idset = shells.iter().filter(|shell| relay.level.contains_key(shell)).collect();
            if !left.is_empty() {
                relay.hear(now, &left, LAST, unreachable(&fault));
            }
        } else if let Ok(body) = reply.payload.value() {
            let told = all_said(shells, &body, |of, number, what| relay.hear(now, of, number, what.clone()));
            if let Err(text) = told {
                cx.log(LogLevel::Err, format!("job-exec: {}: this is not understood: {text}", key.0));
            }
        }
    }

    /// An order for more ranks than this one.
    pub(super) fn relay_order(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let ManyOrders { id, ranks, done } = request.decode()?;
        let id = id.id();
        if ranks.iter().any(|rank| !reaches(cx, rank)) {
            return Err(Fault::new(Errno::EPROTO, format!("the ranks {ranks} are not those below this one")));
        }
        let mut order = (*request.payload.value()?).clone();
        if let Some(order) = order.as_object_mut() {
            order.shift_remove("ranks");
        }
        spread_order(cx, &order, &ranks);
        if done {
            self.end_relays(cx, id);
        }
        Ok(())
    }

    fn end_relays(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let keys: Vec<RelayKey> = self.relays.range((id, 0)..=(id, u64::MAX)).map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(relay) = self.relays.remove(&key) {
                cx.end_stream(&relay.request);
            }
        }
    }

    /// Who asked is gone.
    /// Who asked for launches below is gone: so it is for those below.
    pub(super) fn disconnect_relays(&mut self, cx: &mut Cx<'_>, request: &Message) {
        let before = self.relays.len();
        self.relays.retain(|_, relay| !request.same_sender(&relay.request));
        if self.relays.len() < before {
            let children: Idset = cx.node.below.values().copied().chain([cx.node.rank.0]).collect();
            children.iter().for_each(|rank| cx.notify("job-exec.disconnect", Target::Rank(Rank(rank)), json!({})));
        }
    }

    pub(super) fn next_flush(&self) -> Option<Mono> {
        self.relays.values().filter_map(|relay| relay.flush_at).min()
    }

    /// Passes on what has been held long enough.
    pub(super) fn flush_relays(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        for relay in self.relays.values_mut().filter(|relay| relay.flush_at.is_some_and(|at| at <= now)) {
            relay.flush(cx);
        }
    }
}

/// A rank that is this one or below it.
fn reaches(cx: &Cx<'_>, rank: u32) -> bool {
    rank == cx.node.rank.0 || cx.node.below.contains_key(&rank)
}
