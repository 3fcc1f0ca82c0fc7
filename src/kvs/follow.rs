//! `kvs.follow`: a broker above tells one below the root of a namespace, now and whenever it changes.
//!
//! Only who uses a namespace follows it, so that one that nobody reads below costs no message. Each broker asks its parent
//! once for all below it.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_service::{Cx, Fault, Outcome};
use flux_wire::{Errno, Message};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::commit::NamespaceRequest;
use crate::event::Keys;
use crate::key::ROOT;
use crate::limits::FOLLOWERS_MAX;
use crate::park::Job;
use crate::service::{Gathered, Kvs};
use crate::space::PRIMARY;
use crate::tree::Stop;

/// What a follower is told. Without a `rootref` there is no such namespace (yet, or any more).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Update {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootref: Option<String>,
    pub rootseq: i64,
    pub owner: u32,
    pub flags: i64,
    /// Keys that commits named since the last update; `true`: not by appending only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: Keys,
    /// A commit that was told of is taken back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Follows {
    by_space: BTreeMap<Arc<str>, Vec<Message>>,
    count: usize,
    pub(crate) rolled_back: bool,
}

#[derive(Deserialize)]
struct CancelRequest {
    matchtag: u32,
}

impl Follows {
    pub(crate) fn has(&self, space: &str) -> bool {
        self.by_space.contains_key(space)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Those that `ended` says are over.
    fn remove(&mut self, ended: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut gone = Vec::new();
        self.by_space.retain(|_, followers| {
            gone.extend(followers.extract_if(.., |request| ended(request)));
            !followers.is_empty()
        });
        self.count -= gone.len();
        gone
    }

    pub(crate) fn disconnect(&mut self, request: &Message) {
        self.remove(|follower| request.same_sender(follower));
    }

    /// The followed namespaces that `keys` of this tree are in, each with the keys as they are named there.
    fn concerned(
        &self,
        tree: &Arc<str>,
        keys: &Keys,
        base_of: impl Fn(&str) -> Option<Arc<str>>,
    ) -> Vec<(Arc<str>, Keys)> {
        let mut told = Vec::new();
        for space in self.by_space.keys() {
            if space == tree {
                told.push((space.clone(), keys.clone()));
                continue;
            }
            let Some(base) = base_of(space).filter(|_| **tree == *PRIMARY) else { continue };
            let within: Keys = keys.iter().filter_map(|(key, set)| Some((below(&base, key)?.into(), *set))).collect();
            if !within.is_empty() {
                told.push((space.clone(), within));
            }
        }
        told
    }
}

/// `key` as it is named in the directory `base`: the root if it is above it; `None` if it is elsewhere.
fn below<'a>(base: &str, key: &'a str) -> Option<&'a str> {
    let under = |outer: &str, inner: &str| {
        inner.len() > outer.len() && inner.starts_with(outer) && inner.as_bytes()[outer.len()] == b'.'
    };
    match key {
        key if key == ROOT || key == base || under(key, base) => Some(ROOT),
        key if under(base, key) => Some(&key[base.len() + 1..]),
        _ => None,
    }
}

impl Kvs {
    pub(crate) fn follow(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: NamespaceRequest = request.decode()?;
        if !request.is_streaming() {
            return Err(Fault::new(Errno::EPROTO, "a namespace is followed by a streaming request"));
        }
        if self.follows.count >= FOLLOWERS_MAX {
            return Err(Fault::new(Errno::EAGAIN, "too many followers of KVS namespaces"));
        }
        let job = Job::Follow { request: request.clone(), space: body.namespace.into() };
        self.run(cx, job, Gathered::new());
        Ok(())
    }

    pub(crate) fn try_follow(
        &mut self,
        cx: &mut Cx<'_>,
        request: &Message,
        space: &Arc<str>,
        gathered: &Gathered,
    ) -> Result<(), Stop> {
        let update = self.update_of(space, &Keys::new(), gathered)?;
        cx.respond(request, serde_json::to_value(&update).expect("an update is plain data"));
        self.follows.by_space.entry(space.clone()).or_default().push(request.clone());
        self.follows.count += 1;
        Ok(())
    }

