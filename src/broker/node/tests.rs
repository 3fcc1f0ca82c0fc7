use std::time::Duration;

use flux_service::{Fault, Handler, Outcome, ProcessEvent, Service, Wall};
use flux_wire::{Body, Errno, Flags, Payload, Target};
use serde_json::json;

use super::*;

mod access;

/// Answers `echo.say`, asks `attr.get` when told to, and counts events.
#[derive(Default)]
struct Echo {
    asked: Option<(Tag, Message)>,
    stopped: bool,
    heard: Vec<String>,
}

impl Service for Echo {
    const NAME: &'static str = "echo";
    const ALSO: &'static [&'static str] = &["echo-too"];
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::user("echo.say", Echo::say),
        Handler::owner("echo.ask", Echo::ask),
        Handler::owner("echo.heard", Echo::heard),
    ];

    fn start(&mut self, _cx: &mut Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn stop(&mut self, _cx: &mut Cx<'_>) {
        self.stopped = true;
    }

    fn on_subscribers(&mut self, _cx: &mut Cx<'_>, prefixes: &[String]) {
        self.heard = prefixes.to_vec();
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        let (asked, request) = self.asked.take().expect("a question is open");
        assert_eq!(asked, tag);
        cx.respond(&request, reply.payload.clone());
    }
}

impl Echo {
    fn say(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        cx.respond(request, request.payload.clone());
        Ok(())
    }

    fn heard(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        cx.respond(request, json!({"heard": self.heard}));
        Ok(())
    }

    fn ask(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let tag = cx.request("attr.get", Target::Any, json!({"name": "size"}));
        self.asked = Some((tag, request.clone()));
        Ok(())
    }
}

fn now(secs: u64) -> Now {
    Now { mono: Mono(Duration::from_secs(secs)), wall: Wall(Duration::from_secs(1_795_256_579 + secs)) }
}

fn setup_with(program: Option<Vec<String>>) -> NodeSetup {
    NodeSetup {
        rc_dirs: Vec::new(),
        rank: Rank(0),
        size: 1,
        overlay: OverlaySetup::single(),
        hostname: "host".into(),
        owner: 1000,
        rundir: "/run/x".into(),
        statedir: None,
        attrs: Attrs::default(),
        config: Arc::new(json!({})),
        config_path: None,
        seed: 7,
        env: vec![("FLUX_JOB_ID".into(), "f1".into()), ("HOME".into(), "/h".into())],
        program,
        interactive: false,
        services: vec![Box::new(Echo::default())],
        loader: Box::new(|name| (name == "echo").then(|| Box::new(Echo::default()) as Box<dyn AnyService>)),
    }
}

fn node_with(program: Option<Vec<String>>) -> Node {
    Node::new(setup_with(program), now(0)).expect("the node starts")
}

fn client(node: &mut Node, conn: u64, userid: u32, rolemask: u32) -> ConnId {
    node.handle(now(0), Input::Connected { conn: ConnId(conn), cred: Cred { userid, rolemask } });
    ConnId(conn)
}

/// Sends a request and returns all messages that came to any connection, in order.
fn exchange(node: &mut Node, conn: ConnId, message: Message) -> Vec<(ConnId, Message)> {
    node.handle(now(0), Input::Message { conn, message });
    node.end_turn(now(0));
    let sent = |output| match output {
        Output::Send { conn, message } => Some((conn, message)),
        _ => None,
    };
    node.take_outputs().into_iter().filter_map(sent).collect()
}

fn call(node: &mut Node, conn: ConnId, topic: &str, body: Value) -> Result<Value, Errno> {
    let request = Message::request(topic, Target::Any, 9, body.into());
    let answers = exchange(node, conn, request);
    let [(to, answer)] = &answers[..] else { panic!("{topic}: one answer, not {answers:?}") };
    assert_eq!((*to, answer.matchtag()), (conn, 9));
    match answer.errno() {
        Some(errno) => Err(errno),
        None if answer.payload.is_none() => Ok(Value::Null),
        None => Ok((*answer.payload.value().unwrap()).clone()),
    }
}

