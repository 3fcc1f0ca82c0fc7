//! `groups`: named sets of brokers, such as `broker.online`.
//!
//! Every broker knows the members below it; what changes is passed on to rank 0, which answers who asks.

use std::collections::BTreeMap;

use flux_service::{Cx, Fault, Handler, Outcome, Service};
use flux_types::Idset;
use flux_wire::{Errno, Message, Payload, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::end_streams;
use crate::limits::{GROUPS_MAX, WAITERS_MAX};

/// The group of the brokers that have been silent for too long.
pub(crate) const TORPID: &str = "broker.torpid";
/// The group of the brokers that are there.
pub(crate) const ONLINE: &str = "broker.online";

#[derive(Default)]
pub struct Groups {
    members: BTreeMap<String, Idset>,
    watchers: Vec<Message>,
}

#[derive(Deserialize)]
struct NameBody {
    name: String,
}

/// Ranks that joined or left a group, on their way up.
#[derive(Deserialize)]
struct Update {
    name: String,
    ranks: Idset,
    join: bool,
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

    fn stop(&mut self, cx: &mut Cx<'_>) {
        for request in std::mem::take(&mut self.watchers) {
            cx.end_stream(&request);
        }
    }
}

impl Groups {
    fn change(&mut self, cx: &mut Cx<'_>, request: &Message, join: bool) -> Outcome {
        let body: NameBody = request.decode()?;
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
            return Ok(false);
        }
        for watcher in &self.watchers {
            if watcher.decode::<NameBody>().is_ok_and(|watched| watched.name == name) {
                cx.respond(watcher, self.answer(name));
            }
        }
        if !cx.node.rank.is_root() {
            let body = json!({"name": name, "ranks": ranks.to_string(), "join": join});
            cx.notify("groups.update", Target::UpstreamOf(cx.node.rank), body);
        }
        Ok(true)
    }

    fn update(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let Update { name, ranks, join } = request.decode()?;
        self.apply(cx, &name, &ranks, join)?;
        Ok(())
    }

    /// A child is gone, and with it all below: they are members of nothing.
    fn lost(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Lost = request.decode()?;
        let names: Vec<String> = self.members.keys().cloned().collect();
        for name in names {
            let gone = self.members[&name].intersect(&body.ranks);
            self.apply(cx, &name, &gone, false)?;
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
        cx.respond(request, self.answer(&body.name));
        if request.is_streaming() {
            self.watchers.push(request.clone());
        }
        Ok(())
    }

    fn stats_get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let subtree: BTreeMap<&String, String> = self.members.iter().map(|(n, set)| (n, set.to_string())).collect();
        cx.respond(request, json!({"subtree": subtree}));
        Ok(())
    }

    fn disconnect(&mut self, _cx: &mut Cx<'_>, request: &Message) -> Outcome {
        end_streams(&mut self.watchers, request);
        Ok(())
    }
}
