//! The handler table: at once dispatch, access policy, and index of a service's file.

use flux_wire::{Errno, Kind, Message, role};
use serde_json::Value;

use crate::{Completion, Cx, Fault, Mono, Tag, enforced};

/// What a handler says: `Err` is answered to the requester; after `Ok` the handler has answered, or will.
pub type Outcome = Result<(), Fault>;

/// One row: requests or events of `topic` run `run`, for senders with any of `roles` (the owner always may).
pub struct Handler<S: 'static> {
    /// `service.method`; a `*` stands for any text. Rows are tried in order.
    pub topic: &'static str,
    pub kind: Kind,
    pub roles: u32,
    pub run: fn(&mut S, &mut Cx<'_>, &Message) -> Outcome,
}

impl<S> Handler<S> {
    /// A request that only the instance owner may make.
    pub const fn owner(topic: &'static str, run: fn(&mut S, &mut Cx<'_>, &Message) -> Outcome) -> Self {
        Handler { topic, kind: Kind::Request, roles: role::OWNER, run }
    }

    /// A request that guests may make too; the handler itself decides on what.
    pub const fn user(topic: &'static str, run: fn(&mut S, &mut Cx<'_>, &Message) -> Outcome) -> Self {
        Handler { topic, kind: Kind::Request, roles: role::OWNER | role::USER, run }
    }

    /// A request that every authenticated sender may make.
    pub const fn all(topic: &'static str, run: fn(&mut S, &mut Cx<'_>, &Message) -> Outcome) -> Self {
        Handler { topic, kind: Kind::Request, roles: role::ALL, run }
    }

    /// An event the service listens to for as long as it runs. Events come from the owner's services only.
    pub const fn event(topic: &'static str, run: fn(&mut S, &mut Cx<'_>, &Message) -> Outcome) -> Self {
        Handler { topic, kind: Kind::Event, roles: role::OWNER, run }
    }
}

/// A row without its function: what tests and the access table iterate over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerInfo {
    pub topic: &'static str,
    pub kind: Kind,
    pub roles: u32,
}

