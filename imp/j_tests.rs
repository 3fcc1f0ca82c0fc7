use super::*;
use crate::cert::{Cert, decode64, encode64};
use crate::wrap::{header, wrap_none};

fn parse(signed: &str) -> Result<Signed<'_>, SignError> {
    super::parse(signed, decode64)
}

fn wrap(header: &[u8], payload: &[u8], signature: &str) -> String {
    format!("{}.{}.{signature}", encode64(header), encode64(payload))
}

const HEADER: &[u8] = b"version\0i1\0mechanism\0snone\0userid\0i1000\0";

#[test]
fn the_golden_request_of_flux_security_is_read() {
    let signed = "dmVyc2lvbgBpMQBtZWNoYW5pc20Ac25vbmUAdXNlcmlkAGkxMDAwAA==.aGk=.none";
    let request = parse(signed).expect("valid");
    assert_eq!((request.mechanism, request.userid, request.payload.as_slice()), (Mechanism::None, 1000, &b"hi"[..]));
    assert_eq!(request.signed_part, signed.trim_end_matches(".none"));
    assert_eq!(wrap_none(1000, b"hi", encode64), signed);
    assert_eq!(wrap(HEADER, b"hi", "none"), signed);
}

#[test]
fn what_is_no_signed_request_is_refused_with_its_reason() {
    let malformed = |what: &str| SignError::Malformed(what.into());
    let missing = |key| malformed(&format!("header has no {key}"));
    let rows = [
        (String::new(), malformed("it is not HEADER.PAYLOAD.SIGNATURE")),
        ("a.b".into(), malformed("it is not HEADER.PAYLOAD.SIGNATURE")),
        ("a.b.c.d".into(), malformed("it is not HEADER.PAYLOAD.SIGNATURE")),
        ("!.aGk=.none".into(), malformed("HEADER is not base64")),
        (wrap(b"", b"hi", "none"), missing("version")),
        (wrap(b"version", b"hi", "none"), malformed("malformed header")),
        (wrap(b"version\0i1", b"hi", "none"), malformed("malformed header")),
        (wrap(b"version\0\0", b"hi", "none"), malformed("malformed header")),
        (wrap(b"version\0x1\0", b"hi", "none"), malformed("malformed header")),
        (wrap(b"mechanism\0snone\0", b"hi", "none"), missing("version")),
        (wrap(b"version\0s1\0", b"hi", "none"), missing("version")),
        (wrap(b"version\0i2\0", b"hi", "none"), malformed("unknown header version 2")),
        (wrap(b"version\0i1\0userid\0i1\0", b"hi", "none"), missing("mechanism")),
        (wrap(b"version\0i1\0mechanism\0snone\0", b"hi", "none"), missing("userid")),
        (
            wrap(b"version\0i1\0mechanism\0skerberos\0userid\0i1\0", b"hi", "x"),
            SignError::UnknownMechanism { name: "kerberos".into() },
        ),
        (wrap(b"version\0i1\0mechanism\0snone\0userid\0i-1\0", b"hi", "none"), malformed("-1 is no user id")),
        (
            wrap(b"version\0i1\0mechanism\0snone\0userid\0i4294967295\0", b"hi", "none"),
            malformed("4294967295 is no user id"),
        ),
        (
            wrap(b"version\0i1\0mechanism\0snone\0userid\0i4294967296\0", b"hi", "none"),
            malformed("4294967296 is no user id"),
        ),
        (
            wrap(b"version\0i1\0mechanism\0snone\0userid\0i1\0userid\0i0\0", b"hi", "none"),
            malformed("malformed header"),
        ),
        (wrap(b"version\0i1\0mechanism\0scurve\0userid\0i1\0", b"hi", "none"), SignError::BadSignature),
        (wrap(HEADER, b"hi", ""), SignError::BadSignature),
        (wrap(HEADER, b"hi", "none\n"), SignError::BadSignature),
        (wrap(HEADER, b"hi", "none").replace("aGk=", "aGk"), malformed("PAYLOAD is not base64")),
        (wrap(HEADER, b"hi", "none").replace("aGk=", "aGl="), malformed("PAYLOAD is not base64")),
        (wrap(HEADER, b"hi", "none").replace("aGk=", "aG k="), malformed("PAYLOAD is not base64")),
        (wrap(HEADER, b"hi", "forged"), SignError::BadSignature),
        (wrap(HEADER, b"hi", "none").replace("aGk=", "a"), malformed("PAYLOAD is not base64")),
    ];
    for (signed, want) in rows {
        assert_eq!(parse(&signed), Err(want), "input {signed:?}");
    }
}