    fn update_of(&mut self, space: &str, keys: &Keys, gathered: &Gathered) -> Result<Update, Stop> {
        if !self.spaces.contains(space) {
            return Ok(Update::default());
        }
        let (digest, rootseq) = self.root_of(space, gathered)?;
        let (rootref, keys) = (Some(digest.to_string()), keys.clone());
        let info = self.spaces.get(space).map_err(|fault| fault.errno)?;
        Ok(Update {
            rootref,
            rootseq,
            owner: info.owner,
            flags: info.flags,
            keys,
            rolled_back: self.follows.rolled_back,
        })
    }

    pub(crate) fn follow_cancel(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: CancelRequest = request.decode()?;
        let ended = |follower: &Message| request.same_sender(follower) && follower.matchtag() == body.matchtag;
        let waiting = self.take_waiting(|waiting| ended(waiting) && waiting.topic() == "kvs.follow");
        self.follows.remove(ended).iter().chain(&waiting).for_each(|follower| cx.end_stream(follower));
        Ok(())
    }

    /// The keys of a tree were committed to: followers of its namespaces hear of it.
    pub(crate) fn tell_touched(&mut self, cx: &mut Cx<'_>, tree: &Arc<str>, keys: &Keys) {
        if self.follows.is_empty() {
            return;
        }
        let spaces = &self.spaces;
        let base_of = |space: &str| spaces.place(space).ok().map(|(_, base)| base);
        for (space, keys) in self.follows.concerned(tree, keys, base_of) {
            self.run(cx, Job::Tell { space, keys }, Gathered::new());
        }
    }

    /// The namespace has come or gone.
    pub(crate) fn tell_followers(&mut self, cx: &mut Cx<'_>, space: &Arc<str>) {
        if self.follows.has(space) {
            self.run(cx, Job::Tell { space: space.clone(), keys: Keys::new() }, Gathered::new());
        }
    }

    pub(crate) fn try_tell(
        &mut self,
        cx: &mut Cx<'_>,
        space: &Arc<str>,
        keys: &Keys,
        gathered: &Gathered,
    ) -> Result<(), Stop> {
        let update = self.update_of(space, keys, gathered)?;
        let update = Arc::new(serde_json::to_value(&update).expect("an update is plain data"));
        for follower in self.follows.by_space.get(space).into_iter().flatten() {
            cx.respond(follower, flux_wire::Payload::Json(update.clone()));
        }
        Ok(())
    }

    /// Followers can be told nothing more.
    pub(crate) fn unfollow(&mut self, cx: &mut Cx<'_>, space: &str, fault: &Fault) {
        let followers = self.follows.by_space.remove(space).unwrap_or_default();
        self.follows.count -= followers.len();
        followers.iter().for_each(|follower| cx.respond_error(follower, fault));
    }

    pub(crate) fn unfollow_all(&mut self, cx: &mut Cx<'_>) {
        // No end of a stream: who reads below must not take it for the end of what is watched.
        let fault = Fault::new(Errno::ENOSYS, "the KVS of the broker above is going away");
        self.follows.remove(|_| true).iter().for_each(|follower| cx.respond_error(follower, &fault));
    }
}

/// The request that opens a feed.
pub(crate) fn request_body(space: &str) -> serde_json::Value {
    json!({"namespace": space})
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_key_is_in_a_directory_above_it_or_elsewhere() {
        let rows = [
            ("job.a", "job.a.log", Some("log")),
            ("job.a", "job.a", Some(".")),
            ("job.a", "job", Some(".")),
            ("job.a", ".", Some(".")),
            ("job.a", "job.ab.log", None),
            ("job.a", "other", None),
            ("job.a", "jo", None),
        ];
        for (base, key, want) in rows {
            assert_eq!(below(base, key), want, "{base} {key}");
        }
    }
}
