//! `kvs.commit`, and the making and removing of namespaces.

use std::sync::Arc;

use flux_service::{Cx, Durability, Fault, Outcome, Plant, Transaction, planted};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::digest::{self, Algorithm};
use crate::key;
use crate::limits::BACKLOG_BYTES_MAX;
use crate::mutate::{Mutation, Origin};
use crate::record::{Item, NewBody};
use crate::service::Kvs;
use crate::space::PRIMARY;
use crate::txn::{NO_MERGE, Op, SYNC, parse_ops, take_ops};

#[derive(Deserialize)]
struct CommitRequest {
    namespace: String,
    flags: i64,
    ops: Vec<Value>,
    /// Ours (ADR 2), for the owner's services: "written" is answered before the disk has it. A request that says
    /// what durability it needs ("written" or "synced") is answered with `rootseq` only: nothing needs to be hashed for it.
    durability: Option<Asked>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Asked {
    Written,
    Synced,
}

/// A commit, whichever way it came.
struct CommitBody {
    namespace: String,
    flags: i64,
    ops: Arc<[Op]>,
    durability_given: bool,
    sync: bool,
}

impl CommitBody {
    fn read(alg: Algorithm, request: &Message) -> Result<CommitBody, Fault> {
        let body: CommitRequest = request.decode()?;
        if body.durability.is_some() && !request.cred.is_owner() {
            return Err(Fault::new(Errno::EPERM, "only the instance owner chooses the durability of a commit"));
        }
        Ok(CommitBody {
            ops: parse_ops(alg, body.ops, request.cred)?,
            namespace: body.namespace,
            flags: body.flags,
            durability_given: body.durability.is_some(),
            sync: body.durability != Some(Asked::Written),
        })
    }

    /// From a service of this broker: nothing is parsed, and values are not copied.
    fn inside(alg: Algorithm, transaction: &Transaction) -> Result<CommitBody, Fault> {
        Ok(CommitBody {
            ops: take_ops(alg, &transaction.ops)?,
            namespace: PRIMARY.to_owned(),
            flags: 0,
            durability_given: true,
            sync: transaction.durability == Durability::Synced,
        })
    }
}

#[derive(Deserialize)]
struct RelayRequest {
    namespace: String,
    name: String,
    flags: i64,
    ops: Vec<Value>,
}

#[derive(Deserialize)]
struct CreateRequest {
    namespace: String,
    rootref: Option<String>,
    owner: i64,
    flags: i64,
    /// Ours: the namespace shows this directory of the primary one.
    alias: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct NamespaceRequest {
    pub(crate) namespace: String,
}

impl Kvs {
    pub(crate) fn commit(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body = match request.payload.as_local::<Transaction>() {
            Some(transaction) => CommitBody::inside(self.content.alg, transaction)?,
            None => CommitBody::read(self.content.alg, request)?,
        };
        self.spaces.authorized(&body.namespace, request.cred)?;
        let (tree, base) = self.spaces.place(&body.namespace)?;
        if body.flags & SYNC != 0 && body.namespace != PRIMARY {
            return Err(Errno::EINVAL.into());
        }
        self.check_backlog()?;
        self.counters.commits += 1;
        self.counters.ops.push(body.ops.len());
        // JSON that never was text comes from a service of this broker, which has no use for a reference.
        let local = request.payload.is_inside();
        let origin = Origin::Commit {
            request: request.clone(),
            space: body.namespace.as_str().into(),
            rootref: !body.durability_given && !local,
            checkpoint: body.flags & SYNC != 0,
        };
        let name = self.publishes().then(|| format!("transaction_req.{}.{}", cx.node.rank, self.counters.commits));
        let item = Item::Commit { tree, base, ops: body.ops, seq: 0 };
        self.submit_commit(cx, Mutation { item, origin, flags: body.flags, name, sync: body.sync })
    }