/// A service of the broker. All methods get the time in `cx`; none may block.
pub trait Service: Sized + 'static {
    /// The module's name as `flux module list` shows it.
    const NAME: &'static str;
    /// Further service names that it answers for ("sched", "content-backing" ...).
    const ALSO: &'static [&'static str] = &[];
    const HANDLERS: &'static [Handler<Self>];

    /// The words behind the module's name when it was loaded (`flux module load NAME WORD...`); before `start`.
    ///
    /// # Errors
    /// A word that means nothing to the service.
    fn options(&mut self, _args: &[String]) -> Result<(), Fault> {
        Ok(())
    }

    /// Runs once, when the service is loaded.
    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault>;

    /// Recovery is over and requests are served. The instance runs its program when every service says so.
    fn is_ready(&self) -> bool {
        true
    }

    /// The instance wants to end, or the service to be removed: finish what must be finished, then report `is_idle`.
    fn stop(&mut self, _cx: &mut Cx<'_>) {}

    /// After `stop`: nothing is left that must be waited for.
    fn is_idle(&self) -> bool {
        true
    }

    /// A response to a request that this service made.
    fn on_reply(&mut self, _cx: &mut Cx<'_>, _tag: Tag, _reply: &Message) {}

    /// A completion of a store, process or file operation.
    fn on_completion(&mut self, _cx: &mut Cx<'_>, _tag: Tag, _completion: Completion) {}

    /// An event subscribed to with `Cx::subscribe`.
    fn on_event(&mut self, _cx: &mut Cx<'_>, _event: &Message) {}

    /// All messages that were ready in this turn have been handled: the place to do batched work once.
    fn on_batch_end(&mut self, _cx: &mut Cx<'_>) {}

    /// When `on_timer` next has work.
    fn next_timer(&self) -> Option<Mono> {
        None
    }

    fn on_timer(&mut self, _cx: &mut Cx<'_>) {}

    /// `cx.node.config` has changed.
    ///
    /// # Errors
    /// Why the new configuration is refused; the service goes on with the old one.
    fn on_config(&mut self, _cx: &mut Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// The event prefixes that clients, services and other brokers listen to from here on; told when the service is
    /// loaded and whenever they change. A service whose events cost something to make may then save them.
    fn on_subscribers(&mut self, _cx: &mut Cx<'_>, _prefixes: &[String]) {}

    /// Service-specific statistics (`NAME.stats-get`); an object.
    fn stats(&self) -> Value {
        Value::Object(serde_json::Map::new())
    }

    /// Asserts the service's invariants; tests call it after every step.
    fn check(&self) {}
}

/// A service without its type, for the node's table. Implemented for every [`Service`].
pub trait AnyService {
    fn name(&self) -> &'static str;
    fn also(&self) -> &'static [&'static str];
    fn table(&self) -> Vec<HandlerInfo>;
    fn options(&mut self, args: &[String]) -> Result<(), Fault>;
    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault>;
    fn is_ready(&self) -> bool;
    fn stop(&mut self, cx: &mut Cx<'_>);
    fn is_idle(&self) -> bool;
    /// Finds the handler, checks the sender's role, runs it, and answers with its fault if there is one.
    /// `false`: the table has no such row, and nothing was done.
    fn dispatch(&mut self, cx: &mut Cx<'_>, message: &Message) -> bool;
    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message);
    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion);
    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Message);
    fn on_batch_end(&mut self, cx: &mut Cx<'_>);
    fn next_timer(&self) -> Option<Mono>;
    fn on_timer(&mut self, cx: &mut Cx<'_>);
    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault>;
    fn on_subscribers(&mut self, cx: &mut Cx<'_>, prefixes: &[String]);
    fn stats(&self) -> Value;
    fn check(&self);
}

impl<S: Service> AnyService for S {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn also(&self) -> &'static [&'static str] {
        S::ALSO
    }

    fn table(&self) -> Vec<HandlerInfo> {
        S::HANDLERS.iter().map(|h| HandlerInfo { topic: h.topic, kind: h.kind, roles: h.roles }).collect()
    }

    fn options(&mut self, args: &[String]) -> Result<(), Fault> {
        Service::options(self, args)
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        Service::start(self, cx)
    }

    fn is_ready(&self) -> bool {
        Service::is_ready(self)
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        Service::stop(self, cx);
    }

    fn is_idle(&self) -> bool {
        Service::is_idle(self)
    }

    fn dispatch(&mut self, cx: &mut Cx<'_>, message: &Message) -> bool {
        let kind = message.kind();
        let mut found = false;
        for row in S::HANDLERS.iter().filter(|row| row.kind == kind && topic_matches(row.topic, message.topic())) {
            found = true;
            let outcome = match denied(row.roles, message) {
                Some(fault) => Err(fault),
                None => (row.run)(self, cx, message),
            };
            if let Err(fault) = outcome {
                cx.respond_error(message, &fault);
            }
            if kind == Kind::Request {
                break;
            }
        }
        found
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        Service::on_reply(self, cx, tag, reply);
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        Service::on_completion(self, cx, tag, completion);
    }

    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Message) {
        Service::on_event(self, cx, event);
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        Service::on_batch_end(self, cx);
    }

    fn next_timer(&self) -> Option<Mono> {
        Service::next_timer(self)
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        Service::on_timer(self, cx);
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        Service::on_config(self, cx)
    }

    fn on_subscribers(&mut self, cx: &mut Cx<'_>, prefixes: &[String]) {
        Service::on_subscribers(self, cx, prefixes);
    }

    fn stats(&self) -> Value {
        Service::stats(self)
    }

    fn check(&self) {
        Service::check(self);
    }
}

/// RFC 12: the owner always may; the texts are those that clients test for.
fn denied(roles: u32, message: &Message) -> Option<Fault> {
    if message.cred.rolemask & (roles | role::OWNER) != 0 || !enforced("roles") {
        return None;
    }
    let text = match roles {
        role::OWNER => "Request requires owner credentials",
        _ => "Request rejected due to insufficient privilege",
    };
    Some(Fault::new(Errno::EPERM, text))
}

fn topic_matches(pattern: &str, topic: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == topic };
    let Some(rest) = topic.strip_prefix(head) else { return false };
    match tail.contains('*') {
        false => rest.ends_with(tail),
        true => rest.char_indices().any(|(at, _)| topic_matches(tail, &rest[at..])),
    }
}

#[cfg(test)]
mod tests;