#[test]
fn answers_to_clients_have_the_bytes_of_a_live_flux_core_broker() {
    let mut node = node_with(None);
    let conn = client(&mut node, 1, 1000, 5);
    let mut proto = |topic: &str, target, tag, body: Value| {
        let mut message = Message::request(topic, target, tag, body.into());
        message.flags = Flags(if topic == "log.dmesg" { Flags::STREAMING } else { 0 });
        let answers = exchange(&mut node, conn, message);
        let bytes = flux_wire::encode(&answers.last().expect("an answer").1);
        let hex: String = bytes[bytes.len() - flux_wire::PROTO_LEN..].iter().map(|b| format!("{b:02x}")).collect();
        (bytes.len(), hex.replace("000003e8", "00000000"))
    };
    let rows = [
        ("attr.get", Target::Any, 1, json!({"name": "rank"}), 56, "8e01020b00000000000000050000000000000001"),
        ("attr.get", Target::Any, 2, json!({"name": "nope"}), 31, "8e01020900000000000000050000000200000002"),
        ("nosuch.method", Target::Any, 3, json!({}), 85, "8e01020b00000000000000050000002600000003"),
        ("event.subscribe", Target::Any, 5, json!({"topic": "x"}), 38, "8e010209ffffffff000000010000000000000005"),
        ("log.dmesg", Target::Any, 8, json!({"follow": false}), 32, "8e01024900000000000000050000003d00000008"),
        ("service.add", Target::Any, 9, json!({"service": "mysvc"}), 34, "8e010209ffffffff000000010000000000000009"),
        ("kvs.getroot", Target::Rank(Rank(7)), 11, json!({}), 34, "8e0102090000000000000005000000710000000b"),
    ];
    for (topic, target, tag, body, len, want) in rows {
        assert_eq!(proto(topic, target, tag, body), (len, want.to_owned()), "{topic}");
    }
}

#[test]
fn services_answer_clients_and_ask_each_other() {
    let mut node = node_with(None);
    let owner = client(&mut node, 1, 1000, 5);
    let guest = client(&mut node, 2, 1001, 6);
    assert_eq!(call(&mut node, guest, "echo.say", json!({"a": 1})), Ok(json!({"a": 1})));
    assert_eq!(call(&mut node, owner, "echo.ask", json!({})), Ok(json!({"value": "1", "flags": 1})));
    assert_eq!(call(&mut node, guest, "echo.ask", json!({})), Err(Errno::EPERM));
    assert_eq!(call(&mut node, guest, "attr.set", json!({"name": "a", "value": "b"})), Err(Errno::EPERM));
    assert_eq!(call(&mut node, owner, "echo.nope", json!({})), Err(Errno::ENOSYS));
    assert!(call(&mut node, owner, "echo-too.ping", json!({"seq": 1})).is_ok(), "every name of a module answers");
    let pong = call(&mut node, guest, "echo.ping", json!({"seq": 1})).unwrap();
    assert_eq!((&pong["userid"], &pong["rolemask"], &pong["rank"]), (&json!(1001), &json!(6), &json!(0)));
    assert_eq!(pong["route"].as_str().unwrap().split('!').count(), 3);
}

