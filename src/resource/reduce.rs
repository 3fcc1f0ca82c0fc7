//! `resource` on a broker that is not rank 0: what those below it have goes up together with its own.

use std::time::Duration;

use flux_service::{Cx, Fault, Handler, Mono, Outcome, Service, Tag};
use flux_types::ResourceSet;
use flux_wire::{Errno, Message, Target};
use serde_json::{Value, json};

use crate::gather::told;

/// How long those that have told wait for the others below.
const HOLD: Duration = Duration::from_millis(200);

/// Collects `resource.topo-reduce` of this broker and all below, and passes them on as one.
#[derive(Default)]
pub struct ResourceReduce {
    held: ResourceSet,
    requests: Vec<Message>,
    flush_at: Option<Mono>,
    /// Passed on, and not answered yet.
    sent: Vec<(Tag, Vec<Message>)>,
    /// Brokers whose resources were passed on.
    passed: usize,
}

impl Service for ResourceReduce {
    const NAME: &'static str = "resource";
    const HANDLERS: &'static [Handler<Self>] = &[Handler::owner("resource.topo-reduce", ResourceReduce::topo_reduce)];

    fn start(&mut self, _cx: &mut Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        let Some(at) = self.sent.iter().position(|(sent, _)| *sent == tag) else { return };
        let (_, requests) = self.sent.swap_remove(at);
        for request in requests {
            match Fault::of(reply) {
                Some(fault) => cx.respond_error(&request, &fault),
                None => cx.respond_empty(&request),
            }
        }
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        if self.flush_at.is_some() {
            self.flush(cx);
        }
    }

    fn is_idle(&self) -> bool {
        self.sent.is_empty()
    }

    fn next_timer(&self) -> Option<Mono> {
        self.flush_at
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.flush_at.is_some_and(|at| at <= cx.now.mono) {
            self.flush(cx);
        }
    }

    fn stats(&self) -> Value {
        json!({"held": self.held.nnodes(), "passed": self.passed})
    }

    fn check(&self) {
        assert_eq!(self.requests.is_empty(), self.flush_at.is_none());
    }
}

impl ResourceReduce {
    fn topo_reduce(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let set = told(request, cx.node.size)?;
        let ours = |rank| rank == cx.node.rank.0 || cx.node.below.contains_key(&rank);
        if !set.ranks().iter().all(ours) {
            return Err(Fault::new(
                Errno::EPROTO,
                format!("ranks {} are not below rank {}", set.ranks(), cx.node.rank),
            ));
        }
        // A broker that restarted meanwhile counts with what it has now.
        self.held.remove_ranks(&set.ranks());
        self.held.append(&set).map_err(|error| Fault::new(Errno::EINVAL, error.to_string()))?;
        self.requests.push(request.clone());
        self.flush_at.get_or_insert(cx.now.mono.after(HOLD));
        if self.passed + self.held.nnodes() > cx.node.below.len() {
            self.flush(cx);
        }
        Ok(())
    }

    fn flush(&mut self, cx: &mut Cx<'_>) {
        self.flush_at = None;
        let set = std::mem::take(&mut self.held);
        self.passed += set.nnodes();
        let body = json!({"ranks": set.ranks().to_string(), "R": set.to_value()});
        let tag = cx.request("resource.topo-reduce", Target::UpstreamOf(cx.node.rank), body);
        self.sent.push((tag, std::mem::take(&mut self.requests)));
    }
}
