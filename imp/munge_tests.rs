use super::*;

/// An answer of Debian's munged 0.5.15 to a credential of user 7 with the payload `abc`.
fn answer(code: u8, text: &[u8]) -> Vec<u8> {
    let rest = b"\x04\x05\x00\x00\x00\x00\x01\x2c\x04\x7f\x00\x00\x01k\x01\xc4\x1bk\x01\xc4\x1c\x00\x00\x00\x07\x00\x00\x00\x08";
    let rest = [&rest[..], &[0xff; 8], b"\x00\x00\x00\x03abc"].concat();
    [&[code, text.len() as u8][..], text, &rest].concat()
}

#[test]
fn what_munged_answers_is_read_and_nothing_else() {
    let want = Vouched { uid: 7, encoded_at: 0x6b01_c41b, payload: b"abc".to_vec() };
    assert_eq!(parse_decoded(&answer(0, b"")), Ok(want.clone()));
    for code in [EXPIRED, REPLAYED] {
        assert_eq!(parse_decoded(&answer(code, b"Replayed credential\0")), Ok(want.clone()), "our own rules decide");
    }
    for code in [1, 14, 16, 18, 255] {
        let refused = parse_decoded(&answer(code, b"Invalid credential\0")).unwrap_err();
        assert_eq!(refused, format!("munged: Invalid credential ({code})"));
    }
    let whole = answer(0, b"");
    for len in 0..whole.len() {
        assert!(parse_decoded(&whole[..len]).is_err(), "cut after {len} bytes");
    }
    assert!(parse_decoded(&[&whole[..], b"x"].concat()).is_err(), "one byte more");
}

#[test]
fn without_munged_there_is_a_sentence() {
    assert!(decode("/nonexistent/munge", "MUNGE:x:").unwrap_err().starts_with("munged at /nonexistent/munge: "));
    assert!(encode("/nonexistent/munge", b"x").is_err());
}
