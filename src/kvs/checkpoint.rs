//! From the log to the database: the tree is hashed, its blobs and root are put in one transaction, the log is trimmed.

use std::sync::Arc;
use std::time::Duration;

use flux_service::{
    Cx, Fault, LogLevel, LogPosition, Mono, NodeInfo, Outcome, Plant, Recovered, StoreOp, Tag, planted,
};
use flux_wire::{Errno, Message, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::{self, Digest};
use crate::limits::{
    CHECKPOINT_LOG_BYTES, CHECKPOINTS_KEPT, CHECKPOINTS_KEPT_MAX, LOADED_BYTES_MAX, PENDING_MAX, UNSTORED_FLUSH_BYTES,
};
use crate::mutate::{Mutation, Origin};
use crate::record::{self, Item, NewBody};
use crate::service::Kvs;
use crate::space::{Body, PRIMARY, Space, Tree};
use crate::tree::{Dir, evict, hash_dir};

/// The checkpoint keys of the store: the last value, the values before it, and what only we need.
const KEY_PRIMARY: &str = "kvs-primary";
const KEY_HISTORY: &str = "kvs-history";
const KEY_STATE: &str = "kvs-state";

/// How long what is in the log alone may wait for a checkpoint (`[kvs] checkpoint-period`).
const PERIOD: Duration = Duration::from_secs(60);
/// How long to wait after the database could not be written.
const RETRY: Duration = Duration::from_secs(5);

/// A transaction that the database is working on.
#[derive(Debug)]
struct Put {
    tag: Tag,
    digests: Vec<Digest>,
    /// The checkpoint in it, if there is one.
    ready: Option<Ready>,
    /// The list of checkpoints once it is done.
    history: Vec<Value>,
    /// Who is answered when it is done: `content.flush`, `content.checkpoint-put`.
    requests: Vec<Message>,
}

/// A root that was hashed and waits until the log has all that is in it.
#[derive(Debug)]
struct Ready {
    batch: u64,
    log_bytes: u64,
    /// Where the record of `batch` ends, once the log has it.
    end: Option<LogPosition>,
    primary: Value,
    state: Value,
}

/// What is known of the database, and what is to be done.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    period: Option<Duration>,
    kept: Option<usize>,
    /// Newest first.
    history: Vec<Value>,
    ready: Option<Ready>,
    put: Option<Put>,
    /// `kvs.commit` with the SYNC flag: the batch it is in, and its answer.
    sync: Vec<(u64, Message, Payload)>,
    /// `content.flush`: answered when all blobs of their time are stored.
    flush: Vec<Message>,
    /// `content.checkpoint-get` before there was one: answered with the first.
    gets: Vec<Message>,
    /// Checkpoint values of clients, to be put with the next transaction.
    client_values: Vec<(Message, Value)>,
    /// A checkpoint is due at this time.
    due: Option<Mono>,
    /// Nothing has changed for a while then: what is in memory only because it was used may go.
    rest: Option<Mono>,
    wanted: bool,
    not_before: Option<Mono>,
    failing: bool,
    /// Nothing changed since the last one.
    clean_batch: u64,
}

#[derive(Deserialize, Serialize)]
struct State {
    version: u32,
    /// The last batch that the roots contain.
    batch: u64,
    namespaces: Vec<StateSpace>,
}

#[derive(Deserialize, Serialize)]
struct StateSpace {
    name: String,
    owner: u32,
    flags: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rootref: Option<String>,
    sequence: i64,
}

#[derive(Deserialize)]
struct PutRequest {
    value: Value,
}

