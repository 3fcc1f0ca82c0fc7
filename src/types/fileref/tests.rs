use serde_json::json;

use super::*;
use crate::blobref::HashKind;
use crate::testing::{Xorshift, hostile_texts};

/// The examples of RFC 37, keys in flux-core's order.
fn examples() -> Vec<(Value, FileContent)> {
    let kernel = "sha1-d4a09c5dd5a0d2d570066b6f13e465c73c3f9944";
    let table = "iteration,density\n1,35435.555\n2,356655.332\n3,5454545.500\n";
    let vectors = "35435.555\n2,356655.332\n3,5454545.500\n";
    vec![
        (
            json!({"path": "appdata/phase1", "mtime": 1677604007, "ctime": 1677604007, "mode": 16893}),
            FileContent::Directory,
        ),
        (
            json!({"path": "src", "data": "/users/fred/project", "mode": 41471}),
            FileContent::Symlink { target: "/users/fred/project".into() },
        ),
        (
            json!({"path": "data/empty", "size": 0, "mtime": 1677604909, "ctime": 1677604909, "mode": 33204}),
            FileContent::Empty { size: 0 },
        ),
        (
            json!({"path": "config.json", "data": {"resource": {"exclude": "node42"}}, "mode": 33204}),
            FileContent::Json(json!({"resource": {"exclude": "node42"}})),
        ),
        (
            json!({"path": "data.csv", "encoding": "utf-8", "data": table, "size": 57, "mode": 33204}),
            FileContent::Text(table.into()),
        ),
        (
            json!({"path": "vectors.dat", "encoding": "base64", "size": 37, "mode": 33204,
                "data": "MzU0MzUuNTU1CjIsMzU2NjU1LjMzMgozLDU0NTQ1NDUuNTAwCg=="}),
            FileContent::Bytes(vectors.into()),
        ),
        (
            json!({"path": "kernel8.img", "encoding": "blobvec", "data": [[0, 1048576, kernel], [2097152, 10, kernel]],
                "size": 8194604, "mtime": 1674520056, "ctime": 1674520057, "mode": 33261}),
            FileContent::Blobvec {
                size: 8194604,
                regions: [(0, 1048576), (2097152, 10)]
                    .map(|(offset, size)| BlobRegion { offset, size, blobref: kernel.parse().unwrap() })
                    .into(),
            },
        ),
    ]
}

