//! `groups`: named sets of brokers, such as `broker.online`.
//!
//! Every broker knows the members below it; what changes is passed on to rank 0, which answers who asks. Those who join are
//! told of together, as far as they come together.
//!
//! When the module is loaded anew it asks the brokers below (`groups.resync`), and answers nobody before they have told. What was
//! said while it was away went further up: who is gone is told of there, whether it was known here or not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flux_service::{Cx, Fault, Handler, LogLevel, Mono, Outcome, Service, Tag};
use flux_types::Idset;
use flux_wire::{Errno, Message, Payload, Rank, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::end_streams;
use crate::limits::{GROUPS_MAX, WAITERS_MAX};

/// The group of the brokers that have been silent for too long.
pub(crate) const TORPID: &str = "broker.torpid";
/// The group of the brokers that are there.
pub(crate) const ONLINE: &str = "broker.online";

/// How long those that join wait for others of whom the broker above is told with them.
const HOLD: Duration = Duration::from_millis(5);

/// A child whose groups are being reloaded, too, is asked again after this time,
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// and no more after this.
const ASK_SPAN: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Groups {
    members: BTreeMap<String, Idset>,
    watchers: Vec<Message>,
    /// Changes that the broker above is to be told of, in their order.
    changes: Vec<Change>,
    tell_at: Option<Mono>,
    /// Children that have not told yet who is below them.
    unheard: BTreeSet<u32>,
    asked: BTreeMap<Tag, u32>,
    ask_at: Option<Mono>,
    ask_until: Mono,
    /// Who waits for that.
    parked: Vec<Message>,
}

#[derive(Deserialize)]
struct Resync {
    children: Idset,
}

#[derive(Deserialize)]
struct Subtree {
    subtree: BTreeMap<String, Idset>,
}

#[derive(Deserialize)]
struct NameBody {
    name: String,
}

/// Ranks that joined or left a group, on their way up.
#[derive(Clone, Debug, Deserialize)]
struct Change {
    name: String,
    ranks: Idset,
    join: bool,
}

#[derive(Deserialize)]
struct Update {
    update: Vec<Change>,
}

#[derive(Deserialize)]
struct Lost {
    ranks: Idset,
}

impl Service for Groups {
    const NAME: &'static str = "groups";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("groups.join", |groups, cx, request| groups.change(cx, request, true)),
        Handler::owner("groups.leave", |groups, cx, request| groups.change(cx, request, false)),
        Handler::owner("groups.update", Groups::update),
        Handler::owner("groups.lost", Groups::lost),
        Handler::owner("groups.resync", Groups::resync),
        Handler::owner("groups.subtree", Groups::subtree),
        Handler::user("groups.get", Groups::get),
        Handler::user("groups.stats-get", Groups::stats_get),
        Handler::user("groups.disconnect", Groups::disconnect),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        if cx.node.rank.is_root() {
            self.members.entry(ONLINE.into()).or_default().insert(cx.node.rank.0);
        }
        Ok(())
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        self.tell(cx);
    }

    fn next_timer(&self) -> Option<Mono> {
        self.tell_at.into_iter().chain(self.ask_at).min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        self.tell(cx);
        if self.ask_at.take_if(|at| *at <= cx.now.mono).is_some() {
            self.ask(cx);
        }
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        self.told(cx, tag, reply);
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.tell_at = Some(cx.now.mono);
        self.tell(cx);
        for request in std::mem::take(&mut self.parked) {
            cx.respond_error(&request, &Fault::new(Errno::ENOSYS, "the groups module is going away"));
        }
        for request in std::mem::take(&mut self.watchers) {
            cx.end_stream(&request);
        }
    }
}

impl Groups {
    fn change(&mut self, cx: &mut Cx<'_>, request: &Message, join: bool) -> Outcome {
        let body: NameBody = request.decode()?;
        if request.route.as_ref().is_some_and(|route| route.len() > 1) {
            return Err(Fault::new(Errno::EPROTO, "a broker joins and leaves groups by its own groups module"));
        }
        let rank = cx.node.rank.0;
        let ranks = Idset::range(rank, rank);
        if !self.apply(cx, &body.name, &ranks, join)? {
            let text = if join { "is a member already" } else { "is not a member" };
            return Err(Fault::new(if join { Errno::EEXIST } else { Errno::ENOENT }, format!("rank {rank} {text}")));
        }
        cx.respond(request, Payload::None);
        Ok(())
    }

    /// Changes a group, and says so to who watches it and to the broker above; `false` if nothing changed.
    fn apply(&mut self, cx: &mut Cx<'_>, name: &str, ranks: &Idset, join: bool) -> Result<bool, Fault> {
        if join && self.members.len() >= GROUPS_MAX && !self.members.contains_key(name) {
            return Err(Fault::new(Errno::ENOMEM, format!("more than {GROUPS_MAX} groups")));
        }
        let set = self.members.entry(name.to_owned()).or_default();
        let before = set.count();
        if join {
            set.extend_from(ranks);
        } else {
            *set = set.subtract(ranks);
        }
        let changed = set.count() != before;
        if set.is_empty() {
            self.members.remove(name);
        }
        if !changed {
            if !join && !ranks.is_empty() && !cx.node.rank.is_root() {
                self.note(cx, name, ranks, false); // It may be known above.
            }
            return Ok(false);
        }
        for watcher in &self.watchers {
            if watcher.decode::<NameBody>().is_ok_and(|watched| watched.name == name) {
                cx.respond(watcher, self.answer(name));
            }
        }
        if !cx.node.rank.is_root() {
            self.note(cx, name, ranks, join);
        }
        Ok(true)
    }

