//! The service: its state, its handler table, and the order of things in one turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_service::{Completion, Cx, Fault, Handler, LogLevel, Mono, Outcome, Recovered, Service, Tag};
use flux_wire::{Errno, Message};
use serde_json::Value;

use crate::checkpoint::Checkpoints;
use crate::content::{Content, Waiter};
use crate::digest::{Algorithm, Digest};
use crate::event::Touched;
use crate::follow::Follows;
use crate::limits::PENDING_MAX;
use crate::log::Log;
use crate::mirror::Mirror;
use crate::mutate::Line;
use crate::park::Parking;
use crate::space::Spaces;
use crate::stats::Counters;
use crate::watch::Watches;

/// Blobs that a waiting request has been given.
pub(crate) type Gathered = BTreeMap<Digest, Arc<[u8]>>;
type Run = fn(&mut Kvs, &mut Cx<'_>, &Message) -> Outcome;

/// The key-value store of an instance, with the content service below it and the watch service above; runs on rank 0.
#[derive(Default)]
pub struct Kvs {
    pub(crate) content: Content,
    pub(crate) spaces: Spaces,
    /// Counts evictions: what was not walked since the last one goes with the next.
    pub(crate) epoch: u32,
    pub(crate) loaded_bytes: usize,
    pub(crate) line: Line,
    pub(crate) log: Log,
    pub(crate) parking: Parking,
    pub(crate) touched: Touched,
    pub(crate) watches: Watches,
    pub(crate) versions: Vec<crate::root::VersionWait>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) counters: Counters,
    /// Event prefixes that somebody listens to; `None` until the node says so: then everything is published.
    pub(crate) listeners: Option<Vec<String>>,
    pub(crate) follows: Follows,
    pub(crate) mirror: Mirror,
    pub(crate) setroot_paused: std::collections::BTreeSet<Arc<str>>,
    /// Requests of garbage collectors that the database is working on.
    pub(crate) collecting: BTreeMap<Tag, Message>,
    recovered: Option<Recovered>,
    /// Requests that came before the log was replayed.
    held: Vec<(Run, Message)>,
    pub(crate) stopping: bool,
    /// Why nothing can be served: the primary root is lost.
    pub(crate) broken: Option<Fault>,
}

impl Kvs {
    /// A store over what was found on disk. `alg` must be the algorithm that the instance was created with.
    pub fn new(alg: Algorithm, recovered: Recovered) -> Kvs {
        Kvs { content: Content::new(alg), recovered: Some(recovered), ..Kvs::default() }
    }

    /// A store without a log.
    pub(crate) fn over(content: Content) -> Kvs {
        Kvs { content, ..Kvs::default() }
    }

    pub(crate) fn is_recovering(&self) -> bool {
        self.line.replaying > 0
    }

    /// Runs `run` now, or when the log has been replayed.
    fn ready(&mut self, cx: &mut Cx<'_>, request: &Message, run: Run) -> Outcome {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        if !self.is_recovering() {
            return run(self, cx, request);
        }
        if self.held.len() >= PENDING_MAX {
            return Err(Fault::new(Errno::EAGAIN, "the KVS is still recovering"));
        }
        self.held.push((run, request.clone()));
        Ok(())
    }

    /// The last record has been replayed: what waited for that runs.
    pub(crate) fn recovered(&mut self, cx: &mut Cx<'_>) {
        for (run, request) in std::mem::take(&mut self.held) {
            if let Err(fault) = run(self, cx, &request) {
                cx.respond_error(&request, &fault);
            }
        }
    }

    /// Takes out requests that wait for the log to be replayed, or for their namespace to be known.
    pub(crate) fn take_waiting(&mut self, is_meant: impl Fn(&Message) -> bool) -> Vec<Message> {
        let held = self.held.extract_if(.., |(_, held)| is_meant(held)).map(|(_, held)| held);
        let mut taken: Vec<Message> = held.collect();
        taken.extend(self.mirror.take_waiting(is_meant));
        taken
    }

    pub(crate) fn disconnect(&mut self, _cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.held.retain(|(_, held)| !request.same_sender(held));
        self.parking.disconnect(request);
        self.versions.retain(|wait| !request.same_sender(&wait.request));
        self.watches.disconnect(request);
        self.checkpoints.disconnect(request);
        self.collecting.retain(|_, held| !request.same_sender(held));
        self.follows.disconnect(request);
        self.mirror.disconnect(request);
        Ok(())
    }

    pub(crate) fn blob_arrived(&mut self, cx: &mut Cx<'_>, tag: Tag, blob: Result<Option<Arc<[u8]>>, Errno>) {
        let Some((digest, waiters)) = self.content.take_read(tag) else { return };
        let blob = match blob {
            Ok(Some(bytes)) if self.content.alg.hash(&bytes) == digest => Ok(bytes),
            Ok(Some(_)) => {
                let blobref = digest.to_string();
                cx.log(
                    LogLevel::Err,
                    format!("{blobref}: the store returned other bytes than were stored; not served"),
                );
                Err(Errno::EIO)
            }
            Ok(None) => Err(Errno::ENOENT),
            Err(errno) => Err(errno),
        };
        if let Ok(bytes) = &blob {
            self.loaded_bytes += bytes.len();
            if self.content.is_upstream() {
                self.content.cache.add(digest, bytes);
            }
        }
        for waiter in waiters {
            match waiter {
                Waiter::Queue => self.line.arrived(digest, &blob),
                Waiter::Parked(id) => self.unpark(cx, id, digest, &blob),
            }
        }
        self.advance(cx);
    }
}

macro_rules! when_ready {
    ($run:path) => {
        |kvs, cx, request| kvs.ready(cx, request, $run)
    };
}

