//! Blobrefs: the names of content (RFC 10).

use std::fmt;
use std::str::FromStr;

use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The hash an instance names its content by; chosen at its start, as `content.hash`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashKind {
    #[default]
    Sha1,
    Sha256,
}

impl HashKind {
    pub const fn name(self) -> &'static str {
        match self {
            HashKind::Sha1 => "sha1",
            HashKind::Sha256 => "sha256",
        }
    }

    pub fn from_name(name: &str) -> Option<HashKind> {
        [HashKind::Sha1, HashKind::Sha256].into_iter().find(|kind| kind.name() == name)
    }

    /// Bytes of a raw digest.
    pub const fn digest_len(self) -> usize {
        match self {
            HashKind::Sha1 => 20,
            HashKind::Sha256 => 32,
        }
    }

    /// The blobref of `data`.
    pub fn hash(self, data: &[u8]) -> Blobref {
        match self {
            HashKind::Sha1 => Blobref::padded(self, &Sha1::digest(data)),
            HashKind::Sha256 => Blobref::padded(self, &Sha256::digest(data)),
        }
    }
}

/// The hash of a blob and its kind. As text `sha1-<40 hex digits>`; on the content RPCs the raw digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blobref {
    kind: HashKind,
    /// The digest, zeros behind it.
    digest: [u8; 32],
}

/// Why something is not a blobref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobrefError {
    /// Not `sha1-` or `sha256-` and that hash's number of lower-case hex digits.
    Malformed { text: String },
    /// A raw digest of another length than the hash has.
    DigestLen { got: usize, want: usize },
}

impl BlobrefError {
    /// The Linux errno for a peer: EINVAL.
    pub const fn errno(&self) -> i32 {
        22
    }
}

impl fmt::Display for BlobrefError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { text } => write!(f, "'{text}' is not a blobref"),
            Self::DigestLen { got, want } => write!(f, "a digest of {got} bytes, expected {want}"),
        }
    }
}

impl std::error::Error for BlobrefError {}

impl Blobref {
    /// Reads the text form. Hex digits are lower case only, as RFC 10 has it: one name for one blob.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(text: &str) -> Result<Blobref, BlobrefError> {
        let read = || {
            let (name, hex) = text.split_once('-')?;
            let kind = HashKind::from_name(name)?;
            if hex.len() != kind.digest_len() * 2 {
                return None;
            }
            let mut digest = [0; 32];
            for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
                *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
            }
            Some(Blobref { kind, digest })
        };
        read().ok_or_else(|| BlobrefError::Malformed { text: text.chars().take(80).collect() })
    }

    /// Takes a raw digest, as the content RPCs carry it.
    ///
    /// # Errors
    /// `DigestLen`.
    pub fn from_digest(kind: HashKind, digest: &[u8]) -> Result<Blobref, BlobrefError> {
        if digest.len() != kind.digest_len() {
            return Err(BlobrefError::DigestLen { got: digest.len(), want: kind.digest_len() });
        }
        Ok(Blobref::padded(kind, digest))
    }

    pub const fn kind(&self) -> HashKind {
        self.kind
    }

    /// The raw digest.
    pub fn digest(&self) -> &[u8] {
        &self.digest[..self.kind.digest_len()]
    }

    fn padded(kind: HashKind, bytes: &[u8]) -> Blobref {
        let mut digest = [0; 32];
        digest[..kind.digest_len()].copy_from_slice(bytes);
        Blobref { kind, digest }
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Blobref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(71);
        text.push_str(self.kind.name());
        text.push('-');
        for byte in self.digest() {
            text.push(HEX[usize::from(byte >> 4)] as char);
            text.push(HEX[usize::from(byte & 15)] as char);
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Blobref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Blobref {
    type Err = BlobrefError;
    fn from_str(text: &str) -> Result<Blobref, BlobrefError> {
        Blobref::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Xorshift, hostile_texts};

    const SHA1_FOO: &str = "sha1-f1d2d2f924e986ac86fdf7b36c94bcdf32beec15";

    #[test]
    fn blobrefs_follow_rfc10() {
        let rows = [
            (HashKind::Sha1, "foo\n", SHA1_FOO), // RFC 10's example is this text's hash.
            (HashKind::Sha1, "", "sha1-da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            (HashKind::Sha256, "", "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (HashKind::Sha256, "abc", "sha256-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ];
        for (kind, data, text) in rows {
            let blobref = kind.hash(data.as_bytes());
            assert_eq!(blobref.to_string(), text);
            assert_eq!(Blobref::parse(text), Ok(blobref));
            assert_eq!(Blobref::from_digest(kind, blobref.digest()), Ok(blobref));
            assert_eq!(HashKind::from_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn what_is_no_blobref_is_refused() {
        let upper = SHA1_FOO.to_uppercase();
        let rows = [
            "",
            "sha1",
            "sha1-",
            "sha1-f1",
            "md5-d41d8cd98f00b204e9800998ecf8427e",
            &upper,
            &SHA1_FOO[..44],
            "sha1-f1d2d2f924e986ac86fdf7b36c94bcdf32beec150",
            "sha1-F1d2d2f924e986ac86fdf7b36c94bcdf32beec15",
            "sha256-f1d2d2f924e986ac86fdf7b36c94bcdf32beec15",
            " sha1-f1d2d2f924e986ac86fdf7b36c94bcdf32beec15",
            "sha1-f1d2d2f924e986ac86fdf7b36c94bcdf32bee\u{e9}5",
        ];
        for text in rows {
            assert!(Blobref::parse(text).is_err(), "input {text:?}");
        }
        assert_eq!(Blobref::from_digest(HashKind::Sha1, &[0; 32]), Err(BlobrefError::DigestLen { got: 32, want: 20 }));
    }

    #[test]
    fn hostile_blobrefs_never_panic_and_what_parses_round_trips() {
        for seed in 1..500u64 {
            let kind = if seed % 2 == 0 { HashKind::Sha1 } else { HashKind::Sha256 };
            let blobref = kind.hash(&Xorshift(seed).next().to_le_bytes());
            assert_eq!(blobref.to_string().parse(), Ok(blobref), "seed {seed}");
        }
        hostile_texts(31, &[SHA1_FOO], "0123456789abcdef-sha", |text| {
            if let Ok(blobref) = Blobref::parse(text) {
                assert_eq!(blobref.to_string(), text);
            }
        });
    }
}
