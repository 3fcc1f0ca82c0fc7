//! Log records: what a batch changed, in a compact binary form. Values stand in it as they are.
//!
//! `record = version batch item*`; numbers are LEB128, byte strings and text have their length before them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::digest::{self, Algorithm, Digest};
use crate::tree::{Change, Chunks, Dir, Entry, Link};
use crate::txn::Op;

const VERSION: u8 = 1;
/// Directories in directories in one tree object; JSON text is limited to 128 levels, and each takes two.
const DEPTH_MAX: usize = 128;

/// One change of the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// `tree` is a namespace that is no alias; `seq` is its sequence number afterwards.
    Commit {
        tree: Arc<str>,
        base: Arc<str>,
        ops: Arc<[Op]>,
        seq: i64,
    },
    Create {
        name: Arc<str>,
        owner: u32,
        flags: i64,
        body: NewBody,
    },
    Remove {
        name: Arc<str>,
    },
    Blob {
        bytes: Arc<[u8]>,
    },
}

/// What a new namespace shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NewBody {
    Root(Digest),
    Alias(Arc<str>),
}

/// A record that this version cannot have written.
#[derive(Debug, PartialEq, Eq)]
pub enum RecordError {
    Truncated,
    Version {
        got: u8,
    },
    BadTag {
        got: u8,
    },
    NotText,
    /// A reference to no blob at all.
    NoReference,
    TooDeep,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the record ends too early"),
            Self::Version { got } => write!(f, "record version {got}, not {VERSION}"),
            Self::BadTag { got } => write!(f, "unknown tag {got}"),
            Self::NotText => f.write_str("text that is not UTF-8"),
            Self::NoReference => f.write_str("a reference without a digest"),
            Self::TooDeep => f.write_str("directories nested too deeply"),
        }
    }
}

impl std::error::Error for RecordError {}

/// Reads a log record and gives its batch number: what a recovery would do first. For `flux fsck`, and for fuzzing.
///
/// # Errors
/// See `RecordError`.
pub fn check_record(alg: Algorithm, record: &[u8]) -> Result<u64, RecordError> {
    let (batch, items) = decode(alg, record)?;
    let again = encode(batch, items.iter());
    assert_eq!(decode(alg, &again), Ok((batch, items)), "what can be read can be written");
    Ok(batch)
}

/// The record of batch number `batch`.
pub(crate) fn encode<'a>(batch: u64, items: impl Iterator<Item = &'a Item>) -> Vec<u8> {
    let mut out = Writer { out: vec![VERSION] };
    out.number(batch);
    items.for_each(|item| out.item(item));
    out.out
}

/// `(batch, items)` of a record.
pub(crate) fn decode(alg: Algorithm, record: &[u8]) -> Result<(u64, Vec<Item>), RecordError> {
    let mut input = Reader { alg, rest: record };
    match input.byte()? {
        VERSION => {}
        got => return Err(RecordError::Version { got }),
    }
    let batch = input.number()?;
    let mut items = Vec::new();
    while !input.rest.is_empty() {
        items.push(input.item()?);
    }
    Ok((batch, items))
}

struct Writer {
    out: Vec<u8>,
}

impl Writer {
    fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.out.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.out.push(n as u8);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn digests(&mut self, digests: impl ExactSizeIterator<Item = Digest>) {
        self.number(digests.len() as u64);
        for digest in digests {
            self.out.extend_from_slice(&digest::raw(&digest));
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Commit { tree, base, ops, seq } => {
                self.out.push(1);
                self.bytes(tree.as_bytes());
                self.bytes(base.as_bytes());
                self.number(*seq as u64);
                self.number(ops.len() as u64);
                for op in ops.iter() {
                    self.bytes(op.key.as_bytes());
                    self.change(&op.change);
                }
            }
            Item::Create { name, owner, flags, body } => {
                self.out.push(2);
                self.bytes(name.as_bytes());
                self.number(u64::from(*owner));
                self.number(*flags as u64);
                match body {
                    NewBody::Root(digest) => {
                        self.out.push(0);
                        self.digests([*digest].into_iter());
                    }
                    NewBody::Alias(base) => {
                        self.out.push(1);
                        self.bytes(base.as_bytes());
                    }
                }
            }
            Item::Remove { name } => {
                self.out.push(3);
                self.bytes(name.as_bytes());
            }
            Item::Blob { bytes } => {
                self.out.push(4);
                self.bytes(bytes);
            }
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Remove => self.out.push(0),
            Change::Append(data) => {
                self.out.push(1);
                self.bytes(data);
            }
            Change::Set(entry) => self.entry(entry),
        }
    }

    fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Val(data) => {
                self.out.push(2);
                self.bytes(data);
            }
            Entry::Pieces(chunks) => {
                self.out.push(3);
                let refs = chunks.0.iter().map(|chunk| chunk.hash.expect("clients send valrefs with references"));
                self.digests(refs);
            }
            Entry::DirRef(digest) => {
                self.out.push(4);
                self.digests([*digest].into_iter());
            }
            Entry::DirRefs(digests) => {
                self.out.push(4);
                self.digests(digests.iter().copied());
            }
            Entry::Link(link) => {
                self.out.push(if link.namespace.is_some() { 6 } else { 5 });
                if let Some(namespace) = &link.namespace {
                    self.bytes(namespace.as_bytes());
                }
                self.bytes(link.target.as_bytes());
            }
            Entry::Dir(dir) => {
                self.out.push(7);
                self.number(dir.entries.len() as u64);
                for (name, entry) in &dir.entries {
                    self.bytes(name.as_bytes());
                    self.entry(entry);
                }
            }
        }
    }
}

