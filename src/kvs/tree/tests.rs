use flux_types::Treeobj;

use super::*;
use crate::digest::Algorithm;

const ALG: Algorithm = Algorithm::Sha1;

#[derive(Default)]
struct Sink(BTreeMap<Digest, Arc<[u8]>>);

impl BlobSink for Sink {
    fn add(&mut self, digest: Digest, bytes: &Arc<[u8]>) {
        self.0.insert(digest, bytes.clone());
    }
}

fn sample() -> Dir {
    let mut dir = Dir::default();
    let link = |namespace: Option<&str>| {
        Entry::Link(Box::new(Link { namespace: namespace.map(Into::into), target: "x.y".into() }))
    };
    let mut pieces = Chunks::of(b"one"[..].into());
    pieces.push(b"two"[..].into());
    let sub = Dir { entries: [("v".into(), Entry::Val(b"1"[..].into()))].into(), hash: None, used: 0 };
    let entries = [
        ("short", Entry::Val(vec![b'x'; 54].into())),
        ("long", Entry::Val(vec![b'x'; 55].into())),
        ("empty", Entry::Val([].into())),
        ("log", Entry::Pieces(Box::new(pieces))),
        ("sub", Entry::Dir(Box::new(sub))),
        ("graft", Entry::DirRef(ALG.hash(b"elsewhere"))),
        ("odd", Entry::DirRefs([ALG.hash(b"a"), ALG.hash(b"b")].into())),
        ("link", link(None)),
        ("far", link(Some("ns"))),
        ("é \"\\\u{1}\u{8}\u{c}\n\r\t\u{1f}\u{7f}/", Entry::Val(b"odd name"[..].into())),
    ];
    dir.entries.extend(entries.map(|(name, entry)| (name.into(), entry)));
    dir
}

/// RFC 11; the other encoder is `flux_types::Treeobj`.
#[test]
fn the_bytes_of_a_directory_are_those_of_rfc11() {
    let (mut dir, mut sink) = (sample(), Sink::default());
    let digest = hash_dir(ALG, &mut dir, false, &mut sink);
    let bytes = &sink.0[&digest];
    let parsed = Treeobj::parse(bytes).expect("our bytes are a tree object");
    assert_eq!(parsed.encode().as_bytes(), &bytes[..]);
    let mut again = decode_dir(ALG, bytes).expect("they are a directory");
    let reread = encode_dir(&again);
    assert_eq!(reread, bytes[..]);
    // Reading it all back gives the same values.
    let (none, cache) = (BTreeMap::new(), Default::default());
    let blobs = Blobs { alg: ALG, unstored: &sink.0, gathered: &none, cache: &cache, epoch: 1 };
    let Step::Entry(Entry::Val(value)) = walk(&mut again, "sub.v", true, &blobs).unwrap() else { panic!("a value") };
    assert_eq!(&value[..], b"1");
    let Step::Entry(Entry::Pieces(log)) = walk(&mut again, "log", true, &blobs).unwrap() else { panic!("pieces") };
    log.load(&blobs).unwrap();
    assert_eq!(log.concat(), b"onetwo");
}

#[test]
fn pieces_are_joined_only_as_long_as_nobody_refers_to_them() {
    let (mut dir, mut sink) = (Dir::default(), Sink::default());
    let (none, cache) = (BTreeMap::new(), Default::default());
    let place = Place { base: ".", namespace: "primary" };
    let append = |dir: &mut Dir, text: &str| {
        let blobs = Blobs { alg: ALG, unstored: &none, gathered: &none, cache: &cache, epoch: 0 };
        apply(dir, &place, "log", &Change::Append(text.as_bytes().into()), &blobs).unwrap().unwrap()
    };
    let texts = |dir: &Dir| match &dir.entries["log"] {
        Entry::Pieces(chunks) => chunks.0.iter().map(|c| c.data.as_deref().unwrap_or(b"?").to_vec()).collect(),
        _ => vec![],
    };
    for text in ["a", "b", "c"] {
        append(&mut dir, text);
    }
    hash_dir(ALG, &mut dir, false, &mut sink);
    for text in ["d", "e"] {
        append(&mut dir, text);
    }
    let last = append(&mut dir, "fgh");
    hash_dir(ALG, &mut dir, true, &mut sink);
    assert_eq!(texts(&dir), [&b"a"[..], b"b", b"c", b"defgh"]);
    // An append can be taken back even when its piece has been joined.
    let blobs = Blobs { alg: ALG, unstored: &sink.0, gathered: &none, cache: &cache, epoch: 0 };
    undo(&mut dir, last, &blobs).unwrap();
    assert_eq!(texts(&dir), [&b"a"[..], b"b", b"c", b"de"]);
}

#[test]
fn what_was_not_used_leaves_memory_and_comes_back() {
    let (mut dir, mut sink) = (sample(), Sink::default());
    let digest = hash_dir(ALG, &mut dir, false, &mut sink);
    evict(&mut dir, 1);
    assert!(matches!(dir.entries["sub"], Entry::DirRef(_)));
    let (none, cache) = (BTreeMap::new(), Default::default());
    let empty = Blobs { alg: ALG, unstored: &none, gathered: &none, cache: &cache, epoch: 1 };
    let Err(Stop::Need(missing)) = walk(&mut dir, "sub.v", true, &empty).map(|_| ()) else { panic!("it is not there") };
    assert_eq!(missing.len(), 1);
    let full = Blobs { unstored: &sink.0, ..empty };
    assert!(matches!(walk(&mut dir, "sub.v", true, &full), Ok(Step::Entry(Entry::Val(_)))));
    assert_eq!(evict(&mut dir, 1), 2, "what was used in this epoch stays");
    assert_eq!(dir.hash, Some(digest));
}
