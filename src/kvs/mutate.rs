//! Mutations, in one line: each is applied in memory when those before it are, and its record joins the open batch.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use flux_service::{Cx, Fault, LogLevel, Plant, planted};
use flux_wire::{Errno, Message};

use crate::content::Waiter;
use crate::digest::Digest;
use crate::key::ROOT;
use crate::limits::QUEUE_MAX;
use crate::record::{Item, NewBody};
use crate::service::{Gathered, Kvs};
use crate::space::{Body, PRIMARY, Space, Tree};
use crate::tree::{BlobSink as _, Change, Dir, Entry, Place, Stop, Undo, apply, undo};
use crate::txn::{NO_MERGE, Op};

/// Who asked for a mutation, and what the answer is.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The log, while it is replayed.
    Replay,
    /// The checkpoint that the replay starts from.
    Restore { seq: i64 },
    /// `kvs.commit` to this namespace. `rootref`: the caller wants the reference of the new root too.
    Commit { request: Message, space: Arc<str>, rootref: bool, checkpoint: bool },
    /// `kvs.relaycommit`: no answer, but an event if it fails.
    Relay,
    /// Answered without a payload.
    Plain { request: Message },
    /// `content.store`: answered with the digest.
    Store { request: Message, digest: Digest },
}

impl Origin {
    fn is_recovery(&self) -> bool {
        matches!(self, Origin::Replay | Origin::Restore { .. })
    }
}

/// A mutation on its way.
#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    pub item: Item,
    pub origin: Origin,
    /// Commit flags.
    pub flags: i64,
    /// What setroot events call the transaction.
    pub name: Option<String>,
    /// The answer must wait for the disk.
    pub sync: bool,
}

/// How a mutation is taken back.
#[derive(Debug)]
pub(crate) enum Undone {
    Nothing,
    Commit { tree: Arc<str>, undo: Vec<Undo> },
    Create { name: Arc<str> },
    Remove { name: Arc<str>, space: Box<Space> },
}

/// Mutations that wait for the first of them, which needs blobs or the database.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: VecDeque<Mutation>,
    gathered: Gathered,
    missing: usize,
    failed: Option<Errno>,
    /// The first refers to blobs that are not in the database yet: its record may not be there before they are.
    pub(crate) needs_flush: bool,
    /// How many of the first are replayed.
    pub(crate) replaying: usize,
}

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn push(&mut self, mutation: Mutation) {
        self.waiting.push_back(mutation);
    }

    /// Will the replay bring back this namespace?
    pub(crate) fn restores(&self, space: &str) -> bool {
        self.waiting.iter().any(|mutation| match (&mutation.origin, &mutation.item) {
            (Origin::Restore { .. }, Item::Create { name, .. }) => **name == *space,
            _ => false,
        })
    }

    /// The first mutation cannot be done.
    pub(crate) fn fail_first(&mut self, errno: Errno) {
        self.failed = Some(errno);
    }

    /// A blob that the first mutation waits for.
    pub(crate) fn arrived(&mut self, digest: Digest, blob: &Result<Arc<[u8]>, Errno>) {
        match blob {
            Ok(bytes) => drop(self.gathered.insert(digest, bytes.clone())),
            Err(errno) => self.failed = Some(*errno),
        }
        self.missing -= 1;
    }
}

impl Kvs {
    /// Takes a mutation; its answer comes when its record is in the log.
    pub(crate) fn submit(&mut self, cx: &mut Cx<'_>, mutation: Mutation) -> Result<(), Fault> {
        if self.line.len() >= QUEUE_MAX {
            return Err(Fault::new(Errno::EAGAIN, "too many commits wait for the store"));
        }
        self.line.push(mutation);
        self.advance(cx);
        Ok(())
    }

