//! Signing job requests (RFC 39) as their user, and reading them where they arrive.
//!
//! What is shared with the IMP, which verifies them again with privilege, is the IMP's: there is one codec of each kind.
#![forbid(unsafe_code)]

mod keys;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use flux_imp::config::{CaConfig, SIGN_CONFIG_DIR, SecurityConfig, SignConfig};
pub use flux_imp::j::{Mechanism, SignError, Signed};
pub use flux_imp::limits::SIGNED_REQUEST_LEN_MAX;
pub use flux_imp::munge::SOCKET as MUNGE_SOCKET;
pub use flux_imp::verify::{Authority, Rules, verify_curve};
pub use keys::{KeyError, KeyPair, key_path};

/// How long a request without a configured `max-ttl` is good, in seconds: two weeks, as flux-security recommends.
pub const TTL_DEFAULT: i64 = 1_209_600;

/// The IMP's own takes the same time for all bytes, ten times as long.
pub(crate) fn encode(payload: &[u8]) -> String {
    STANDARD.encode(payload)
}

/// A request with mechanism `none`: only who it comes from says whose it is.
pub fn wrap_none(userid: u32, payload: &[u8]) -> String {
    flux_imp::wrap::wrap_none(userid, payload, encode)
}

/// A request that munged, asked as its user, vouches for.
///
/// # Errors
/// A text of munged's.
pub fn wrap_munge(userid: u32, payload: &[u8], socket: &str) -> Result<String, String> {
    flux_imp::wrap::wrap_munge(userid, payload, encode, socket)
}

/// Takes a signed request apart, as the IMP does, but with a decoder that is quick: the IMP's takes the same time for all texts.
///
/// # Errors
/// The first of [`SignError`] that applies.
pub fn parse(signed: &str) -> Result<Signed<'_>, SignError> {
    flux_imp::j::parse(signed, |text| STANDARD.decode(text).ok())
}

/// The site's `[sign]` table; `None` where flux-security is not configured.
///
/// # Errors
/// A text, if there is configuration but it cannot be trusted or read.
pub fn site() -> Result<Option<SignConfig>, String> {
    Ok(security()?.sign)
}

/// The site's `[ca]` table, if it has one.
///
/// # Errors
/// As [`site`].
pub fn authority() -> Result<Option<CaConfig>, String> {
    Ok(security()?.ca)
}

fn security() -> Result<SecurityConfig, String> {
    match std::fs::symlink_metadata(SIGN_CONFIG_DIR) {
        Err(_) => Ok(SecurityConfig::default()),
        Ok(_) => flux_imp::config::load(SIGN_CONFIG_DIR),
    }
}

/// The Linux errno that a client is answered.
pub fn errno(error: &SignError) -> i32 {
    match error {
        SignError::TooLong { .. } => 90,          // EMSGSIZE
        SignError::UnknownMechanism { .. } => 95, // ENOTSUP
        SignError::NotAllowed { .. } | SignError::NotCaller { .. } | SignError::NotTheKey { .. } => 1, // EPERM
        _ => 22,                                  // EINVAL
    }
}

/// Checks what can be checked of a request that came over a connection which vouches for its sender `requestor`: whose it is, its
/// age, and, of `curve`, that the enclosed key made the signature. Whether the key is the user's the IMP asks, where it matters.
///
/// `now` is in seconds since 1970.
///
/// # Errors
/// The first of [`SignError`] that applies.
pub fn check_sent<'a>(signed: &'a str, now: i64) -> Result<Signed<'a>, SignError> {
    let request = parse(signed)?;
    if request.mechanism == Mechanism::Curve {
        let rules = Rules { allowed: vec![Mechanism::Curve.name().into()], max_ttl: i64::MAX };
        let own = flux_imp::cert::Cert::from_header(&request.header)
            .ok_or(SignError::Malformed("header has no curve.cert".into()))?;
        verify_curve(&request, &rules, now, &Authority::Home(&own))?;
    }
    Ok(request)
}
