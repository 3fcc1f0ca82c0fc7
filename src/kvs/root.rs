//! Roots as clients see them: references and sequence numbers.

use std::sync::Arc;

use flux_service::{Cx, Fault, Outcome};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::json;

use crate::commit::NamespaceRequest;
use crate::digest::Digest;
use crate::limits::{PENDING_MAX, WAITS_PER_GUEST_MAX};
use crate::park::Job;
use crate::service::{Gathered, Kvs};
use crate::tree::{BlobSink as _, Stop, dir_at, hash_dir};

/// A `kvs.wait-version` that is not satisfied yet.
#[derive(Debug)]
pub(crate) struct VersionWait {
    space: Arc<str>,
    seq: i64,
    pub(crate) request: Message,
}

impl VersionWait {
    pub(crate) fn is_for(&self, space: &str) -> bool {
        *self.space == *space
    }
}

#[derive(Deserialize)]
struct WaitRequest {
    namespace: String,
    rootseq: i64,
}

impl Kvs {
    /// The reference of a namespace's root, hashing what changed, and the sequence number that belongs to it.
    pub(crate) fn root_of(&mut self, space: &str, gathered: &Gathered) -> Result<(Digest, i64), Stop> {
        let (name, base) = self.spaces.place(space).map_err(|fault| fault.errno)?;
        let alg = self.content.alg;
        let tree = self.spaces.tree(&name).ok_or(Errno::ENOTSUP)?;
        tree.seq_is_open = false;
        let seq = tree.seq;
        if let Some(digest) = tree.next {
            return Ok((digest, seq));
        }
        let dir = dir_at(&mut tree.root, &base, &self.content.blobs(gathered, self.epoch))?;
        let digest = match dir {
            Some(dir) => hash_dir(alg, dir, false, &mut self.content),
            None => self.store_empty_root(),
        };
        Ok((digest, seq))
    }

    fn store_empty_root(&mut self) -> Digest {
        let bytes: Arc<[u8]> = br#"{"data":{},"type":"dir","ver":1}"#[..].into();
        let digest = self.content.alg.hash(&bytes);
        self.content.add(digest, &bytes);
        digest
    }

    pub(crate) fn getroot(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: NamespaceRequest = request.decode()?;
        self.spaces.authorized(&body.namespace, request.cred)?;
        let job = Job::Getroot { request: request.clone(), space: body.namespace.into() };
        self.run(cx, job, Gathered::new());
        Ok(())
    }

    pub(crate) fn try_getroot(
        &mut self,
        cx: &mut Cx<'_>,
        request: &Message,
        space: &Arc<str>,
        gathered: &Gathered,
    ) -> Result<(), Stop> {
        let (digest, seq) = self.root_of(space, gathered)?;
        let info = self.spaces.get(space).map_err(|fault| fault.errno)?;
        let rootref = digest.to_string();
        cx.respond(
            request,
            json!({"owner": info.owner, "rootseq": seq, "rootref": rootref, "flags": info.flags, "namespace": **space}),
        );
        Ok(())
    }

    pub(crate) fn wait_version(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: WaitRequest = request.decode()?;
        self.spaces.authorized(&body.namespace, request.cred)?;
        let space: Arc<str> = body.namespace.into();
        if self.spaces.seq(&space) >= body.rootseq {
            self.run(cx, Job::WaitVersion { request: request.clone(), space }, Gathered::new());
        } else if self.versions.len() >= PENDING_MAX || self.waits_too_often(request) {
            return Err(Fault::new(Errno::EAGAIN, "too many requests wait for KVS versions"));
        } else {
            self.versions.push(VersionWait { space, seq: body.rootseq, request: request.clone() });
        }
        Ok(())
    }

    fn waits_too_often(&self, request: &Message) -> bool {
        let cred = request.cred;
        let of_user = |wait: &&VersionWait| wait.request.cred.userid == cred.userid;
        !cred.is_owner() && self.versions.iter().filter(of_user).count() >= WAITS_PER_GUEST_MAX
    }

    pub(crate) fn try_wait_version(
        &mut self,
        cx: &mut Cx<'_>,
        request: &Message,
        space: &Arc<str>,
        gathered: &Gathered,
    ) -> Result<(), Stop> {
        let (digest, seq) = self.root_of(space, gathered)?;
        cx.respond(request, json!({"rootseq": seq, "rootref": digest.to_string()}));
        Ok(())
    }

    /// The namespace can be seen no more.
    pub(crate) fn fail_versions(&mut self, cx: &mut Cx<'_>, space: &str, fault: &Fault) {
        let (gone, rest) = std::mem::take(&mut self.versions).into_iter().partition(|wait| wait.is_for(space));
        self.versions = rest;
        let gone: Vec<VersionWait> = gone;
        gone.iter().for_each(|wait| cx.respond_error(&wait.request, fault));
    }

    /// Answers those whose version has come, and those whose namespace has gone.
    pub(crate) fn wake_versions(&mut self, cx: &mut Cx<'_>) {
        let spaces = &self.spaces;
        let due = |wait: &VersionWait| !spaces.contains(&wait.space) || spaces.seq(&wait.space) >= wait.seq;
        if !self.versions.iter().any(due) {
            return;
        }
        let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.versions).into_iter().partition(due);
        self.versions = rest;
        for VersionWait { space, request, .. } in due {
            self.run(cx, Job::WaitVersion { request, space }, Gathered::new());
        }
    }
}
