//! Whether a signed request was signed by the user it names. Pure: keys, time and configuration are arguments.

use crate::cert::Cert;
use crate::j::{Mechanism, SignError, Signed};
use crate::munge;

/// What the site's configuration says (`[sign]` and `[ca]` of flux-security).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub allowed: Vec<Mechanism>,
    /// Seconds.
    pub max_ttl: i64,
}

/// What says that a key is a user's.
pub enum Authority<'a> {
    /// The site's CA signed the certificate.
    Ca { cert: &'a Cert, domain: &'a str, revoked: &'a dyn Fn(&str) -> bool },
    /// The certificate in the user's home directory is the same.
    Home(&'a Cert),
}

/// Checks a `none` request: only for the caller itself (RFC 39).
///
/// # Errors
/// [`SignError::NotAllowed`], [`SignError::NotCaller`].
pub fn verify_none(signed: &Signed<'_>, rules: &Rules, caller: u32) -> Result<(), SignError> {
    allowed(signed, rules, Mechanism::None)?;
    if signed.userid == caller || !enforced!("none-caller") {
        Ok(())
    } else {
        Err(SignError::NotCaller { id: signed.userid, caller })
    }
}

/// Checks a `curve` request: the enclosed key made the signature, the times hold, and the key is the user's.
///
/// `now` is in seconds since 1970.
///
/// # Errors
/// The first of [`SignError`] that applies.
pub fn verify_curve(signed: &Signed<'_>, rules: &Rules, now: i64, authority: &Authority<'_>) -> Result<(), SignError> {
    allowed(signed, rules, Mechanism::Curve)?;
    let cert = Cert::from_header(&signed.header).ok_or(SignError::MissingHeader { key: "curve.cert" })?;
    refuse!(
        !cert.verifies(signed.signature, signed.signed_part.as_bytes()) && enforced!("signature"),
        SignError::BadSignature,
    );
    let time = |key| signed.header.time(key).ok_or(SignError::MissingHeader { key });
    let (ctime, xtime) = (time("curve.ctime")?, time("curve.xtime")?);
    refuse!(ctime > now && enforced!("future"), SignError::FromTheFuture);
    let too_old = ctime.saturating_add(rules.max_ttl) < now && enforced!("max-ttl");
    refuse!(xtime < now && enforced!("expired") || too_old, SignError::Expired);
    let not_theirs = |why: &str| SignError::NotTheKey { of: signed.userid, why: why.into() };
    match authority {
        Authority::Home(own) if own.public == cert.public && own.meta == cert.meta => Ok(()),
        Authority::Home(_) if !enforced!("home-key") => Ok(()),
        Authority::Home(_) => Err(not_theirs("another one is in the home directory")),
        Authority::Ca { cert: ca, domain, revoked } => {
            let ttl = by_ca(&cert, ca, domain, signed.userid, now, *revoked).map_err(not_theirs)?;
            if ctime.saturating_add(ttl) < now && enforced!("sign-ttl") { Err(SignError::Expired) } else { Ok(()) }
        }
    }
}

/// Checks a `munge` request by what munged said of its credential: user id, time, and the digest of what was signed.
///
/// # Errors
/// The first of [`SignError`] that applies.
pub fn verify_munge(signed: &Signed<'_>, rules: &Rules, now: i64, vouched: &[u8]) -> Result<(), SignError> {
    allowed(signed, rules, Mechanism::Munge)?;
    let (uid, rest) = vouched.split_first_chunk().ok_or(SignError::BadSignature)?;
    let (time, digest) = rest.split_first_chunk().ok_or(SignError::BadSignature)?;
    refuse!(digest != munge::digest(signed.signed_part) && enforced!("munge-digest"), SignError::BadSignature);
    let (uid, time) = (u32::from_be_bytes(*uid), i64::from(u32::from_be_bytes(*time)));
    let why = || format!("munged says that user {uid} has signed");
    refuse!(uid != signed.userid && enforced!("munge-user"), SignError::NotTheKey { of: signed.userid, why: why() });
    refuse!(time.saturating_add(rules.max_ttl) < now && enforced!("munge-ttl"), SignError::Expired);
    Ok(())
}

/// Whether the CA says that the certificate is the user's, now; answers how long its signatures are good, in seconds.
fn by_ca(
    cert: &Cert,
    ca: &Cert,
    domain: &str,
    userid: u32,
    now: i64,
    revoked: &dyn Fn(&str) -> bool,
) -> Result<i64, &'static str> {
    refuse!(
        ca.meta.boolean("ca-capability") != Some(true) && enforced!("ca-capability"),
        "the CA's certificate is none of a CA",
    );
    refuse!(!cert.is_signed_by(ca) && enforced!("ca-signature"), "the CA did not sign it");
    let incomplete = "the certificate lacks metadata";
    let time = |key| cert.meta.time(key).ok_or(incomplete);
    let (valid_from, ctime, xtime) = (time("not-valid-before-time")?, time("ctime")?, time("xtime")?);
    let ttl = cert.meta.integer("max-sign-ttl").ok_or(incomplete)?;
    refuse!(xtime < now && enforced!("cert-expired"), "the certificate has expired");
    refuse!((valid_from > now || ctime > now) && enforced!("cert-future"), "the certificate is not valid yet");
    refuse!(
        cert.meta.text("domain").ok_or(incomplete)? != domain && enforced!("cert-domain"),
        "the certificate is of another domain",
    );
    refuse!(
        cert.meta.integer("userid").ok_or(incomplete)? != i64::from(userid) && enforced!("cert-user"),
        "the certificate is of another user",
    );
    refuse!(
        revoked(cert.meta.text("uuid").ok_or(incomplete)?) && enforced!("cert-revoked"),
        "the certificate has been revoked",
    );
    Ok(ttl)
}

fn allowed(signed: &Signed<'_>, rules: &Rules, mechanism: Mechanism) -> Result<(), SignError> {
    assert_eq!(signed.mechanism, mechanism, "the caller chooses the check by the mechanism");
    if rules.allowed.contains(&mechanism) || !enforced!("allowed-types") {
        Ok(())
    } else {
        Err(SignError::NotAllowed { mechanism })
    }
}
