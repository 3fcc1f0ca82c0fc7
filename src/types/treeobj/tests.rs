use super::*;
use crate::blobref::HashKind;
use crate::testing::{Xorshift, hostile_texts};

const REF: &str = "sha1-f1d2d2f924e986ac86fdf7b36c94bcdf32beec15";

fn parse(text: &str) -> Treeobj {
    Treeobj::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn every_type_of_rfc11_reads_and_writes_sorted_and_compact() {
    let rows = [
        (r#"{ "ver":1, "type":"val", "data":"NDIyCg==" }"#, r#"{"data":"NDIyCg==","type":"val","ver":1}"#),
        (r#"{"ver":1,"type":"val","data":""}"#, r#"{"data":"","type":"val","ver":1}"#),
        (r#"{"ver":1,"type":"dir","data":{}}"#, r#"{"data":{},"type":"dir","ver":1}"#),
        (
            r#"{"ver":1,"type":"symlink","data":{"target":"a.a"}}"#,
            r#"{"data":{"target":"a.a"},"type":"symlink","ver":1}"#,
        ),
        (
            r#"{"ver":1,"type":"symlink","data":{"target":"b.b","namespace":"a"}}"#,
            r#"{"data":{"namespace":"a","target":"b.b"},"type":"symlink","ver":1}"#,
        ),
        (
            r#"{"ver":1,"type":"dir","data":{"b":{"ver":1,"type":"val","data":"NDIyCg=="},"a":{"ver":1,"type":"dir","data":{}},"B":{"ver":1,"type":"val","data":""}}}"#,
            r#"{"data":{"B":{"data":"","type":"val","ver":1},"a":{"data":{},"type":"dir","ver":1},"b":{"data":"NDIyCg==","type":"val","ver":1}},"type":"dir","ver":1}"#,
        ),
    ];
    for (text, encoded) in rows {
        assert_eq!(parse(text).encode(), encoded);
        assert_eq!(parse(text).to_value().to_string(), encoded);
        assert_eq!(parse(encoded), parse(text));
    }
    for kind in ["valref", "dirref"] {
        let text = format!(r#"{{"data":["{REF}","{REF}"],"type":"{kind}","ver":1}}"#);
        assert_eq!((parse(&text).encode(), parse(&text).kind(), parse(&text).count()), (text.clone(), kind, 2));
    }
    // What flux-core 0.88 stores an empty directory under.
    let root = HashKind::Sha1.hash(Treeobj::empty_dir().encode().as_bytes()).to_string();
    assert_eq!(root, "sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91");
}

#[test]
fn odd_names_are_written_as_jansson_writes_them() {
    let entries = BTreeMap::from([("a\u{1f}\"\\/\n\u{7f}é💩\u{8}".to_owned(), Treeobj::empty_dir())]);
    let text = Treeobj::Dir(entries).encode();
    assert!(text.starts_with("{\"data\":{\"a\\u001F\\\"\\\\/\\n\u{7f}é💩\\b\":{"), "{text}");
    assert_eq!(parse(&text).encode(), text);
}

#[test]
fn what_is_no_tree_object_is_refused() {
    let rows = [
        "",
        "null",
        "[]",
        "{}",
        r#"{"ver":1,"type":"val"}"#,
        r#"{"ver":1,"type":"val","data":"","x":1}"#,
        r#"{"ver":2,"type":"val","data":""}"#,
        r#"{"ver":"1","type":"val","data":""}"#,
        r#"{"ver":1,"type":"val","data":1}"#,
        r#"{"ver":1,"type":"val","data":"!"}"#,
        r#"{"ver":1,"type":"val","data":"NDIyCg"}"#,
        r#"{"ver":1,"type":"valref","data":[]}"#,
        r#"{"ver":1,"type":"valref","data":"sha1-"}"#,
        r#"{"ver":1,"type":"valref","data":[1]}"#,
        r#"{"ver":1,"type":"dirref","data":["sha1-aaa"]}"#,
        r#"{"ver":1,"type":"dir","data":[]}"#,
        r#"{"ver":1,"type":"dir","data":{"a":1}}"#,
        r#"{"ver":1,"type":"dir","data":{"a":{"ver":1,"type":"val","data":1}}}"#,
        r#"{"ver":1,"type":"symlink","data":"a"}"#,
        r#"{"ver":1,"type":"symlink","data":{}}"#,
        r#"{"ver":1,"type":"symlink","data":{"target":1}}"#,
        r#"{"ver":1,"type":"symlink","data":{"target":"a","namespace":1}}"#,
        r#"{"ver":1,"type":"nosuch","data":""}"#,
        r#"{"ver":1.0,"type":"val","data":""}"#,
        r#"{"ver":1,"type":"val","data":""} x"#,
    ];
    for text in rows {
        assert!(Treeobj::parse(text.as_bytes()).is_err(), "input {text}");
    }
    let hdir = r#"{"ver":1,"type":"hdir","data":{"size":8,"func":"city32","bucket":[]}}"#;
    assert_eq!(Treeobj::parse(hdir.as_bytes()), Err(TreeobjError::Hdir));
    let deep = format!("{}{}{}", r#"{"ver":1,"type":"dir","data":{"a":"#.repeat(5000), "1", "}}".repeat(5000));
    assert!(Treeobj::parse(deep.as_bytes()).is_err());
}

fn random(rng: &mut Xorshift, depth: u32) -> Treeobj {
    match rng.below(if depth == 0 { 4 } else { 5 }) {
        0 => Treeobj::Val((0..rng.below(9)).map(|_| rng.next() as u8).collect()),
        1 => Treeobj::Valref((0..=rng.below(3)).map(|n| HashKind::Sha1.hash(&[n as u8])).collect()),
        2 => Treeobj::Dirref(vec![HashKind::Sha256.hash(&rng.next().to_le_bytes())]),
        3 => Treeobj::Symlink { namespace: (rng.below(2) == 0).then(|| "ns".into()), target: "a.b\n".into() },
        _ => Treeobj::Dir(
            (0..rng.below(5)).map(|_| (format!("k{}\t\"", rng.below(99)), random(rng, depth - 1))).collect(),
        ),
    }
}

#[test]
fn tree_objects_survive_their_text() {
    for seed in 1..1000u64 {
        let object = random(&mut Xorshift(seed), 3);
        assert_eq!(parse(&object.encode()), object, "seed {seed}");
        assert_eq!(Treeobj::from_value(&object.to_value()), Ok(object.clone()), "seed {seed}");
        let value: serde_json::Value = serde_json::from_str(&object.encode()).unwrap();
        assert_eq!(value, object.to_value(), "seed {seed}");
    }
}

#[test]
fn hostile_tree_objects_never_panic_and_what_parses_round_trips() {
    let samples = [
        r#"{"data":"NDIyCg==","type":"val","ver":1}"#,
        r#"{"data":{"a":{"data":{},"type":"dir","ver":1}},"type":"dir","ver":1}"#,
        r#"{"data":{"namespace":"a","target":"b.b"},"type":"symlink","ver":1}"#,
        r#"{"data":["sha1-f1d2d2f924e986ac86fdf7b36c94bcdf32beec15"],"type":"dirref","ver":1}"#,
    ];
    hostile_texts(37, &samples, "{}[]\":,1dirvalreftpsymlnkDataver=", |text| {
        if let Ok(object) = Treeobj::parse(text.as_bytes()) {
            assert_eq!(Treeobj::parse(object.encode().as_bytes()), Ok(object), "{text:?}");
        }
    });
}
