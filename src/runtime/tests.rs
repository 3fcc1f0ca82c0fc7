//! The loop through real sockets and processes, around a node that does little.

mod processes;
mod sockets;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use flux_service::{Completion, Mono, Now, Tag};
use flux_wire::{Errno, FrameReader, Message, Payload, Target, decode, encode_into, write_frame};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::node::{ConnId, Input, NodeLike, Output, Owner};
use crate::{Listener, Reactor, open_store};

const OWNER: Owner = Owner(1);

/// What a test says the node does with an input.
type Rule = Box<dyn FnMut(&Input) -> Vec<Output> + Send>;

/// A node that does what its rule says, and notes what it was told.
struct TestNode {
    rule: Rule,
    outputs: Vec<Output>,
    seen: Arc<Mutex<Vec<Input>>>,
    turns: u32,
    timer: Option<Mono>,
    config: Value,
}

impl NodeLike for TestNode {
    fn handle(&mut self, _now: Now, input: Input) {
        self.outputs.extend((self.rule)(&input));
        if let Input::Message { conn, message } = &input {
            match message.topic() {
                "echo" => self.send(*conn, message.response(message.payload.clone())),
                "turns" => self.send(*conn, message.response(json!({"turns": self.turns}).into())),
                "exit" => self.outputs.push(Output::Exit { code: 7 }),
                "close" => self.outputs.push(Output::Close { conn: *conn }),
                _ => (),
            }
        }
        self.seen.lock().unwrap().push(input);
    }

    fn end_turn(&mut self, _now: Now) {
        self.turns += 1;
    }

    fn next_timer(&self) -> Option<Mono> {
        self.timer
    }

    fn on_timer(&mut self, now: Now) {
        assert!(self.timer.is_some_and(|at| at <= now.mono), "the loop calls when it is time, not before");
        self.timer = None;
        self.outputs.push(Output::Exit { code: 3 });
    }

    fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    fn config(&self) -> &Value {
        &self.config
    }
}

impl TestNode {
    fn send(&mut self, conn: ConnId, message: Message) {
        self.outputs.push(Output::Send { conn, message });
    }
}

/// A loop on a thread of its own.
struct Running {
    dir: TempDir,
    path: PathBuf,
    seen: Arc<Mutex<Vec<Input>>>,
    thread: Option<JoinHandle<i32>>,
}

fn own_uid() -> u32 {
    flux_sys::ids::Ids::current().euid
}

fn start(first: Vec<Output>, rule: impl FnMut(&Input) -> Vec<Output> + Send + 'static) -> Running {
    start_as(own_uid(), json!({}), first, None, rule)
}

fn start_as(
    owner: u32,
    config: Value,
    first: Vec<Output>,
    timer: Option<Mono>,
    rule: impl FnMut(&Input) -> Vec<Output> + Send + 'static,
) -> Running {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("local-0");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = Listener::bind(&path).unwrap();
    let mut node = TestNode { rule: Box::new(rule), outputs: first, seen: seen.clone(), turns: 0, timer, config };
    let rundir = dir.path().to_owned();
    let thread = std::thread::spawn(move || {
        let (store, _) = open_store(None, &rundir, None).unwrap();
        let mut reactor = Reactor::new(store, owner).unwrap();
        reactor.listen(listener).unwrap();
        reactor.run(&mut node).unwrap()
    });
    Running { dir, path, seen, thread: Some(thread) }
}

impl Running {
    fn exit_code(mut self) -> i32 {
        self.thread.take().unwrap().join().unwrap()
    }

    /// What the node was told, as far as `pick` picks it, once there are `count`.
    fn wait_for<T>(&self, count: usize, pick: impl Fn(&Input) -> Option<T>) -> Vec<T> {
        for _ in 0..1000 {
            let found: Vec<T> = self.seen.lock().unwrap().iter().filter_map(&pick).collect();
            if found.len() >= count {
                return found;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("only these came: {:?}", self.seen.lock().unwrap());
    }

    fn completions(&self, count: usize) -> Vec<(u32, Completion)> {
        self.wait_for(count, |input| match input {
            Input::Completion { tag: Tag(tag), completion, .. } => Some((*tag, completion.clone())),
            _ => None,
        })
    }
}

/// The client's end.
struct Client {
    stream: UnixStream,
    reader: FrameReader,
}

impl Client {
    fn connect(path: &Path) -> Result<Client, u8> {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut byte = [0xff];
        stream.read_exact(&mut byte).unwrap();
        if byte[0] == 0 { Ok(Client { stream, reader: FrameReader::default() }) } else { Err(byte[0]) }
    }

    fn send(&mut self, topic: &str, tag: u32, payload: Payload) {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, |out| encode_into(&Message::request(topic, Target::Any, tag, payload), out));
        self.stream.write_all(&bytes).unwrap();
    }

    fn receive(&mut self) -> Option<Message> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(frame) = self.reader.next_frame().unwrap() {
                return Some(decode(frame).unwrap());
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(len) => self.reader.push(&chunk[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    fn call(&mut self, topic: &str, payload: Payload) -> Message {
        self.send(topic, 9, payload);
        self.receive().expect("an answer")
    }
}

fn nothing(_: &Input) -> Vec<Output> {
    Vec::new()
}

fn value(message: &Message) -> BTreeMap<String, Value> {
    message.decode().unwrap()
}
