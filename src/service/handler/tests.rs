use std::collections::BTreeMap;

use flux_wire::{Body, Cred, Flags, Payload, Target};
use serde_json::json;

use super::*;
use crate::{Effect, NodeInfo, Now, Outbox, Rng};

#[derive(Default)]
struct Counter {
    count: u32,
    events: u32,
}

impl Service for Counter {
    const NAME: &'static str = "counter";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("counter.add", Counter::add),
        Handler::user("counter.get", Counter::get),
        Handler::event("kvs.namespace-*-setroot", Counter::event),
    ];

    fn start(&mut self, _cx: &mut Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

impl Counter {
    fn add(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: BTreeMap<String, u32> = request.decode()?;
        self.count += body.get("n").ok_or_else(|| Fault::new(Errno::EPROTO, "n is missing"))?;
        cx.respond_empty(request);
        Ok(())
    }

    fn get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        cx.respond(request, json!({"count": self.count}));
        Ok(())
    }

    fn event(&mut self, _cx: &mut Cx<'_>, _event: &Message) -> Outcome {
        self.events += 1;
        Ok(())
    }
}

fn deliver(service: &mut Counter, message: &Message) -> (bool, Vec<Effect>) {
    let node = NodeInfo::sample();
    let (mut rng, mut out) = (Rng::new(1), Outbox::default());
    let mut cx = Cx { now: Now::default(), node: &node, rng: &mut rng, out: &mut out };
    let found = service.dispatch(&mut cx, message);
    (found, out.effects)
}

fn request(topic: &str, rolemask: u32, payload: Payload) -> Message {
    let mut message = Message::request(topic, Target::Any, 4, payload);
    message.cred = Cred { userid: 1000, rolemask };
    message
}

#[test]
fn the_table_decides_who_may_call_what() {
    let rows = [
        ("counter.add", role::OWNER, 0),
        ("counter.add", role::USER, 1),
        ("counter.add", role::NONE, 1),
        ("counter.get", role::USER, 0),
        ("counter.get", role::LOCAL, 1),
    ];
    for (topic, roles, want) in rows {
        let (found, effects) = deliver(&mut Counter::default(), &request(topic, roles, json!({"n": 1}).into()));
        let [Effect::Send(response)] = &effects[..] else { panic!("{topic}: one answer, not {effects:?}") };
        assert!(found);
        assert!(matches!(response.body, Body::Response { errnum, matchtag: 4 } if errnum == want), "{topic} {roles}");
    }
}

#[test]
fn a_fault_is_answered_unless_no_answer_is_wanted() {
    let bad = request("counter.add", role::OWNER, Payload::None);
    let (_, effects) = deliver(&mut Counter::default(), &bad);
    assert_eq!(effects, [Effect::Send(bad.error_response(Errno::EPROTO, "the message has no payload"))]);
    let mut quiet = bad;
    quiet.flags = Flags(Flags::NORESPONSE);
    assert_eq!(deliver(&mut Counter::default(), &quiet), (true, vec![]));
}

#[test]
fn events_match_by_their_star_and_unknown_topics_are_left_to_the_node() {
    let mut counter = Counter::default();
    let mut event = Message::event("kvs.namespace-primary-setroot", Payload::None);
    event.cred.rolemask = role::OWNER;
    assert_eq!(deliver(&mut counter, &event), (true, vec![]));
    assert_eq!(counter.events, 1);
    assert_eq!(deliver(&mut counter, &request("counter.nope", role::OWNER, Payload::None)), (false, vec![]));
}
