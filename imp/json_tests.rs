use super::*;

fn text(text: &str) -> Json {
    Json::Text(text.into())
}

#[test]
fn json_is_read() {
    let rows = [
        ("null", Json::Plain("null".into())),
        (" -1.5e3 ", Json::Plain("-1.5e3".into())),
        ("\"\"", text("")),
        (r#""a\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00é""#, text("a\"\\/\u{8}\u{c}\n\r\tAé😀é")),
        ("[]", Json::List(vec![])),
        ("[ \"a\" , [\"b\"] ]", Json::List(vec![text("a"), Json::List(vec![text("b")])])),
        ("{}", Json::Object(vec![])),
        ("{\"a\":\"b\", \"c\" : {}}", Json::Object(vec![("a".into(), text("b")), ("c".into(), Json::Object(vec![]))])),
    ];
    for (input, want) in rows {
        assert_eq!(Json::parse(input), Some(want), "{input}");
    }
    let input = Json::parse(r#"{"J":"a.b.c","options":{"DevicePolicy":"auto"}}"#).expect("valid");
    assert_eq!(input.get("J").and_then(Json::text), Some("a.b.c"));
    assert_eq!(input.get("options").and_then(|options| options.get("DevicePolicy")), Some(&text("auto")));
    assert_eq!(input.get("K"), None);
}

#[test]
fn what_is_not_json_or_too_much_is_refused() {
    let deep = "[".repeat(JSON_DEPTH_MAX) + "1" + &"]".repeat(JSON_DEPTH_MAX);
    let bottomless = "[".repeat(1 << 20);
    let many = format!("[{}1]", "1,".repeat(JSON_VALUES_MAX));
    let rows = [
        "",
        " ",
        "nul",
        "True",
        "1x",
        "--1",
        "+1",
        "inf",
        "NaN",
        "\"",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u+123\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1,\"a\":2}",
        "1 2",
        "{} x",
        "[}",
        &deep,
        &bottomless,
        &many,
        "\"\\u00é\"",
    ];
    for input in rows {
        let shown: String = input.chars().take(40).collect();
        assert_eq!(Json::parse(input), None, "{shown}");
    }
}