impl Checkpoints {
    /// Reads `[kvs] checkpoint-period` and `[content-sqlite] max_checkpoints`.
    pub(crate) fn configure(&mut self, node: &NodeInfo) -> Result<(), Fault> {
        let refuse = |text: String| Err(Fault::new(Errno::EINVAL, text));
        let period = match node.config_at("kvs.checkpoint-period") {
            None => None,
            Some(value) => match value.as_str().and_then(flux_types::parse_fsd) {
                Some(secs) if secs > 0.0 && secs.is_finite() => Some(Duration::from_secs_f64(secs)),
                _ => return refuse(format!("kvs.checkpoint-period: {value} is not a duration such as \"30m\"")),
            },
        };
        let kept = match node.config_at("content-sqlite.max_checkpoints") {
            None => None,
            Some(value) => match value.as_u64() {
                Some(kept @ 1..=1000) => Some(kept as usize),
                _ => {
                    return refuse(format!(
                        "content-sqlite.max_checkpoints: {value} is not a number from 1 to {CHECKPOINTS_KEPT_MAX}"
                    ));
                }
            },
        };
        (self.period, self.kept) = (period, kept);
        Ok(())
    }

    pub(crate) fn next_timer(&self) -> Option<Mono> {
        let due = if self.put.is_some() { None } else { self.due.max(self.not_before.filter(|_| self.due.is_some())) };
        due.into_iter().chain(self.rest).min()
    }

    /// Returns `true` when the store has been at rest.
    pub(crate) fn on_timer(&mut self, now: Mono) -> bool {
        if self.not_before.is_some_and(|at| now >= at) {
            self.not_before = None;
        }
        if self.due.is_some_and(|at| now >= at) {
            self.wanted = true;
        }
        let rested = self.rest.is_some_and(|at| now >= at);
        self.rest = self.rest.filter(|_| !rested);
        rested
    }

    pub(crate) fn is_idle(&self, kvs: &Kvs) -> bool {
        let clean = self.clean_batch == kvs.log.last_batch && kvs.content.unstored().is_empty();
        self.put.is_none() && (clean || self.failing)
    }

    pub(crate) fn await_checkpoint(&mut self, batch: u64, request: Message, answer: Payload) {
        self.wanted = true;
        self.sync.push((batch, request, answer));
    }

    /// Batch `number` is not in the log: a root that contains it must not get into the database.
    pub(crate) fn discard(&mut self, number: u64) {
        if self.ready.as_ref().is_some_and(|ready| ready.batch >= number) {
            self.ready = None;
            self.wanted = true;
        }
    }

    /// The service is about to end: try once more, whatever happened before.
    pub(crate) fn disconnect(&mut self, request: &Message) {
        self.gets.retain(|get| !request.same_sender(get));
    }

    pub(crate) fn hurry(&mut self) {
        self.not_before = None;
        self.failing = false;
    }

    /// The log has batch `number`, which ends at `position`.
    pub(crate) fn confirmed(&mut self, number: u64, position: LogPosition) {
        if let Some(ready) = &mut self.ready
            && ready.batch == number
        {
            ready.end = Some(position);
        }
    }
}

/// What the database of an instance holds besides blobs when its store is to begin with the directory `rootref`.
/// `timestamp` is in seconds since 1970.
pub fn checkpoint_of(rootref: &str, owner: u32, timestamp: f64) -> Vec<(String, Value)> {
    let primary = json!({"version": 1, "rootref": rootref, "sequence": 0, "timestamp": timestamp});
    let rootref = Some(rootref.to_owned());
    let space = StateSpace { name: PRIMARY.to_owned(), owner, flags: 0, alias: None, rootref, sequence: 0 };
    let state = State { version: 1, batch: 0, namespaces: vec![space] };
    let state = serde_json::to_value(&state).expect("the state is plain data");
    vec![(KEY_HISTORY.to_owned(), json!([primary])), (KEY_PRIMARY.to_owned(), primary), (KEY_STATE.to_owned(), state)]
}