    /// The broker above is to be told: at once if somebody left, or if nobody else can join.
    fn note(&mut self, cx: &Cx<'_>, name: &str, ranks: &Idset, join: bool) {
        match self.changes.last_mut() {
            Some(last) if last.name == name && last.join == join => last.ranks.extend_from(ranks),
            _ => self.changes.push(Change { name: name.to_owned(), ranks: ranks.clone(), join }),
        }
        let all = self.members.get(name).is_some_and(|set| set.count() > cx.node.below.len());
        let at = if join && !all { cx.now.mono.after(HOLD) } else { cx.now.mono };
        self.tell_at = Some(self.tell_at.map_or(at, |due| due.min(at)));
    }

    fn tell(&mut self, cx: &mut Cx<'_>) {
        if self.tell_at.take_if(|at| *at <= cx.now.mono).is_none() || self.changes.is_empty() {
            return;
        }
        let change =
            |change: Change| json!({"name": change.name, "ranks": change.ranks.to_string(), "join": change.join});
        let update: Vec<Value> = std::mem::take(&mut self.changes).into_iter().map(change).collect();
        cx.notify("groups.update", Target::UpstreamOf(cx.node.rank), json!({"update": update}));
    }

    fn update(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let Update { update } = request.decode()?;
        for Change { name, ranks, join } in update {
            self.apply(cx, &name, &ranks, join)?;
        }
        Ok(())
    }

    /// A child is gone, and with it all below: they are members of nothing.
    fn lost(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Lost = request.decode()?;
        if !self.unheard.is_empty() && !cx.node.rank.is_root() {
            // Who they are may be known only above.
            cx.notify("groups.lost", Target::UpstreamOf(cx.node.rank), json!({"ranks": body.ranks.to_string()}));
        }
        let names: Vec<String> = self.members.keys().cloned().collect();
        for name in names {
            let gone = self.members[&name].intersect(&body.ranks);
            self.apply(cx, &name, &gone, false)?;
        }
        Ok(())
    }

    /// This module was loaded anew, while these children were there.
    fn resync(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let Resync { children } = request.decode()?;
        self.unheard = children.iter().collect();
        self.ask_until = cx.now.mono.after(ASK_SPAN);
        self.ask(cx);
        Ok(())
    }

    fn ask(&mut self, cx: &mut Cx<'_>) {
        let known: BTreeSet<u32> = self.asked.values().copied().collect();
        for rank in self.unheard.difference(&known) {
            let tag = cx.request("groups.subtree", Target::Rank(Rank(*rank)), json!({}));
            self.asked.insert(tag, *rank);
        }
    }

    /// What a child says of those below it.
    fn told(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        let Some(rank) = self.asked.remove(&tag) else { return };
        if reply.errno() == Some(Errno::ENOSYS) && cx.now.mono < self.ask_until {
            self.ask_at = Some(cx.now.mono.after(ASK_AGAIN));
            return;
        }
        self.unheard.remove(&rank);
        if let Ok(Subtree { subtree }) = reply.decode() {
            for (name, ranks) in subtree {
                if let Err(fault) = self.apply(cx, &name, &ranks, true) {
                    cx.log(LogLevel::Err, format!("{name}: {fault}"));
                }
            }
        }
        if self.unheard.is_empty() {
            for request in std::mem::take(&mut self.parked) {
                let outcome =
                    if request.topic() == "groups.get" { self.get(cx, &request) } else { self.subtree(cx, &request) };
                if let Err(fault) = outcome {
                    cx.respond_error(&request, &fault);
                }
            }
        }
    }

    /// Holds a request back that cannot be answered yet.
    fn park(&mut self, request: &Message) -> Result<bool, Fault> {
        if self.unheard.is_empty() {
            return Ok(false);
        }
        if self.parked.len() >= WAITERS_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        self.parked.push(request.clone());
        Ok(true)
    }

    fn members_here(&self) -> BTreeMap<&String, String> {
        self.members.iter().map(|(name, set)| (name, set.to_string())).collect()
    }

    /// The broker above asks, whose module was loaded anew.
    fn subtree(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if !self.park(request)? {
            cx.respond(request, json!({"subtree": self.members_here()}));
        }
        Ok(())
    }

    fn answer(&self, name: &str) -> Value {
        json!({"members": self.members.get(name).map(Idset::to_string).unwrap_or_default()})
    }

    fn get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: NameBody = request.decode()?;
        if !cx.node.rank.is_root() {
            return Err(Fault::new(Errno::EPROTO, "groups.get is answered by rank 0 only"));
        }
        if request.is_streaming() && self.watchers.len() >= WAITERS_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        if self.park(request)? {
            return Ok(());
        }
        cx.respond(request, self.answer(&body.name));
        if request.is_streaming() {
            self.watchers.push(request.clone());
        }
        Ok(())
    }

    fn stats_get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        cx.respond(request, json!({"subtree": self.members_here()}));
        Ok(())
    }

    fn disconnect(&mut self, _cx: &mut Cx<'_>, request: &Message) -> Outcome {
        end_streams(&mut self.watchers, request);
        end_streams(&mut self.parked, request);
        Ok(())
    }
}
