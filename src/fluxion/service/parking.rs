//! A module whose requests wait while the graph is lent.

use super::shared::Shared;
use crate::limits::PARKED_COUNT_MAX;
use flux_service::{AnyService, Completion, Cx, Fault, HandlerInfo, Mono, Service, Tag};
use flux_wire::Message;
use serde_json::Value;
use std::collections::VecDeque;

/// A module that uses the graph.
pub(super) trait Sharing: Service {
    /// Answers to its requests wait too.
    const REPLIES_WAIT: bool;

    fn shared(&self) -> &Shared;

    /// The graph has come back with a turn that nobody has told of.
    fn settle(&mut self, _cx: &mut Cx<'_>) {}

    /// `settle` has something to do, or the module could not go on as others waited for the graph.
    fn is_unsettled(&self) -> bool {
        false
    }
}

enum Waiting {
    Message(Message),
    Reply(Tag, Message),
}

/// Calls into the module as long as the graph is here. Meanwhile messages wait, in their order; what cannot wait makes a
/// turn that is under way end with the match it is at.
pub(super) struct Parking<S> {
    pub(super) module: S,
    waiting: VecDeque<Waiting>,
}

impl<S: Sharing> Parking<S> {
    pub(super) fn new(module: S) -> Parking<S> {
        Parking { module, waiting: VecDeque::new() }
    }

    fn is_lent(&self) -> bool {
        self.module.shared().is_lent()
    }

    fn park(&mut self, cx: &mut Cx<'_>, what: Waiting) {
        self.waiting.push_back(what);
        self.module.shared().park();
        if self.waiting.len() >= PARKED_COUNT_MAX {
            self.bring_home(cx);
        }
    }

    /// The graph is here, and all that has waited was handled.
    fn bring_home(&mut self, cx: &mut Cx<'_>) {
        self.module.shared().recall();
        self.module.settle(cx);
        let waiting = std::mem::take(&mut self.waiting);
        self.module.shared().unpark(waiting.len());
        for waited in waiting {
            match waited {
                Waiting::Message(message) => _ = AnyService::dispatch(&mut self.module, cx, &message),
                Waiting::Reply(tag, reply) => Service::on_reply(&mut self.module, cx, tag, &reply),
            }
        }
    }
}

impl<S: Sharing> AnyService for Parking<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn also(&self) -> &'static [&'static str] {
        S::ALSO
    }

    fn table(&self) -> Vec<HandlerInfo> {
        AnyService::table(&self.module)
    }

    fn options(&mut self, args: &[String]) -> Result<(), Fault> {
        Service::options(&mut self.module, args)
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.bring_home(cx);
        Service::start(&mut self.module, cx)
    }

    fn is_ready(&self) -> bool {
        Service::is_ready(&self.module)
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.bring_home(cx);
        Service::stop(&mut self.module, cx);
    }

    fn is_idle(&self) -> bool {
        Service::is_idle(&self.module)
    }

    fn dispatch(&mut self, cx: &mut Cx<'_>, message: &Message) -> bool {
        if !self.is_lent() {
            self.bring_home(cx);
            return AnyService::dispatch(&mut self.module, cx, message);
        }
        let is_known = S::HANDLERS.iter().any(|row| row.kind == message.kind() && row.topic == message.topic());
        if is_known {
            self.park(cx, Waiting::Message(message.clone()));
        }
        is_known
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if S::REPLIES_WAIT && self.is_lent() {
            return self.park(cx, Waiting::Reply(tag, reply.clone()));
        }
        if S::REPLIES_WAIT {
            self.bring_home(cx);
        }
        Service::on_reply(&mut self.module, cx, tag, reply);
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        self.bring_home(cx);
        Service::on_completion(&mut self.module, cx, tag, completion);
    }

    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Message) {
        Service::on_event(&mut self.module, cx, event);
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        if !self.is_lent() {
            self.bring_home(cx);
            Service::on_batch_end(&mut self.module, cx);
        }
    }

    fn next_timer(&self) -> Option<Mono> {
        if self.is_lent() {
            return None; // Its end is a completion.
        }
        // Another of the modules has brought the graph home.
        let is_late = !self.waiting.is_empty() || self.module.is_unsettled();
        if is_late { Some(Mono::default()) } else { Service::next_timer(&self.module) }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        self.bring_home(cx);
        Service::on_timer(&mut self.module, cx);
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.bring_home(cx);
        Service::on_config(&mut self.module, cx)
    }

    fn on_subscribers(&mut self, cx: &mut Cx<'_>, prefixes: &[String]) {
        Service::on_subscribers(&mut self.module, cx, prefixes);
    }

    fn stats(&self) -> Value {
        Service::stats(&self.module)
    }

    fn check(&self) {
        Service::check(&self.module);
    }
}