struct Reader<'a> {
    alg: Algorithm,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, RecordError> {
        let (first, rest) = self.rest.split_first().ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, RecordError> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(RecordError::Truncated)
    }

    fn bytes(&mut self) -> Result<&'a [u8], RecordError> {
        let len = usize::try_from(self.number()?).map_err(|_| RecordError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str, RecordError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| RecordError::NotText)
    }

    fn digests(&mut self) -> Result<Vec<Digest>, RecordError> {
        let count = self.number()?;
        let mut digests = Vec::new();
        for _ in 0..count {
            let (raw, rest) = self.rest.split_at_checked(self.alg.digest_len()).ok_or(RecordError::Truncated)?;
            self.rest = rest;
            digests.push(digest::of_raw(self.alg, raw).expect("split at this length"));
        }
        if digests.is_empty() {
            return Err(RecordError::NoReference);
        }
        Ok(digests)
    }

    fn item(&mut self) -> Result<Item, RecordError> {
        Ok(match self.byte()? {
            1 => {
                let (tree, base) = (self.text()?.into(), self.text()?.into());
                let seq = self.number()? as i64;
                let mut ops = Vec::new();
                for _ in 0..self.number()? {
                    ops.push(Op { key: self.text()?.into(), change: self.change()? });
                }
                Item::Commit { tree, base, ops: ops.into(), seq }
            }
            2 => {
                let name = self.text()?.into();
                let (owner, flags) = (self.number()? as u32, self.number()? as i64);
                let body = match self.byte()? {
                    0 => NewBody::Root(self.digests()?[0]),
                    1 => NewBody::Alias(self.text()?.into()),
                    got => return Err(RecordError::BadTag { got }),
                };
                Item::Create { name, owner, flags, body }
            }
            3 => Item::Remove { name: self.text()?.into() },
            4 => Item::Blob { bytes: self.bytes()?.into() },
            got => return Err(RecordError::BadTag { got }),
        })
    }

    fn change(&mut self) -> Result<Change, RecordError> {
        Ok(match self.byte()? {
            0 => Change::Remove,
            1 => Change::Append(self.bytes()?.into()),
            tag => Change::Set(self.entry(tag, 0)?),
        })
    }

    fn entry(&mut self, tag: u8, depth: usize) -> Result<Entry, RecordError> {
        Ok(match tag {
            2 => Entry::Val(self.bytes()?.into()),
            3 => Entry::Pieces(Box::new(Chunks::refs(self.digests()?))),
            4 => match self.digests()?[..] {
                [digest] => Entry::DirRef(digest),
                ref digests => Entry::DirRefs(digests.into()),
            },
            5 | 6 => {
                let namespace = if tag == 6 { Some(self.text()?.into()) } else { None };
                Entry::Link(Box::new(Link { namespace, target: self.text()?.into() }))
            }
            7 if depth >= DEPTH_MAX => return Err(RecordError::TooDeep),
            7 => {
                let mut entries = BTreeMap::new();
                for _ in 0..self.number()? {
                    let name = self.text()?.into();
                    let tag = self.byte()?;
                    entries.insert(name, self.entry(tag, depth + 1)?);
                }
                Entry::Dir(Box::new(Dir { entries, hash: None, used: 0 }))
            }
            got => return Err(RecordError::BadTag { got }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Item> {
        let alg = Algorithm::Sha1;
        let nested = Dir { entries: [("v".into(), Entry::Val(b"1"[..].into()))].into(), hash: None, used: 0 };
        let link = |namespace: Option<&str>| {
            Change::Set(Entry::Link(Box::new(Link { namespace: namespace.map(Into::into), target: "t.u".into() })))
        };
        let refs = vec![alg.hash(b"a"), alg.hash(b"b")];
        let changes = [
            Change::Remove,
            Change::Append(vec![0; 300].into()),
            Change::Set(Entry::Val([].into())),
            Change::Set(Entry::Pieces(Box::new(Chunks::refs(refs.clone())))),
            Change::Set(Entry::DirRef(refs[0])),
            Change::Set(Entry::DirRefs(refs.into())),
            link(None),
            link(Some("other")),
            Change::Set(Entry::Dir(Box::new(nested))),
        ];
        let ops = changes.into_iter().map(|change| Op { key: "k.é".into(), change }).collect();
        vec![
            Item::Commit { tree: "primary".into(), base: "job.1".into(), ops, seq: 1 << 40 },
            Item::Create { name: "a".into(), owner: u32::MAX - 1, flags: -1, body: NewBody::Root(alg.hash(b"")) },
            Item::Create { name: "b".into(), owner: 0, flags: 0, body: NewBody::Alias("job.2".into()) },
            Item::Remove { name: "a".into() },
            Item::Blob { bytes: b"blob"[..].into() },
        ]
    }

    #[test]
    fn records_come_back_as_they_were_written() {
        let items = samples();
        let record = encode(77, items.iter());
        assert_eq!(decode(Algorithm::Sha1, &record), Ok((77, items)));
    }

    #[test]
    fn damaged_records_are_errors() {
        let record = encode(1, samples().iter());
        assert_eq!(decode(Algorithm::Sha1, &[2, 0]), Err(RecordError::Version { got: 2 }));
        assert_eq!(decode(Algorithm::Sha1, &[1, 0, 9]), Err(RecordError::BadTag { got: 9 }));
        for at in 0..record.len() {
            let _ = check_record(Algorithm::Sha1, &record[..at]);
            let mut damaged = record.clone();
            damaged[at] ^= 0xff;
            let _ = check_record(Algorithm::Sha1, &damaged);
        }
        let deep: Vec<u8> = [1, 0, 1, 0, 0, 0, 1, 0].into_iter().chain([7, 1, 0].repeat(10_000)).collect();
        assert_eq!(decode(Algorithm::Sha1, &deep), Err(RecordError::TooDeep));
    }
}