impl Kvs {
    /// Starts from what the database has, and puts the log's records in line.
    pub(crate) fn recover(&mut self, cx: &mut Cx<'_>, recovered: Recovered) -> Result<(), Fault> {
        let Recovered { mut checkpoints, records } = recovered;
        if let Some(Value::Array(history)) = checkpoints.remove(KEY_HISTORY) {
            self.checkpoints.history = history;
        }
        let state: Option<State> = match checkpoints.remove(KEY_STATE) {
            None => None,
            Some(value) => Some(State::deserialize(value).map_err(|error| {
                Fault::new(Errno::EINVAL, format!("the KVS checkpoint in the store is damaged: {error}"))
            })?),
        };
        let covered = state.as_ref().map_or(0, |state| state.batch);
        self.log.last_batch = covered;
        for space in state.map(|state| state.namespaces).unwrap_or_default() {
            self.recover_space(space)?;
        }
        if !self.line.restores(PRIMARY) {
            let body = Body::Tree(Tree { root: Dir::fresh(0), ..Tree::default() });
            self.spaces.insert(PRIMARY.into(), Space { owner: cx.node.owner, flags: 0, body });
        }
        let last = records.len().saturating_sub(usize::from(planted(Plant::ReplayForgetsLast)));
        for (position, record) in records.into_iter().take(last) {
            let (batch, items) = record::decode(self.content.alg, &record).map_err(|error| {
                Fault::new(Errno::EINVAL, format!("the KVS log is damaged before byte {}: {error}", position.0))
            })?;
            if batch <= covered {
                continue; // The database has it: the log was not trimmed before the end.
            }
            self.log.last_batch = batch;
            self.log.confirmed = (batch, position);
            self.log.bytes += record.len() as u64;
            for item in items {
                self.replay(item, Origin::Replay);
            }
        }
        self.checkpoints.clean_batch = covered;
        self.log.confirmed.0 = self.log.last_batch;
        Ok(())
    }

    fn replay(&mut self, item: Item, origin: Origin) {
        self.line.replaying += 1;
        self.line.push(Mutation { item, origin, flags: 0, name: None, sync: false });
    }

    fn recover_space(&mut self, saved: StateSpace) -> Result<(), Fault> {
        let name = saved.name.clone();
        let damaged =
            |what: &str| Fault::new(Errno::EINVAL, format!("the KVS checkpoint is damaged: namespace {name}: {what}"));
        let body = match (&saved.alias, &saved.rootref) {
            (Some(base), _) => NewBody::Alias(base.as_str().into()),
            (None, Some(rootref)) => NewBody::Root(
                digest::parse(self.content.alg, rootref).ok_or_else(|| damaged("its root is no blobref"))?,
            ),
            (None, None) => return Err(damaged("it has neither root nor alias")),
        };
        let item = Item::Create { name: saved.name.into(), owner: saved.owner, flags: saved.flags, body };
        self.replay(item, Origin::Restore { seq: saved.sequence });
        Ok(())
    }

    /// A change reached the log or blobs await the database: decide whether it is time.
    pub(crate) fn progress_store(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let dirty = self.checkpoints.clean_batch != self.log.last_batch;
        let busy = self.checkpoints.ready.is_some() || self.checkpoints.put.is_some();
        if dirty && !busy && self.checkpoints.due.is_none() {
            self.checkpoints.due = Some(now.after(self.checkpoints.period.unwrap_or(PERIOD)));
        }
        if self.loaded_bytes > LOADED_BYTES_MAX {
            self.evict();
        }
        if self.checkpoints.put.is_some() || self.checkpoints.not_before.is_some_and(|at| now < at) {
            return;
        }
        let wanted = self.checkpoints.wanted || self.log.bytes >= CHECKPOINT_LOG_BYTES || self.stopping;
        if wanted && dirty && self.checkpoints.ready.is_none() {
            self.prepare(cx);
        }
        self.checkpoints.wanted &= dirty;
        let ready = self.checkpoints.ready.as_ref().is_some_and(|ready| self.log.has_settled(ready.batch));
        let blobs_wanted = self.line.needs_flush
            || !self.checkpoints.flush.is_empty()
            || !self.checkpoints.client_values.is_empty()
            || self.stopping && self.log.is_idle() && !self.content.unstored().is_empty()
            || self.content.unstored_bytes() >= UNSTORED_FLUSH_BYTES;
        if ready || blobs_wanted {
            self.put(cx, ready);
        }
    }

