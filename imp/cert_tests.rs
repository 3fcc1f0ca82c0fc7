use super::*;
use crate::casign::{metadata, uuid};
use crate::config::CaConfig;
use crate::j::{self, Mechanism, SignError, Signed};
use crate::verify::{Authority, Rules, verify_curve};
use crate::wrap::{secret_to_toml, wrap_curve};

fn parse(signed: &str) -> Result<Signed<'_>, SignError> {
    j::parse(signed, decode64)
}

const NOW: i64 = 1_800_000_000;

fn ca_config() -> CaConfig {
    CaConfig {
        max_cert_ttl: 1000,
        max_sign_ttl: 100,
        cert_path: "/etc/flux/ca".into(),
        revoke_dir: "/etc/flux/revoked".into(),
        revoke_allow: false,
        domain: "SITE".into(),
    }
}

/// A CA, and a user's certificate signed by it.
fn certified(userid: u32) -> (Cert, Cert, SecretKey) {
    let (mut ca, ca_secret) = Cert::generate();
    let own = uuid();
    ca.meta = metadata(&ca_config(), (&own, &own), 0, NOW, true).expect("well-formed");
    let (mut cert, secret) = Cert::generate();
    cert.meta = metadata(&ca_config(), (&uuid(), &own), userid, NOW, false).expect("well-formed");
    cert.sign_by(&ca_secret).expect("it fits");
    (ca, cert, secret)
}

#[test]
fn files_go_both_ways_and_keep_the_order_of_metadata() {
    let (_, cert, secret) = certified(1000);
    assert_eq!(Cert::from_toml(&cert.to_toml()), Some(cert.clone()), "{}", cert.to_toml());
    let secret_again = secret_from_toml(&secret_to_toml(&secret)).expect("valid");
    assert!(is_pair(&cert, &secret_again));
    let text = "[metadata]\n    zz = \"1\"\n    aa = 2\n    bb = true\n    cc = 2026-01-01T00:00:00Z\n    dd = 1.500000\n\n[curve]\n    public-key = \
                \"ItYLtXAQV+NwQScdfO/BuJogevnMbTn3UTdsiObBL1A=\"\n";
    let cert = Cert::from_toml(text).expect("valid");
    assert_eq!(cert.meta.encode(), b"zz\0s1\0aa\0i2\0bb\0btrue\0cc\0t2026-01-01T00:00:00Z\0dd\0d1.500000\0");
    assert_eq!(cert.to_toml(), text);
}

#[test]
fn what_is_no_certificate_is_refused() {
    let (_, cert, _) = certified(1000);
    let good = cert.to_toml();
    let rows = [
        String::new(),
        "[curve]\npublic-key = \"\"".into(),
        "[curve]\npublic-key = \"AAAA\"".into(),
        good.replace("signature = \"", "signature = \"!"),
        good.replace("userid = 1000", "userid = [1000]"),
        good.replace("userid = 1000", "userid = 2026-01-01"),
        good.replace("public-key", "private-key"),
    ];
    for text in rows {
        assert_eq!(Cert::from_toml(&text), None, "{text}");
    }
    assert!(secret_from_toml("[curve]\nsecret-key = \"AAAA\"").is_none());
}

/// Verifies a request of user 1000, changed by `spoil`, as the CA's domain does.
fn verdict(at: i64, userid: u32, spoil: impl FnOnce(&mut Cert, &mut Cert)) -> Result<(), SignError> {
    let (mut ca, mut cert, secret) = certified(1000);
    spoil(&mut ca, &mut cert);
    let signed = wrap_curve((&cert, &secret), userid, b"{}", encode64, [NOW, 1000]).expect("it fits");
    let authority = Authority::Ca { cert: &ca, domain: "SITE", revoked: &|_| false };
    let rules = Rules { allowed: vec!["curve".into()], max_ttl: 500 };
    verify_curve(&parse(&signed).expect("valid"), &rules, at, &authority)
}

#[test]
fn a_certificate_counts_if_the_ca_signed_it_for_this_user_now() {
    assert_eq!(verdict(NOW, 1000, |_, _| ()), Ok(()));
    assert_eq!(verdict(NOW + 100, 1000, |_, _| ()), Ok(()));
    assert_eq!(verdict(NOW + 101, 1000, |_, _| ()), Err(SignError::Expired), "max-sign-ttl of the certificate");
    assert_eq!(verdict(NOW + 501, 1000, |_, _| ()), Err(SignError::Expired), "max-ttl of the site");
    let refused = |verdict| matches!(verdict, Err(SignError::NotTheKey { .. }));
    assert!(refused(verdict(NOW, 1001, |_, _| ())), "another user");
    assert!(refused(verdict(NOW, 1000, |_, cert| cert.signature = None)), "not signed");
    assert!(refused(verdict(NOW, 1000, |ca, _| ca.public = Cert::generate().0.public)), "another CA");
    assert!(refused(verdict(NOW, 1000, |ca, cert| *ca = cert.clone())), "a user is no CA");
    let promote = |_: &mut Cert, cert: &mut Cert| {
        cert.meta = metadata(&ca_config(), ("a", "b"), 0, NOW, true).expect("well-formed");
    };
    assert!(refused(verdict(NOW, 0, promote)), "metadata is under the signature");
}

#[test]
fn a_revoked_certificate_does_not_count() {
    let (ca, cert, secret) = certified(1000);
    let signed = wrap_curve((&cert, &secret), 1000, b"{}", encode64, [NOW, 1000]).expect("it fits");
    let id = cert.meta.text("uuid").expect("a uuid");
    let rules = Rules { allowed: vec!["curve".into()], max_ttl: 500 };
    for (domain, revoked, want) in [("SITE", "other", true), ("SITE", id, false), ("ELSEWHERE", "other", false)] {
        let authority = Authority::Ca { cert: &ca, domain, revoked: &|uuid| uuid == revoked };
        let verdict = verify_curve(&parse(&signed).expect("valid"), &rules, NOW, &authority);
        assert_eq!(verdict.is_ok(), want, "{domain} {revoked}");
    }
}

#[test]
fn every_changed_byte_of_a_request_is_found() {
    let (_, cert, secret) = certified(1000);
    let signed = wrap_curve((&cert, &secret), 1000, b"{\"command\":1}", encode64, [NOW, 1000]).expect("it fits");
    let rules = Rules { allowed: vec!["curve".into()], max_ttl: 500 };
    let good = |text: &str| {
        parse(text).is_ok_and(|it| {
            it.mechanism == Mechanism::Curve && verify_curve(&it, &rules, NOW, &Authority::Home(&cert)).is_ok()
        })
    };
    assert!(good(&signed));
    for at in 0..signed.len() {
        let mut changed = signed.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(!good(std::str::from_utf8(&changed).expect("ASCII")), "byte {at}");
        assert!(!good(&signed[..at]), "cut at {at}");
    }
    assert!(!good(&format!("{signed}=")) && !good(&format!("{signed}.")) && !good(&format!("{signed}\n")));
    let (other, _) = Cert::generate();
    let verdict = verify_curve(&parse(&signed).expect("valid"), &rules, NOW, &Authority::Home(&other));
    assert!(matches!(verdict, Err(SignError::NotTheKey { of: 1000, .. })));
}

#[test]
fn two_requests_of_the_same_second_differ() {
    let (_, cert, secret) = certified(1000);
    let wrap = || wrap_curve((&cert, &secret), 1000, b"{}", encode64, [NOW, 1000]);
    assert_ne!(wrap(), wrap());
}
