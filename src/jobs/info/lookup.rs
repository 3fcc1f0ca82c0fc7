//! `job-info.lookup` and `update-lookup`: values of a job's directory.

use flux_service::{Cx, Fault, Outcome};
use flux_types::json::to_spaced_string;
use flux_types::{JobId, eventlog};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{JobInfo, Pending, allowed, update};
use crate::body::WireId;
use crate::kvs;
use crate::limits::LOOKUP_KEYS_MAX;

/// R and jobspec as objects instead of strings.
const JSON_DECODE: u64 = 1;
/// R and jobspec with their updates.
const CURRENT: u64 = 2;

/// A request that waits for its keys.
#[derive(Debug)]
pub(super) struct Lookup {
    request: Message,
    id: JobId,
    keys: Vec<String>,
    flags: u64,
    /// The answer has the value alone, without the job's id (`update-lookup`).
    bare: bool,
    /// By the place of the key; the last is the eventlog, which tells who may read.
    found: Vec<Option<Result<String, Fault>>>,
}

#[derive(Deserialize)]
struct Body {
    id: WireId,
    keys: Vec<Value>,
    flags: u64,
}

#[derive(Deserialize)]
struct Update {
    id: WireId,
    key: String,
    flags: u64,
}

impl JobInfo {
    pub(super) fn lookup(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Body = request.decode()?;
        let invalid = |text: &str| Fault::new(Errno::EPROTO, text);
        if body.keys.len() > LOOKUP_KEYS_MAX {
            return Err(Fault::new(Errno::E2BIG, format!("more than {LOOKUP_KEYS_MAX} keys")));
        }
        if body.flags & !(JSON_DECODE | CURRENT) != 0 {
            return Err(invalid("lookup request rejected with invalid flag"));
        }
        let keys: Option<Vec<String>> = body.keys.iter().map(|key| key.as_str().map(str::to_owned)).collect();
        let keys = keys.ok_or_else(|| invalid("lookup request keys must be strings"))?;
        self.look_up(cx, request, body.id.id(), keys, body.flags, false)
    }

    pub(super) fn update_lookup(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Update = request.decode()?;
        check_update(&body.key, body.flags)?;
        self.look_up(cx, request, body.id.id(), vec![body.key], JSON_DECODE | CURRENT, true)
    }

    fn look_up(
        &mut self,
        cx: &mut Cx<'_>,
        request: &Message,
        id: JobId,
        keys: Vec<String>,
        flags: u64,
        bare: bool,
    ) -> Outcome {
        let of = self.next_number()?;
        let mut names: Vec<&str> = keys.iter().map(String::as_str).collect();
        names.push("eventlog");
        for (place, name) in names.iter().enumerate() {
            let tag = kvs::lookup(cx, &kvs::job_key(id, name), 0);
            self.pending.insert(tag, Pending::Lookup { of, place });
        }
        let found = vec![None; names.len()];
        self.lookups.insert(of, Lookup { request: request.clone(), id, keys, flags, bare, found });
        Ok(())
    }

    pub(super) fn on_looked_up(&mut self, cx: &mut Cx<'_>, of: u64, place: usize, reply: &Message) {
        let Some(lookup) = self.lookups.get_mut(&of) else { return };
        lookup.found[place] = Some(kvs::text(reply));
        if lookup.found.iter().any(Option::is_none) {
            return;
        }
        let lookup = self.lookups.remove(&of).expect("just seen");
        let request = lookup.request.clone();
        match lookup.answer() {
            Ok(answer) => cx.respond(&request, answer),
            Err(fault) => cx.respond_error(&request, &fault),
        }
    }
}

impl Lookup {
    pub(super) fn request(&self) -> &Message {
        &self.request
    }

    fn answer(self) -> Result<Value, Fault> {
        let mut found = self.found.into_iter().map(|value| value.expect("all are there"));
        let mut values: Vec<Result<String, Fault>> = found.by_ref().take(self.keys.len()).collect();
        let log = found.next().expect("the eventlog is looked up too");
        let log = log.map_err(|fault| match fault.errno {
            Errno::ENOENT => Fault::new(Errno::ENOENT, "invalid job id"),
            _ => fault,
        })?;
        allowed(self.request.cred, &log)?;
        let mut out = Map::new();
        if !self.bare {
            out.insert("id".into(), self.id.0.into());
        }
        for (key, value) in self.keys.iter().zip(values.drain(..)) {
            let text = value.map_err(|fault| match fault.errno {
                Errno::ENOENT => Fault::new(Errno::ENOENT, format!("{key}: key not found")),
                _ => Fault::new(fault.errno, format!("{key}: {}", fault.message())),
            })?;
            out.insert(key.clone(), render(key, text, self.flags, &log)?);
        }
        Ok(Value::Object(out))
    }
}

fn render(key: &str, text: String, flags: u64, log: &str) -> Result<Value, Fault> {
    if flags == 0 || !matches!(key, "R" | "jobspec") {
        return Ok(text.into());
    }
    let mut value: Value =
        serde_json::from_str(&text).map_err(|error| Fault::new(Errno::EINVAL, format!("{key}: {error}")))?;
    if flags & CURRENT != 0 {
        for entry in eventlog::entries(log).filter_map(|entry| entry.ok()?.to_entry().ok()) {
            update(key, &mut value, &entry);
        }
    }
    Ok(match flags & JSON_DECODE {
        0 => to_spaced_string(&value).into(),
        _ => value,
    })
}

/// # Errors
/// EINVAL: only R and jobspec have updates.
pub(super) fn check_update(key: &str, flags: u64) -> Result<(), Fault> {
    if !matches!(key, "R" | "jobspec") {
        return Err(Fault::new(Errno::EINVAL, format!("unsupported key {key} specified")));
    }
    if flags != 0 {
        return Err(Fault::new(Errno::EPROTO, "update request rejected with invalid flag"));
    }
    Ok(())
}
