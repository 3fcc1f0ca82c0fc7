//! `kvs.lookup`: from a namespace's root or a snapshot along a key, through links, to a tree object.

use std::borrow::Cow;
use std::sync::Arc;

use flux_service::{Cx, Outcome};
use flux_wire::{Cred, Errno, Message};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::content::Content;
use crate::digest::Digest;
use crate::key::{self, ROOT};
use crate::limits::{SYMLINK_DEPTH_MAX, VALUE_LEN_MAX};
use crate::park::Job;
use crate::service::{Gathered, Kvs};
use crate::space::PRIMARY;
use crate::tree::{
    Blobs, Dir, ENOTRECOVERABLE, Entry, Step, Stop, dirref_json, entry_from_json, entry_json, hash_dir, hash_entry,
    val_json, walk,
};

/// Lookup flags of `flux_kvs_lookup(3)`.
pub(crate) mod flag {
    pub(crate) const READDIR: i64 = 1;
    pub(crate) const READLINK: i64 = 2;
    pub(crate) const WATCH: i64 = 4;
    pub(crate) const WAITCREATE: i64 = 8;
    pub(crate) const TREEOBJ: i64 = 16;
    pub(crate) const FULL: i64 = 64;
    pub(crate) const UNIQ: i64 = 128;
    pub(crate) const APPEND: i64 = 256;
    pub(crate) const STREAM: i64 = 512;
    pub(crate) const SENTINEL: i64 = 1024;
}

/// Where a lookup starts.
#[derive(Clone, Debug)]
pub(crate) enum From {
    Space(Arc<str>),
    Snapshot(Digest),
}

/// One lookup, checked.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub request: Message,
    pub from: From,
    pub key: Box<str>,
    pub flags: i64,
    /// `kvs.lookup-plus`: the answer tells the root too, and so does the answer that there is nothing.
    plus: Option<i64>,
}

#[derive(Deserialize)]
struct LookupRequest {
    key: String,
    flags: i64,
    namespace: Option<String>,
    rootdir: Option<Value>,
    #[serde(default = "unknown_seq")]
    rootseq: i64,
}

fn unknown_seq() -> i64 {
    -1
}

