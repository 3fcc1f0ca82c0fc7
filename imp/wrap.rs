//! Making keys and signed requests: for programs that run as their user, never with privilege.

use crate::cert::{Cert, encode64};
use crate::j::Mechanism;
use crate::kv::{Kind, Kv, format_time};
use sodiumoxide::crypto::sign::ed25519::{self, SecretKey};

impl Cert {
    /// Writes the public file.
    pub fn to_toml(&self) -> String {
        let mut text = String::from("[metadata]\n");
        for (key, kind, value) in self.meta.entries() {
            let value = if kind == Kind::Text { toml::Value::from(value).to_string() } else { value.to_string() };
            text.push_str(&format!("    {} = {value}\n", toml_key(key)));
        }
        text.push_str(&format!("\n[curve]\n    public-key = \"{}\"\n", encode64(&self.public.0)));
        if let Some(signature) = &self.signature {
            text.push_str(&format!("    signature = \"{}\"\n", encode64(signature)));
        }
        text
    }

    /// A new key pair, with the metadata that flux-security's own new certificates have.
    pub fn generate() -> (Cert, SecretKey) {
        let (public, secret) = ed25519::gen_keypair();
        let mut meta = Kv::default();
        meta.put("algorithm", Kind::Text, "ed25519").expect("the first entry");
        (Cert { meta, public, signature: None }, secret)
    }

    /// Puts the certificate into a header.
    #[must_use]
    pub fn put_header(&self, header: &mut Kv) -> Option<()> {
        header.join("curve.cert.meta.", &self.meta)?;
        header.put("curve.cert.curve.public-key", Kind::Text, &encode64(&self.public.0))?;
        match &self.signature {
            Some(signature) => header.put("curve.cert.curve.signature", Kind::Text, &encode64(signature)),
            None => Some(()),
        }
    }
}

/// Writes the secret file.
pub fn secret_to_toml(secret: &SecretKey) -> String {
    format!("[curve]\n    secret-key = \"{}\"\n", encode64(&secret.0))
}

/// The header every request begins with.
pub fn header(mechanism: Mechanism, userid: u32) -> Kv {
    let mut kv = Kv::default();
    let entries = [
        ("version", Kind::Integer, "1"),
        ("mechanism", Kind::Text, mechanism.name()),
        ("userid", Kind::Integer, &userid.to_string()),
    ];
    entries.into_iter().try_for_each(|(key, kind, value)| kv.put(key, kind, value)).expect("well-formed constants");
    kv
}

/// Writes base64. [`encode64`] takes the same time for all bytes, as secrets need; a payload of kilobytes is none.
pub type Encode = fn(&[u8]) -> String;

/// `HEADER.PAYLOAD`, to be signed.
pub fn unsigned_part(header: &Kv, payload: &[u8], encode: Encode) -> String {
    format!("{}.{}", encode64(&header.encode()), encode(payload))
}

/// A request with mechanism `none`: only who it comes from says whose it is.
pub fn wrap_none(userid: u32, payload: &[u8], encode: Encode) -> String {
    format!("{}.none", unsigned_part(&header(Mechanism::None, userid), payload, encode))
}

/// A request signed with a user's key, good from `now` for `ttl` seconds. The nonce makes it different from every other:
/// without one, the same jobspec signed twice in a second would be one request, and its second job a replay.
///
/// `None` if the certificate is too long for a header.
pub fn wrap_curve(
    keys: (&Cert, &SecretKey),
    userid: u32,
    payload: &[u8],
    encode: Encode,
    [now, ttl]: [i64; 2],
) -> Option<String> {
    let mut header = header(Mechanism::Curve, userid);
    keys.0.put_header(&mut header)?;
    header.put("curve.ctime", Kind::Time, &format_time(now))?;
    header.put("curve.xtime", Kind::Time, &format_time(now.saturating_add(ttl)))?;
    header.put("nonce", Kind::Text, &nonce())?;
    let part = unsigned_part(&header, payload, encode);
    let signature = ed25519::sign_detached(part.as_bytes(), keys.1);
    Some(format!("{part}.{}", encode64(&signature.to_bytes())))
}

/// A request that munged, asked as its user, vouches for. Its own time to live does not matter: `max-ttl` of the site does.
///
/// # Errors
/// A text of munged's.
pub fn wrap_munge(userid: u32, payload: &[u8], encode: Encode, socket: &str) -> Result<String, String> {
    let mut header = header(Mechanism::Munge, userid);
    header.put("nonce", Kind::Text, &nonce()).ok_or("a header that is too long")?;
    let part = unsigned_part(&header, payload, encode);
    let credential = crate::munge::encode(socket, &crate::munge::digest(&part))?;
    Ok(format!("{part}.{credential}"))
}

/// 128 random bits.
pub fn nonce() -> String {
    encode64(&sodiumoxide::randombytes::randombytes(16))
}

fn toml_key(key: &str) -> String {
    let bare = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if bare { key.to_string() } else { toml::Value::from(key).to_string() }
}
