use super::*;
use crate::reader::frame;

fn request(json: &str) -> Option<Result<Request, String>> {
    frame(json).map(|frame| Request::from_frame(&frame))
}

#[test]
fn the_input_passes_through_the_frame() {
    let plain = Request { j: "a.b.c".into(), shell_input: None };
    assert_eq!(request(r#"{"J":"a.b.c"}"#), Some(Ok(plain.clone())));
    assert_eq!(
        request(r#"{"x":[],"J":"a.b.c","options":{}}"#),
        Some(Ok(plain.clone())),
        "unknown keys are ignored (RFC 15)"
    );
    assert_eq!(request(r#"{"J":"a.b.c","options":{"DevicePolicy":"auto","DeviceAllow":[]}}"#), Some(Ok(plain.clone())));
    let want = Request { shell_input: Some("{}".into()), ..plain };
    assert_eq!(request(r#"{"J":"a.b.c","shell-input":"{}"}"#), Some(Ok(want)));
}

#[test]
fn what_cannot_be_contained_is_refused_not_run_uncontained() {
    for options in [
        r#"{"DevicePolicy":"closed"}"#,
        r#"{"DevicePolicy":"strict"}"#,
        r#"{"DeviceAllow":[["/dev/null","r"]]}"#,
        r#"{"DeviceAllow":1}"#,
    ] {
        let json = format!(r#"{{"J":"a.b.c","options":{options}}}"#);
        assert!(matches!(request(&json), Some(Err(_))), "{options}");
    }
}

#[test]
fn malformed_input_and_frames_are_refused() {
    for json in [
        "",
        "[]",
        "{}",
        r#"{"J":1}"#,
        r#"{"J":"a\u0000i\u0000"}"#,
        r#"{"J":"a","J":"b"}"#,
        r#"{"J":"a"} x"#,
        r#"{"J":"a","shell-input":{}}"#,
    ] {
        assert_eq!(frame(json), None, "{json}");
    }
    for bytes in [&b""[..], b"J\0sa", b"J\0i1\0", b"J\0sa\0J\0sb\0", b"\xff\0s\0"] {
        assert!(Request::from_frame(bytes).is_err(), "{bytes:?}");
    }
}
