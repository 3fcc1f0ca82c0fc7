//! `groups`: named sets of brokers, such as `broker.online`.

use std::collections::BTreeMap;

use flux_service::{Cx, Fault, Handler, Outcome, Service};
use flux_types::Idset;
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::end_streams;
use crate::limits::WAITERS_MAX;

#[derive(Default)]
pub struct Groups {
    members: BTreeMap<String, Idset>,
    watchers: Vec<Message>,
}

#[derive(Deserialize)]
struct NameBody {
    name: String,
}

impl Service for Groups {
    const NAME: &'static str = "groups";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("groups.join", |groups, cx, request| groups.change(cx, request, true)),
        Handler::owner("groups.leave", |groups, cx, request| groups.change(cx, request, false)),
        Handler::user("groups.get", Groups::get),
        Handler::user("groups.stats-get", Groups::stats_get),
        Handler::user("groups.disconnect", Groups::disconnect),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.members.entry("broker.online".into()).or_default().insert(cx.node.rank.0);
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
        let set = self.members.entry(body.name.clone()).or_default();
        let changed = if join { set.insert(rank) } else { set.remove(rank) };
        if !changed {
            let text = if join { "is a member already" } else { "is not a member" };
            return Err(Fault::new(if join { Errno::EEXIST } else { Errno::ENOENT }, format!("rank {rank} {text}")));
        }
        for watcher in &self.watchers {
            if watcher.decode::<NameBody>().is_ok_and(|watched| watched.name == body.name) {
                cx.respond(watcher, self.answer(&body.name));
            }
        }
        cx.respond(request, Payload::None);
        Ok(())
    }

    fn answer(&self, name: &str) -> Value {
        json!({"members": self.members.get(name).map(Idset::to_string).unwrap_or_default()})
    }

    fn get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: NameBody = request.decode()?;
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
