//! From a root down to every key below it, a few requests ahead of what is being looked at.

use std::collections::VecDeque;

use flux_client::{ClientError, Fault, Handle, Payload, Rank, Target, Ticket};
use flux_types::{Blobref, Treeobj};

use crate::frame::CmdError;
use crate::limits::WALK_DEPTH_MAX;

/// What is done with the blobs of large values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blobs {
    Load,
    /// Only ask whether they are there.
    Validate,
    Leave,
}

/// Where blobs come from, and how keys are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) bypass: bool,
    /// Requests under way.
    pub(super) window: usize,
    pub(super) separator: char,
    pub(super) blobs: Blobs,
}

/// A key.
pub(super) enum Found<'a> {
    Value(&'a [u8]),
    /// A large value whose blobs were not loaded.
    Blobs(&'a [Blobref]),
    Symlink {
        namespace: Option<&'a str>,
        target: &'a str,
    },
    Dir,
    /// These blobs, of those of a large value, are missing: number, reference and reason.
    Lost(&'a [Blobref], &'a [(usize, Fault)]),
    /// A directory that cannot be read.
    LostDir(&'a Fault),
    /// A directory whose blob is no directory.
    BadDir(&'a str),
}

/// Who is told of the keys.
pub(super) trait Visitor {
    /// Is the directory in this blob to be walked?
    fn enter(&mut self, dir: &Blobref) -> bool {
        let _ = dir;
        true
    }

    /// # Errors
    /// End the walk.
    fn found(&mut self, path: &str, found: Found<'_>) -> Result<(), CmdError>;
}

/// A key whose blobs were asked for.
struct Ahead {
    path: String,
    object: Treeobj,
    asked: Vec<Ticket>,
    entered: bool,
}

pub(super) struct Walk<'a> {
    flux: &'a mut Handle,
    options: Options,
}

impl<'a> Walk<'a> {
    pub(super) fn new(flux: &'a mut Handle, options: Options) -> Walk<'a> {
        Walk { flux, options }
    }

    /// The directory in the blob `root`, and all below it. The root itself is not told of, unless it cannot be read.
    ///
    /// # Errors
    /// Those of the connection and of the visitor.
    pub(super) fn run(&mut self, root: &Blobref, visitor: &mut impl Visitor) -> Result<(), CmdError> {
        let ticket = self.ask(root, false)?;
        match self.answer(ticket)? {
            Ok(bytes) => self.directory("", &bytes, visitor, 0),
            Err(fault) => visitor.found("", Found::LostDir(&fault)),
        }
    }

    fn ask(&mut self, blobref: &Blobref, is_value: bool) -> Result<Ticket, CmdError> {
        let validate = is_value && self.options.blobs == Blobs::Validate;
        let (topic, target) = match (validate, self.options.bypass) {
            (false, false) => ("content.load", Target::Any),
            (false, true) => ("content-backing.load", Target::Rank(Rank::ROOT)),
            (true, false) => ("content.validate", Target::Rank(Rank::ROOT)),
            (true, true) => ("content-backing.validate", Target::Rank(Rank::ROOT)),
        };
        Ok(self.flux.send(topic, target, Payload::raw(blobref.digest().to_vec()), false)?)
    }

    fn answer(&mut self, ticket: Ticket) -> Result<Result<Vec<u8>, Fault>, CmdError> {
        let message = self.flux.wait(ticket, None)?.ok_or(ClientError::Lost)?;
        Ok(match Fault::of(&message) {
            Some(fault) => Err(fault),
            None => Ok(message.payload.as_bytes().unwrap_or_default().to_vec()),
        })
    }

    fn directory(
        &mut self,
        path: &str,
        bytes: &[u8],
        visitor: &mut impl Visitor,
        depth: usize,
    ) -> Result<(), CmdError> {
        if depth > WALK_DEPTH_MAX {
            return visitor.found(path, Found::BadDir("it is too deep"));
        }
        match Treeobj::parse(bytes) {
            Ok(Treeobj::Dir(entries)) => self.entries(path, entries, visitor, depth),
            Ok(other) => visitor.found(path, Found::BadDir(other.kind())),
            Err(error) => visitor.found(path, Found::BadDir(&error.to_string())),
        }
    }

    fn entries(
        &mut self,
        dir: &str,
        entries: std::collections::BTreeMap<String, Treeobj>,
        visitor: &mut impl Visitor,
        depth: usize,
    ) -> Result<(), CmdError> {
        let mut entries = entries.into_iter();
        let mut ahead: VecDeque<Ahead> = VecDeque::new();
        loop {
            while ahead.len() < self.options.window.max(1) {
                let Some((name, object)) = entries.next() else { break };
                let path = if dir.is_empty() { name } else { format!("{dir}{}{name}", self.options.separator) };
                ahead.push_back(self.look_ahead(path, object, visitor)?);
            }
            let Some(next) = ahead.pop_front() else { return Ok(()) };
            self.entry(next, visitor, depth)?;
        }
    }

    fn look_ahead(&mut self, path: String, object: Treeobj, visitor: &mut impl Visitor) -> Result<Ahead, CmdError> {
        let mut ahead = Ahead { path, object, asked: Vec::new(), entered: false };
        match &ahead.object {
            // RFC 11: one blob for now.
            Treeobj::Dirref(refs) if visitor.enter(&refs[0]) => {
                ahead.entered = true;
                ahead.asked.push(self.ask(&refs[0], false)?);
            }
            Treeobj::Valref(refs) if self.options.blobs != Blobs::Leave => {
                for blobref in refs {
                    ahead.asked.push(self.ask(blobref, true)?);
                }
            }
            _ => {}
        }
        Ok(ahead)
    }

    fn entry(&mut self, entry: Ahead, visitor: &mut impl Visitor, depth: usize) -> Result<(), CmdError> {
        let Ahead { path, object, asked, entered } = entry;
        match object {
            Treeobj::Val(bytes) => visitor.found(&path, Found::Value(&bytes)),
            Treeobj::Symlink { namespace, target } => {
                visitor.found(&path, Found::Symlink { namespace: namespace.as_deref(), target: &target })
            }
            Treeobj::Valref(refs) => self.value(&path, &refs, asked, visitor),
            Treeobj::Dir(entries) => {
                visitor.found(&path, Found::Dir)?;
                self.entries(&path, entries, visitor, depth + 1)
            }
            Treeobj::Dirref(_) if !entered => Ok(()),
            Treeobj::Dirref(_) => match self.answer(asked[0])? {
                Ok(bytes) => {
                    visitor.found(&path, Found::Dir)?;
                    self.directory(&path, &bytes, visitor, depth + 1)
                }
                Err(fault) => visitor.found(&path, Found::LostDir(&fault)),
            },
        }
    }

    fn value(
        &mut self,
        path: &str,
        refs: &[Blobref],
        asked: Vec<Ticket>,
        visitor: &mut impl Visitor,
    ) -> Result<(), CmdError> {
        let (mut bytes, mut lost) = (Vec::new(), Vec::new());
        for (at, ticket) in asked.into_iter().enumerate() {
            match self.answer(ticket)? {
                Ok(blob) => bytes.extend(blob),
                Err(fault) => lost.push((at, fault)),
            }
        }
        match self.options.blobs {
            _ if !lost.is_empty() => visitor.found(path, Found::Lost(refs, &lost)),
            Blobs::Load => visitor.found(path, Found::Value(&bytes)),
            Blobs::Validate | Blobs::Leave => visitor.found(path, Found::Blobs(refs)),
        }
    }
}
