use std::collections::BTreeMap;
use std::convert::Infallible;

use flux_types::{Blobref, HashKind, Treeobj};

use super::*;

#[derive(Default)]
struct Blobs {
    blobs: BTreeMap<Blobref, Vec<u8>>,
    keys: Vec<String>,
}

impl Sink for Blobs {
    type Error = Infallible;

    fn store(&mut self, blob: &[u8]) -> Result<Blobref, Infallible> {
        let blobref = HashKind::Sha1.hash(blob);
        self.blobs.insert(blobref, blob.to_vec());
        Ok(blobref)
    }

    fn key(&mut self, path: &str, what: Key<'_>) {
        self.keys.push(format!("{path} {what:?}"));
    }
}

impl Blobs {
    fn at(&self, root: &Blobref, path: &str) -> Treeobj {
        let mut object = Treeobj::Dirref(vec![*root]);
        for word in path.split('/') {
            let Treeobj::Dirref(refs) = &object else { panic!("{path}: not a directory") };
            let Treeobj::Dir(entries) = Treeobj::parse(&self.blobs[&refs[0]]).unwrap() else { panic!() };
            object = entries[word].clone();
        }
        object
    }
}

fn archive(compression: Compression, keys: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), compression, Stamp { mtime: 77, uid: 1, gid: 2 });
    for (path, value) in keys {
        match value.strip_prefix(b"->") {
            Some(target) => writer.symlink(path, None, std::str::from_utf8(target).unwrap()).unwrap(),
            None => writer.value(path, value).unwrap(),
        }
    }
    writer.finish().unwrap()
}

#[test]
fn what_was_written_is_read_back_from_either_format() {
    let long = "x/".repeat(80) + "y";
    let big = vec![7; 5000];
    let keys: &[(&str, &[u8])] =
        &[("a/b", b"1"), ("a/big", &big), ("a/l", b"->a.b"), ("m", b"->ns::x"), (&long, b""), ("é", b"2")];
    for compression in [Compression::None, Compression::Gzip] {
        let bytes = archive(compression, keys);
        let mut blobs = Blobs::default();
        let restored = restore(&bytes[..], None, &mut blobs).unwrap();
        assert_eq!((restored.keys, restored.mtime), (6, 77));
        let root = restored.root;
        assert_eq!(blobs.at(&root, "a/b"), Treeobj::Val(b"1".to_vec()));
        assert_eq!(blobs.at(&root, &long), Treeobj::Val(Vec::new()));
        assert_eq!(blobs.at(&root, "é"), Treeobj::Val(b"2".to_vec()));
        assert_eq!(blobs.at(&root, "a/l"), Treeobj::Symlink { namespace: None, target: "a.b".into() });
        assert_eq!(blobs.at(&root, "m"), Treeobj::Symlink { namespace: Some("ns".into()), target: "x".into() });
        let Treeobj::Valref(refs) = blobs.at(&root, "a/big") else { panic!("a large value is a blob") };
        assert_eq!(blobs.blobs[&refs[0]], big);
    }
}

#[test]
fn values_over_the_limit_are_left_out() {
    let bytes = archive(Compression::None, &[("a", b"12345"), ("b", b"1")]);
    let mut blobs = Blobs::default();
    assert_eq!(restore(&bytes[..], Some(4), &mut blobs).unwrap().keys, 1);
    assert_eq!(blobs.keys, ["a LeftOut(5)", "b Value"]);
}

#[test]
fn archives_that_make_no_tree_are_refused() {
    let deep = "d/".repeat(600) + "x";
    type Keys<'a> = &'a [(&'a str, &'a [u8])];
    let rows: &[(Keys, &str)] = &[
        (&[("a", b"1"), ("a/b", b"2")], "both a value and a directory"),
        (&[("a/b", b"1"), ("a", b"2")], "both a value and a directory"),
        (&[(&deep, b"1")], "no key"),
        (&[("/", b"1")], "no key"),
    ];
    for (keys, want) in rows {
        let bytes = archive(Compression::None, keys);
        let error = restore(&bytes[..], None, &mut Blobs::default()).unwrap_err().to_string();
        assert!(error.contains(want), "{keys:?}: {error}");
    }
}

#[test]
fn damaged_bytes_are_an_error_or_another_tree_but_no_panic() {
    for compression in [Compression::None, Compression::Gzip] {
        let bytes = archive(compression, &[("a/b", b"1"), ("c", b"->a"), ("d", &[9; 700])]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            let _ = restore(&damaged[..], None, &mut Blobs::default());
            let _ = restore(&bytes[..at], None, &mut Blobs::default());
        }
    }
}

#[test]
fn the_end_of_the_name_says_how_to_compress() {
    let rows = [
        ("-", Some(Compression::None)),
        ("x.tar", Some(Compression::None)),
        ("x.tgz", Some(Compression::Gzip)),
        ("x.tar.gz", Some(Compression::Gzip)),
        ("x.zip", None),
        ("x", None),
    ];
    for (name, want) in rows {
        assert_eq!(Compression::of_name(name).ok(), want, "{name}");
    }
}