    /// Applies mutations from the front of the line as far as it goes.
    pub(crate) fn advance(&mut self, cx: &mut Cx<'_>) {
        while self.line.missing == 0 && !self.line.needs_flush {
            let Some(mutation) = self.line.waiting.pop_front() else { break };
            let outcome = match self.line.failed.take() {
                Some(errno) => Err(Stop::Fault(errno)),
                None if self.refers_to_unstored(&mutation) => {
                    self.line.needs_flush = true;
                    self.line.waiting.push_front(mutation);
                    break;
                }
                None => self.apply(&mutation),
            };
            match outcome {
                Err(Stop::Need(digests)) => {
                    let digests: BTreeSet<Digest> = digests.into_iter().collect();
                    self.line.missing = digests.len();
                    for digest in digests {
                        self.content.read(cx, digest, Waiter::Queue);
                    }
                    self.line.waiting.push_front(mutation);
                    break;
                }
                Ok((item, undone)) => self.applied(cx, Mutation { item, ..mutation }, undone),
                Err(Stop::Fault(errno)) => self.refused(cx, &mutation, errno),
                Err(Stop::Space(_)) => self.refused(cx, &mutation, Errno::ENOTSUP),
            }
            self.line.gathered.clear();
        }
    }

    fn applied(&mut self, cx: &mut Cx<'_>, mutation: Mutation, undone: Undone) {
        match (&mutation.origin, &mutation.item) {
            (Origin::Replay, _) => return self.replayed(cx),
            (Origin::Restore { seq }, Item::Create { name, .. }) => {
                if let Some(tree) = self.spaces.tree(name) {
                    tree.seq = *seq;
                }
                return self.replayed(cx);
            }
            _ => {}
        }
        self.announce(cx, &mutation, &undone);
        let alone = mutation.flags & NO_MERGE != 0 && matches!(mutation.item, Item::Commit { .. });
        self.log.add(mutation, undone);
        if alone {
            self.settle(cx);
        }
    }

    fn refused(&mut self, cx: &mut Cx<'_>, mutation: &Mutation, errno: Errno) {
        match &mutation.origin {
            // It was refused when it was first made, too, or what it refers to is lost; the next ones are sound.
            Origin::Replay => self.replayed(cx),
            Origin::Restore { .. } => {
                self.lost_root(cx, &mutation.item, errno);
                self.replayed(cx);
            }
            Origin::Relay => self.publish_error(cx, mutation, errno),
            Origin::Commit { request, .. } | Origin::Plain { request } | Origin::Store { request, .. } => {
                cx.respond_error(request, &errno.into());
            }
        }
    }

    fn replayed(&mut self, cx: &mut Cx<'_>) {
        self.line.replaying -= 1;
        if self.line.replaying == 0 {
            self.recovered(cx);
        }
    }

    /// A checkpoint's root is not in the store any more, or damaged. Without the primary one nothing can be served.
    fn lost_root(&mut self, cx: &mut Cx<'_>, item: &Item, errno: Errno) {
        let Item::Create { name, .. } = item else { return };
        let text = format!("the root of KVS namespace {name} cannot be read from the store: {errno}; see flux fsck");
        cx.log(LogLevel::Crit, text.as_str());
        if **name == *PRIMARY {
            self.broken = Some(Fault::new(Errno::EIO, text));
        }
    }

    /// A reference in a record must not outlive a blob that only memory has.
    fn refers_to_unstored(&self, mutation: &Mutation) -> bool {
        let Item::Commit { ops, .. } = &mutation.item else { return false };
        let unstored = self.content.unstored();
        !mutation.origin.is_recovery()
            && !unstored.is_empty()
            && ops.iter().any(|op| match &op.change {
                Change::Set(entry) => refers(entry, &|digest| unstored.contains_key(digest)),
                _ => false,
            })
    }

    /// Applies a mutation in memory. The item comes back as it goes into the record.
    pub(crate) fn apply(&mut self, mutation: &Mutation) -> Result<(Item, Undone), Stop> {
        match &mutation.item {
            Item::Commit { tree, base, ops, seq } => {
                if let Origin::Commit { space, .. } = &mutation.origin
                    && !self.spaces.contains(space)
                {
                    return Err(Errno::ENOTSUP.into());
                }
                let undo = self.apply_ops(tree, base, ops)?;
                if !mutation.origin.is_recovery() {
                    self.touched.note(tree, base, ops);
                }
                let state = self.spaces.tree(tree).expect("applied to it above");
                match mutation.origin {
                    Origin::Replay if planted(Plant::VersionsReused) => state.seq = (*seq).min(9),
                    Origin::Replay => state.seq = *seq,
                    _ => state.advance(),
                }
                let seq = state.seq;
                let item = Item::Commit { tree: tree.clone(), base: base.clone(), ops: ops.clone(), seq };
                Ok((item, Undone::Commit { tree: tree.clone(), undo }))
            }
            item @ Item::Create { name, owner, flags, body } => {
                self.create(name, *owner, *flags, body)?;
                Ok((item.clone(), Undone::Create { name: name.clone() }))
            }
            item @ Item::Remove { name } => {
                let undone = match self.spaces.remove(name) {
                    Some(space) => Undone::Remove { name: name.clone(), space: Box::new(space) },
                    None => Undone::Nothing,
                };
                Ok((item.clone(), undone))
            }
            item @ Item::Blob { bytes } => {
                self.content.add(self.content.alg.hash(bytes), bytes);
                Ok((item.clone(), Undone::Nothing))
            }
        }
    }

