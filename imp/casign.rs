//! `flux-imp casign`: certifies that a signing key is the caller's. The public certificate comes in on standard input, the same
//! key with our metadata and signature goes out.

use crate::cert::{Cert, secret_from_toml};
use crate::child::collect;
use crate::config::{self, CaConfig, IMP_CONFIG_DIR, ImpConfig, open_trusted, read_small, read_trusted};
use crate::kv::{Kind, Kv, format_time};
use crate::limits::FILE_LEN_MAX;
use crate::privileged::{Ids, become_caller};
use crate::{audit, cert, reader};
use std::io::Write;
use std::path::Path;

/// Runs the command.
///
/// # Errors
/// A text.
pub(crate) fn casign(ids: Ids) -> Result<u8, String> {
    let imp: ImpConfig = config::load(IMP_CONFIG_DIR)?;
    let ca = imp.ca.ok_or("[ca] is not configured")?;
    let frame = collect(|| become_caller(ids), FILE_LEN_MAX, -1, reader::read_key)?;
    let mut cert =
        Cert::from_header(&Kv::decode(&frame).ok_or("malformed frame")?).ok_or("the input is no certificate")?;
    let secret = open_trusted(Path::new(&ca.cert_path))?;
    let stat = nix::sys::stat::fstat(&secret).map_err(|error| error.to_string())?;
    refuse!(stat.st_mode & 0o077 != 0, "others than root may read the CA's key: it counts as known");
    let secret = secret_from_toml(&read_small(secret)?).ok_or("the CA's key is malformed")?;
    let authority = read_trusted(Path::new(&format!("{}.pub", ca.cert_path)))?;
    let authority = Cert::from_toml(&authority).ok_or("the CA's certificate is malformed")?;
    refuse!(!cert::is_pair(&authority, &secret), "the CA's key and certificate do not belong together");
    let now = crate::now()?;
    let issuer = authority.meta.text("uuid").ok_or("the CA's certificate has no uuid")?;
    cert.meta =
        metadata(&ca, (&uuid(), issuer), ids.ruid, now, false).ok_or("[ca] has values that no certificate can have")?;
    cert.sign_by(&secret).ok_or("the certificate is too long")?;
    audit(&format!("casign: certified a signing key of user id {}", ids.ruid));
    let write = |_| u8::from(std::io::stdout().write_all(cert.to_toml().as_bytes()).is_err());
    collect(|| become_caller(ids), 0, -1, write).map(|_| 0)
}

/// The metadata of a certificate made now. `ids` are its uuid and that of its issuer.
pub fn metadata(ca: &CaConfig, ids: (&str, &str), userid: u32, now: i64, is_ca: bool) -> Option<Kv> {
    let mut meta = Kv::default();
    let time = format_time(now);
    let entries = [
        ("algorithm", Kind::Text, "ed25519"),
        ("uuid", Kind::Text, ids.0),
        ("not-valid-before-time", Kind::Time, &time),
        ("ctime", Kind::Time, &time),
        ("xtime", Kind::Time, &format_time(now.checked_add(ca.max_cert_ttl)?)),
        ("userid", Kind::Integer, &userid.to_string()),
        ("max-sign-ttl", Kind::Integer, &ca.max_sign_ttl.to_string()),
        ("issuer", Kind::Text, ids.1),
        ("domain", Kind::Text, &ca.domain),
        ("ca-capability", Kind::Boolean, if is_ca { "true" } else { "false" }),
    ];
    entries.into_iter().try_for_each(|(key, kind, value)| meta.put(key, kind, value))?;
    Some(meta)
}

/// A random UUID (version 4).
pub fn uuid() -> String {
    let mut bytes = sodiumoxide::randombytes::randombytes(16);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
