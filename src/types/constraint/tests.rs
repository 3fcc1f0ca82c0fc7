use serde_json::{Value, json};

use super::query::{REQUIRES, parse};
use super::*;
use crate::limits::CONSTRAINT_DEPTH_MAX;
use crate::testing::hostile_texts;

struct Node(u32, &'static str, &'static [&'static str]);

impl Subject for Node {
    fn rank(&self) -> u32 {
        self.0
    }
    fn hostname(&self) -> Option<&str> {
        Some(self.1)
    }
    fn has_property(&self, name: &str) -> bool {
        self.2.contains(&name)
    }
}

#[test]
fn constraints_match_as_rfc31_says() {
    let nodes = [Node(0, "host0", &["ssd", "foo"]), Node(1, "host1", &["bar"]), Node(2, "host2", &["foo", "bar"])];
    let rows = [
        (json!({}), "012"),
        (json!({"properties": []}), "012"),
        (json!({"properties": ["ssd"]}), "0"),
        (json!({"properties": ["^foo"]}), "1"),
        (json!({"properties": ["foo", "bar"]}), "2"),
        (json!({"properties": ["host1"]}), "1"),
        (json!({"not": [{"properties": ["foo", "bar"]}]}), "01"),
        (json!({"or": [{"properties": ["ssd"]}, {"properties": ["bar"]}]}), "012"),
        (json!({"or": []}), "012"),
        (json!({"and": []}), "012"),
        (json!({"not": []}), ""),
        (json!({"hostlist": ["host[0-1]"]}), "01"),
        (json!({"hostlist": ["host0", "host2"]}), "02"),
        (json!({"not": [{"hostlist": ["host[0-1]"]}]}), "2"),
        (json!({"and": [{"hostlist": ["host[0-1]"]}, {"properties": ["ssd"]}]}), "0"),
        (json!({"ranks": ["0"]}), "0"),
        (json!({"ranks": ["0", "2-3"]}), "02"),
        (json!({"ranks": []}), ""),
        (json!({"hostlist": []}), ""),
    ];
    for (object, want) in rows {
        let constraint = Constraint::from_value(&object).unwrap();
        let got: String = nodes.iter().filter(|node| constraint.matches(*node)).map(|n| n.0.to_string()).collect();
        assert_eq!(got, want, "{object}");
        assert_eq!(Constraint::from_value(&constraint.to_value()), Ok(constraint), "{object}");
    }
}

#[test]
fn bad_constraints_are_refused_with_their_reason() {
    let rows = [
        (json!(null), "constraint must be JSON object"),
        (json!([]), "constraint must be JSON object"),
        (json!({"and": [], "or": []}), "constraint must only contain 1 element"),
        (json!({"foo": []}), "unknown constraint operator: foo"),
        (json!({"properties": "x"}), "properties value must be an array"),
        (json!({"and": {}}), "and operator value must be an array"),
        (json!({"properties": [1]}), "non-string property specified"),
        (json!({"ranks": [1]}), "non-string ranks value specified"),
        (json!({"properties": ["a|b"]}), "invalid character '|' in property \"a|b\""),
        (json!({"hostlist": ["h["]}), "invalid hostlist 'h['"),
        (json!({"ranks": ["x"]}), "invalid idset 'x'"),
        (json!({"not": [{"or": [1]}]}), "constraint must be JSON object"),
    ];
    for (object, want) in rows {
        let got = Constraint::from_value(&object).unwrap_err().to_string();
        assert!(got.starts_with(want), "{object}: {got}");
    }
    let mut deep = json!({"ranks": ["0"]});
    for _ in 0..CONSTRAINT_DEPTH_MAX + 1 {
        deep = json!({ "not": [deep] });
    }
    assert_eq!(Constraint::from_value(&deep), Err(ConstraintError::TooDeep { max: CONSTRAINT_DEPTH_MAX }));
}

/// The dialect of RFC 35's examples.
const NAMES: QuerySyntax = QuerySyntax { default_operator: Some("name"), aliases: &[], lists: &[], joined: &[] };

fn n(name: &str) -> Value {
    json!({ "name": [name] })
}

#[test]
fn queries_follow_rfc35() {
    let rows = [
        ("foo", n("foo")),
        ("foo bar", json!({"and": [n("foo"), n("bar")]})),
        ("foo bar state:started", json!({"and": [n("foo"), n("bar"), {"state": ["started"]}]})),
        ("a|b|c", json!({"or": [n("a"), n("b"), n("c")]})),
        ("a|b&c", json!({"or": [n("a"), {"and": [n("b"), n("c")]}]})),
        ("(a|b)&c", json!({"and": [{"or": [n("a"), n("b")]}, n("c")]})),
        ("(a|-b)&c", json!({"and": [{"or": [n("a"), {"not": [n("b")]}]}, n("c")]})),
        ("a and b or c", json!({"or": [{"and": [n("a"), n("b")]}, n("c")]})),
        ("a && b || c", json!({"or": [{"and": [n("a"), n("b")]}, n("c")]})),
        ("not a", json!({"not": [n("a")]})),
        ("not a b", json!({"and": [{"not": [n("a")]}, n("b")]})),
        ("not (a|b)", json!({"not": [{"or": [n("a"), n("b")]}]})),
        ("not not a", json!({"not": [{"not": [n("a")]}]})),
        ("-a b c", json!({"and": [{"not": [n("a")]}, n("b"), n("c")]})),
        ("-state:x", json!({"not": [{"state": ["x"]}]})),
        ("((a))", n("a")),
        ("foo:'this is args'", json!({"foo": ["this is args"]})),
        ("foo:\"a'b\"", json!({"foo": ["a'b"]})),
        ("'a b' c", json!({"and": [n("a b"), n("c")]})),
        ("foo: bar", json!({"foo": ["bar"]})),
        ("foo:a:b", json!({"foo": ["a:b"]})),
        ("a-b", n("a-b")),
        ("nothing order android", json!({"and": [n("nothing"), n("order"), n("android")]})),
        ("''a", n("a")),
        ("  a\t", n("a")),
    ];
    for (query, want) in rows {
        assert_eq!(parse(query, &NAMES), Ok(want), "query {query:?}");
    }
}

/// The grammar leaves these open; the answers are those of flux-core.
#[test]
fn ambiguous_queries_mean_what_they_mean_to_flux_core() {
    let rows = [
        ("a|b c", json!({"and": [{"or": [n("a"), n("b")]}, n("c")]})),
        ("a b|c", json!({"or": [{"and": [n("a"), n("b")]}, n("c")]})),
        ("a b -c", json!({"and": [n("a"), {"and": [n("b"), {"not": [n("c")]}]}]})),
        ("a b not c", json!({"and": [n("a"), {"and": [n("b"), {"not": [n("c")]}]}]})),
        ("not a -b", json!({"not": [{"and": [n("a"), {"not": [n("b")]}]}]})),
        ("a|b -c", json!({"or": [n("a"), {"and": [n("b"), {"not": [n("c")]}]}]})),
    ];
    for (query, want) in rows {
        assert_eq!(parse(query, &NAMES), Ok(want), "query {query:?}");
    }
}

#[test]
fn requires_has_short_names_lists_and_joined_properties() {
    let rows = [
        ("a", json!({"properties": ["a"]})),
        ("a b c", json!({"properties": ["a", "b", "c"]})),
        ("a&b&c", json!({"properties": ["a", "b", "c"]})),
        ("a,b,c", json!({"properties": ["a", "b", "c"]})),
        ("^a", json!({"properties": ["^a"]})),
        ("a|b|c", json!({"or": [{"properties": ["a"]}, {"properties": ["b"]}, {"properties": ["c"]}]})),
        ("(a and b) or (b and c)", json!({"or": [{"properties": ["a", "b"]}, {"properties": ["b", "c"]}]})),
        ("b|-c", json!({"or": [{"properties": ["b"]}, {"not": [{"properties": ["c"]}]}]})),
        ("host:fluke[1-5]", json!({"hostlist": ["fluke[1-5]"]})),
        ("hosts:a,b", json!({"hostlist": ["a,b"]})),
        ("-host:fluke7", json!({"not": [{"hostlist": ["fluke7"]}]})),
        ("rank:0", json!({"ranks": ["0"]})),
        ("ranks:0-3 ssd", json!({"and": [{"ranks": ["0-3"]}, {"properties": ["ssd"]}]})),
    ];
    for (query, want) in rows {
        let got = parse(query, &REQUIRES).unwrap();
        assert_eq!(got, want, "query {query:?}");
        Constraint::from_value(&got).unwrap();
    }
}

#[test]
fn bad_queries_are_refused_with_the_position() {
    let rows = [
        ("", "Unexpected end of input in ''"),
        ("a and", "Unexpected end of input in 'a and'"),
        ("not", "Unexpected end of input in 'not'"),
        ("-", "Unexpected end of input in '-'"),
        ("(a", "Unclosed parenthesis in position 0"),
        ("a (b", "Unclosed parenthesis in position 2"),
        ("a)", "Mismatched parentheses starting at position 1."),
        ("()", "Invalid token ')' at position 1"),
        ("-(a|b)", "Invalid token '(' at position 1"),
        ("a | | b", "Invalid token '|' at position 4"),
        ("--a", "Invalid token '-' at position 1"),
        ("&&a", "Invalid token '&&' at position 0"),
        ("'abc", "Unclosed quote \"'\" at position 1"),
        ("a \"", "Unclosed quote '\"' at position 3"),
        ("foo:", "Missing argument to token 'foo:'"),
        ("a!b:c", "invalid character '!' in operator 'a!b:'"),
        ("a\u{a0}b", "Illegal character '\\u{a0}' at position 1"),
    ];
    for (query, want) in rows {
        assert_eq!(parse(query, &NAMES).unwrap_err().to_string(), want, "query {query:?}");
    }
    let strict = QuerySyntax { default_operator: None, ..NAMES };
    assert_eq!(parse("a", &strict), Err(QueryError::MissingOperator { token: "a".to_owned() }));
    for deep in ["not ".repeat(5000) + "a", "a|b c|".repeat(5000) + "d", "(".repeat(60_000)] {
        assert!(parse(&deep, &NAMES).is_err());
    }
    assert!(matches!(parse(&"a ".repeat(1 << 20), &NAMES), Err(QueryError::TooLong { .. })));
}

#[test]
fn hostile_queries_never_panic_and_what_compiles_also_writes() {
    let samples = ["a,b -host:fluke[1-5]|(rank:0 and not 'x y')", "(a|b)&c", "not a -b or \"c\":d"];
    hostile_texts(35, &samples, "ab-&|() '\":,^[]0123456789notandor", |text| {
        let Ok(object) = parse(text, &REQUIRES) else { return };
        let Ok(constraint) = Constraint::from_value(&object) else { return };
        let again = Constraint::from_value(&constraint.to_value());
        assert_eq!(again, Ok(constraint), "query {text:?}");
    });
}

#[test]
fn hostile_constraint_objects_never_panic() {
    let samples = [r#"{"and":[{"properties":["^a","b"]},{"not":[{"hostlist":["h[1-3]"]},{"ranks":["0-5,7"]}]}]}"#];
    hostile_texts(31, &samples, "{}[]\":,^|0123456789-andornot", |text| {
        let Ok(value) = serde_json::from_str(text) else { return };
        let Ok(constraint) = Constraint::from_value(&value) else { return };
        assert_eq!(Constraint::from_value(&constraint.to_value()), Ok(constraint), "text {text:?}");
    });
}
