//! Namespaces: trees with an owner, and aliases that show a directory of the primary one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flux_service::{Fault, enforced};
use flux_wire::{Cred, Errno};

use crate::digest::Digest;
use crate::key::ROOT;
use crate::limits::{NAMESPACE_NAME_LEN_MAX, NAMESPACES_MAX};
use crate::record::NewBody;
use crate::tree::Dir;

/// The namespace that every instance has.
pub(crate) const PRIMARY: &str = "primary";

/// A namespace.
#[derive(Debug)]
pub(crate) struct Space {
    pub owner: u32,
    pub flags: i64,
    pub body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Tree(Tree),
    /// A view of this directory of the primary namespace.
    Alias(Arc<str>),
}

/// A root and how often it has changed.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub root: Dir,
    pub seq: i64,
    /// Nobody has been told `seq` together with a reference yet: the next commit may share it.
    pub seq_is_open: bool,
    /// The root that the broker above told of; it is read when somebody looks.
    pub next: Option<Digest>,
}

impl Tree {
    /// A commit changed the tree.
    pub(crate) fn advance(&mut self) {
        if !self.seq_is_open {
            self.seq += 1;
            self.seq_is_open = true;
        }
    }
}

/// All namespaces by name.
#[derive(Debug, Default)]
pub(crate) struct Spaces {
    map: BTreeMap<Arc<str>, Space>,
    /// Aliases by the directory that they show.
    by_base: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

impl Spaces {
    pub(crate) fn get(&self, name: &str) -> Result<&Space, Fault> {
        self.map.get(name).ok_or_else(|| Errno::ENOTSUP.into())
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// The namespace, if the sender may see it: its owner and the instance owner may (RFC 12).
    pub(crate) fn authorized(&self, name: &str, cred: Cred) -> Result<&Space, Fault> {
        let space = self.get(name)?;
        if cred.authorize(space.owner) || !enforced("namespace") { Ok(space) } else { Err(Errno::EPERM.into()) }
    }

    /// The tree that a namespace is in, by its name, and its directory there.
    pub(crate) fn place(&self, name: &str) -> Result<(Arc<str>, Arc<str>), Fault> {
        let (name, space) = self.map.get_key_value(name).ok_or_else(|| Fault::from(Errno::ENOTSUP))?;
        Ok(match &space.body {
            Body::Tree(_) => (name.clone(), ROOT.into()),
            Body::Alias(base) => (PRIMARY.into(), base.clone()),
        })
    }

    /// The tree of that name, which is not an alias.
    pub(crate) fn tree(&mut self, name: &str) -> Option<&mut Tree> {
        match &mut self.map.get_mut(name)?.body {
            Body::Tree(tree) => Some(tree),
            Body::Alias(_) => None,
        }
    }

    /// The sequence number of a namespace; an alias has that of the primary one.
    pub(crate) fn seq(&self, name: &str) -> i64 {
        match self.map.get(name).map(|space| &space.body) {
            Some(Body::Tree(tree)) => tree.seq,
            Some(Body::Alias(_)) if name != PRIMARY => self.seq(PRIMARY),
            _ => 0,
        }
    }

    /// Is there such an alias already?
    pub(crate) fn is_alias(&self, name: &str, owner: u32, shown: &NewBody) -> bool {
        match (self.map.get(name), shown) {
            (Some(Space { owner: has, body: Body::Alias(base), .. }), NewBody::Alias(wanted)) => {
                *has == owner && base == wanted
            }
            _ => false,
        }
    }

    pub(crate) fn check_new(&self, name: &str) -> Result<(), Fault> {
        if name.is_empty() || name.len() > NAMESPACE_NAME_LEN_MAX {
            return Err(Fault::new(Errno::EINVAL, "a namespace's name has 1 to 1024 bytes"));
        }
        if self.contains(name) {
            return Err(Errno::EEXIST.into());
        }
        if self.map.len() >= NAMESPACES_MAX {
            return Err(Fault::new(Errno::ENOMEM, "too many KVS namespaces"));
        }
        Ok(())
    }

    pub(crate) fn insert(&mut self, name: Arc<str>, space: Space) {
        if let Body::Alias(base) = &space.body {
            self.by_base.entry(base.clone()).or_default().insert(name.clone());
        }
        self.map.insert(name, space);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Space> {
        let space = self.map.remove(name)?;
        if let Body::Alias(base) = &space.body
            && let Some(names) = self.by_base.get_mut(base)
        {
            names.remove(name);
            if names.is_empty() {
                self.by_base.remove(base);
            }
        }
        Some(space)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Space)> {
        self.map.iter()
    }

    pub(crate) fn trees(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Tree)> {
        self.map.iter_mut().filter_map(|(name, space)| match &mut space.body {
            Body::Tree(tree) => Some((name, tree)),
            Body::Alias(_) => None,
        })
    }

    /// Aliases that show a directory above `key` of the primary namespace, each with the rest of the key below it.
    pub(crate) fn aliases_above<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a Arc<str>, &'a str)> {
        let ends = key.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| at);
        let ends = if self.by_base.is_empty() { None } else { Some(ends) };
        ends.into_iter().flatten().flat_map(move |end| {
            let names = self.by_base.get(&key[..end]).into_iter().flatten();
            names.map(move |name| (name, &key[end + 1..]))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}
