//! `kvs-watch.lookup`: lookups that are answered again when their key is committed to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flux_service::{Cx, Fault, Mono, Outcome, Plant, planted};
use flux_wire::{Errno, Message, Payload, RouteId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::content::Content;
use crate::digest::Digest;
use crate::doubt::{Compared, Doubt};
use crate::event::Keys;
use crate::key;
use crate::limits::{NAMESPACE_NAME_LEN_MAX, WAITS_PER_GUEST_MAX, WATCHERS_MAX};
use crate::lookup::{Found, From, flag, follows, render};
use crate::park::Job;
use crate::service::{Gathered, Kvs};
use crate::tree::{Entry, Stop, val_json};

/// One watcher.
#[derive(Debug)]
struct Watcher {
    request: Message,
    space: Arc<str>,
    key: Box<str>,
    flags: i64,
    /// The first value has been sent.
    responded: bool,
    sentinel_sent: bool,
    /// Bytes of the value that were sent (APPEND).
    delivered: usize,
    /// What was sent last (UNIQ, FULL), as a digest of its text.
    last: Option<Digest>,
    /// Tree and key that it is filed under, once its namespace exists.
    at: Option<(Arc<str>, Box<str>)>,
    /// It waits for blobs.
    busy: bool,
    /// The key was committed to while it was busy.
    again: bool,
    /// The key was set, not only appended to, since the last look.
    overwritten: bool,
    /// Whether what it was sent (APPEND) is still there.
    doubt: Doubt,
}

impl Watcher {
    fn has(&self, flag: i64) -> bool {
        self.flags & flag != 0
    }
}

/// All watchers, and how to find those that a commit concerns.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    all: BTreeMap<u64, Watcher>,
    last: u64,
    by_key: BTreeMap<Arc<str>, BTreeMap<Box<str>, BTreeSet<u64>>>,
    /// Those that look at every commit, by tree.
    full: BTreeMap<Arc<str>, BTreeSet<u64>>,
    by_space: BTreeMap<Arc<str>, BTreeSet<u64>>,
    /// By sender and matchtag.
    by_request: BTreeMap<(RouteId, u32), BTreeSet<u64>>,
    /// How many a guest has, by user id.
    of_guests: BTreeMap<u32, usize>,
    /// When one of them has waited long enough for what was taken back.
    rings_at: Option<Mono>,
}

/// Watchers whose values are still being read are asked again after this.
const RETRY_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

#[derive(Deserialize)]
struct WatchRequest {
    namespace: String,
    key: String,
    flags: i64,
}

#[derive(Deserialize)]
struct CancelRequest {
    matchtag: u32,
}

/// What one look at the key found.
enum Look {
    Nothing,
    Value(Value),
    Pieces { total: usize, pieces: Vec<Arc<[u8]>>, is_val: bool },
    Refused(Fault),
}

impl Watches {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// May this sender have no more?
    fn is_full(&self, request: &Message) -> bool {
        let has = self.of_guests.get(&request.cred.userid).copied().unwrap_or_default();
        self.all.len() >= WATCHERS_MAX || !request.cred.is_owner() && has >= WAITS_PER_GUEST_MAX
    }

    pub(crate) fn per_space(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.by_space.iter().map(|(space, ids)| (space, ids.len()))
    }

    fn add(&mut self, watcher: Watcher) -> u64 {
        self.last += 1;
        let id = self.last;
        if !watcher.request.cred.is_owner() {
            *self.of_guests.entry(watcher.request.cred.userid).or_default() += 1;
        }
        self.by_space.entry(watcher.space.clone()).or_default().insert(id);
        self.by_request.entry(request_key(&watcher.request)).or_default().insert(id);
        self.all.insert(id, watcher);
        id
    }

    /// Files a watcher whose namespace exists under its tree.
    fn file(&mut self, id: u64, tree: Arc<str>, key: Box<str>) {
        let watcher = self.all.get_mut(&id).expect("only known watchers are filed");
        watcher.at = Some((tree.clone(), key.clone()));
        if watcher.has(flag::FULL) {
            self.full.entry(tree).or_default().insert(id);
        } else {
            self.by_key.entry(tree).or_default().entry(key).or_default().insert(id);
        }
    }

