//! A broker of the tests' own: it speaks the framing, keeps the events, and can die at any moment.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flux_wire::{FrameReader, Message, Payload, Target, decode, encode, write_frame};
use serde_json::{Value, json};

/// What the broker has seen, over all its lives.
#[derive(Default)]
pub(crate) struct Seen {
    /// By number, as taken.
    pub(crate) events: Vec<(u64, Value)>,
    pub(crate) hellos: u32,
    pub(crate) duplicates: u32,
}

pub(crate) struct Broker {
    pub(crate) seen: Arc<Mutex<Seen>>,
    streams: Arc<Mutex<Vec<UnixStream>>>,
    stop: Arc<AtomicBool>,
    path: PathBuf,
    /// A hello request that commands are sent as answers to.
    hello: Arc<Mutex<Option<(UnixStream, Message)>>>,
    /// Acknowledge nothing, read nothing beyond the hello.
    pub(crate) stuck: Arc<AtomicBool>,
}

impl Broker {
    /// Listens; `seen` goes on from an earlier life.
    pub(crate) fn start(dir: &Path, seen: Arc<Mutex<Seen>>) -> Broker {
        let path = dir.join("local-0");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let broker = Broker {
            seen,
            streams: Arc::default(),
            stop: Arc::default(),
            path,
            hello: Arc::default(),
            stuck: Arc::default(),
        };
        let (seen, streams, stop) = (broker.seen.clone(), broker.streams.clone(), broker.stop.clone());
        let (hello, stuck) = (broker.hello.clone(), broker.stuck.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                streams.lock().unwrap().push(stream.try_clone().unwrap());
                let (seen, hello, stuck) = (seen.clone(), hello.clone(), stuck.clone());
                std::thread::spawn(move || serve(stream, &seen, &hello, &stuck));
            }
        });
        broker
    }

    /// As kill -9: the sockets are gone, nothing more is answered.
    pub(crate) fn kill(self) -> Arc<Mutex<Seen>> {
        self.stop.store(true, Ordering::SeqCst);
        std::fs::remove_file(&self.path).unwrap();
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        self.seen.clone()
    }

    pub(crate) fn command(&self, body: Value) {
        let held = self.hello.lock().unwrap();
        let (stream, hello) = held.as_ref().expect("the shell has said hello");
        send(stream, &hello.response(body.into()));
    }

    /// A request to the shell's service, unanswered here.
    pub(crate) fn request(&self, topic: &str, body: Value) {
        self.request_as(flux_wire::Cred { userid: 0, rolemask: flux_wire::role::OWNER }, topic, body);
    }

    pub(crate) fn request_as(&self, cred: flux_wire::Cred, topic: &str, body: Value) {
        let mut message = Message::request(topic, Target::Any, 77, body.into());
        message.cred = cred;
        send(&self.hello.lock().unwrap().as_ref().unwrap().0, &message);
    }

    pub(crate) fn wait(&self, what: &str, test: impl Fn(&Seen) -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !test(&self.seen.lock().unwrap()) {
            let seen = self.seen.lock().unwrap();
            assert!(
                Instant::now() < until,
                "{what} did not come; {} events, last {:?}",
                seen.events.len(),
                seen.events.last()
            );
            drop(seen);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn wait_for(&self, kind: &str) {
        self.wait(kind, |seen| seen.events.iter().any(|(_, event)| event["type"] == kind));
    }
}

fn send(mut stream: &UnixStream, message: &Message) {
    let mut out = Vec::new();
    write_frame(&mut out, |out| out.extend(encode(message)));
    let _ = stream.write_all(&out);
}

fn serve(mut stream: UnixStream, seen: &Mutex<Seen>, hello: &Mutex<Option<(UnixStream, Message)>>, stuck: &AtomicBool) {
    stream.write_all(&[0]).unwrap();
    let mut reader = FrameReader::default();
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        reader.push(&bytes[..count]);
        while let Some(body) = reader.next_frame().unwrap() {
            let message = decode(body).unwrap();
            match message.topic() {
                "job-exec.shell-hello" => {
                    let mut seen = seen.lock().unwrap();
                    seen.hellos += 1;
                    let acked = seen.events.len() as u64;
                    *hello.lock().unwrap() = Some((stream.try_clone().unwrap(), message.clone()));
                    send(&stream, &message.response(json!({"acked": acked}).into()));
                }
                "job-exec.shell-events" => {
                    while stuck.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    let acked = take(&mut seen.lock().unwrap(), &message);
                    let held = hello.lock().unwrap();
                    let (_, hello) = held.as_ref().expect("events come after hello");
                    send(&stream, &hello.response(json!({"type": "acked", "seq": acked}).into()));
                }
                "service.add" => send(&stream, &message.response(Payload::None)),
                _ => {}
            }
        }
    }
}

