use serde_json::json;

use super::*;
use crate::testing::hostile_texts;

const URIS: &[&str] = &["afterany:ƒ2oLkTLb", "string:foo?type=out", "afterok:1?a=1&b=x&a=2.5", "begin-time:1.5e9", "x"];

#[test]
fn uris_become_the_objects_flux_core_makes_of_them() {
    let rows = [
        ("afterany:ƒ2oLkTLb", json!({"scheme": "afterany", "value": "ƒ2oLkTLb"})),
        ("string:foo?type=out", json!({"scheme": "string", "value": "foo", "type": "out"})),
        ("fluid:hungry-hippos-white-elephant", json!({"scheme": "fluid", "value": "hungry-hippos-white-elephant"})),
        ("singleton", json!({"scheme": "singleton", "value": ""})),
        ("singleton:", json!({"scheme": "singleton", "value": ""})),
        ("AfterOK:123", json!({"scheme": "afterok", "value": "123"})),
        ("a:b:c", json!({"scheme": "a", "value": "b:c"})),
        ("a:x?n=42&r=1.5&s=1x", json!({"scheme": "a", "value": "x", "n": 42, "r": 1.5, "s": "1x"})),
        ("a:x?k=1&k=b", json!({"scheme": "a", "value": "x", "k": [1, "b"]})),
        ("a:x?k=a%20b+c&empty=&bare", json!({"scheme": "a", "value": "x", "k": "a b c"})),
        ("a:x?k=%zz%4", json!({"scheme": "a", "value": "x", "k": "%zz%4"})),
        ("a:x#fragment", json!({"scheme": "a", "value": "x"})),
        ("begin-time:1700000000.5", json!({"scheme": "begin-time", "value": "1700000000.5"})),
    ];
    for (uri, want) in rows {
        let got = Dependency::parse_uri(uri).unwrap();
        assert_eq!(got.to_value(), want, "uri {uri:?}");
        assert_eq!(Dependency::from_value(&want), Ok(got.clone()));
        assert_eq!(Dependency::parse_uri(&got.to_uri()), Ok(got), "uri {uri:?}");
    }
}

#[test]
fn what_is_no_uri_is_refused() {
    for uri in ["", ":", ":x", "1a:x", "a b:c", "-a:x", "ƒ:x", "a_b:x", "a/b"] {
        assert_eq!(Dependency::parse_uri(uri), Err(DependencyError::InvalidUri { uri: uri.to_owned() }));
    }
    for uri in ["a:b?value=c", "a:b?x=1&scheme=c"] {
        assert!(matches!(Dependency::parse_uri(uri), Err(DependencyError::ReservedOption { .. })), "uri {uri:?}");
    }
    let many = format!("a:b?{}", "k=v&".repeat(DEPENDENCY_OPTIONS_MAX + 1));
    assert!(matches!(Dependency::parse_uri(&many), Err(DependencyError::TooManyOptions { .. })));
    assert!(matches!(Dependency::parse_uri(&"a".repeat(1 << 20)), Err(DependencyError::TooLong { .. })));
}

#[test]
fn objects_need_scheme_and_value_as_strings() {
    let rows = [
        (json!([]), "must be an object"),
        (json!({"value": "x"}), "Missing key (scheme)"),
        (json!({"scheme": "x"}), "Missing key (value)"),
        (json!({"scheme": 1, "value": "x"}), "scheme must be a string"),
        (json!({"scheme": "x", "value": 1}), "value must be a string"),
    ];
    for (value, want) in rows {
        assert!(Dependency::from_value(&value).unwrap_err().to_string().contains(want), "{value}");
    }
}

#[test]
fn hostile_uris_never_panic_and_what_reads_also_writes() {
    hostile_texts(26, URIS, "abcAZ:?&=#%+0123456789.-eE", |text| {
        let Ok(first) = Dependency::parse_uri(text) else { return };
        assert_eq!(Dependency::from_value(&first.to_value()), Ok(first.clone()), "uri {text:?}");
    });
}
