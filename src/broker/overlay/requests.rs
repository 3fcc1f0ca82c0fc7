//! `overlay.*`: the tree as clients see it.

use flux_overlay::{Child, Status, Tree};
use flux_service::{Fault, LogLevel};
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CUT_OFF, control};
use crate::core::{Answer, end_streams};
use crate::limits::WAITERS_MAX;
use crate::node::{Node, Output};

#[derive(Deserialize)]
struct RankBody {
    rank: u32,
}

fn monitor_body(child: &Child) -> Payload {
    json!({"rank": child.rank, "status": child.status.name(), "torpid": child.torpid}).into()
}

fn topology(tree: &Tree, rank: u32) -> Value {
    let children: Vec<Value> = tree.children(rank).iter().map(|child| topology(tree, *child)).collect();
    json!({"rank": rank, "size": tree.subtree(rank).count(), "children": children})
}

impl Node {
    /// How it stands here and at the children; a stream is told of every change.
    pub(crate) fn overlay_health(&mut self, request: &Message) -> Answer {
        if request.is_streaming() {
            if self.links.healths.len() >= WAITERS_MAX {
                return Err(Fault::from(Errno::EAGAIN));
            }
            self.links.healths.push(request.clone());
        }
        Ok(Some(self.health_body()))
    }

    fn health_body(&self) -> Payload {
        let now = self.now.mono;
        let family = &self.links.family;
        let child = |child: &Child| {
            let mut body = json!({"rank": child.rank, "status": child.status.name(),
                "duration": now.since(child.since).as_secs_f64()});
            if let Some(error) = child.error.as_ref().filter(|_| !child.status.is_online()) {
                body["error"] = error.as_str().into();
            }
            body
        };
        let children: Vec<Value> = family.children().iter().map(child).collect();
        let duration = now.since(family.since()).as_secs_f64();
        let status = family.status().name();
        json!({"rank": self.info.rank.0, "status": status, "duration": duration, "children": children}).into()
    }

    pub(super) fn tell_healths(&mut self) {
        for request in self.links.healths.clone() {
            self.answer(&request, Ok(self.health_body()));
        }
    }

    pub(crate) fn overlay_topology(&mut self, request: &Message) -> Answer {
        let body: RankBody = request.decode()?;
        let (here, tree) = (self.info.rank.0, &self.links.tree);
        if body.rank != here && tree.child_towards(here, body.rank).is_none() {
            return Err(Fault::new(Errno::ENOENT, format!("rank {} is not below rank {here}", body.rank)));
        }
        Ok(Some(topology(tree, body.rank).into()))
    }

    pub(crate) fn overlay_stats(&mut self, _request: &Message) -> Answer {
        let links = &self.links;
        let parent = links.parent.and_then(|link| links.links.get(&link));
        let below = links.children.values().filter_map(|link| links.links.get(link));
        let body = json!({
            "child-count": links.family.children().len(),
            "child-connected": links.children.len(),
            "parent-count": usize::from(parent.is_some()),
            "parent-rpc": parent.map_or(0, |link| link.tracker.len()),
            "child-rpc": below.map(|link| link.tracker.len()).sum::<usize>(),
            "interthread": {"sendq": 0, "recvq": 0},
        });
        Ok(Some(body.into()))
    }

    /// Follows the children: first those that are or were there, then each that changes.
    pub(crate) fn overlay_monitor(&mut self, request: &Message) -> Answer {
        if !request.is_streaming() {
            return Err(Fault::from(Errno::EPROTO));
        }
        if self.links.monitors.len() >= WAITERS_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        let told = |child: &&Child| child.status != Status::Offline || child.torpid;
        let bodies: Vec<Payload> = self.links.family.children().iter().filter(told).map(monitor_body).collect();
        for body in bodies {
            self.answer(request, Ok(body));
        }
        self.links.monitors.push(request.clone());
        Ok(None)
    }

    pub(super) fn tell_monitors(&mut self, rank: u32) {
        let Some(body) = self.links.family.child(rank).map(monitor_body) else { return };
        for request in self.links.monitors.clone() {
            self.answer(&request, Ok(body.clone()));
        }
    }

    /// The instance ends: so do the streams.
    pub(crate) fn end_overlay_monitors(&mut self) {
        let streams = [&mut self.links.monitors, &mut self.links.healths].map(std::mem::take);
        for request in streams.into_iter().flatten() {
            self.answer(&request, Err(Fault::from(Errno::ENODATA)));
        }
    }

    pub(crate) fn overlay_disconnect(&mut self, request: &Message) -> Answer {
        end_streams(&mut self.links.monitors, request);
        end_streams(&mut self.links.healths, request);
        self.end_traces(request);
        Ok(None)
    }

    pub(crate) fn overlay_disconnect_parent(&mut self, request: &Message) -> Answer {
        #[derive(Deserialize)]
        struct Body {
            reason: String,
        }
        let body: Body = request.decode()?;
        let Some(link) = self.links.parent else {
            return Err(Fault::new(Errno::EINVAL, "there is no parent to disconnect from"));
        };
        self.log(LogLevel::Crit, "overlay", &format!("disconnecting: {}", body.reason));
        self.outputs.push(Output::LinkClose { link });
        self.link_down(link, &body.reason);
        Ok(Some(Payload::None))
    }

    /// Lets a child go, with all below it.
    pub(crate) fn overlay_disconnect_subtree(&mut self, request: &Message) -> Answer {
        let body: RankBody = request.decode()?;
        let Some(child) = self.links.family.child(body.rank) else {
            return Err(Fault::new(Errno::ENOENT, "requested rank is not this broker's direct child"));
        };
        let Some(link) = self.links.children.get(&body.rank).copied() else {
            return Err(Fault::new(Errno::EINVAL, format!("rank {} is already {}", body.rank, child.status.name())));
        };
        self.send_link(link, Message::control(control::DISCONNECT, 0));
        self.outputs.push(Output::LinkClose { link });
        self.link_down(link, CUT_OFF);
        Ok(Some(Payload::None))
    }
}