    fn forget(&mut self, id: u64) -> Option<Watcher> {
        let watcher = self.all.remove(&id)?;
        if let Some(count) = self.of_guests.get_mut(&watcher.request.cred.userid)
            && !watcher.request.cred.is_owner()
        {
            *count -= 1;
            if *count == 0 {
                self.of_guests.remove(&watcher.request.cred.userid);
            }
        }
        remove_id(&mut self.by_space, &watcher.space, id);
        remove_id(&mut self.by_request, &request_key(&watcher.request), id);
        if let Some((tree, key)) = &watcher.at {
            remove_id(&mut self.full, tree, id);
            if let Some(keys) = self.by_key.get_mut(tree) {
                remove_id(keys, key, id);
                if keys.is_empty() {
                    self.by_key.remove(tree);
                }
            }
        }
        Some(watcher)
    }

    /// Watchers of this key, and those that look at every commit of its tree.
    fn concerned(&self, tree: &str, keys: &Keys) -> BTreeMap<u64, bool> {
        let mut ids: BTreeMap<u64, bool> = self.full.get(tree).into_iter().flatten().map(|id| (*id, false)).collect();
        let Some(by_key) = self.by_key.get(tree) else { return ids };
        let mut note = |watching: &BTreeSet<u64>, set: bool| ids.extend(watching.iter().map(|id| (*id, set)));
        if by_key.len() < keys.len() {
            by_key.iter().for_each(|(key, watching)| {
                if let Some(set) = keys.get(key) {
                    note(watching, *set);
                }
            });
        } else {
            keys.iter().for_each(|(key, set)| {
                if let Some(watching) = by_key.get(key) {
                    note(watching, *set);
                }
            });
        }
        ids
    }

    /// A commit that watchers have seen was taken back.
    pub(crate) fn rolled_back(&mut self, now: Mono) {
        let seen = self.all.values_mut().filter(|watcher| watcher.responded);
        self.rings_at = seen.map(|watcher| watcher.doubt.begin(now)).chain(self.rings_at).min();
    }

    /// When a watcher has waited long enough for what was taken back.
    pub(crate) fn next_timer(&self) -> Option<Mono> {
        self.rings_at
    }

    pub(crate) fn disconnect(&mut self, request: &Message) {
        let gone: Vec<u64> = match request.gone_broker() {
            Some(_) => self.all.keys().copied().collect(),
            None => {
                let sender = request_key(request).0;
                let of_sender = self.by_request.range((sender.clone(), 0)..=(sender, u32::MAX));
                of_sender.flat_map(|(_, ids)| ids).copied().collect()
            }
        };
        for id in gone {
            if request.same_sender(&self.all[&id].request) {
                self.forget(id);
            }
        }
    }

    pub(crate) fn check(&self) {
        let filed: usize = self.by_space.values().map(BTreeSet::len).sum();
        assert_eq!(filed, self.all.len(), "each watcher is filed under its namespace");
        let guests = self.all.values().filter(|watcher| !watcher.request.cred.is_owner()).count();
        assert_eq!(self.of_guests.values().sum::<usize>(), guests);
        let known = |ids: &BTreeSet<u64>| !ids.is_empty() && ids.iter().all(|id| self.all.contains_key(id));
        assert!(self.full.values().all(known) && self.by_space.values().all(known));
        assert!(self.by_key.values().flat_map(BTreeMap::values).all(known));
    }
}

fn request_key(request: &Message) -> (RouteId, u32) {
    (request.sender().cloned().unwrap_or_else(|| "".into()), request.matchtag())
}

fn remove_id<K: Ord>(map: &mut BTreeMap<K, BTreeSet<u64>>, key: &K, id: u64) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