/// What stands at the end of a walk.
pub(crate) enum Found<'d> {
    Nothing,
    Root(&'d mut Dir),
    Entry(&'d mut Entry),
}

impl Kvs {
    pub(crate) fn lookup(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.begin_lookup(cx, request, false)
    }

    pub(crate) fn lookup_plus(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.begin_lookup(cx, request, true)
    }

    fn begin_lookup(&mut self, cx: &mut Cx<'_>, request: &Message, plus: bool) -> Outcome {
        let body: LookupRequest = request.decode()?;
        let from = match (&body.rootdir, &body.namespace) {
            (Some(rootdir), _) => match entry_from_json(self.content.alg, rootdir)? {
                Entry::DirRef(digest) => From::Snapshot(digest),
                Entry::DirRefs(digests) => From::Snapshot(digests[0]),
                _ => return Err(Errno::EINVAL.into()),
            },
            (None, Some(namespace)) => {
                self.spaces.authorized(namespace, request.cred)?;
                From::Space(namespace.as_str().into())
            }
            (None, None) => return Err(Errno::EPROTO.into()),
        };
        let key = key::normalize(&body.key)?.into();
        let plus = plus.then_some(body.rootseq);
        let lookup = Lookup { request: request.clone(), from, key, flags: body.flags, plus };
        self.run(cx, Job::Lookup(Box::new(lookup)), Gathered::new());
        Ok(())
    }

    pub(crate) fn try_lookup(&mut self, cx: &mut Cx<'_>, lookup: &Lookup, gathered: &Gathered) -> Result<(), Stop> {
        let flags = lookup.flags;
        let cred = lookup.request.cred;
        let value = self.find(cred, &lookup.from, &lookup.key, follows(flags), gathered, |content, found, epoch| {
            render(content, found, flags, gathered, epoch)
        })?;
        let Some(rootseq) = lookup.plus else {
            return match value {
                Some(value) => {
                    cx.respond(&lookup.request, json!({"val": value}));
                    Ok(())
                }
                None => Err(Errno::ENOENT.into()),
            };
        };
        let (digest, seq) = match &lookup.from {
            From::Snapshot(digest) => (*digest, rootseq),
            From::Space(space) => self.root_of(space, gathered)?,
        };
        let rootref = digest.to_string();
        let answer = match value {
            Some(value) => json!({"val": value, "rootseq": seq, "rootref": rootref}),
            None => json!({"errno": Errno::ENOENT.0, "rootseq": seq, "rootref": rootref}),
        };
        cx.respond(&lookup.request, answer);
        Ok(())
    }

    /// Walks to `key` and gives what is there to `then`, together with the content store (to hash into) and the epoch.
    pub(crate) fn find<R>(
        &mut self,
        cred: Cred,
        from: &From,
        key: &str,
        follow_last: bool,
        gathered: &Gathered,
        then: impl FnOnce(&mut Content, Found<'_>, u32) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let epoch = self.epoch;
        let mut snapshot = None;
        if let From::Space(space) = from {
            self.refresh(space, gathered)?;
        }
        let (mut tree, mut base): (Option<Arc<str>>, Arc<str>) = match from {
            From::Space(space) => {
                self.spaces.authorized(space, cred).map_err(|fault| fault.errno)?;
                let (tree, base) = self.spaces.place(space).map_err(|fault| fault.errno)?;
                (Some(tree), base)
            }
            From::Snapshot(digest) => {
                let live = self.spaces.tree(PRIMARY).is_some_and(|tree| tree.root.hash == Some(*digest));
                if !live {
                    snapshot = Some(self.content.blobs(gathered, epoch).load_dir(digest)?);
                }
                (live.then(|| PRIMARY.into()), ROOT.into())
            }
        };
        let mut path = key::join(&base, key).into_owned();
        for _ in 0..=SYMLINK_DEPTH_MAX {
            key::check_depth(&path)?;
            let blobs = self.content.blobs(gathered, epoch);
            let root = match &tree {
                Some(tree) => &mut self.spaces.tree(tree).ok_or(Errno::ENOTSUP)?.root,
                None => snapshot.as_mut().expect("without a live tree there is a snapshot"),
            };
            let Step::Link { namespace, target, rest } = walk(root, &path, follow_last, &blobs)? else {
                return finish(&mut self.content, root, &path, &base, follow_last, gathered, epoch, then);
            };
            if let Some(namespace) = namespace {
                self.refresh(&namespace, gathered)?;
                self.spaces.authorized(&namespace, cred).map_err(|fault| fault.errno)?;
                let (name, at) = self.spaces.place(&namespace).map_err(|fault| fault.errno)?;
                (tree, base) = (Some(name), at);
            }
            let target: Cow<'_, str> = key::normalize(&target)?;
            path = key::join(&base, &key::join(&target, &rest)).into_owned();
        }
        Err(Errno::ELOOP.into())
    }
}

/// The walk is known to end without another link: it is made once more, to keep what it finds.
#[allow(clippy::too_many_arguments)] // One call, split off for its length.
fn finish<R>(
    content: &mut Content,
    root: &mut Dir,
    path: &str,
    base: &str,
    follow_last: bool,
    gathered: &Gathered,
    epoch: u32,
    then: impl FnOnce(&mut Content, Found<'_>, u32) -> Result<R, Stop>,
) -> Result<R, Stop> {
    let at_root = path == base;
    let step = walk(root, path, follow_last, &content.blobs(gathered, epoch))?;
    match step {
        // An alias of a directory that is not there shows an empty one.
        Step::Missing if at_root => then(content, Found::Root(&mut Dir::fresh(epoch)), epoch),
        Step::Entry(entry) if at_root => {
            content.blobs(gathered, epoch).open(entry)?;
            match entry {
                Entry::Dir(dir) => then(content, Found::Root(dir), epoch),
                _ => then(content, Found::Root(&mut Dir::fresh(epoch)), epoch),
            }
        }
        Step::Missing | Step::Link { .. } => then(content, Found::Nothing, epoch),
        Step::Root(dir) => then(content, Found::Root(dir), epoch),
        Step::Entry(entry) => then(content, Found::Entry(entry), epoch),
    }
}

/// Is a link at the end of the key followed?
pub(crate) fn follows(flags: i64) -> bool {
    flags & (flag::READLINK | flag::TREEOBJ) == 0
}

/// The tree object that a lookup with these flags answers with; `None` if there is nothing.
pub(crate) fn render(
    content: &mut Content,
    found: Found<'_>,
    flags: i64,
    gathered: &Gathered,
    epoch: u32,
) -> Result<Option<Value>, Stop> {
    let alg = content.alg;
    match found {
        Found::Nothing => Ok(None),
        Found::Root(dir) if flags & flag::TREEOBJ != 0 => Ok(Some(dirref_json(&hash_dir(alg, dir, false, content)))),
        Found::Root(dir) if flags & flag::READDIR != 0 => Ok(Some(list(content, dir))),
        Found::Root(_) => Err(Errno::EISDIR.into()),
        Found::Entry(entry) if flags & flag::TREEOBJ != 0 => {
            hash_entry(alg, entry, false, content);
            Ok(Some(entry_json(entry)))
        }
        Found::Entry(entry) => render_entry(content, entry, flags, gathered, epoch).map(Some),
    }
}

fn render_entry(
    content: &mut Content,
    entry: &mut Entry,
    flags: i64,
    gathered: &Gathered,
    epoch: u32,
) -> Result<Value, Stop> {
    let has = |flag| flags & flag != 0;
    match entry {
        Entry::Dir(_) | Entry::DirRef(_) | Entry::DirRefs(_) => {
            if has(flag::READLINK) {
                return Err(Errno::EINVAL.into());
            }
            if !has(flag::READDIR) {
                return Err(Errno::EISDIR.into());
            }
            content.blobs(gathered, epoch).open(entry)?;
            let Entry::Dir(dir) = entry else { return Err(ENOTRECOVERABLE.into()) };
            Ok(list(content, dir))
        }
        Entry::Val(_) | Entry::Pieces(_) => {
            if has(flag::READLINK) {
                return Err(Errno::EINVAL.into());
            }
            if has(flag::READDIR) {
                return Err(Errno::ENOTDIR.into());
            }
            Ok(val_json(&whole(entry, &content.blobs(gathered, epoch))?))
        }
        Entry::Link(_) if has(flag::READDIR) => Err(Errno::ENOTDIR.into()),
        Entry::Link(_) => Ok(entry_json(entry)),
    }
}

/// All bytes of a value.
pub(crate) fn whole<'e>(entry: &'e mut Entry, blobs: &Blobs<'_>) -> Result<Cow<'e, [u8]>, Stop> {
    match entry {
        Entry::Val(data) => Ok(Cow::Borrowed(data)),
        Entry::Pieces(chunks) => {
            chunks.load(blobs)?;
            if chunks.len() > VALUE_LEN_MAX {
                return Err(Errno::EOVERFLOW.into());
            }
            match &chunks.0[..] {
                [one] => Ok(Cow::Borrowed(one.data.as_deref().unwrap_or(&[]))),
                _ => Ok(Cow::Owned(chunks.concat())),
            }
        }
        _ => Err(Errno::EISDIR.into()),
    }
}

fn list(content: &mut Content, dir: &mut Dir) -> Value {
    let alg = content.alg;
    if dir.hash.is_none() {
        dir.entries.values_mut().for_each(|entry| hash_entry(alg, entry, false, content));
    }
    dir.json()
}
