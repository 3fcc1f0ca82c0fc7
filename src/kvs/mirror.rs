//! A broker's view of the namespaces that are used on it: their roots come from the broker above, the rest is read on demand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flux_service::{Cx, Fault, Mono, Outcome, Tag};
use flux_wire::{Errno, Flags, Message, Payload, Target};
use serde::Deserialize;
use serde_json::json;

use crate::digest::Digest;
use crate::follow::{self, Update};
use crate::limits::{FEEDS_MAX, PENDING_MAX, RELAYS_MAX};
use crate::park::Job;
use crate::service::{Gathered, Kvs};
use crate::space::{Body, PRIMARY, Space, Tree};
use crate::tree::{Dir, Stop};

/// How often it is looked what is not used any more.
const ROUND: Duration = Duration::from_secs(30);
/// A namespace that nobody used for so long is followed no more.
const FEED_IDLE_MAX: Duration = Duration::from_secs(120);

type Run = fn(&mut Kvs, &mut Cx<'_>, &Message) -> Outcome;

/// What waits to hear of a namespace.
pub(crate) enum Waiting {
    Request(Run, Message),
    Job(Job),
}

/// The stream that tells of one namespace.
struct Feed {
    tag: Tag,
    /// The first answer has come.
    is_known: bool,
    used: Mono,
    waiting: Vec<Waiting>,
    /// What came while the namespace was paused.
    paused: Option<Update>,
}

/// A request that was passed on.
struct Relayed {
    request: Message,
    /// A commit to this namespace: whoever made it reads what it wrote.
    commit_to: Option<Arc<str>>,
}

/// An answer that waits until what it tells of can be read here.
struct Held {
    space: Arc<str>,
    seq: i64,
    request: Message,
    payload: Payload,
}

/// Unused on rank 0.
#[derive(Default)]
pub(crate) struct Mirror {
    feeds: BTreeMap<Arc<str>, Feed>,
    by_tag: BTreeMap<Tag, Arc<str>>,
    relayed: BTreeMap<Tag, Relayed>,
    held: Vec<Held>,
    round_at: Option<Mono>,
}

#[derive(Deserialize)]
struct SpaceOf {
    namespace: Option<Arc<str>>,
    #[serde(default)]
    rootdir: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Committed {
    rootseq: i64,
}

impl Mirror {
    pub(crate) fn next_timer(&self) -> Option<Mono> {
        self.round_at
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.relayed.is_empty()
    }

    pub(crate) fn disconnect(&mut self, request: &Message) {
        let goes_on = |waiting: &Waiting| match waiting {
            Waiting::Request(_, held) => !request.same_sender(held),
            Waiting::Job(job) => !job.request().is_some_and(|held| request.same_sender(held)),
        };
        self.feeds.values_mut().for_each(|feed| feed.waiting.retain(goes_on));
        self.relayed.retain(|_, relayed| !request.same_sender(&relayed.request));
        self.held.retain(|held| !request.same_sender(&held.request));
    }

    /// Takes out requests that wait for their namespace to be known.
    pub(crate) fn take_waiting(&mut self, is_meant: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut taken = Vec::new();
        for feed in self.feeds.values_mut() {
            let is_one = |waiting: &mut Waiting| matches!(waiting, Waiting::Request(_, held) if is_meant(held));
            for waiting in feed.waiting.extract_if(.., is_one) {
                if let Waiting::Request(_, held) = waiting {
                    taken.push(held);
                }
            }
        }
        taken
    }

    pub(crate) fn check(&self) {
        assert!(self.feeds.len() <= FEEDS_MAX && self.relayed.len() <= RELAYS_MAX);
        assert!(self.feeds.iter().all(|(space, feed)| self.by_tag.get(&feed.tag) == Some(space)));
        assert!(self.feeds.values().all(|feed| !feed.is_known || feed.waiting.is_empty()));
    }
}

impl Kvs {
    /// Runs `run` when it is known how the namespace that the request names stands.
    pub(crate) fn with_space(&mut self, cx: &mut Cx<'_>, request: &Message, run: Run) -> Outcome {
        let body: SpaceOf = request.decode()?;
        let Some(space) = body.namespace.filter(|_| body.rootdir.is_none()) else { return run(self, cx, request) };
        if let Some(feed) = self.mirror.feeds.get_mut(&space)
            && feed.is_known
        {
            feed.used = cx.now.mono;
            return run(self, cx, request);
        }
        self.await_space(cx, &space, Waiting::Request(run, request.clone()));
        Ok(())
    }

    pub(crate) fn await_space(&mut self, cx: &mut Cx<'_>, space: &Arc<str>, waiting: Waiting) {
        let now = cx.now.mono;
        let count = self.mirror.feeds.len();
        match self.mirror.feeds.get_mut(space) {
            Some(feed) if feed.waiting.len() < PENDING_MAX => feed.waiting.push(waiting),
            None if count < FEEDS_MAX => {
                let upstream = Target::UpstreamOf(cx.node.rank);
                let tag = cx.request_stream("kvs.follow", upstream, follow::request_body(space));
                let feed = Feed { tag, is_known: false, used: now, waiting: vec![waiting], paused: None };
                self.mirror.feeds.insert(space.clone(), feed);
                self.mirror.by_tag.insert(tag, space.clone());
                self.mirror.round_at.get_or_insert(now.after(ROUND));
            }
            _ => self.fail_waiting(cx, waiting, &Fault::new(Errno::EAGAIN, "too many KVS namespaces are in use here")),
        }
    }

    fn fail_waiting(&mut self, cx: &mut Cx<'_>, waiting: Waiting, fault: &Fault) {
        match waiting {
            Waiting::Request(_, request) => cx.respond_error(&request, fault),
            Waiting::Job(job) => self.job_failed(cx, &job, fault),
        }
    }

    /// Before a namespace is looked at: is it known, and its newest root in memory?
    pub(crate) fn refresh(&mut self, space: &str, gathered: &Gathered) -> Result<(), Stop> {
        if !self.content.is_upstream() {
            return Ok(());
        }
        if !self.mirror.feeds.get(space).is_some_and(|feed| feed.is_known) {
            return Err(Stop::Space(space.into()));
        }
        let Some(tree) = self.spaces.tree(space) else { return Ok(()) };
        if let Some(digest) = tree.next {
            tree.root = self.content.blobs(gathered, self.epoch).load_dir(&digest)?;
            tree.next = None;
        }
        Ok(())
    }

    /// An answer from above, to what the mirror asked.
    pub(crate) fn upstream_replied(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if self.content.is_reading(tag) {
            let blob = match (reply.errno(), reply.payload.as_bytes()) {
                (Some(errno), _) => Err(errno),
                (None, bytes) => Ok(Some(bytes.unwrap_or_default().into())),
            };
            self.mirror.round_at.get_or_insert(cx.now.mono.after(ROUND));
            return self.blob_arrived(cx, tag, blob);
        }
        if let Some(space) = self.mirror.by_tag.get(&tag).cloned() {
            return match (Fault::of(reply), reply.decode::<Update>()) {
                (Some(fault), _) => self.feed_lost(cx, &space, &fault),
                (None, Ok(update)) => self.feed_told(cx, &space, update),
                (None, Err(error)) => self.feed_lost(cx, &space, &error.into()),
            };
        }
        if let Some(relayed) = self.mirror.relayed.remove(&tag) {
            self.relay_answered(cx, relayed, reply);
        }
    }

    fn feed_told(&mut self, cx: &mut Cx<'_>, space: &Arc<str>, update: Update) {
        let feed = self.mirror.feeds.get_mut(space).expect("a tag has its feed");
        if feed.is_known && self.setroot_paused.contains(space) {
            match &mut feed.paused {
                Some(paused) => {
                    let (mut keys, rolled_back) = (std::mem::take(&mut paused.keys), paused.rolled_back);
                    for (key, set) in &update.keys {
                        *keys.entry(key.clone()).or_default() |= set;
                    }
                    *paused = Update { keys, rolled_back: rolled_back | update.rolled_back, ..update };
                }
                None => feed.paused = Some(update),
            }
            return;
        }
        feed.is_known = true;
        let waiting = std::mem::take(&mut feed.waiting);
        self.apply_update(cx, space, &update);
        for waiting in waiting {
            match waiting {
                Waiting::Job(job) => self.run(cx, job, Gathered::new()),
                Waiting::Request(run, request) => {
                    if let Err(fault) = run(self, cx, &request) {
                        cx.respond_error(&request, &fault);
                    }
                }
            }
        }
    }

    fn apply_update(&mut self, cx: &mut Cx<'_>, space: &Arc<str>, update: &Update) {
        let root = update.rootref.as_deref().and_then(|text| Digest::parse(text).ok());
        let existed = self.spaces.contains(space);
        if update.rolled_back {
            self.watches.rolled_back(cx.now.mono);
        }
        match root {
            Some(digest) => {
                self.content.alg = digest.kind();
                if !existed {
                    let body = Body::Tree(Tree { root: Dir::fresh(self.epoch), ..Tree::default() });
                    let new = Space { owner: update.owner, flags: update.flags, body };
                    self.spaces.insert(space.clone(), new);
                }
                let tree = self.spaces.tree(space).expect("a mirror has no aliases");
                (tree.seq, tree.next) = (update.rootseq, Some(digest));
                match existed {
                    true => self.watch_touched(cx, space, &update.keys),
                    false => self.watch_created(cx, space),
                }
            }
            None if existed => {
                self.spaces.remove(space);
                self.watch_removed(cx, space);
            }
            None => {}
        }
        self.follows.rolled_back = update.rolled_back;
        if self.follows.has(space) {
            self.run(cx, Job::Tell { space: space.clone(), keys: update.keys.clone() }, Gathered::new());
        }
        self.follows.rolled_back = false;
        self.wake_versions(cx);
        self.release_held(cx);
    }

    /// The broker above is gone, or tells no more.
    fn feed_lost(&mut self, cx: &mut Cx<'_>, space: &Arc<str>, fault: &Fault) {
        let feed = self.forget_feed(space).expect("a tag has its feed");
        for waiting in feed.waiting {
            self.fail_waiting(cx, waiting, fault);
        }
        self.watch_lost(cx, space, fault);
        self.fail_versions(cx, space, fault);
        self.unfollow(cx, space, fault);
        self.release_held(cx);
    }

    /// Whoever waits here for something is told that it does not come; what was passed on is still answered.
    pub(crate) fn forsake(&mut self, cx: &mut Cx<'_>, fault: &Fault) {
        for space in self.mirror.feeds.keys().cloned().collect::<Vec<_>>() {
            self.feed_lost(cx, &space, fault);
        }
        for space in self.watches.per_space().map(|(space, _)| space.clone()).collect::<Vec<_>>() {
            self.watch_lost(cx, &space, fault);
        }
        for job in self.parking.take_all() {
            self.job_failed(cx, &job, fault);
        }
        let waits = std::mem::take(&mut self.versions).into_iter().map(|wait| wait.request);
        for request in waits.chain(self.take_waiting(|_| true)) {
            cx.respond_error(&request, fault);
        }
    }

    fn forget_feed(&mut self, space: &Arc<str>) -> Option<Feed> {
        let feed = self.mirror.feeds.remove(space)?;
        self.mirror.by_tag.remove(&feed.tag);
        self.spaces.remove(space);
        self.setroot_paused.remove(space);
        Some(feed)
    }

    /// Answers to commits that can be read here now, or not at all.
    fn release_held(&mut self, cx: &mut Cx<'_>) {
        let waits = |kvs: &Kvs, held: &Held| kvs.lags(&held.space, held.seq);
        for held in std::mem::take(&mut self.mirror.held) {
            if waits(self, &held) {
                self.mirror.held.push(held);
            } else {
                cx.respond(&held.request, held.payload);
            }
        }
    }

    /// Will version `seq` of the namespace be seen here later?
    fn lags(&self, space: &Arc<str>, seq: i64) -> bool {
        self.spaces.contains(space) && self.spaces.seq(space) < seq && !self.setroot_paused.contains(space)
    }

    /// Passes a request on to the broker above, as it is and in its sender's name.
    pub(crate) fn relay(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.pass_on(cx, request, None)
    }

    pub(crate) fn relay_commit(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: SpaceOf = request.decode()?;
        self.counters.commits += 1;
        self.pass_on(cx, request, body.namespace)
    }

    fn pass_on(&mut self, cx: &mut Cx<'_>, request: &Message, commit_to: Option<Arc<str>>) -> Outcome {
        if self.mirror.relayed.len() >= RELAYS_MAX {
            return Err(Fault::new(Errno::EAGAIN, "too many requests wait for the broker above"));
        }
        let wants = request.wants_response();
        let tag = cx.out.next_tag();
        let topic = request.topic.clone().unwrap_or_else(|| "".into());
        let number = if wants { tag.0 } else { 0 };
        let mut message = Message::request(topic, Target::UpstreamOf(cx.node.rank), number, request.payload.clone());
        message.cred = request.cred;
        if !wants {
            message.flags = Flags(Flags::NORESPONSE);
        } else {
            self.mirror.relayed.insert(tag, Relayed { request: request.clone(), commit_to });
        }
        cx.send(message);
        Ok(())
    }

    fn relay_answered(&mut self, cx: &mut Cx<'_>, relayed: Relayed, reply: &Message) {
        if let Some(fault) = Fault::of(reply) {
            return cx.respond_error(&relayed.request, &fault);
        }
        let payload = reply.payload.clone();
        if let Some(space) = relayed.commit_to
            && let Ok(Committed { rootseq: seq }) = reply.decode()
            && self.lags(&space, seq)
        {
            return self.mirror.held.push(Held { space, seq, request: relayed.request, payload });
        }
        cx.respond(&relayed.request, payload);
    }

    /// New roots of a paused namespace are kept back from all who look here.
    pub(crate) fn mirror_pause(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.setroot_pause(cx, request)?;
        self.release_held(cx);
        Ok(())
    }

    pub(crate) fn mirror_unpause(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: crate::commit::NamespaceRequest = request.decode()?;
        let space: Arc<str> = body.namespace.into();
        self.spaces.authorized(&space, request.cred)?;
        self.setroot_paused.remove(&space);
        cx.respond_empty(request);
        if let Some(update) = self.mirror.feeds.get_mut(&space).and_then(|feed| feed.paused.take()) {
            self.apply_update(cx, &space, &update);
        }
        Ok(())
    }

    /// What nobody uses any more goes.
    pub(crate) fn mirror_round(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.mirror.round_at.is_none_or(|at| now < at) {
            return;
        }
        self.content.cache.next_round();
        self.evict();
        let parked = self.parking.len() > 0;
        let in_use = |space: &Arc<str>, feed: &Feed| {
            now < feed.used.after(FEED_IDLE_MAX)
                || parked
                || !feed.is_known
                || feed.paused.is_some()
                || self.follows.has(space)
                || self.watches.per_space().any(|(watched, _)| watched == space)
                || self.versions.iter().any(|wait| wait.is_for(space))
        };
        let idle: Vec<Arc<str>> = self
            .mirror
            .feeds
            .iter()
            .filter(|(space, feed)| !in_use(space, feed))
            .map(|(space, _)| space.clone())
            .collect();
        for space in idle {
            if let Some(feed) = self.forget_feed(&space) {
                cx.notify("kvs.follow-cancel", Target::UpstreamOf(cx.node.rank), json!({"matchtag": feed.tag.0}));
            }
        }
        let goes_on = !self.mirror.feeds.is_empty() || !self.content.cache.is_empty();
        self.mirror.round_at = goes_on.then(|| now.after(ROUND));
    }

    /// Statistics name the primary namespace even where nobody has used it yet.
    pub(crate) fn knows_primary(&self) -> bool {
        self.spaces.contains(PRIMARY)
    }
}