fn take(seen: &mut Seen, message: &Message) -> u64 {
    let body: Value = message.decode().unwrap();
    for event in body["events"].as_array().unwrap() {
        let seq = event[0].as_u64().unwrap();
        if seq <= seen.events.len() as u64 {
            seen.duplicates += 1;
            continue;
        }
        assert_eq!(seq, seen.events.len() as u64 + 1, "events come in order and without gaps");
        seen.events.push((seq, event[1].clone()));
    }
    seen.events.len() as u64
}

/// A job of one node.
pub(crate) struct Job {
    pub(crate) record: PathBuf,
    pub(crate) child: Child,
}

impl Job {
    /// A file that the shell leaves beside its record.
    pub(crate) fn left(&self, name: &str) -> PathBuf {
        self.record.with_added_extension("left").join(name)
    }
}

pub(crate) fn jobspec(argv: &[&str], ntasks: u32, options: Value) -> Value {
    json!({
        "version": 1,
        "resources": [{"type": "slot", "count": ntasks, "label": "task", "with": [{"type": "core", "count": 1}]}],
        "tasks": [{"command": argv, "slot": "task", "count": {"per_slot": 1}}],
        "attributes": {"system": {
            "duration": 0, "cwd": "/",
            "environment": {"PATH": "/usr/bin:/bin", "HOME": "/root"},
            "shell": {"options": options},
        }},
    })
}

pub(crate) fn fresh_dir(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("flux-shellrun-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

pub(crate) fn start(dir: &Path, jobspec: Value, recorded: bool) -> Job {
    let record = dir.join("jobs/f5.0.0");
    std::fs::create_dir_all(record.parent().unwrap()).unwrap();
    std::fs::File::create(&record).unwrap();
    let bundle = json!({
        "id": 1234, "userid": 0, "rank": 0, "shell_rank": 0, "shell_count": 1, "service": "0-shell-fNH",
        "uri": format!("local://{}", dir.join("local-0").display()),
        "rundir": dir, "record": recorded.then_some(&record), "jobspec": jobspec,
        "R": {"version": 1, "execution": {"R_lite": [{"rank": "0", "children": {"core": "0-63"}}],
              "nodelist": ["node0"], "starttime": 0, "expiration": 0}},
        "options": {"jobid_path": "/", "broker_absent_ms": 500},
    });
    let mut child = Command::new(env!("CARGO_BIN_EXE_flux-shell-test"))
        .arg("1234")
        .stdin(Stdio::piped())
        .spawn()
        .expect("the test shell runs");
    child.stdin.take().unwrap().write_all(bundle.to_string().as_bytes()).unwrap();
    Job { record, child }
}

/// What a stream of a rank printed, put together from the events.
pub(crate) fn printed(events: &[(u64, Value)], stream: &str) -> String {
    let mut text = String::new();
    for (_, event) in events.iter().filter(|(_, event)| event["type"] == "output") {
        let entry: Value = serde_json::from_str(event["entry"].as_str().unwrap()).unwrap();
        if entry["name"] == "data" && entry["context"]["stream"] == stream {
            text.push_str(entry["context"]["data"].as_str().unwrap_or(""));
        }
    }
    text
}

/// Names of events, with the names of their entries.
pub(crate) fn names(events: &[(u64, Value)]) -> Vec<String> {
    let name = |event: &Value| {
        let kind = event["type"].as_str().unwrap().to_owned();
        match event["entry"].as_str() {
            Some(entry) => {
                let entry: Value = serde_json::from_str(entry).unwrap();
                format!("{kind}:{}", entry["name"].as_str().unwrap())
            }
            None => kind,
        }
    };
    events.iter().map(|(_, event)| name(event)).collect()
}
