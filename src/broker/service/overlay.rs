//! `overlay`: the tree of brokers, as clients see it. An instance of one broker is a tree without edges.

use flux_service::{Cx, Fault, Handler, Mono, Outcome, Service};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::json;

use crate::core::end_streams;

#[derive(Default)]
pub struct Overlay {
    since: Mono,
    monitors: Vec<Message>,
}

#[derive(Deserialize)]
struct RankBody {
    rank: u32,
}

impl Service for Overlay {
    const NAME: &'static str = "overlay";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::user("overlay.health", Overlay::health),
        Handler::user("overlay.topology", Overlay::topology),
        Handler::user("overlay.stats-get", Overlay::stats_get),
        Handler::owner("overlay.monitor", Overlay::monitor),
        Handler::owner("overlay.disconnect", Overlay::disconnect),
        Handler::owner("overlay.disconnect-parent", |_, _, _| {
            Err(Fault::new(Errno::EINVAL, "rank 0 has no parent to disconnect from"))
        }),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.since = cx.now.mono;
        Ok(())
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        for request in std::mem::take(&mut self.monitors) {
            cx.end_stream(&request);
        }
    }
}

impl Overlay {
    fn health(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let duration = cx.now.mono.since(self.since).as_secs_f64();
        cx.respond(request, json!({"rank": cx.node.rank.0, "status": "full", "duration": duration, "children": []}));
        Ok(())
    }

    fn topology(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: RankBody = request.decode()?;
        if body.rank != cx.node.rank.0 {
            return Err(Fault::new(Errno::ENOENT, format!("rank {} is not below rank {}", body.rank, cx.node.rank)));
        }
        cx.respond(request, json!({"rank": body.rank, "size": 1, "children": []}));
        Ok(())
    }

    fn stats_get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body = json!({"child-count": 0, "child-connected": 0, "parent-count": 0, "parent-rpc": 0, "child-rpc": 0,
            "interthread": {"sendq": 0, "recvq": 0}});
        cx.respond(request, body);
        Ok(())
    }

    fn monitor(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if !request.is_streaming() {
            return Err(Fault::from(Errno::EPROTO));
        }
        cx.respond(request, json!({"rank": cx.node.rank.0, "status": "full", "torpid": false}));
        self.monitors.push(request.clone());
        Ok(())
    }

    fn disconnect(&mut self, _cx: &mut Cx<'_>, request: &Message) -> Outcome {
        end_streams(&mut self.monitors, request);
        Ok(())
    }
}