#[test]
fn a_request_over_the_limit_is_refused_unread() {
    let long = "a".repeat(SIGNED_REQUEST_LEN_MAX + 1);
    let refused = parse(&long).expect_err("refused");
    assert_eq!(refused.to_string(), "signed request of 16777217 bytes is over the limit of 16777216");
}

#[test]
fn hostile_requests_never_panic() {
    let mut state = 7u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for _ in 0..20_000 {
        let mut bytes = wrap(HEADER, b"{}", "none").into_bytes();
        for _ in 0..below(6) {
            let at = below(bytes.len());
            bytes[at] = below(128) as u8;
        }
        let _ = parse(&String::from_utf8(bytes).expect("ASCII"));
        let raw: Vec<u8> = (0..below(40)).map(|_| b"version\0i1s.="[below(13)]).collect();
        let _ = parse(&wrap(&raw, b"{}", "none"));
    }
}

/// Keys made by this code, signed with by libflux-security 0.14 at 2026-11-21T13:52:39Z for user id 4002.
const FROM_FLUX_SECURITY: &str = concat!(
    "dmVyc2lvbgBpMQBtZWNoYW5pc20Ac2N1cnZlAHVzZXJpZABpNDAwMgBjdXJ2ZS5jZXJ0Lm1ldGEuYWxnb3JpdGhtAHNlZDI1NTE5AGN1cnZlLmNlcnQuY3VydmUucHVibGljLWtl",
    "eQBzOGl5U1JXak9WMUFpcFBlRDAvRGsvWnlySVJWMEZCWFJNZFRyb1BoVkpqST0AY3VydmUuY3RpbWUAdDIwMjYtMTEtMjFUMTM6NTI6MzlaAGN1cnZlLnh0aW1lAHQyMDI2LTEx",
    "LTIxVDE0OjUyOjM5WgA=.aGkgZnJvbSB1cHN0cmVhbQ==.9/gOI7trnYy7LGC8j4icQhkg6zUtRrEtmGc47v2hOL9QP4pYFt2fmzj1ldj0ZYODZXBwhLLVaNsA2UNSbghbBA==",
);

#[test]
fn a_request_signed_by_flux_security_with_our_keys_is_verified() {
    use crate::verify::{Authority, Rules, verify_curve};
    let request = parse(FROM_FLUX_SECURITY).expect("valid");
    assert_eq!((request.mechanism, request.userid), (Mechanism::Curve, 4002));
    assert_eq!(request.payload, b"hi from upstream");
    let cert = Cert::from_header(&request.header).expect("a certificate");
    let mut again = header(Mechanism::Curve, 4002);
    cert.put_header(&mut again).expect("it fits");
    assert!(FROM_FLUX_SECURITY.starts_with(encode64(&again.encode()).trim_end_matches('=')));
    let made = request.header.time("curve.ctime").expect("a time");
    let rules = Rules { allowed: vec!["curve".into()], max_ttl: 3600 };
    let verify = |now| verify_curve(&request, &rules, now, &Authority::Home(&cert));
    let rows = [
        (made, Ok(())),
        (made + 3600, Ok(())),
        (made + 3601, Err(SignError::Expired)),
        (made - 1, Err(SignError::FromTheFuture)),
    ];
    for (now, want) in rows {
        assert_eq!(verify(now), want, "{now}");
    }
    let rules = Rules { allowed: vec!["munge".into(), "none".into()], max_ttl: 3600 };
    let refused = verify_curve(&request, &rules, made, &Authority::Home(&cert));
    assert_eq!(refused, Err(SignError::NotAllowed { mechanism: Mechanism::Curve }));
}
