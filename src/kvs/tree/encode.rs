//! Tree objects as text (RFC 11): compact, keys sorted, as flux-core writes them, so that references are equal.

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Chunk, Dir, Entry};
use crate::digest::{self, Digest};

/// The bytes of a *dir* whose entries are all hashed.
pub(crate) fn encode_dir(dir: &Dir) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + dir.entries.len() * 96);
    out.extend_from_slice(b"{\"data\":{");
    for (index, (name, entry)) in dir.entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name, &mut out);
        out.push(b':');
        write_entry(entry, &mut out);
    }
    out.extend_from_slice(b"},\"type\":\"dir\",\"ver\":1}");
    out
}

fn write_entry(entry: &Entry, out: &mut Vec<u8>) {
    let kind = match entry {
        Entry::Val(data) => {
            out.extend_from_slice(b"{\"data\":\"");
            out.extend_from_slice(STANDARD.encode(data).as_bytes());
            out.push(b'"');
            "val"
        }
        Entry::Pieces(chunks) => {
            write_refs(chunks.0.iter().map(referenced), out);
            "valref"
        }
        Entry::Dir(dir) => {
            write_refs([dir.hash.expect("a directory is hashed after those in it")].into_iter(), out);
            "dirref"
        }
        Entry::DirRef(digest) => {
            write_refs([*digest].into_iter(), out);
            "dirref"
        }
        Entry::DirRefs(digests) => {
            write_refs(digests.iter().copied(), out);
            "dirref"
        }
        Entry::Link(link) => {
            out.extend_from_slice(b"{\"data\":{");
            if let Some(namespace) = &link.namespace {
                out.extend_from_slice(b"\"namespace\":");
                write_string(namespace, out);
                out.push(b',');
            }
            out.extend_from_slice(b"\"target\":");
            write_string(&link.target, out);
            out.push(b'}');
            "symlink"
        }
    };
    write!(out, ",\"type\":\"{kind}\",\"ver\":1}}").expect("a vector takes all bytes");
}

fn write_refs(digests: impl Iterator<Item = Digest>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"data\":[");
    for (index, digest) in digests.enumerate() {
        out.extend_from_slice(if index > 0 { b",\"" } else { b"\"" });
        digest::write(&digest, out);
        out.push(b'"');
    }
    out.push(b']');
}

fn referenced(chunk: &Chunk) -> Digest {
    chunk.hash.expect("pieces are hashed before their directory")
}

/// JSON as jansson escapes it: control characters by their short form or as `\u00XX` in capitals, the rest verbatim.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=31 => write!(out, "\\u{byte:04X}").expect("a vector takes all bytes"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The tree object of an entry, for a response. Directories appear as references, so all below must be hashed.
pub(crate) fn entry_json(entry: &Entry) -> Value {
    match entry {
        Entry::Val(data) => val_json(data),
        Entry::Pieces(chunks) => refs_json("valref", chunks.0.iter().map(referenced)),
        Entry::Dir(dir) => dirref_json(&dir.hash.expect("a directory is hashed before it is shown")),
        Entry::DirRef(digest) => dirref_json(digest),
        Entry::DirRefs(digests) => refs_json("dirref", digests.iter().copied()),
        Entry::Link(link) => {
            let mut data = Map::new();
            if let Some(namespace) = &link.namespace {
                data.insert("namespace".into(), Value::from(&**namespace));
            }
            data.insert("target".into(), Value::from(&*link.target));
            json!({"ver": 1, "type": "symlink", "data": data})
        }
    }
}

/// A *val* object.
pub(crate) fn val_json(data: &[u8]) -> Value {
    json!({"ver": 1, "type": "val", "data": STANDARD.encode(data)})
}

/// A *dirref* object.
pub(crate) fn dirref_json(digest: &Digest) -> Value {
    refs_json("dirref", [*digest].into_iter())
}

fn refs_json(kind: &str, digests: impl Iterator<Item = Digest>) -> Value {
    let data: Vec<Value> = digests.map(|digest| Value::from(digest.to_string())).collect();
    json!({"ver": 1, "type": kind, "data": data})
}

impl Dir {
    /// The *dir* object of a hashed directory.
    pub(crate) fn json(&self) -> Value {
        let data: Map<String, Value> =
            self.entries.iter().map(|(name, entry)| (name.to_string(), entry_json(entry))).collect();
        json!({"ver": 1, "type": "dir", "data": data})
    }
}

/// Would this value be a *val* in the store, and not a blob of its own?
pub(crate) fn is_inline(data: &Arc<[u8]>) -> bool {
    data.len().div_ceil(3) * 4 <= crate::limits::INLINE_BASE64_MAX
}