    /// Hashes all trees and notes their roots.
    fn prepare(&mut self, cx: &mut Cx<'_>) {
        let alg = self.content.alg;
        let mut namespaces = Vec::with_capacity(self.spaces.len());
        let mut primary = Value::Null;
        let roots: Vec<(Arc<str>, Digest, i64)> = {
            let content = &mut self.content;
            let trees = self.spaces.trees();
            trees
                .map(|(name, tree)| {
                    tree.seq_is_open = false;
                    (name.clone(), hash_dir(alg, &mut tree.root, true, content), tree.seq)
                })
                .collect()
        };
        for (name, space) in self.spaces.iter() {
            let mut saved = StateSpace {
                name: name.to_string(),
                owner: space.owner,
                flags: space.flags,
                alias: None,
                rootref: None,
                sequence: 0,
            };
            match &space.body {
                Body::Alias(base) => saved.alias = Some(base.to_string()),
                Body::Tree(_) => {
                    let (_, digest, seq) = roots.iter().find(|(tree, ..)| tree == name).expect("all trees are hashed");
                    saved.rootref = Some(digest.to_string());
                    saved.sequence = *seq;
                }
            }
            if **name == *PRIMARY {
                let (rootref, sequence) = (&saved.rootref, saved.sequence);
                let timestamp = cx.now.wall.timestamp();
                primary = json!({"version": 1, "rootref": rootref, "sequence": sequence, "timestamp": timestamp});
            }
            namespaces.push(saved);
        }
        let state = State { version: 1, batch: self.log.last_batch, namespaces };
        let state = serde_json::to_value(&state).expect("the state is plain data");
        self.checkpoints.ready = Some(Ready {
            batch: self.log.last_batch,
            log_bytes: self.log.bytes,
            end: self.log.is_idle().then_some(self.log.confirmed.1),
            primary,
            state,
        });
        self.checkpoints.wanted = false;
        self.checkpoints.due = None;
    }

    fn put(&mut self, cx: &mut Cx<'_>, with_checkpoint: bool) {
        let ready = if with_checkpoint { self.checkpoints.ready.take() } else { None };
        let mut values = Vec::new();
        let mut history = self.checkpoints.history.clone();
        let mut remember = |value: &Value, values: &mut Vec<(String, Arc<Value>)>| {
            history.insert(0, value.clone());
            values.push((KEY_PRIMARY.into(), Arc::new(value.clone())));
        };
        if let Some(ready) = &ready {
            remember(&ready.primary, &mut values);
            values.push((KEY_STATE.into(), Arc::new(ready.state.clone())));
        }
        let mut requests = std::mem::take(&mut self.checkpoints.flush);
        for (request, value) in std::mem::take(&mut self.checkpoints.client_values) {
            remember(&value, &mut values);
            requests.push(request);
        }
        if !values.is_empty() {
            history.truncate(self.checkpoints.kept.unwrap_or(CHECKPOINTS_KEPT));
            values.push((KEY_HISTORY.into(), Arc::new(Value::Array(history.clone()))));
        }
        let unstored = self.content.unstored();
        let digests: Vec<Digest> = unstored.keys().copied().collect();
        let blobs = unstored.iter().map(|(digest, bytes)| (digest::raw(digest), bytes.clone())).collect();
        let tag = cx.store(StoreOp::Put { blobs, checkpoints: values });
        self.checkpoints.put = Some(Put { tag, digests, ready, history, requests });
    }