#[test]
fn a_client_s_service_gets_the_route_and_its_answer_finds_the_way_back() {
    let mut node = node_with(None);
    let server = client(&mut node, 1, 1000, 5);
    let asker = client(&mut node, 2, 1001, 6);
    call(&mut node, server, "service.add", json!({"service": "mysvc"})).unwrap();
    assert_eq!(call(&mut node, asker, "service.add", json!({"service": "mysvc"})), Err(Errno::EPERM));
    assert_eq!(call(&mut node, server, "service.add", json!({"service": "kvs.x y"})), Err(Errno::EINVAL));
    let delivered = exchange(&mut node, asker, Message::request("mysvc.hi", Target::Any, 10, json!({}).into()));
    let [(to, request)] = &delivered[..] else { panic!("{delivered:?}") };
    assert_eq!((*to, request.route.as_ref().unwrap().len(), request.cred.userid), (server, 3, 1001));
    let answers = exchange(&mut node, server, request.response(json!({"ok": true}).into()));
    let [(to, answer)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((*to, answer.matchtag(), answer.route.as_deref()), (asker, 10, Some(&[][..])));
    // The asker goes: its service is told; the server goes: its name is free.
    node.handle(now(0), Input::Disconnected { conn: asker });
    let outputs = node.take_outputs();
    let [Output::Send { message, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(message.topic(), "mysvc.disconnect");
    assert!(message.same_sender(request) && !message.wants_response());
    node.handle(now(0), Input::Disconnected { conn: server });
    let other = client(&mut node, 3, 1000, 5);
    assert_eq!(call(&mut node, other, "mysvc.hi", json!({})), Err(Errno::ENOSYS));
}

#[test]
fn events_are_numbered_and_private_ones_stay_private() {
    let mut node = node_with(None);
    let owner = client(&mut node, 1, 1000, 5);
    let guest = client(&mut node, 2, 1001, 6);
    for conn in [owner, guest] {
        call(&mut node, conn, "event.subscribe", json!({"topic": "foo"})).unwrap();
    }
    let publish = |flags: u8| json!({"topic": "foo.bar", "flags": flags, "payload": "eyJhIjoxfQA="});
    let sent = exchange(&mut node, guest, Message::request("event.publish", Target::Any, 1, publish(0).into()));
    let to: Vec<(ConnId, &str)> = sent.iter().map(|(conn, m)| (*conn, m.topic())).collect();
    assert_eq!(to, [(owner, "foo.bar"), (guest, "foo.bar"), (guest, "event.publish")]);
    assert_eq!(sent[0].1.body, Body::Event { seq: 1 });
    assert_eq!(sent[0].1.payload, Payload::from(json!({"a": 1})));
    let private = Message::request("event.publish", Target::Any, 1, publish(Flags::PRIVATE).into());
    let sent = exchange(&mut node, owner, private);
    let to: Vec<ConnId> = sent.iter().map(|(conn, _)| *conn).collect();
    assert_eq!(to, [owner, owner], "the guest sees nothing of it");
}

#[test]
fn services_are_told_what_is_listened_to() {
    let mut node = node_with(None);
    let (first, second) = (client(&mut node, 1, 1000, 5), client(&mut node, 2, 1000, 5));
    let heard = |node: &mut Node| call(node, first, "echo.heard", json!({})).unwrap()["heard"].clone();
    assert_eq!(heard(&mut node), json!([]));
    call(&mut node, second, "event.subscribe", json!({"topic": "foo"})).unwrap();
    assert_eq!(heard(&mut node), json!(["foo"]));
    call(&mut node, second, "event.subscribe", json!({"topic": "bar"})).unwrap();
    call(&mut node, second, "event.unsubscribe", json!({"topic": "foo"})).unwrap();
    assert_eq!(heard(&mut node), json!(["bar"]));
    node.handle(now(0), Input::Disconnected { conn: second });
    node.end_turn(now(0));
    assert_eq!(heard(&mut node), json!([]));
}

#[test]
fn the_instance_ends_with_its_program_and_the_program_s_code() {
    for (status, code) in [(0, 0), (3 << 8, 3), (9, 137)] {
        let mut node = node_with(Some(vec!["prog".into()]));
        let outputs = node.take_outputs();
        let spawned = outputs.iter().find_map(|output| match output {
            Output::Process { tag, op: ProcessOp::Spawn(spec), .. } => Some((*tag, spec.clone())),
            _ => None,
        });
        let (tag, spec) = spawned.expect("the program starts by itself");
        assert_eq!((spec.argv, spec.env.unwrap()), (vec!["prog".to_owned()], vec![("HOME".into(), "/h".into())]));
        for event in [ProcessEvent::Started { pid: 5 }, ProcessEvent::Exited { status }] {
            let completion = Completion::Process(event);
            node.handle(now(1), Input::Completion { owner: Owner::CORE, tag, completion });
            node.end_turn(now(1));
        }
        let exits: Vec<i32> = node
            .take_outputs()
            .into_iter()
            .filter_map(|output| if let Output::Exit { code } = output { Some(code) } else { None })
            .collect();
        assert_eq!(exits, [code], "status {status:#x}");
        assert!(node.slots.is_empty());
    }
}

#[test]
fn modules_go_and_come_back() {
    let mut node = node_with(None);
    let conn = client(&mut node, 1, 1000, 5);
    let names = |list: Value| list["mods"].as_array().unwrap().iter().map(|m| m["name"].clone()).collect::<Vec<_>>();
    let want = ["config", "connector-local", "overlay", "echo", "echo-too"];
    assert_eq!(names(call(&mut node, conn, "module.list", json!({})).unwrap()), want);
    assert_eq!(call(&mut node, conn, "module.load", json!({"path": "echo", "args": []})), Err(Errno::EEXIST));
    assert_eq!(call(&mut node, conn, "module.remove", json!({"name": "echo"})), Ok(Value::Null));
    assert_eq!(call(&mut node, conn, "echo.say", json!({})), Err(Errno::ENOSYS));
    assert_eq!(call(&mut node, conn, "module.remove", json!({"name": "echo"})), Err(Errno::ENOENT));
    assert_eq!(call(&mut node, conn, "module.load", json!({"path": "nope", "args": []})), Err(Errno::ENOENT));
    assert_eq!(call(&mut node, conn, "module.load", json!({"path": "echo", "args": []})), Ok(Value::Null));
    assert_eq!(call(&mut node, conn, "echo.say", json!({"b": 2})), Ok(json!({"b": 2})));
}

#[test]
fn every_row_refuses_whom_it_does_not_name() {
    let mut node = node_with(None);
    let stranger = client(&mut node, 1, 1001, role::LOCAL);
    for (topic, roles) in crate::core::core_table().collect::<Vec<_>>() {
        if roles == role::ALL || topic.starts_with("event.sub") || topic.starts_with("service.") {
            continue;
        }
        assert_eq!(call(&mut node, stranger, topic, json!({})), Err(Errno::EPERM), "{topic}");
    }
}

/// What an external module sends, as its channel carries it.
fn from_module(tag: Tag, message: &Message) -> Input {
    let mut bytes = Vec::new();
    flux_wire::write_frame(&mut bytes, |out| flux_wire::encode_into(message, out));
    module_bytes(tag, &bytes)
}

fn module_bytes(tag: Tag, bytes: &[u8]) -> Input {
    let stream = flux_service::StdStream::Channel("FLUX_MODULE_FD".into());
    let event = ProcessEvent::Output { stream, bytes: bytes.into(), eof: false };
    Input::Completion { owner: Owner::CORE, tag, completion: Completion::Process(event) }
}

/// Splits outputs into messages to clients, messages to the module, and signals sent to it.
fn sort_outputs(node: &mut Node) -> (Vec<Message>, Vec<Message>, Vec<i32>) {
    let (mut to_clients, mut to_module, mut kills) = (Vec::new(), Vec::new(), Vec::new());
    for output in node.take_outputs() {
        match output {
            Output::Send { message, .. } => to_clients.push(message),
            Output::Process { op: ProcessOp::Kill { signum, .. }, .. } => kills.push(signum),
            Output::Process { op: ProcessOp::Write { bytes, .. }, .. } if *bytes != [0] => {
                let (frame, rest) = flux_wire::split_frame(&bytes).unwrap().expect("one frame a write");
                assert!(rest.is_empty());
                to_module.push(flux_wire::decode(frame).unwrap());
            }
            _ => {}
        }
    }
    (to_clients, to_module, kills)
}

fn start_module(node: &mut Node, conn: ConnId) -> Tag {
    let body = json!({"path": "/x/mod.py", "args": ["a"], "exec": true});
    node.handle(now(0), Input::Message { conn, message: Message::request("module.load", Target::Any, 9, body.into()) });
    let outputs = node.take_outputs();
    let spawn = outputs.iter().find_map(|output| match output {
        Output::Process { tag, op: ProcessOp::Spawn(spec), .. } => Some((*tag, spec.clone())),
        _ => None,
    });
    let (tag, spec) = spawn.expect("the module is started");
    assert!(spec.env.unwrap().contains(&("FLUX_MODULE_URI".into(), "fd://3".into())));
    tag
}

#[test]
fn a_program_becomes_a_module_serves_and_goes() {
    let mut node = node_with(None);
    let conn = client(&mut node, 1, 1000, 5);
    let tag = start_module(&mut node, conn);
    let status = |status: i64| Message::request("module.status", Target::Any, 1, json!({"status": status}).into());
    node.handle(now(0), from_module(tag, &status(1)));
    let (to_clients, to_module, _) = sort_outputs(&mut node);
    assert_eq!(to_clients.iter().map(Message::topic).collect::<Vec<_>>(), ["module.load"]);
    assert_eq!(to_module.iter().map(Message::topic).collect::<Vec<_>>(), ["module.status"]);
    node.handle(now(0), Input::Message { conn, message: Message::request("mod.hi", Target::Any, 5, json!({}).into()) });
    let (_, to_module, _) = sort_outputs(&mut node);
    let answer = to_module[0].response(json!({"ok": 1}).into());
    node.handle(now(0), from_module(tag, &answer));
    let (to_clients, ..) = sort_outputs(&mut node);
    assert_eq!((to_clients[0].matchtag(), to_clients[0].topic()), (5, "mod.hi"));
    let remove = Message::request("module.remove", Target::Any, 6, json!({"name": "mod"}).into());
    node.handle(now(0), Input::Message { conn, message: remove });
    let (_, to_module, _) = sort_outputs(&mut node);
    assert_eq!(to_module[0].topic(), "mod.shutdown");
    let completion = Completion::Process(ProcessEvent::Exited { status: 0 });
    node.handle(now(0), Input::Completion { owner: Owner::CORE, tag, completion });
    let (to_clients, ..) = sort_outputs(&mut node);
    assert_eq!((to_clients[0].matchtag(), to_clients[0].errno()), (6, None));
    assert_eq!(call(&mut node, conn, "mod.hi", json!({})), Err(Errno::ENOSYS));
}

#[test]
fn a_module_that_dies_early_or_talks_nonsense_is_an_error_not_a_hang() {
    let mut node = node_with(None);
    let conn = client(&mut node, 1, 1000, 5);
    let tag = start_module(&mut node, conn);
    node.handle(now(0), module_bytes(tag, b"GET / HTTP/1.1\r\n\r\n"));
    let (_, _, kills) = sort_outputs(&mut node);
    assert_eq!(kills, [9]);
    let completion = Completion::Process(ProcessEvent::Exited { status: 9 });
    node.handle(now(0), Input::Completion { owner: Owner::CORE, tag, completion });
    let (to_clients, ..) = sort_outputs(&mut node);
    assert_eq!(to_clients[0].errno(), Some(Errno::ECHILD));
    assert_eq!(
        call(&mut node, conn, "module.status", json!({"status": 1})),
        Err(Errno::EPERM),
        "a client is no module"
    );
}
