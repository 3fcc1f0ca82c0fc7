use super::*;

fn wrap(header: &[u8], payload: &[u8], signature: &str) -> String {
    format!("{}.{}.{signature}", BASE64.encode(header), BASE64.encode(payload))
}

const HEADER: &[u8] = b"version\0i1\0mechanism\0snone\0userid\0i1000\0";

#[test]
fn the_golden_request_of_flux_security_is_read() {
    let signed = "dmVyc2lvbgBpMQBtZWNoYW5pc20Ac25vbmUAdXNlcmlkAGkxMDAwAA==.aGk=.none";
    let want = Unwrapped { mechanism: Mechanism::None, userid: 1000, payload: b"hi".to_vec() };
    assert_eq!(unwrap(signed), Ok(want));
    assert_eq!(wrap(HEADER, b"hi", "none"), signed);
}

#[test]
fn what_is_no_signed_request_is_refused_with_its_reason() {
    let missing = |key| SignError::MissingHeader { key };
    let rows = [
        (String::new(), SignError::NotThreeParts),
        ("a.b".into(), SignError::NotThreeParts),
        ("a.b.c.d".into(), SignError::NotThreeParts),
        ("!.aGk=.none".into(), SignError::BadBase64 { part: "HEADER" }),
        (wrap(b"", b"hi", "none"), SignError::BadHeader),
        (wrap(b"version", b"hi", "none"), SignError::BadHeader),
        (wrap(b"version\0i1", b"hi", "none"), SignError::BadHeader),
        (wrap(b"version\0\0", b"hi", "none"), SignError::BadHeader),
        (wrap(b"version\0x1\0", b"hi", "none"), SignError::BadHeader),
        (wrap(b"mechanism\0snone\0", b"hi", "none"), missing("version")),
        (wrap(b"version\0s1\0", b"hi", "none"), missing("version")),
        (wrap(b"version\0i2\0", b"hi", "none"), SignError::Version { got: 2 }),
        (wrap(b"version\0i1\0userid\0i1\0", b"hi", "none"), missing("mechanism")),
        (wrap(b"version\0i1\0mechanism\0snone\0", b"hi", "none"), missing("userid")),
        (
            wrap(b"version\0i1\0mechanism\0smunge\0userid\0i1\0", b"hi", "MUNGE:"),
            SignError::UnknownMechanism { name: "munge".into() },
        ),
        (wrap(HEADER, b"hi", "forged"), SignError::BadSignature),
        (wrap(HEADER, b"hi", "none").replace("aGk=", "a"), SignError::BadBase64 { part: "PAYLOAD" }),
    ];
    for (signed, want) in rows {
        assert_eq!(unwrap(&signed), Err(want), "input {signed:?}");
    }
}

#[test]
fn a_request_over_the_limit_is_refused_unread() {
    let long = "a".repeat(SIGNED_REQUEST_LEN_MAX + 1);
    assert!(matches!(unwrap(&long), Err(SignError::TooLong { .. })));
}

#[test]
fn hostile_requests_never_panic() {
    let mut rng = flux_service::Rng::new(7);
    for _ in 0..20_000 {
        let mut bytes = wrap(HEADER, b"{}", "none").into_bytes();
        for _ in 0..rng.below(6) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.below(128) as u8;
        }
        let _ = unwrap(&String::from_utf8(bytes).expect("ASCII"));
        let raw: Vec<u8> = (0..rng.below(40)).map(|_| b"version\0i1s.="[rng.below(13) as usize]).collect();
        let _ = unwrap(&wrap(&raw, b"{}", "none"));
    }
}