impl Kvs {
    pub(crate) fn watch_lookup(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: WatchRequest = request.decode()?;
        check_flags(request, body.flags)?;
        if self.watches.is_full(request) {
            return Err(Fault::new(Errno::ENOMEM, "too many KVS watchers"));
        }
        if body.namespace.len() > NAMESPACE_NAME_LEN_MAX {
            return Err(Errno::EINVAL.into());
        }
        let key: Box<str> = key::normalize(&body.key)?.into();
        let exists = self.spaces.contains(&body.namespace);
        if exists {
            self.spaces.authorized(&body.namespace, request.cred)?;
        } else if body.flags & flag::WAITCREATE == 0 {
            return Err(Errno::ENOTSUP.into());
        }
        let id = self.watches.add(Watcher {
            request: request.clone(),
            space: body.namespace.as_str().into(),
            key: key.clone(),
            flags: body.flags,
            responded: false,
            sentinel_sent: false,
            delivered: 0,
            last: None,
            at: None,
            busy: false,
            again: false,
            overwritten: false,
            doubt: Doubt::default(),
        });
        if let Some((tree, key)) = self.absolute(&body.namespace, &key) {
            self.watches.file(id, tree, key);
            self.look(cx, id);
        }
        Ok(())
    }

    pub(crate) fn watch_cancel(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: CancelRequest = request.decode()?;
        let is_meant = |waiting: &Message| {
            let same = waiting.matchtag() == body.matchtag && request.same_sender(waiting);
            same && waiting.topic() == "kvs-watch.lookup"
        };
        for waiting in self.take_waiting(is_meant) {
            cx.respond_error(&waiting, &Errno::ENODATA.into());
        }
        let ids = self.watches.by_request.get(&(request_key(request).0, body.matchtag)).cloned().unwrap_or_default();
        for id in ids {
            if request.same_sender(&self.watches.all[&id].request) {
                self.watch_failed(cx, id, &Errno::ENODATA.into());
            }
        }
        Ok(())
    }

    pub(crate) fn watch_created(&mut self, cx: &mut Cx<'_>, space: &Arc<str>) {
        let ids: Vec<u64> = self.watches.by_space.get(space).into_iter().flatten().copied().collect();
        for id in ids {
            let watcher = &self.watches.all[&id];
            if let Err(fault) = self.spaces.authorized(space, watcher.request.cred) {
                self.watch_failed(cx, id, &fault);
            } else if let Some((tree, key)) = self.absolute(space, &watcher.key) {
                self.watches.file(id, tree, key);
                self.look(cx, id);
            }
        }
    }

    pub(crate) fn watch_removed(&mut self, cx: &mut Cx<'_>, space: &Arc<str>) {
        self.watch_lost(cx, space, &Errno::ENOTSUP.into());
    }

    /// Nothing more is heard of the namespace: those who watch it are told why.
    pub(crate) fn watch_lost(&mut self, cx: &mut Cx<'_>, space: &Arc<str>, fault: &Fault) {
        let ids: Vec<u64> = self.watches.by_space.get(space).into_iter().flatten().copied().collect();
        for id in ids {
            self.watch_failed(cx, id, fault);
        }
    }

    pub(crate) fn watch_touched(&mut self, cx: &mut Cx<'_>, tree: &Arc<str>, keys: &Keys) {
        for (id, set) in self.watches.concerned(tree, keys) {
            let Some(watcher) = self.watches.all.get_mut(&id) else { continue };
            watcher.overwritten |= set;
            if watcher.busy {
                watcher.again = true;
            } else {
                self.look(cx, id);
            }
        }
    }

    /// Ends a watcher with an error; ENODATA is the regular end.
    pub(crate) fn watch_failed(&mut self, cx: &mut Cx<'_>, id: u64, fault: &Fault) {
        if let Some(watcher) = self.watches.forget(id) {
            cx.respond_error(&watcher.request, fault);
        }
    }

