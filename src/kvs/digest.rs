//! Message digests and their text, the blobref (RFC 10).

use std::sync::Arc;

use sha1::Digest as _;

/// A raw digest; shorter ones than 32 bytes are followed by zeros. Which algorithm made it, the instance knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest([u8; 32]);

/// The hash algorithm of the instance (attribute `content.hash`); never changes in its life (RFC 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    #[default]
    Sha1,
    Sha256,
}

impl Algorithm {
    /// By its name in `content.hash` and in blobrefs.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        match name {
            "sha1" => Some(Algorithm::Sha1),
            "sha256" => Some(Algorithm::Sha256),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
        }
    }

    /// Bytes of a raw digest.
    pub fn digest_len(self) -> usize {
        match self {
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }

    pub(crate) fn hash(self, bytes: &[u8]) -> Digest {
        let mut digest = [0; 32];
        match self {
            Algorithm::Sha1 => digest[..20].copy_from_slice(&sha1::Sha1::digest(bytes)),
            Algorithm::Sha256 => digest.copy_from_slice(&sha2::Sha256::digest(bytes)),
        }
        Digest(digest)
    }

    pub(crate) fn raw(self, digest: &Digest) -> Arc<[u8]> {
        digest.0[..self.digest_len()].into()
    }

    /// `None` if the length is not that of this algorithm.
    pub(crate) fn digest_of_raw(self, raw: &[u8]) -> Option<Digest> {
        if raw.len() != self.digest_len() {
            return None;
        }
        let mut digest = [0; 32];
        digest[..raw.len()].copy_from_slice(raw);
        Some(Digest(digest))
    }

    pub(crate) fn write_blobref(self, digest: &Digest, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        out.extend_from_slice(self.name().as_bytes());
        out.push(b'-');
        for byte in &digest.0[..self.digest_len()] {
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }

    pub(crate) fn blobref(self, digest: &Digest) -> String {
        let mut text = Vec::with_capacity(80);
        self.write_blobref(digest, &mut text);
        String::from_utf8(text).expect("hexadecimal is ASCII")
    }

    /// Lower-case hexadecimal only (RFC 10); `None` also for blobrefs of another algorithm.
    pub(crate) fn parse_blobref(self, text: &str) -> Option<Digest> {
        let hex = text.strip_prefix(self.name())?.strip_prefix('-')?.as_bytes();
        if hex.len() != 2 * self.digest_len() {
            return None;
        }
        let nibble = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Digest(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobrefs_are_the_algorithm_a_hyphen_and_lower_case_hexadecimal() {
        let sha1 = Algorithm::Sha1;
        let foo = "sha1-f1d2d2f924e986ac86fdf7b36c94bcdf32beec15"; // RFC 10's example: "foo\n"
        assert_eq!(sha1.blobref(&sha1.hash(b"foo\n")), foo);
        assert_eq!(sha1.parse_blobref(foo), Some(sha1.hash(b"foo\n")));
        let sha256 = "sha256-b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";
        assert_eq!(Algorithm::Sha256.blobref(&Algorithm::Sha256.hash(b"foo\n")), sha256);
        for bad in ["", "sha1", "sha1-", "sha1-F1D2", &foo[..44], &foo.to_uppercase(), sha256] {
            assert_eq!(sha1.parse_blobref(bad), None, "{bad}");
        }
    }

    #[test]
    fn raw_digests_have_the_length_of_their_algorithm() {
        let digest = Algorithm::Sha1.hash(b"x");
        let raw = Algorithm::Sha1.raw(&digest);
        assert_eq!(raw.len(), 20);
        assert_eq!(Algorithm::Sha1.digest_of_raw(&raw), Some(digest));
        assert_eq!(Algorithm::Sha256.digest_of_raw(&raw), None);
    }
}
