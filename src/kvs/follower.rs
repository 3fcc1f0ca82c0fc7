//! The KVS of a broker that is not rank 0: it reads for those on it and below, and passes on what they write.

use flux_service::{Cx, Fault, Handler, Mono, Outcome, Service, Tag};
use flux_wire::{Errno, Message};
use serde_json::Value;

use crate::content::Content;
use crate::digest::Algorithm;
use crate::service::Kvs;

/// See the module's description.
pub struct KvsFollower(pub(crate) Kvs);

impl KvsFollower {
    /// `alg` is what the instance is believed to use, until rank 0 is heard of.
    pub fn new(alg: Algorithm) -> KvsFollower {
        KvsFollower(Kvs::over(Content::upstream(alg)))
    }
}

/// The request names a namespace, and is served here.
macro_rules! here {
    ($run:path) => {
        |follower, cx, request| follower.0.with_space(cx, request, $run)
    };
}

macro_rules! plain {
    ($run:path) => {
        |follower, cx, request| $run(&mut follower.0, cx, request)
    };
}

fn dropcache(follower: &mut KvsFollower, cx: &mut Cx<'_>, request: &Message) -> Outcome {
    follower.0.content.cache.clear();
    follower.0.forget_all();
    cx.respond_empty(request);
    Ok(())
}

impl Service for KvsFollower {
    const NAME: &'static str = "kvs";
    const ALSO: &'static [&'static str] = &["kvs-watch", "content"];
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::user("kvs.commit", plain!(Kvs::relay_commit)),
        Handler::owner("kvs.relaycommit", plain!(Kvs::relay)),
        Handler::user("kvs.lookup", here!(Kvs::lookup)),
        Handler::user("kvs.lookup-plus", here!(Kvs::lookup_plus)),
        Handler::user("kvs.getroot", here!(Kvs::getroot)),
        Handler::user("kvs.wait-version", here!(Kvs::wait_version)),
        Handler::owner("kvs.follow", here!(Kvs::follow)),
        Handler::owner("kvs.follow-cancel", plain!(Kvs::follow_cancel)),
        Handler::owner("kvs.namespace-create", plain!(Kvs::relay)),
        Handler::owner("kvs.namespace-remove", plain!(Kvs::relay)),
        Handler::owner("kvs.namespace-list", plain!(Kvs::relay)),
        Handler::user("kvs.setroot-pause", here!(Kvs::mirror_pause)),
        Handler::user("kvs.setroot-unpause", here!(Kvs::mirror_unpause)),
        Handler::user("kvs.stats-get", plain!(Kvs::kvs_stats)),
        Handler::user("kvs.disconnect", plain!(Kvs::disconnect)),
        Handler::user("kvs-watch.lookup", here!(Kvs::watch_lookup)),
        Handler::user("kvs-watch.cancel", plain!(Kvs::watch_cancel)),
        Handler::user("kvs-watch.disconnect", plain!(Kvs::disconnect)),
        Handler::user("kvs-watch.stats-get", plain!(Kvs::watch_stats)),
        Handler::owner("content.load", plain!(Kvs::content_load)),
        Handler::owner("content.store", plain!(Kvs::relay)),
        Handler::owner("content.validate", plain!(Kvs::relay)),
        Handler::owner("content.flush", plain!(Kvs::relay)),
        Handler::owner("content.dropcache", dropcache),
        Handler::owner("content.checkpoint-get", plain!(Kvs::relay)),
        Handler::owner("content.checkpoint-put", plain!(Kvs::relay)),
        Handler::owner("content.stats-get", plain!(Kvs::content_stats)),
        Handler::owner("content.disconnect", plain!(Kvs::disconnect)),
    ];

    fn start(&mut self, _cx: &mut Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.0.unfollow_all(cx);
        self.0.forsake(cx, &Fault::new(Errno::ENOSYS, "the KVS of this broker is going away"));
    }

    fn is_idle(&self) -> bool {
        self.0.mirror.is_idle()
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        self.0.upstream_replied(cx, tag, reply);
    }

    fn next_timer(&self) -> Option<Mono> {
        self.0.mirror.next_timer()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        self.0.mirror_round(cx);
    }

    fn stats(&self) -> Value {
        self.0.stats_json()
    }

    fn check(&self) {
        self.0.mirror.check();
        self.0.content.check();
        self.0.watches.check();
        self.0.parking.check();
    }
}