    /// What was taken back was not written again in time.
    pub(crate) fn ring_watchers(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.watches.rings_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let due = |watcher: &Watcher| watcher.doubt.until.is_some_and(|until| until <= now);
        let ids: Vec<u64> = self.watches.all.iter().filter(|(_, w)| due(w)).map(|(id, _)| *id).collect();
        for id in ids {
            match self.watches.all.get_mut(&id) {
                Some(watcher) if watcher.busy => watcher.again = true,
                Some(_) => self.look(cx, id),
                None => {}
            }
        }
        self.watches.rings_at = self.watches.all.values().filter_map(|watcher| watcher.doubt.until).min();
        self.watches.rings_at = self.watches.rings_at.map(|at| at.max(now.after(RETRY_PAUSE)));
    }

    fn look(&mut self, cx: &mut Cx<'_>, id: u64) {
        let watcher = self.watches.all.get_mut(&id).expect("only known watchers look");
        watcher.busy = true;
        watcher.again = false;
        self.run(cx, Job::Watch(id), Gathered::new());
    }

    pub(crate) fn try_watch(&mut self, cx: &mut Cx<'_>, id: u64, gathered: &Gathered) -> Result<(), Stop> {
        let Some(watcher) = self.watches.all.get(&id) else { return Ok(()) };
        let (flags, cred) = (watcher.flags, watcher.request.cred);
        let (from, key) = (From::Space(watcher.space.clone()), watcher.key.clone());
        let look = self.find(cred, &from, &key, follows(flags), gathered, |content, found, epoch| {
            if flags & (flag::APPEND | flag::STREAM) != 0 {
                return look_at_pieces(content, found, flags, gathered, epoch);
            }
            Ok(render(content, found, flags, gathered, epoch)?.map_or(Look::Nothing, Look::Value))
        })?;
        let watcher = self.watches.all.get_mut(&id).expect("still there");
        watcher.busy = false;
        let batches = (self.log.last_batch + 1, self.log.confirmed.0);
        if tell(cx, watcher, look, self.content.alg, batches) {
            self.watches.forget(id);
        } else if self.watches.all[&id].again {
            self.look(cx, id);
        }
        Ok(())
    }
}

fn check_flags(request: &Message, flags: i64) -> Result<(), Fault> {
    let has = |flag| flags & flag != 0;
    let refuse = |errno, text: &str| Err(Fault::new(errno, text));
    if has(flag::WATCH) && !request.is_streaming() {
        return refuse(Errno::EPROTO, "KVS watch request rejected without streaming RPC flag");
    }
    if has(flag::STREAM) && !request.is_streaming() {
        return refuse(Errno::EPROTO, "KVS stream request rejected without streaming RPC flag");
    }
    if has(flag::WATCH) && has(flag::STREAM) {
        return refuse(Errno::EINVAL, "Cannot KVS watch and stream at the same time");
    }
    if !has(flag::WATCH) && has(flag::FULL | flag::UNIQ | flag::APPEND | flag::SENTINEL) {
        return refuse(Errno::EINVAL, "Must set KVS watch flag with other watch flags");
    }
    if has(flag::SENTINEL) && !has(flag::APPEND) {
        return refuse(Errno::EINVAL, "Must set KVS watch append flag with initial sentinel flag");
    }
    Ok(())
}

fn look_at_pieces(
    content: &mut Content,
    found: Found<'_>,
    flags: i64,
    gathered: &Gathered,
    epoch: u32,
) -> Result<Look, Stop> {
    let how = if flags & flag::APPEND != 0 { "watched with WATCH_APPEND" } else { "streamed" };
    let refused = |errno, kind: &str| Ok(Look::Refused(Fault::new(errno, format!("{kind} cannot be {how}"))));
    match found {
        Found::Nothing => Ok(Look::Nothing),
        Found::Root(_) | Found::Entry(Entry::Dir(_)) => refused(Errno::EISDIR, "dir"),
        Found::Entry(Entry::DirRef(_) | Entry::DirRefs(_)) => refused(Errno::EISDIR, "dirref"),
        Found::Entry(Entry::Link(_)) => refused(Errno::EINVAL, "symlink"),
        Found::Entry(Entry::Val(data)) => {
            Ok(Look::Pieces { total: data.len(), pieces: vec![data.clone()], is_val: true })
        }
        Found::Entry(Entry::Pieces(chunks)) => {
            chunks.load(&content.blobs(gathered, epoch))?;
            let pieces = chunks.0.iter().filter_map(|chunk| chunk.data.clone()).collect();
            Ok(Look::Pieces { total: chunks.len(), pieces, is_val: false })
        }
    }
}

