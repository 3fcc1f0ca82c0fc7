//! Whether a signed request was signed by the user it names. Pure: keys, time and configuration are arguments.

use crate::cert::Cert;
use crate::j::{Mechanism, SignError, Signed};
use crate::munge;

/// What the site's configuration says (`[sign]` and `[ca]` of flux-security).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub allowed: Vec<String>,
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
    let id = signed.userid;
    refuse!(id != caller && enforced!("none-caller"), SignError::NotCaller { id, caller });
    Ok(())
}

/// Checks a `curve` request: the enclosed key made the signature, the times hold, and the key is the user's.
///
/// `now` is in seconds since 1970.
///
/// # Errors
/// The first of [`SignError`] that applies.
pub fn verify_curve(signed: &Signed<'_>, rules: &Rules, now: i64, authority: &Authority<'_>) -> Result<(), SignError> {
    allowed(signed, rules, Mechanism::Curve)?;
    let missing = |key| SignError::Malformed(format!("header has no {key}"));
    let cert = Cert::from_header(&signed.header).ok_or_else(|| missing("curve.cert"))?;
    let good = cert.verifies(signed.signature, signed.signed_part.as_bytes());
    refuse!(!good && enforced!("signature"), SignError::BadSignature);
    let time = |key| signed.header.time(key).ok_or_else(|| missing(key));
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
    let incomplete = "the certificate lacks metadata";
    let time = |key| cert.meta.time(key).ok_or(incomplete);
    let text = |key| cert.meta.text(key).ok_or(incomplete);
    let number = |key| cert.meta.integer(key).ok_or(incomplete);
    let (from, ctime, xtime) = (time("not-valid-before-time")?, time("ctime")?, time("xtime")?);
    let (ttl, of, site, uuid) = (number("max-sign-ttl")?, number("userid")?, text("domain")?, text("uuid")?);
    let ca_capable = ca.meta.boolean("ca-capability") == Some(true);
    refuse!(!ca_capable && enforced!("ca-capability"), "the CA's certificate is none of a CA");
    refuse!(!cert.is_signed_by(ca) && enforced!("ca-signature"), "the CA did not sign it");
    refuse!(xtime < now && enforced!("cert-expired"), "the certificate has expired");
    refuse!(from.max(ctime) > now && enforced!("cert-future"), "the certificate is not valid yet");
    refuse!(site != domain && enforced!("cert-domain"), "the certificate is of another domain");
    refuse!(of != i64::from(userid) && enforced!("cert-user"), "the certificate is of another user");
    refuse!(revoked(uuid) && enforced!("cert-revoked"), "the certificate has been revoked");
    Ok(ttl)
}

fn allowed(signed: &Signed<'_>, rules: &Rules, mechanism: Mechanism) -> Result<(), SignError> {
    assert_eq!(signed.mechanism, mechanism, "the caller chooses the check by the mechanism");
    refuse!(
        !rules.allowed.iter().any(|name| name == mechanism.name()) && enforced!("allowed-types"),
        SignError::NotAllowed { mechanism }
    );
    Ok(())
}
