//! Signing certificates and keys as flux-security keeps them: a public TOML file `NAME.pub` and a secret one `NAME`.
//!
//! A certificate is an Ed25519 public key with typed metadata in a fixed order, signed by a CA or not. The CA's signature is
//! over the RFC 38 encoding of the key and the metadata.

use crate::kv::{Kind, Kv};
use serde::Deserialize;
use sodiumoxide::base64::{self, Variant};
use sodiumoxide::crypto::sign::ed25519::{self, PublicKey, Signature};

pub use sodiumoxide::crypto::sign::ed25519::SecretKey;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cert {
    pub meta: Kv,
    pub public: PublicKey,
    pub signature: Option<[u8; 64]>,
}

#[derive(Deserialize)]
struct PublicFile {
    #[serde(default)]
    metadata: BTreeMap<String, toml::Spanned<toml::Value>>,
    curve: BTreeMap<String, String>,
}

fn exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode64(text)?.try_into().ok()
}

/// Strict: padded, and no stray bits.
pub fn decode64(text: &str) -> Option<Vec<u8>> {
    base64::decode(text, Variant::Original).ok()
}

pub fn encode64(bytes: &[u8]) -> String {
    base64::encode(bytes, Variant::Original)
}

impl Cert {
    /// Reads the public file. The metadata keeps the order of the file: signatures are over it.
    pub fn from_toml(text: &str) -> Option<Cert> {
        let file: PublicFile = toml::from_str(text).ok()?;
        let mut entries: Vec<_> =
            file.metadata.iter().map(|(key, value)| (value.span().start, key, value.get_ref())).collect();
        entries.sort_by_key(|(at, ..)| *at);
        let mut meta = Kv::default();
        for (_, key, value) in entries {
            let (kind, text) = match value {
                toml::Value::String(text) => (Kind::Text, text.clone()),
                toml::Value::Integer(number) => (Kind::Integer, number.to_string()),
                toml::Value::Float(number) => (Kind::Double, format!("{number:.6}")),
                toml::Value::Boolean(yes) => (Kind::Boolean, yes.to_string()),
                toml::Value::Datetime(time) => (Kind::Time, time.to_string()),
                _ => return None,
            };
            meta.put(key, kind, &text)?;
        }
        let signature = file.curve.get("signature").map_or(Some(None), |text| exact(text).map(Some))?;
        Some(Cert { meta, public: PublicKey(exact(file.curve.get("public-key")?)?), signature })
    }

    /// Takes the certificate out of the header of a signed request (RFC 39's mechanism-specific keys).
    pub fn from_header(header: &Kv) -> Option<Cert> {
        let kv = header.split("curve.cert.");
        let signature = kv.text("curve.signature").map_or(Some(None), |text| exact(text).map(Some))?;
        Some(Cert { meta: kv.split("meta."), public: PublicKey(exact(kv.text("curve.public-key")?)?), signature })
    }

    /// What a CA signs: the key (spelled with an underscore here, unlike everywhere else) and the metadata.
    fn signed_part(&self) -> Option<Vec<u8>> {
        let mut kv = Kv::default();
        kv.put("curve.public_key", Kind::Text, &encode64(&self.public.0))?;
        kv.join("meta.", &self.meta)?;
        Some(kv.encode())
    }

    /// Has a CA sign this certificate; `None` if the metadata is too long.
    #[must_use]
    pub fn sign_by(&mut self, ca: &SecretKey) -> Option<()> {
        self.signature = Some(ed25519::sign_detached(&self.signed_part()?, ca).to_bytes());
        Some(())
    }

    /// Whether `ca` signed this certificate.
    pub fn is_signed_by(&self, ca: &Cert) -> bool {
        let (Some(signature), Some(part)) = (self.signature, self.signed_part()) else { return false };
        verify(&signature, &part, &ca.public)
    }

    /// Whether this certificate's key made `signature`, in base64, over `data`.
    pub fn verifies(&self, signature: &str, data: &[u8]) -> bool {
        exact(signature).is_some_and(|signature| verify(&signature, data, &self.public))
    }
}

fn verify(signature: &[u8; 64], data: &[u8], key: &PublicKey) -> bool {
    Signature::from_bytes(signature).is_ok_and(|signature| ed25519::verify_detached(&signature, data, key))
}

/// Reads the secret file.
pub fn secret_from_toml(text: &str) -> Option<SecretKey> {
    let file: BTreeMap<String, BTreeMap<String, String>> = toml::from_str(text).ok()?;
    Some(SecretKey(exact(file.get("curve")?.get("secret-key")?)?))
}

/// Whether the two belong together.
pub fn is_pair(cert: &Cert, secret: &SecretKey) -> bool {
    secret.public_key() == cert.public
}

#[cfg(test)]
#[path = "cert_tests.rs"]
mod tests;