/// Sends the watcher what it is to know. `true`: it has been told all it asked for.
fn tell(cx: &mut Cx<'_>, watcher: &mut Watcher, look: Look, alg: crate::Algorithm, batches: (u64, u64)) -> bool {
    match look {
        Look::Nothing if watcher.has(flag::WAITCREATE) && !watcher.responded => {
            send_sentinel(cx, watcher);
            return false;
        }
        Look::Nothing if watcher.doubt.may_return() => return false,
        Look::Nothing => {
            cx.respond_error(&watcher.request, &Errno::ENOENT.into());
            return true;
        }
        Look::Refused(fault) => {
            cx.respond_error(&watcher.request, &fault);
            return true;
        }
        Look::Value(value) => {
            watcher.doubt.forget();
            if watcher.has(flag::FULL | flag::UNIQ) {
                let text = serde_json::to_vec(&value).expect("a JSON value is writable");
                let seen = alg.hash(&text);
                if watcher.last.replace(seen) == Some(seen) {
                    return false;
                }
            }
            cx.respond(&watcher.request, json!({"val": value}));
        }
        Look::Pieces { total, pieces, is_val } => {
            if let Err(text) = tell_pieces(cx, watcher, total, &pieces, is_val, batches) {
                cx.respond_error(&watcher.request, &Fault::new(Errno::EINVAL, text));
                return true;
            }
        }
    }
    watcher.responded = true;
    send_sentinel(cx, watcher);
    if watcher.has(flag::STREAM) {
        cx.end_stream(&watcher.request);
    }
    !watcher.has(flag::WATCH)
}

/// Sends what was appended since the last time; the first time, all.
fn tell_pieces(
    cx: &mut Cx<'_>,
    watcher: &mut Watcher,
    total: usize,
    pieces: &[Arc<[u8]>],
    is_val: bool,
    (open, confirmed): (u64, u64),
) -> Result<(), &'static str> {
    let overwritten = std::mem::take(&mut watcher.overwritten) && watcher.responded;
    if let Some(until) = watcher.doubt.until {
        match watcher.doubt.compare(pieces, watcher.delivered) {
            Compared::All if planted(Plant::TakenBackToldAgain) => {
                watcher.delivered -= watcher.doubt.tail_len();
                watcher.doubt.forget();
            }
            Compared::All => watcher.doubt.end(open),
            Compared::Other(_) if overwritten && is_val => {
                return Err("value of key watched with WATCH_APPEND overwritten");
            }
            Compared::Beginning | Compared::Other(_) if cx.now.mono < until => return Ok(()),
            Compared::Beginning => (watcher.delivered, watcher.doubt) = (total, Doubt::default()),
            Compared::Other(at) => (watcher.delivered, watcher.doubt) = (at, Doubt::default()),
        }
    } else if overwritten && is_val {
        return Err("value of key watched with WATCH_APPEND overwritten");
    } else if total < watcher.delivered {
        return Err("key watched with WATCH_APPEND shortened");
    }
    let mut skip = watcher.delivered;
    for piece in pieces {
        let new = &piece[skip.min(piece.len())..];
        skip -= piece.len() - new.len();
        if !new.is_empty() || !watcher.responded && total == 0 {
            watcher.doubt.sent(new, open, confirmed);
            cx.respond(&watcher.request, json!({"val": val_json(new)}));
        }
    }
    watcher.delivered = total;
    Ok(())
}

/// An answer without a payload says that all there was has been sent.
fn send_sentinel(cx: &mut Cx<'_>, watcher: &mut Watcher) {
    if watcher.has(flag::SENTINEL) && !watcher.sentinel_sent {
        watcher.sentinel_sent = true;
        cx.respond(&watcher.request, Payload::None);
    }
}