impl Service for Kvs {
    const NAME: &'static str = "kvs";
    const ALSO: &'static [&'static str] = &["kvs-watch", "content", "content-backing", "content-sqlite"];
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::user("kvs.commit", when_ready!(Kvs::commit)),
        Handler::owner("kvs.relaycommit", when_ready!(Kvs::relaycommit)),
        Handler::user("kvs.lookup", when_ready!(Kvs::lookup)),
        Handler::owner("kvs.lookup-many", when_ready!(Kvs::lookup_many)),
        Handler::user("kvs.lookup-plus", when_ready!(Kvs::lookup_plus)),
        Handler::user("kvs.getroot", when_ready!(Kvs::getroot)),
        Handler::user("kvs.wait-version", when_ready!(Kvs::wait_version)),
        Handler::owner("kvs.follow", when_ready!(Kvs::follow)),
        Handler::owner("kvs.follow-cancel", Kvs::follow_cancel),
        Handler::owner("kvs.namespace-create", when_ready!(Kvs::namespace_create)),
        Handler::owner("kvs.namespace-remove", when_ready!(Kvs::namespace_remove)),
        Handler::owner("kvs.namespace-list", when_ready!(Kvs::namespace_list)),
        Handler::user("kvs.setroot-pause", when_ready!(Kvs::setroot_pause)),
        Handler::user("kvs.setroot-unpause", when_ready!(Kvs::setroot_unpause)),
        Handler::user("kvs.stats-get", Kvs::kvs_stats),
        Handler::user("kvs.disconnect", Kvs::disconnect),
        Handler::user("kvs-watch.lookup", when_ready!(Kvs::watch_lookup)),
        Handler::user("kvs-watch.cancel", Kvs::watch_cancel),
        Handler::user("kvs-watch.disconnect", Kvs::disconnect),
        Handler::user("kvs-watch.stats-get", Kvs::watch_stats),
        Handler::owner("content.load", when_ready!(Kvs::content_load)),
        Handler::owner("content.store", when_ready!(Kvs::content_store)),
        Handler::owner("content.validate", when_ready!(Kvs::content_validate)),
        Handler::owner("content.flush", when_ready!(Kvs::content_flush)),
        Handler::owner("content.dropcache", Kvs::content_dropcache),
        Handler::owner("content.checkpoint-get", when_ready!(Kvs::checkpoint_get)),
        Handler::owner("content.checkpoint-put", when_ready!(Kvs::checkpoint_put)),
        Handler::owner("content.stats-get", Kvs::content_stats),
        Handler::owner("content.disconnect", Kvs::disconnect),
        Handler::owner("content-backing.load", when_ready!(Kvs::content_load)),
        Handler::owner("content-backing.store", when_ready!(Kvs::content_store)),
        Handler::owner("content-backing.validate", when_ready!(Kvs::content_validate)),
        Handler::owner("content-backing.checkpoint-get", when_ready!(Kvs::checkpoint_get)),
        Handler::owner("content-backing.checkpoint-put", when_ready!(Kvs::checkpoint_put)),
        Handler::owner("content-backing.gc-info", Kvs::gc_info),
        Handler::owner("content-backing.mark", Kvs::gc_mark),
        Handler::owner("content-backing.sweep", Kvs::gc_sweep),
        Handler::owner("content-backing.disconnect", Kvs::disconnect),
        Handler::user("content-sqlite.stats-get", Kvs::sqlite_stats),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.checkpoints.configure(cx.node)?;
        if std::mem::take(&mut self.stopping) {
            return Ok(()); // It was only removed: all is as it was.
        }
        let recovered = self.recovered.take().unwrap_or_default();
        self.recover(cx, recovered)?;
        self.advance(cx);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        !self.is_recovering()
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.stopping = true;
        self.unfollow_all(cx);
        self.checkpoints.hurry();
        self.settle_all(cx);
        self.forsake(cx, &Fault::new(Errno::ENOSYS, "the KVS is going away"));
    }

    fn is_idle(&self) -> bool {
        let reads = self.content.reads_len() > 0 || !self.collecting.is_empty();
        self.log.is_idle() && self.line.is_empty() && self.checkpoints.is_idle(self) && !reads
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        match completion {
            Completion::Blob(blob) => self.blob_arrived(cx, tag, Ok(blob)),
            Completion::Logged { position } => self.logged(cx, tag, position),
            Completion::Stored => self.put_done(cx, tag, Ok(())),
            collected @ (Completion::Horizon { .. } | Completion::Marked { .. } | Completion::Swept { .. }) => {
                self.collected(cx, tag, &collected);
            }
            Completion::Failed(fault) => {
                self.collecting_failed(cx, tag, &fault);
                self.blob_arrived(cx, tag, Err(fault.errno));
                self.append_failed(cx, tag, &fault);
                self.put_done(cx, tag, Err(fault));
            }
            _ => {}
        }
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        self.settle_all(cx);
    }

    fn next_timer(&self) -> Option<Mono> {
        self.checkpoints.next_timer().into_iter().chain(self.watches.next_timer()).min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.checkpoints.on_timer(cx.now.mono) && self.log.is_idle() {
            self.forget_all();
        }
        self.ring_watchers(cx);
        self.settle_all(cx);
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.checkpoints.configure(cx.node)
    }

    fn on_subscribers(&mut self, _cx: &mut Cx<'_>, prefixes: &[String]) {
        self.listeners = Some(prefixes.to_vec());
    }

    fn stats(&self) -> Value {
        self.stats_json()
    }

    fn check(&self) {
        self.content.check();
        self.watches.check();
        self.parking.check();
        self.log.check();
    }
}
