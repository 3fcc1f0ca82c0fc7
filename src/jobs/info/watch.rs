//! `job-info.eventlog-watch` and `update-watch`: streams that end when the job does.
//!
//! The main eventlog ends with `clean`. Any other one ends when the main one does: it is then read once more, as nothing comes
//! after that, and so nothing is missed whatever the order in which the KVS tells of its keys. What the job itself makes, under
//! `guest.`, is waited for from its start on.

use flux_service::{Cx, Fault, Outcome};
use flux_types::{JobId, eventlog};
use flux_wire::{Errno, Message, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use super::lookup::check_update;
use super::{JobInfo, Pending, allowed, update};
use crate::body::{Matchtag, WireId};
use crate::kvs;
use crate::limits::WATCH_PATH_LEN_MAX;

const WAITCREATE: u64 = 1;
const INITIAL_SENTINEL: u64 = 2;

const KVS_WATCH: u32 = 4;
const KVS_WAITCREATE: u32 = 8;
const KVS_WATCH_APPEND: u32 = 256;
const KVS_WATCH_INITIAL_SENTINEL: u32 = 1024;

/// What is watched.
#[derive(Debug)]
enum What {
    /// Lines of an eventlog.
    Events,
    /// R or the jobspec, as updates change it. `None` until it is read.
    Value { key: String, value: Option<Value>, told: bool },
}

/// One stream.
#[derive(Debug)]
pub(super) struct Watch {
    request: Message,
    id: JobId,
    path: String,
    flags: u64,
    what: What,
    /// The sender may read.
    allowed: bool,
    /// The job has started: its guest directory is there, or will be at once.
    started: bool,
    /// Bytes of the log that were sent.
    delivered: usize,
    main: Option<flux_service::Tag>,
    data: Option<flux_service::Tag>,
}

impl Watch {
    pub(super) fn is_update(&self) -> bool {
        matches!(self.what, What::Value { .. })
    }

    pub(super) fn is_guest(&self) -> bool {
        self.path.starts_with("guest.")
    }

    /// RFC 41: the event after which no other comes.
    fn last_event(&self) -> Option<&'static str> {
        match self.path.as_str() {
            "eventlog" => Some("clean"),
            "guest.exec.eventlog" => Some("done"),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct EventlogWatch {
    id: WireId,
    path: String,
    flags: u64,
}

#[derive(Deserialize)]
struct UpdateWatch {
    id: WireId,
    key: String,
    flags: u64,
}

fn streaming(request: &Message) -> Result<(), Fault> {
    if request.is_streaming() {
        return Ok(());
    }
    Err(Fault::new(Errno::EPROTO, format!("{} request rejected without streaming RPC flag", request.topic())))
}

/// A key below the job's directory.
fn check_path(path: &str) -> Result<(), Fault> {
    let good = !path.is_empty() && path.split('.').all(|part| !part.is_empty());
    if good && path.len() <= WATCH_PATH_LEN_MAX {
        return Ok(());
    }
    Err(Fault::new(Errno::EINVAL, "eventlog-watch request rejected with invalid path"))
}

impl JobInfo {
    pub(super) fn eventlog_watch(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: EventlogWatch = request.decode()?;
        if body.flags & !(WAITCREATE | INITIAL_SENTINEL) != 0 {
            return Err(Fault::new(Errno::EPROTO, "eventlog-watch request rejected with invalid flag"));
        }
        streaming(request)?;
        check_path(&body.path)?;
        let number = self.next_number()?;
        let watch = Watch {
            request: request.clone(),
            id: body.id.id(),
            path: body.path,
            flags: body.flags,
            what: What::Events,
            allowed: request.cred.is_owner(),
            started: false,
            delivered: 0,
            main: None,
            data: None,
        };
        self.keep(cx, number, watch);
        let watch = &self.watches[&number];
        if watch.path == "eventlog" {
            self.watch_data(cx, number);
        } else {
            let at_once = watch.allowed && !watch.is_guest();
            self.watch_main(cx, number);
            if at_once {
                self.watch_data(cx, number);
            }
        }
        Ok(())
    }

    pub(super) fn update_watch(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: UpdateWatch = request.decode()?;
        check_update(&body.key, body.flags)?;
        streaming(request)?;
        let number = self.next_number()?;
        let tag = kvs::lookup(cx, &kvs::job_key(body.id.id(), &body.key), 0);
        self.pending.insert(tag, Pending::Base(number));
        let watch = Watch {
            request: request.clone(),
            id: body.id.id(),
            path: "eventlog".into(),
            flags: 0,
            what: What::Value { key: body.key, value: None, told: false },
            allowed: request.cred.is_owner(),
            started: false,
            delivered: 0,
            main: None,
            data: Some(tag),
        };
        self.keep(cx, number, watch);
        Ok(())
    }

    fn kvs_watch(&mut self, cx: &mut Cx<'_>, key: &str, flags: u32, pending: Pending) -> flux_service::Tag {
        let flags = KVS_WATCH | KVS_WATCH_APPEND | flags;
        let body = json!({"namespace": "primary", "key": key, "flags": flags});
        let tag = cx.request_stream("kvs-watch.lookup", Target::Any, body);
        self.pending.insert(tag, pending);
        tag
    }

    fn watch_main(&mut self, cx: &mut Cx<'_>, number: u64) {
        let key = kvs::job_key(self.watches[&number].id, "eventlog");
        let tag = self.kvs_watch(cx, &key, 0, Pending::Main(number));
        self.watches.get_mut(&number).expect("just seen").main = Some(tag);
    }

    fn watch_data(&mut self, cx: &mut Cx<'_>, number: u64) {
        let watch = &self.watches[&number];
        let key = kvs::job_key(watch.id, &watch.path);
        let flag = |bit: u64, kvs: u32| if watch.flags & bit != 0 { kvs } else { 0 };
        // What a job makes may come a moment after its start.
        let wait = if watch.is_guest() { KVS_WAITCREATE } else { flag(WAITCREATE, KVS_WAITCREATE) };
        let flags = wait | flag(INITIAL_SENTINEL, KVS_WATCH_INITIAL_SENTINEL);
        let tag = self.kvs_watch(cx, &key, flags, Pending::Data(number));
        self.watches.get_mut(&number).expect("just seen").data = Some(tag);
    }

    /// The main eventlog of a job whose other log is watched.
    pub(super) fn on_main(&mut self, cx: &mut Cx<'_>, number: u64, reply: &Message) {
        let text = match kvs::text(reply) {
            Ok(text) => text,
            Err(fault) => return self.fail(cx, number, &fault),
        };
        let Some(watch) = self.watches.get_mut(&number) else { return };
        if !watch.allowed {
            if let Err(fault) = allowed(watch.request.cred, &text) {
                return self.fail(cx, number, &fault);
            }
            watch.allowed = true;
        }
        let has = |name: &str| eventlog::entries(&text).any(|entry| entry.is_ok_and(|entry| entry.name == name));
        watch.started |= has("start");
        let (readable, over) = (watch.started || !watch.is_guest(), has("clean"));
        match (readable, over) {
            // A job that never started has made nothing.
            (false, true) => self.fail(cx, number, &Errno::ENODATA.into()),
            (true, true) => self.read_last(cx, number),
            (true, false) if watch.data.is_none() => self.watch_data(cx, number),
            _ => {}
        }
    }

    /// The job is over: what is in the log now is all there will be.
    fn read_last(&mut self, cx: &mut Cx<'_>, number: u64) {
        self.stop_watching(cx, number);
        let watch = &self.watches[&number];
        let tag = kvs::lookup(cx, &kvs::job_key(watch.id, &watch.path), 0);
        self.pending.insert(tag, Pending::Last(number));
        self.watches.get_mut(&number).expect("just seen").data = Some(tag);
    }

    pub(super) fn on_last(&mut self, cx: &mut Cx<'_>, number: u64, reply: &Message) {
        let Some(watch) = self.watches.get_mut(&number) else { return };
        let end = match kvs::text(reply) {
            Ok(text) => {
                for line in text.get(watch.delivered..).unwrap_or("").split_inclusive('\n') {
                    cx.respond(&watch.request, json!({"event": line}));
                }
                if watch.flags & INITIAL_SENTINEL != 0 {
                    cx.respond_empty(&watch.request);
                }
                Errno::ENODATA.into()
            }
            // Who waits for the key to be made need not be told that it never was.
            Err(fault) if watch.delivered == 0 && watch.flags & WAITCREATE == 0 => fault,
            Err(_) => Errno::ENODATA.into(),
        };
        self.fail(cx, number, &end);
    }

    /// Something of the log that is asked for.
    pub(super) fn on_data(&mut self, cx: &mut Cx<'_>, number: u64, reply: &Message) {
        let Some(watch) = self.watches.get_mut(&number) else { return };
        if Fault::of(reply).is_none() && is_sentinel(reply) {
            watch.flags &= !INITIAL_SENTINEL;
            return cx.respond_empty(&watch.request);
        }
        let text = match kvs::text(reply) {
            Ok(text) => text,
            Err(fault) => return self.fail(cx, number, &fault),
        };
        if !watch.allowed {
            if let Err(fault) = allowed(watch.request.cred, &text) {
                return self.fail(cx, number, &fault);
            }
            watch.allowed = true;
        }
        watch.delivered += text.len();
        let over = match &mut watch.what {
            What::Events => tell_events(cx, watch, &text),
            What::Value { key, value, told } => {
                let (key, value) = (key.clone(), value.as_mut().expect("read before the log"));
                tell_updates(cx, &watch.request, &key, value, told, &text)
            }
        };
        if over {
            if watch.flags & INITIAL_SENTINEL != 0 {
                cx.respond_empty(&watch.request);
            }
            self.fail(cx, number, &Errno::ENODATA.into());
        }
    }

    /// The value that updates change; now its eventlog.
    pub(super) fn on_base(&mut self, cx: &mut Cx<'_>, number: u64, reply: &Message) {
        let parsed = kvs::text(reply).and_then(|text| {
            serde_json::from_str(&text).map_err(|_| Fault::new(Errno::EINVAL, "lookup value cannot be parsed"))
        });
        let base: Value = match parsed {
            Ok(base) => base,
            Err(fault) => return self.fail(cx, number, &fault),
        };
        let Some(watch) = self.watches.get_mut(&number) else { return };
        if let What::Value { value, .. } = &mut watch.what {
            *value = Some(base);
        }
        self.watch_data(cx, number);
    }

    /// Ends a stream with an error; ENODATA is the regular end.
    pub(super) fn fail(&mut self, cx: &mut Cx<'_>, number: u64, fault: &Fault) {
        self.stop_watching(cx, number);
        if let Some(watch) = self.forget(number) {
            cx.respond_error(&watch.request, fault);
        }
    }

    fn stop_watching(&mut self, cx: &mut Cx<'_>, number: u64) {
        let Some(watch) = self.watches.get_mut(&number) else { return };
        for tag in [watch.main.take(), watch.data.take()].into_iter().flatten() {
            if matches!(self.pending.remove(&tag), Some(Pending::Main(_) | Pending::Data(_))) {
                cx.notify("kvs-watch.cancel", Target::Any, json!({"matchtag": tag.0}));
            }
        }
    }

    fn keep(&mut self, cx: &mut Cx<'_>, number: u64, watch: Watch) {
        let (sender, matchtag) = (watch.request.sender().cloned(), watch.request.matchtag());
        let former = self.by_sender.get(&sender).and_then(|tags| tags.get(&matchtag)).copied();
        if let Some(former) = former {
            // Its sender uses the matchtag for something else: nobody waits for the rest.
            self.stop_watching(cx, former);
            self.forget(former);
        }
        self.by_sender.entry(sender).or_default().insert(matchtag, number);
        self.watches.insert(number, watch);
    }

    fn forget(&mut self, number: u64) -> Option<Watch> {
        let watch = self.watches.remove(&number)?;
        let sender = watch.request.sender().cloned();
        if let Some(tags) = self.by_sender.get_mut(&sender) {
            tags.remove(&watch.request.matchtag());
            if tags.is_empty() {
                self.by_sender.remove(&sender);
            }
        }
        Some(watch)
    }

    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Matchtag = request.decode()?;
        let tags = self.by_sender.get(&request.sender().cloned());
        let number = tags.and_then(|tags| tags.get(&body.matchtag)).copied();
        let of = |number: &u64| self.watches.get(number).is_some_and(|watch| request.same_sender(&watch.request));
        if let Some(number) = number.filter(of) {
            self.fail(cx, number, &Errno::ENODATA.into());
        }
        Ok(())
    }

    pub(super) fn disconnect(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let numbers: Vec<u64> = match request.gone_broker() {
            Some(_) => self.watches.keys().copied().collect(),
            None => {
                let tags = self.by_sender.get(&request.sender().cloned());
                tags.into_iter().flat_map(|tags| tags.values()).copied().collect()
            }
        };
        for number in numbers {
            if self.watches.get(&number).is_some_and(|watch| request.same_sender(&watch.request)) {
                self.stop_watching(cx, number);
                self.forget(number);
            }
        }
        Ok(())
    }
}

/// The empty response that says "so much was there already".
fn is_sentinel(reply: &Message) -> bool {
    match reply.payload.value() {
        Ok(body) => body.get("val").is_none_or(Value::is_null),
        Err(_) => reply.payload.is_none(),
    }
}

/// One response per line. `true`: the last event has been told.
fn tell_events(cx: &mut Cx<'_>, watch: &Watch, text: &str) -> bool {
    for line in text.split_inclusive('\n') {
        cx.respond(&watch.request, json!({"event": line}));
        if let Some(last) = watch.last_event() {
            let entry = eventlog::parse_line(line.trim_end_matches('\n'));
            if entry.is_ok_and(|entry| entry.name == last) {
                return true;
            }
        }
    }
    false
}

/// The value when it is read, and after each event that changes it. `true`: the job is over.
fn tell_updates(cx: &mut Cx<'_>, request: &Message, key: &str, value: &mut Value, told: &mut bool, text: &str) -> bool {
    let mut over = false;
    for entry in eventlog::entries(text).filter_map(|entry| entry.ok()?.to_entry().ok()) {
        let changed = update(key, value, &entry);
        if changed && *told {
            cx.respond(request, json!({key: value}));
        }
        over |= entry.name == "clean";
    }
    if !*told {
        *told = true;
        cx.respond(request, json!({key: value}));
    }
    over
}
