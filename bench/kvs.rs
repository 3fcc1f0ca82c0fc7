//! `cargo run --release --bin flux-bench-kvs [JOBS]`: what the KVS costs a job, without disk and sockets.
//!
//! Every job makes the commits that it makes in an instance, in its own namespace and in the primary one; the store
//! behind the service forgets everything at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use flux_kvs::{Algorithm, Kvs};
use flux_service::{
    AnyService, Completion, Cx, Effect, LogPosition, NodeInfo, Now, Outbox, Recovered, Rng, StoreOp, Tag,
};
use flux_types::{JobId, JobIdForm};
use flux_wire::{Cred, Message, Rank, Target, role};
use serde_json::{Value, json};

/// Messages that are ready in one turn of the loop.
const PER_TURN: usize = 32;

struct Node {
    kvs: Kvs,
    info: NodeInfo,
    rng: Rng,
    out: Outbox,
    log_end: u64,
    log_bytes: u64,
    blobs: u64,
    blob_bytes: u64,
    appends: u64,
    answers: u64,
}

impl Node {
    fn new() -> Node {
        let info = NodeInfo {
            below: Default::default(),
            rank: Rank(0),
            size: 1,
            hostname: "bench".into(),
            owner: 1000,
            uuid: "bench".into(),
            rundir: String::new(),
            statedir: None,
            attrs: BTreeMap::new(),
            config: Arc::new(json!({})),
            command: None,
        };
        let kvs = Kvs::new(Algorithm::Sha1, Recovered::default());
        let (rng, out) = (Rng::new(1), Outbox::default());
        let mut node =
            Node { kvs, info, rng, out, log_end: 0, log_bytes: 0, blobs: 0, blob_bytes: 0, appends: 0, answers: 0 };
        node.call(|kvs, cx| AnyService::start(kvs, cx).expect("an empty store starts"));
        node.call(|kvs, cx| AnyService::on_subscribers(kvs, cx, &[]));
        node
    }

