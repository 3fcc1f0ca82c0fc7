//! Digests, in the forms that the store and clients know them by (RFC 10).

use std::sync::Arc;

pub use flux_types::HashKind as Algorithm;

/// The name of a blob.
pub(crate) type Digest = flux_types::Blobref;

/// As the store and `content.load` take it.
pub(crate) fn raw(digest: &Digest) -> Arc<[u8]> {
    digest.digest().into()
}

/// `None` if the length is not that of the instance's algorithm.
pub(crate) fn of_raw(alg: Algorithm, raw: &[u8]) -> Option<Digest> {
    Digest::from_digest(alg, raw).ok()
}

/// `None` also for blobrefs of another algorithm than the instance's.
pub(crate) fn parse(alg: Algorithm, text: &str) -> Option<Digest> {
    Digest::parse(text).ok().filter(|digest| digest.kind() == alg)
}

/// Appends the blobref. Directories are made of these: no string is allocated for it.
pub(crate) fn write(digest: &Digest, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(digest.kind().name().as_bytes());
    out.push(b'-');
    for byte in digest.digest() {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}
