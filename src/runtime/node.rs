//! What the loop needs of a node: a few calls, so that its tests can do without services.

use flux_broker::Node;
pub use flux_broker::{ConnId, Input, Output, Owner};
use flux_service::{Mono, Now};
use serde_json::Value;

/// A pure node: input goes in with the time, outputs come out in a list.
pub trait NodeLike {
    fn handle(&mut self, now: Now, input: Input);
    fn end_turn(&mut self, now: Now);
    fn next_timer(&self) -> Option<Mono>;
    fn on_timer(&mut self, now: Now);
    fn take_outputs(&mut self) -> Vec<Output>;
    /// The configuration as it is now: it says who may connect.
    fn config(&self) -> &Value;
}

impl NodeLike for Node {
    fn handle(&mut self, now: Now, input: Input) {
        Node::handle(self, now, input);
    }

    fn end_turn(&mut self, now: Now) {
        Node::end_turn(self, now);
    }

    fn next_timer(&self) -> Option<Mono> {
        Node::next_timer(self)
    }

    fn on_timer(&mut self, now: Now) {
        Node::on_timer(self, now);
    }

    fn take_outputs(&mut self) -> Vec<Output> {
        Node::take_outputs(self)
    }

    fn config(&self) -> &Value {
        Node::config(self)
    }
}
