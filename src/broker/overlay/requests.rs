//! `overlay.*`: the tree as clients see it.

use flux_overlay::Tree;
use flux_service::Fault;
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::{Answer, end_streams};
use crate::limits::WAITERS_MAX;
use crate::node::{Node, Output};

#[derive(Deserialize)]
struct RankBody {
    rank: u32,
}

fn topology(tree: &Tree, rank: u32) -> Value {
    let children: Vec<Value> = tree.children(rank).iter().map(|child| topology(tree, *child)).collect();
    json!({"rank": rank, "size": tree.subtree(rank).count(), "children": children})
}

impl Node {
    pub(crate) fn overlay_health(&mut self, _request: &Message) -> Answer {
        let now = self.now.mono;
        let family = &self.links.family;
        let child = |child: &flux_overlay::Child| {
            let mut body = json!({"rank": child.rank, "status": child.status.name(),
                "duration": now.since(child.since).as_secs_f64()});
            if let Some(error) = &child.error {
                body["error"] = error.as_str().into();
            }
            body
        };
        let children: Vec<Value> = family.children().iter().map(child).collect();
        let duration = now.since(family.since()).as_secs_f64();
        let body = json!({"rank": self.info.rank.0, "status": family.status().name(), "duration": duration,
            "children": children});
        Ok(Some(body.into()))
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

    fn monitor_body(&self) -> Payload {
        let family = &self.links.family;
        json!({"rank": self.info.rank.0, "status": family.status().name(), "torpid": false}).into()
    }

    pub(crate) fn overlay_monitor(&mut self, request: &Message) -> Answer {
        if !request.is_streaming() {
            return Err(Fault::from(Errno::EPROTO));
        }
        if self.links.monitors.len() >= WAITERS_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        self.links.monitors.push(request.clone());
        Ok(Some(self.monitor_body()))
    }

    pub(super) fn tell_monitors(&mut self) {
        for request in self.links.monitors.clone() {
            self.answer(&request, Ok(self.monitor_body()));
        }
    }

    /// The instance ends: so do the streams.
    pub(crate) fn end_overlay_monitors(&mut self) {
        for request in std::mem::take(&mut self.links.monitors) {
            self.answer(&request, Err(Fault::from(Errno::ENODATA)));
        }
    }

    pub(crate) fn overlay_disconnect(&mut self, request: &Message) -> Answer {
        end_streams(&mut self.links.monitors, request);
        Ok(None)
    }

    pub(crate) fn overlay_disconnect_parent(&mut self, _request: &Message) -> Answer {
        let Some(link) = self.links.parent else {
            return Err(Fault::new(Errno::EINVAL, "there is no parent to disconnect from"));
        };
        self.outputs.push(Output::LinkClose { link });
        self.link_down(link, "disconnected by request");
        Ok(Some(Payload::None))
    }

    /// Lets a child go, with all below it.
    pub(crate) fn overlay_disconnect_subtree(&mut self, request: &Message) -> Answer {
        let body: RankBody = request.decode()?;
        let Some(link) = self.links.children.get(&body.rank).copied() else {
            return Err(Fault::new(Errno::ENOENT, format!("rank {} is not connected here", body.rank)));
        };
        self.outputs.push(Output::LinkClose { link });
        self.link_down(link, "disconnected by request");
        Ok(Some(Payload::None))
    }
}
