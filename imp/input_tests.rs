use super::*;
use crate::reader::frame;

fn request(json: &str) -> Option<Result<Request, String>> {
    frame(json).map(|frame| Request::from_frame(&frame))
}

#[test]
fn the_input_passes_through_the_frame() {
    let plain = Request { j: "a.b.c".into(), userid: None, shell_input: None, devices: None };
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
fn devices_are_named_by_numbers() {
    let usual = "c:1:3:rwm c:1:5:rwm c:1:7:rwm c:1:8:rwm c:1:9:rwm c:5:0:rwm c:5:2:rwm c:136:*:rwm";
    let rows = [
        (r#"{"DevicePolicy":"auto"}"#, Some(None)),
        (r#"{"DevicePolicy":"closed"}"#, Some(Some(usual.to_string()))),
        (r#"{"DevicePolicy":"strict"}"#, Some(Some(String::new()))),
        (r#"{"DeviceAllow":[["/dev/null","r"]]}"#, Some(Some(format!("{usual} c:1:3:r")))),
        (
            r#"{"DevicePolicy":"strict","DeviceAllow":[["/dev/zero","rw"],["char-mem","r"]]}"#,
            Some(Some("c:1:5:rw c:1:*:r".into())),
        ),
        // What is not there, or asks for what there is not, is not allowed.
        (
            r#"{"DevicePolicy":"strict","DeviceAllow":[["/dev/null","rx"],["/dev/nowhere","r"],["/etc","r"],["char-no","r"],["block-no","r"],["/dev/null",""]]}"#,
            Some(Some(String::new())),
        ),
        (r#"{"DevicePolicy":"open"}"#, None),
        (r#"{"DevicePolicy":1}"#, None),
        (r#"{"DeviceAllow":1}"#, None),
        (r#"{"DeviceAllow":[1]}"#, None),
        (r#"{"DeviceAllow":[["/dev/null"]]}"#, None),
        (r#"{"DeviceAllow":[["/dev/null",1]]}"#, None),
    ];
    for (options, want) in rows {
        let json = format!(r#"{{"J":"a.b.c","options":{options}}}"#);
        assert_eq!(request(&json).map(|request| request.expect("framed").devices), want, "{options}");
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