    pub(crate) fn relaycommit(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: RelayRequest = request.decode()?;
        let ops = parse_ops(self.content.alg, body.ops, request.cred)?;
        let (tree, base) = self.spaces.place(&body.namespace)?;
        self.check_backlog()?;
        let item = Item::Commit { tree, base, ops, seq: 0 };
        let (name, origin) = (Some(body.name), Origin::Relay);
        self.submit_commit(cx, Mutation { item, origin, flags: body.flags, name, sync: true })
    }

    fn submit_commit(&mut self, cx: &mut Cx<'_>, mutation: Mutation) -> Outcome {
        if mutation.flags & NO_MERGE != 0 {
            self.settle(cx); // What came before is told before, on its own.
        }
        self.submit(cx, mutation)
    }

    /// While the database takes nothing, the log and memory would grow without end.
    fn check_backlog(&self) -> Result<(), Fault> {
        let backlog = self.log.bytes + self.content.unstored_bytes() as u64;
        if backlog <= BACKLOG_BYTES_MAX {
            return Ok(());
        }
        Err(Fault::new(Errno::ENOSPC, "the KVS takes no more commits until its database can be written again"))
    }

    pub(crate) fn namespace_create(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: CreateRequest = request.decode()?;
        // -1 is FLUX_USERID_UNKNOWN, in either of the forms that clients pack it in.
        let owner = match body.owner {
            -1 | 0xffff_ffff => cx.node.owner,
            owner => u32::try_from(owner).map_err(|_| Fault::new(Errno::EINVAL, "owner is not a user id"))?,
        };
        let shown = match (body.alias, body.rootref) {
            (Some(alias), _) => {
                let base = key::normalize(&alias)?.into_owned();
                if base == key::ROOT {
                    return Err(Fault::new(Errno::EINVAL, "an alias shows a directory, not the whole namespace"));
                }
                NewBody::Alias(base.into())
            }
            (None, Some(rootref)) => {
                let digest = digest::parse(self.content.alg, &rootref);
                NewBody::Root(digest.ok_or_else(|| Fault::new(Errno::EINVAL, "rootref is not a blobref"))?)
            }
            (None, None) => NewBody::Root(self.empty_root()),
        };
        // After a restart the alias of a job that lives on is still there: asking for it again is no error.
        if self.spaces.is_alias(&body.namespace, owner, &shown) {
            cx.respond_empty(request);
            return Ok(());
        }
        self.spaces.check_new(&body.namespace)?;
        // An alias is a matter of its job, and can be made again; what is put into a namespace of its own cannot.
        let sync = matches!(shown, NewBody::Root(_)) && !planted(Plant::SpacesNotSynced);
        let item = Item::Create { name: body.namespace.into(), owner, flags: body.flags, body: shown };
        let origin = Origin::Plain { request: request.clone() };
        self.submit(cx, Mutation { item, origin, flags: 0, name: None, sync })
    }

    pub(crate) fn namespace_remove(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: NamespaceRequest = request.decode()?;
        if body.namespace.eq_ignore_ascii_case(PRIMARY) {
            return Err(Errno::ENOTSUP.into());
        }
        let sync = self.spaces.tree(&body.namespace).is_some();
        let item = Item::Remove { name: body.namespace.into() };
        let origin = Origin::Plain { request: request.clone() };
        self.submit(cx, Mutation { item, origin, flags: 0, name: None, sync })
    }

    pub(crate) fn namespace_list(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let list = self.spaces.iter();
        let list: Vec<Value> = list
            .map(|(name, space)| json!({"namespace": **name, "owner": space.owner, "flags": space.flags}))
            .collect();
        cx.respond(request, json!({"namespaces": list}));
        Ok(())
    }

    pub(crate) fn setroot_pause(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: NamespaceRequest = request.decode()?;
        self.spaces.authorized(&body.namespace, request.cred)?;
        self.setroot_paused.insert(Arc::from(body.namespace));
        cx.respond_empty(request);
        Ok(())
    }

    pub(crate) fn setroot_unpause(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: NamespaceRequest = request.decode()?;
        self.spaces.authorized(&body.namespace, request.cred)?;
        if self.setroot_paused.remove(&*body.namespace) {
            self.publish_setroot_now(cx, &body.namespace);
        }
        cx.respond_empty(request);
        Ok(())
    }
}