    fn call(&mut self, f: impl FnOnce(&mut Kvs, &mut Cx<'_>)) -> VecDeque<(Tag, StoreOp)> {
        let mut cx = Cx { now: Now::default(), node: &self.info, rng: &mut self.rng, out: &mut self.out };
        f(&mut self.kvs, &mut cx);
        let mut ops = VecDeque::new();
        for effect in self.out.effects.drain(..) {
            match effect {
                Effect::Send(message) => {
                    assert_eq!(message.errno(), None, "{message:?}");
                    self.answers += 1;
                }
                Effect::Store { tag, op } => ops.push_back((tag, op)),
                _ => {}
            }
        }
        ops
    }

    fn turn(&mut self, messages: &[Message]) {
        let mut ops = self.call(|kvs, cx| {
            for message in messages {
                assert!(AnyService::dispatch(kvs, cx, message));
            }
            AnyService::on_batch_end(kvs, cx);
        });
        while let Some((tag, op)) = ops.pop_front() {
            let completion = match op {
                StoreOp::Append { record, .. } => {
                    self.appends += 1;
                    self.log_bytes += record.len() as u64;
                    self.log_end += record.len() as u64;
                    Completion::Logged { position: LogPosition(self.log_end) }
                }
                StoreOp::Put { blobs, .. } => {
                    self.blobs += blobs.len() as u64;
                    self.blob_bytes += blobs.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
                    Completion::Stored
                }
                StoreOp::Get { .. } | StoreOp::Horizon { .. } | StoreOp::Mark { .. } | StoreOp::Sweep { .. } => {
                    panic!("nothing that jobs still use leaves memory")
                }
                StoreOp::Trim { .. } => continue,
            };
            ops.extend(self.call(|kvs, cx| {
                AnyService::on_completion(kvs, cx, tag, completion);
                AnyService::on_batch_end(kvs, cx);
            }));
        }
    }
}

fn request(topic: &str, body: Value) -> Message {
    let mut message = Message::request(topic, Target::Any, 1, body.into());
    message.cred = Cred { userid: 1000, rolemask: role::OWNER };
    message
}

fn commit(namespace: &str, durable: bool, ops: Vec<Value>) -> Message {
    let mut body = json!({"namespace": namespace, "flags": 0, "ops": ops});
    if !durable {
        body["durability"] = "written".into();
    }
    request("kvs.commit", body)
}

fn op(key: String, flags: u32, base64: &str) -> Value {
    json!({"key": key, "flags": flags, "dirent": {"ver": 1, "type": "val", "data": base64}})
}

/// What one job commits, from submit to clean.
fn job(id: JobId) -> Vec<Message> {
    let dir = id.encode(JobIdForm::Kvs);
    let guest = format!("job-{}", id.0);
    // base64 of `len` bytes that no other job has
    let text = |len: usize| format!("{:016x}{}", id.0, "QUJD".repeat(len / 3 - 4));
    let event = |log: &str| op(format!("{dir}.{log}"), 32, &text(105));
    let put = |key: &str, len| op(format!("{dir}.{key}"), 0, &text(len));
    let inside = |key: &str, len| op(key.to_owned(), 32, &text(len));
    vec![
        commit("primary", true, vec![put("J", 900), put("jobspec", 600), event("eventlog")]),
        commit("primary", false, vec![event("eventlog"), event("eventlog"), event("eventlog")]),
        commit("primary", false, vec![put("R", 240), event("eventlog")]),
        request(
            "kvs.namespace-create",
            json!({"namespace": guest, "owner": 1000, "flags": 0, "alias": format!("{dir}.guest")}),
        ),
        commit(&guest, false, vec![inside("exec.eventlog", 90), inside("exec.eventlog", 90)]),
        commit("primary", false, vec![event("eventlog")]),
        commit(&guest, false, vec![inside("output", 150), inside("output", 120)]),
        commit(&guest, true, vec![inside("exec.eventlog", 90), inside("exec.eventlog", 90)]),
        commit("primary", true, vec![event("eventlog"), event("eventlog"), event("eventlog")]),
        request("kvs.namespace-remove", json!({"namespace": guest})),
    ]
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn main() {
    let jobs: u64 = std::env::args().nth(1).and_then(|jobs| jobs.parse().ok()).unwrap_or(50_000);
    let mut node = Node::new();
    let before = resident_kib();
    let started = Instant::now();
    let (mut messages, mut peak, mut making) = (0, 0, std::time::Duration::ZERO);
    for first in (0..jobs).step_by(PER_TURN) {
        // 32 jobs side by side, each one step on in every turn; one job a millisecond.
        let made = Instant::now();
        let group: Vec<Vec<Message>> =
            (first..jobs.min(first + PER_TURN as u64)).map(|n| job(JobId(n << 24))).collect();
        making += made.elapsed();
        for step in 0..group[0].len() {
            let made = Instant::now();
            let ready: Vec<Message> = group.iter().map(|job| job[step].clone()).collect();
            making += made.elapsed();
            messages += ready.len() as u64;
            node.turn(&ready);
        }
        peak = peak.max(resident_kib());
    }
    let spent = started.elapsed() - making;
    let per = |n: u64| n as f64 / spent.as_secs_f64();
    assert_eq!(node.answers, messages);
    println!("jobs                     {jobs}");
    println!("requests/s               {:.0}", per(messages));
    println!("jobs/s (10 requests)     {:.0}", per(jobs));
    println!("log records              {} ({} bytes a job)", node.appends, node.log_bytes / jobs);
    println!("blobs a job              {:.1} ({} bytes)", node.blobs as f64 / jobs as f64, node.blob_bytes / jobs);
    println!("resident KiB             {before} before, {peak} at most, {} after", resident_kib());
    node.call(AnyService::stop);
}