    fn apply_ops(&mut self, name: &Arc<str>, base: &str, ops: &[Op]) -> Result<Vec<Undo>, Stop> {
        let tree = self.spaces.tree(name).ok_or(Errno::ENOTSUP)?;
        let blobs = self.content.blobs(&self.line.gathered, self.epoch);
        // Links to a namespace lead nowhere in a commit, but for those that name the tree itself.
        let place = Place { base, namespace: if base == ROOT { name } else { "" } };
        let mut done = Vec::with_capacity(ops.len());
        let mut stop = None;
        for op in ops {
            match apply(&mut tree.root, &place, &op.key, &op.change, &blobs) {
                Ok(change) => done.extend(change),
                // What all of the others need is asked for in one go: a commit touches thousands of jobs, and each
                // attempt starts again from the first.
                Err(Stop::Need(more)) => match &mut stop {
                    Some(Stop::Need(digests)) => digests.extend(more),
                    _ => stop = Some(Stop::Need(more)),
                },
                Err(fault) => {
                    stop.get_or_insert(fault);
                    break;
                }
            }
        }
        let Some(stop) = stop else { return Ok(done) };
        for change in done.into_iter().rev() {
            undo(&mut tree.root, change, &blobs).expect("what was just changed is in memory");
        }
        Err(stop)
    }

    fn create(&mut self, name: &Arc<str>, owner: u32, flags: i64, body: &NewBody) -> Result<(), Stop> {
        self.spaces.check_new(name).map_err(|fault| fault.errno)?;
        let body = match body {
            NewBody::Alias(base) => Body::Alias(base.clone()),
            NewBody::Root(digest) if *digest == self.empty_root() => {
                Body::Tree(Tree { root: Dir::fresh(self.epoch), ..Tree::default() })
            }
            NewBody::Root(digest) => {
                let root = self.content.blobs(&self.line.gathered, self.epoch).load_dir(digest)?;
                Body::Tree(Tree { root, ..Tree::default() })
            }
        };
        self.spaces.insert(name.clone(), Space { owner, flags, body });
        Ok(())
    }

    /// The digest of the directory with nothing in it.
    pub(crate) fn empty_root(&self) -> Digest {
        self.content.alg.hash(br#"{"data":{},"type":"dir","ver":1}"#)
    }

    /// Takes a mutation back. `false` if what it touched has left memory: it stays then until the next restart.
    pub(crate) fn take_back(&mut self, undone: Undone) -> bool {
        match undone {
            Undone::Nothing => true,
            Undone::Commit { tree, undo: changes } => {
                let Some(state) = self.spaces.tree(&tree) else { return true };
                let gathered = Gathered::new();
                let blobs = self.content.blobs(&gathered, self.epoch);
                let mut complete = true;
                for change in changes.into_iter().rev() {
                    complete &= undo(&mut state.root, change, &blobs).is_ok();
                }
                complete
            }
            Undone::Create { name } => self.spaces.remove(&name).is_some(),
            Undone::Remove { name, space } => {
                self.spaces.insert(name, *space);
                true
            }
        }
    }
}

fn refers(entry: &Entry, to: &impl Fn(&Digest) -> bool) -> bool {
    match entry {
        Entry::Pieces(chunks) => chunks.0.iter().any(|chunk| chunk.hash.as_ref().is_some_and(to)),
        Entry::DirRef(digest) => to(digest),
        Entry::DirRefs(digests) => digests.iter().any(to),
        Entry::Dir(dir) => dir.entries.values().any(|entry| refers(entry, to)),
        Entry::Val(_) | Entry::Link(_) => false,
    }
}
