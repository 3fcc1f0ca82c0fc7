//! The one place that knows a cipher: Curve25519, XSalsa20 and Poly1305, as CurveZMQ (RFC 26 of ZeroMQ) wants them.
//!
//! Randomness comes in as seeds, like everything else in this crate.

use std::fmt;

use sodiumoxide::crypto::box_;
use sodiumoxide::crypto::secretbox;

/// Octets of a key of either kind.
pub const KEY_LEN: usize = 32;
/// Octets that sealing adds.
pub const SEAL_LEN: usize = box_::MACBYTES;
pub(crate) const NONCE_LEN: usize = box_::NONCEBYTES;

/// A public key. Its text is Z85 (ZeroMQ's RFC 32), 40 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; KEY_LEN]);

/// A secret key; never shown, and wiped when dropped.
#[derive(Clone)]
pub struct SecretKey(box_::SecretKey);

/// The two halves of an identity.
#[derive(Clone, Debug)]
pub struct KeyPair {
    pub public: PublicKey,
    pub secret: SecretKey,
}

impl KeyPair {
    /// The pair that belongs to 32 random bytes.
    pub fn from_seed(seed: [u8; KEY_LEN]) -> KeyPair {
        let (public, secret) = box_::keypair_from_seed(&box_::Seed(seed));
        KeyPair { public: PublicKey(public.0), secret: SecretKey(secret) }
    }

    /// The pair of a secret key that is given as such.
    pub fn from_secret(secret: [u8; KEY_LEN]) -> KeyPair {
        let secret = box_::SecretKey(secret);
        KeyPair { public: PublicKey(secret.public_key().0), secret: SecretKey(secret) }
    }
}

impl SecretKey {
    /// The bytes, for a certificate file.
    pub fn to_bytes(&self) -> [u8; KEY_LEN] {
        self.0.0
    }

    pub(crate) fn shared_with(&self, public: &PublicKey) -> Shared {
        Shared(box_::precompute(&box_::PublicKey(public.0), &self.0))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&z85_encode(&self.0))
    }
}

/// The key that two sides share.
#[derive(Clone)]
pub(crate) struct Shared(box_::PrecomputedKey);

impl Shared {
    pub(crate) fn seal(&self, plain: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        box_::seal_precomputed(plain, &box_::Nonce(nonce), &self.0)
    }

    /// Seals all but the first `SEAL_LEN` bytes where they are, and puts the seal there.
    ///
    /// # Panics
    /// If there are not as many bytes as that.
    pub(crate) fn seal_in_place(&self, bytes: &mut [u8], nonce: [u8; NONCE_LEN]) {
        let (seal, plain) = bytes.split_at_mut(SEAL_LEN);
        seal.copy_from_slice(&box_::seal_detached_precomputed(plain, &box_::Nonce(nonce), &self.0).0);
    }

    /// Opens what was sealed, where it is; `None` as for `open`, and the bytes are then of no use.
    pub(crate) fn open_in_place<'a>(&self, sealed: &'a mut [u8], nonce: [u8; NONCE_LEN]) -> Option<&'a [u8]> {
        let (seal, text) = sealed.split_first_chunk_mut::<SEAL_LEN>()?;
        box_::open_detached_precomputed(text, &box_::Tag(*seal), &box_::Nonce(nonce), &self.0).ok()?;
        Some(text)
    }

    /// `None`: not made with this key and nonce, or changed on the way.
    pub(crate) fn open(&self, sealed: &[u8], nonce: [u8; NONCE_LEN]) -> Option<Vec<u8>> {
        box_::open_precomputed(sealed, &box_::Nonce(nonce), &self.0).ok()
    }
}

/// Seals what only the sealer opens again.
pub(crate) fn seal_for_self(plain: &[u8], nonce: [u8; NONCE_LEN], key: [u8; KEY_LEN]) -> Vec<u8> {
    secretbox::seal(plain, &secretbox::Nonce(nonce), &secretbox::Key(key))
}

/// Derives 32 bytes for purpose number `n` from a random seed (a keyed stream, so that they tell nothing of each other).
pub(crate) fn derive(seed: [u8; KEY_LEN], n: u8) -> [u8; KEY_LEN] {
    let mut nonce = [0; sodiumoxide::crypto::stream::xsalsa20::NONCEBYTES];
    nonce[0] = n;
    let key = sodiumoxide::crypto::stream::xsalsa20::Key(seed);
    let bytes = sodiumoxide::crypto::stream::xsalsa20::stream(
        KEY_LEN,
        &sodiumoxide::crypto::stream::xsalsa20::Nonce(nonce),
        &key,
    );
    bytes.try_into().expect("as many bytes as were asked for")
}

const Z85: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// A key as text (ZeroMQ's RFC 32): 40 characters.
pub fn z85_encode(key: &[u8; KEY_LEN]) -> String {
    let mut text = String::with_capacity(KEY_LEN / 4 * 5);
    for chunk in key.chunks_exact(4) {
        let value = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        for power in [52_200_625_u32, 614_125, 7225, 85, 1] {
            text.push(Z85[(value / power % 85) as usize] as char);
        }
    }
    text
}

/// The key of a text; `None` if it is not 40 characters of Z85.
pub fn z85_decode(text: &str) -> Option<[u8; KEY_LEN]> {
    if text.len() != KEY_LEN / 4 * 5 {
        return None;
    }
    let mut key = [0; KEY_LEN];
    for (at, chunk) in text.as_bytes().chunks_exact(5).enumerate() {
        let mut value: u64 = 0;
        for byte in chunk {
            value = value * 85 + Z85.iter().position(|known| known == byte)? as u64;
        }
        key[at * 4..at * 4 + 4].copy_from_slice(&u32::try_from(value).ok()?.to_be_bytes());
    }
    Some(key)
}

/// Lets the library choose the fastest code for this processor. To be called once, early; later calls do nothing.
pub fn init() {
    // It fails only where the kernel has no randomness, of which we take none from it.
    let _ = sodiumoxide::init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z85_follows_the_example_of_its_specification_and_returns() {
        let key = [
            0x8E, 0x0B, 0xDD, 0x69, 0x76, 0x28, 0xB9, 0x1D, 0x8F, 0x24, 0x55, 0x87, 0xEE, 0x95, 0xC5, 0xB0, 0x4D, 0x48,
            0x96, 0x3F, 0x79, 0x25, 0x98, 0x77, 0xB4, 0x9C, 0xD9, 0x06, 0x3A, 0xEA, 0xD3, 0xB7,
        ];
        let text = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
        assert_eq!(z85_encode(&key), text);
        assert_eq!(z85_decode(text), Some(key));
        for bad in [
            "",
            "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh",
            "#####################################~~~",
            "########################################",
        ] {
            assert_eq!(z85_decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_one_side_seals_only_the_other_opens() {
        let (a, b, c) = (KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32]), KeyPair::from_seed([3; 32]));
        let sealed = a.secret.shared_with(&b.public).seal(b"hello", [7; 24]);
        assert_eq!(sealed.len(), 5 + SEAL_LEN);
        assert_eq!(b.secret.shared_with(&a.public).open(&sealed, [7; 24]).as_deref(), Some(&b"hello"[..]));
        assert_eq!(b.secret.shared_with(&a.public).open(&sealed, [8; 24]), None);
        assert_eq!(c.secret.shared_with(&a.public).open(&sealed, [7; 24]), None);
        assert_eq!(KeyPair::from_secret(a.secret.to_bytes()).public, a.public);
        assert_ne!(derive([1; 32], 1), derive([1; 32], 2));
    }
}
