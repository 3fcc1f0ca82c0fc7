use flux_service::{Effect, NodeInfo, Now, Outbox, Rng};
use flux_wire::{Body, Cred, Flags, Target};

use super::*;

struct Bench {
    rexec: Rexec,
    out: Outbox,
    node: NodeInfo,
}

impl Bench {
    fn new() -> Bench {
        let node = NodeInfo { attrs: [("local-uri".to_owned(), "local:///x".to_owned())].into(), ..NodeInfo::sample() };
        Bench { rexec: Rexec::default(), out: Outbox::default(), node }
    }

    fn run(&mut self, f: impl FnOnce(&mut Rexec, &mut Cx<'_>)) -> Vec<Effect> {
        let mut rng = Rng::new(1);
        let mut cx = Cx { now: Now::default(), node: &self.node, rng: &mut rng, out: &mut self.out };
        f(&mut self.rexec, &mut cx);
        std::mem::take(&mut self.out.effects)
    }

    fn request(&mut self, topic: &str, streaming: bool, body: Value) -> Vec<Effect> {
        let mut message = Message::request(topic, Target::Any, 7, body.into());
        message.flags = Flags(if streaming { Flags::STREAMING } else { 0 });
        message.cred = Cred { userid: 1000, rolemask: 5 };
        message.push_route("client".into());
        self.run(|rexec, cx| assert!(flux_service::AnyService::dispatch(rexec, cx, &message)))
    }

    fn event(&mut self, tag: Tag, event: ProcessEvent) -> Vec<Value> {
        responses(self.run(|rexec, cx| rexec.on_completion(cx, tag, Completion::Process(event))))
    }

    fn spawn(&mut self, streaming: bool, flags: u32) -> Tag {
        let cmd = json!({"cmdline": ["cat"], "env": {}, "opts": {}, "channels": []});
        let effects = self.request("rexec.exec", streaming, json!({"cmd": cmd, "flags": flags}));
        let [Effect::Process { tag, op: ProcessOp::Spawn(spec) }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(spec.env, Some(vec![("FLUX_URI".to_owned(), "local:///x".to_owned())]));
        *tag
    }
}

/// Bodies of the responses among `effects`; an error is its errno.
fn responses(effects: Vec<Effect>) -> Vec<Value> {
    let body = |effect| match effect {
        Effect::Send(Message { body: Body::Response { errnum: 0, .. }, payload, .. }) => {
            Some(payload.value().map_or(Value::Null, |value| (*value).clone()))
        }
        Effect::Send(Message { body: Body::Response { errnum, .. }, .. }) => Some(errnum.into()),
        _ => None,
    };
    effects.into_iter().filter_map(body).collect()
}

#[test]
fn a_process_is_reported_from_start_to_end_in_order() {
    let mut bench = Bench::new();
    let tag = bench.spawn(true, FLAG_STDOUT | FLAG_CREDIT);
    let started = bench.event(tag, ProcessEvent::Started { pid: 42 });
    let credit = json!({"type": "add-credit", "channels": {"stdin": 4096}});
    assert_eq!(started, [json!({"type": "started", "pid": 42}), credit]);
    let out = ProcessEvent::Output { stream: StdStream::Stdout, bytes: b"hi\n"[..].into(), eof: false };
    let io = json!({"stream": "stdout", "rank": "0", "data": "hi\n"});
    assert_eq!(bench.event(tag, out), [json!({"type": "output", "pid": 42, "io": io})]);
    let taken = bench.event(tag, ProcessEvent::Taken { stream: StdStream::Stdin, bytes: 7 });
    assert_eq!(taken, [json!({"type": "add-credit", "channels": {"stdin": 7}})], "as much as the process took");
    let err = ProcessEvent::Output { stream: StdStream::Stderr, bytes: b"x"[..].into(), eof: false };
    assert_eq!(bench.event(tag, err), [] as [Value; 0], "stderr was not asked for");
    let exit = bench.event(tag, ProcessEvent::Exited { status: 256 });
    assert_eq!(exit, [json!({"type": "finished", "status": 256}), json!(61)]);
    assert!(bench.rexec.is_idle());
}

#[test]
fn what_cannot_start_is_an_error_and_bytes_that_are_no_text_are_base64() {
    let mut bench = Bench::new();
    let tag = bench.spawn(true, FLAG_STDOUT);
    assert_eq!(bench.event(tag, ProcessEvent::NotStarted { errno: Errno::ENOENT }), [json!(2)]);
    assert!(bench.rexec.is_idle());
    let io = iodata::encode("stdout", "3", &[0xff, 0], true);
    assert_eq!(io, json!({"stream": "stdout", "rank": "3", "encoding": "base64", "data": "/wA=", "eof": true}));
    assert_eq!(*io_bytes(io.as_object().unwrap()).unwrap(), [0xff, 0]);
}

#[test]
fn a_background_process_outlives_its_client_and_can_be_waited_for_once() {
    let mut bench = Bench::new();
    let tag = bench.spawn(false, FLAG_WAITABLE);
    assert_eq!(bench.event(tag, ProcessEvent::Started { pid: 9 }), [json!({"type": "started", "pid": 9})]);
    assert_eq!(bench.request("rexec.disconnect", false, json!({})), [], "it is nobody's");
    bench.event(tag, ProcessEvent::Output { stream: StdStream::Stdout, bytes: b"a\n"[..].into(), eof: true });
    bench.event(tag, ProcessEvent::Exited { status: 0 });
    let waited = responses(bench.request("rexec.wait", false, json!({"pid": 9})));
    assert_eq!(
        waited,
        [json!({"status": 0, "output": [{"stream": "stdout", "rank": "0", "data": "a\n", "eof": true}]})]
    );
    assert_eq!(responses(bench.request("rexec.wait", false, json!({"pid": 9}))), [json!(3)]);
}

#[test]
fn a_process_dies_with_the_client_that_ran_it() {
    let mut bench = Bench::new();
    let tag = bench.spawn(true, 0);
    let effects = bench.request("rexec.disconnect", false, json!({}));
    let kill = ProcessOp::Kill { of: tag, signum: SIGKILL, group: true };
    assert!(matches!(&effects[..], [Effect::Process { op, .. }] if *op == kill), "{effects:?}");
    bench.event(tag, ProcessEvent::Exited { status: 9 });
    assert!(bench.rexec.is_idle());
}