#[test]
fn file_objects_follow_the_examples_of_rfc37() {
    for (value, content) in examples() {
        let file = FileObject::from_value(&value).unwrap_or_else(|e| panic!("{value}: {e}"));
        assert_eq!(file.content, content, "input {value}");
        assert_eq!(file.to_value(false), value);
        assert_eq!(file.permissions(), file.mode & 0o777);
    }
    let (text, _) = &examples()[4];
    let file = FileObject::from_value(text).unwrap();
    assert!(file.to_value(false).to_string().starts_with(r#"{"path":"data.csv","encoding":"utf-8","data":"#));
}

#[test]
fn archives_are_arrays_or_objects_by_path() {
    let files: Vec<FileObject> = examples().iter().map(|(v, _)| FileObject::from_value(v).unwrap()).collect();
    let array: Value = files.iter().map(|f| f.to_value(false)).collect();
    let dict = Value::Object(files.iter().map(|f| (f.path.clone(), f.to_value(true))).collect());
    assert_eq!(FileObject::archive_from_value(&array).as_ref(), Ok(&files));
    assert_eq!(FileObject::archive_from_value(&dict).as_ref(), Ok(&files));
    assert_eq!(FileObject::parse_archive(dict.to_string().as_bytes()), Ok(files));
    let jobspec_file = json!({"script": {"mode": 33216, "data": "#!/bin/sh\n", "encoding": "utf-8"}});
    assert_eq!(FileObject::archive_from_value(&jobspec_file).unwrap()[0].size(), Some(10));
    for value in
        [json!(null), json!("x"), json!([1]), json!({"a": {"path": "a", "mode": 33204, "size": 0}}), json!({"a": 1})]
    {
        assert!(FileObject::archive_from_value(&value).is_err(), "input {value}");
    }
}

#[test]
fn what_is_no_file_object_is_refused() {
    let good = HashKind::Sha1.hash(b"").to_string();
    let rows = [
        json!({"mode": 33204, "size": 0}),
        json!({"path": "a", "size": 0}),
        json!({"path": "a", "mode": "33204", "size": 0}),
        json!({"path": "a", "mode": -1, "size": 0}),
        json!({"path": "a", "mode": 8630, "size": 0}),
        json!({"path": "a", "mode": 420, "size": 0}),
        json!({"path": "/a", "mode": 33204, "size": 0}),
        json!({"path": "", "mode": 33204, "size": 0}),
        json!({"path": "a/../b", "mode": 33204, "size": 0}),
        json!({"path": "..", "mode": 16893}),
        json!({"path": "./a", "mode": 16893}),
        json!({"path": "a\u{0}b", "mode": 16893}),
        json!({"path": "a", "mode": 33204}),
        json!({"path": "a", "mode": 33204, "size": -1}),
        json!({"path": "a", "mode": 33204, "size": 0, "mtime": "now"}),
        json!({"path": "a", "mode": 33204, "size": 1, "data": {}}),
        json!({"path": "a", "mode": 16893, "size": 0}),
        json!({"path": "a", "mode": 16893, "data": "x"}),
        json!({"path": "a", "mode": 41471}),
        json!({"path": "a", "mode": 41471, "data": 1}),
        json!({"path": "a", "mode": 41471, "data": "x", "size": 1}),
        json!({"path": "a", "mode": 33204, "encoding": "utf-8", "size": 0}),
        json!({"path": "a", "mode": 33204, "encoding": "utf-8", "data": "abc", "size": 2}),
        json!({"path": "a", "mode": 33204, "encoding": "base64", "data": "!", "size": 0}),
        json!({"path": "a", "mode": 33204, "encoding": "latin1", "data": ""}),
        json!({"path": "a", "mode": 33204, "encoding": "blobvec", "data": []}),
        json!({"path": "a", "mode": 33204, "encoding": "blobvec", "data": {}, "size": 1}),
        json!({"path": "a", "mode": 33204, "encoding": "blobvec", "data": [[0, 2, good]], "size": 1}),
        json!({"path": "a", "mode": 33204, "encoding": "blobvec", "data": [[0, 2, good], [1, 2, good]], "size": 9}),
        json!({"path": "a", "mode": 33204, "encoding": "blobvec", "data": [[0, 0, good]], "size": 9}),
        json!({"path": "a", "mode": 33204, "encoding": "blobvec", "data": [[0, 1, "sha1-x"]], "size": 9}),
        json!({"path": "a", "mode": 33204, "encoding": "blobvec", "data": [[u64::MAX, 1, good]], "size": 9}),
        json!({"path": "a", "mode": 33204, "encoding": "blobvec", "data": [[0, 1]], "size": 9}),
    ];
    for value in rows {
        assert!(FileObject::from_value(&value).is_err(), "input {value}");
    }
}

#[test]
fn file_objects_survive_json() {
    for seed in 1..500u64 {
        let mut rng = Xorshift(seed);
        let content = match rng.below(4) {
            0 => FileContent::Bytes((0..rng.below(40)).map(|_| rng.next() as u8).collect()),
            1 => FileContent::Text((0..rng.below(20)).map(|_| char::from(rng.next() as u8)).collect()),
            2 => FileContent::Empty { size: rng.next() },
            _ => FileContent::Json(json!([rng.next(), null, "x"])),
        };
        let time = |n: u64| n.is_multiple_of(2).then_some(n as i64 >> 8);
        let (mtime, ctime) = (time(rng.next()), time(rng.next()));
        let mode = MODE_REGULAR | rng.below(0o7777) as u32;
        let file = FileObject { path: format!("d/{seed}"), mode, mtime, ctime, content };
        assert_eq!(FileObject::from_value(&file.to_value(false)), Ok(file), "seed {seed}");
    }
}

#[test]
fn hostile_archives_never_panic_and_what_parses_round_trips() {
    let samples: Vec<String> = examples().iter().map(|(value, _)| format!("[{value}]")).collect();
    let samples: Vec<&str> = samples.iter().map(String::as_str).collect();
    hostile_texts(41, &samples, "{}[]\":,0123456789./pathmodencigsz", |text| {
        if let Ok(files) = FileObject::parse_archive(text.as_bytes()) {
            let again: Value = files.iter().map(|f| f.to_value(false)).collect();
            assert_eq!(FileObject::archive_from_value(&again), Ok(files), "{text:?}");
        }
    });
}