    pub(crate) fn put_done(&mut self, cx: &mut Cx<'_>, tag: Tag, outcome: Result<(), Fault>) {
        if self.checkpoints.put.as_ref().is_none_or(|put| put.tag != tag) {
            return;
        }
        let put = self.checkpoints.put.take().expect("checked above");
        match outcome {
            Ok(()) => self.put_succeeded(cx, put),
            Err(fault) => self.put_failed(cx, put, &fault),
        }
        self.advance(cx);
        self.settle_all(cx);
    }

    fn put_succeeded(&mut self, cx: &mut Cx<'_>, put: Put) {
        self.content.stored(&put.digests);
        self.checkpoints.history = put.history;
        self.checkpoints.failing = false;
        self.checkpoints.not_before = None;
        self.line.needs_flush = false;
        for request in put.requests {
            cx.respond_empty(&request);
        }
        if !self.checkpoints.history.is_empty() {
            for request in std::mem::take(&mut self.checkpoints.gets) {
                cx.respond(&request, json!({"value": self.checkpoints.history}));
            }
        }
        let Some(Ready { batch, log_bytes, end, .. }) = put.ready else { return };
        self.checkpoints.clean_batch = batch;
        self.log.bytes -= log_bytes;
        if let Some(before) = end.filter(|end| *end > LogPosition(0)) {
            cx.store(StoreOp::Trim { before });
        }
        let (done, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.checkpoints.sync).into_iter().partition(|(number, ..)| *number <= batch);
        self.checkpoints.sync = rest;
        self.checkpoints.wanted |= !self.checkpoints.sync.is_empty();
        for (_, request, answer) in done {
            cx.respond(&request, answer);
        }
        self.evict();
        self.checkpoints.rest = Some(cx.now.mono.after(PERIOD));
    }

    fn put_failed(&mut self, cx: &mut Cx<'_>, put: Put, fault: &Fault) {
        if !self.checkpoints.failing {
            let text = format!("the KVS could not write its database: {}; the log goes on", fault.message());
            cx.log(LogLevel::Err, text);
        }
        self.checkpoints.failing = true;
        self.checkpoints.not_before = Some(cx.now.mono.after(RETRY));
        self.checkpoints.due = Some(cx.now.mono.after(RETRY));
        self.checkpoints.wanted = true;
        for request in put.requests.into_iter().chain(std::mem::take(&mut self.checkpoints.gets)) {
            cx.respond_error(&request, fault);
        }
        for (_, request, _) in std::mem::take(&mut self.checkpoints.sync) {
            cx.respond_error(&request, fault);
        }
        if std::mem::take(&mut self.line.needs_flush) {
            self.line.fail_first(fault.errno);
        }
    }

    /// Drops what was not used since the last time and can be read back.
    pub(crate) fn evict(&mut self) {
        let epoch = self.epoch;
        for (_, tree) in self.spaces.trees() {
            evict(&mut tree.root, epoch);
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.loaded_bytes = 0;
    }

    /// Drops all that can be read back.
    pub(crate) fn forget_all(&mut self) {
        self.evict();
        self.evict();
    }

    pub(crate) fn checkpoint_get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.checkpoints.history.is_empty() {
            let dirty = self.checkpoints.clean_batch != self.log.last_batch;
            if !dirty || self.checkpoints.gets.len() >= PENDING_MAX {
                return Err(Errno::ENOENT.into());
            }
            self.checkpoints.gets.push(request.clone());
            self.checkpoints.wanted = true;
            self.progress_store(cx);
            return Ok(());
        }
        cx.respond(request, json!({"value": self.checkpoints.history}));
        Ok(())
    }

    pub(crate) fn checkpoint_put(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: PutRequest = request.decode()?;
        self.checkpoints.client_values.push((request.clone(), body.value));
        self.progress_store(cx);
        Ok(())
    }

    pub(crate) fn content_flush(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.content.unstored().is_empty() {
            cx.respond_empty(request);
            return Ok(());
        }
        self.checkpoints.flush.push(request.clone());
        self.progress_store(cx);
        Ok(())
    }

    pub(crate) fn history(&self) -> &[Value] {
        &self.checkpoints.history
    }
}
