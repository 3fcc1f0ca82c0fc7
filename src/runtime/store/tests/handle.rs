//! The handle and its threads.

use std::os::unix::fs::PermissionsExt;

use super::*;

const OWNER: Owner = Owner(3);

fn append_op(text: &str, sync: bool) -> StoreOp {
    StoreOp::Append { record: text.as_bytes().into(), sync }
}

/// Waits for `count` completions.
fn completions(store: &mut StoreHandle, count: usize) -> Vec<(u32, Completion)> {
    let (mut inbox, start) = (VecDeque::new(), Instant::now());
    store.flush();
    while inbox.len() < count {
        store.drain(&mut inbox);
        assert!(start.elapsed() < Duration::from_secs(10), "{} of {count} completions came", inbox.len());
        std::thread::sleep(Duration::from_millis(1));
    }
    let to_pair = |input| match input {
        Input::Completion { owner: OWNER, tag, completion } => (tag.0, completion),
        other => panic!("a completion of our owner, not {other:?}"),
    };
    inbox.into_iter().map(to_pair).collect()
}

#[test]
fn operations_are_answered_in_order_and_are_there_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let (mut store, recovered) = open_store(Some(dir.path()), dir.path(), None).unwrap();
    assert_eq!(recovered, Recovered::default());
    for tag in 1..=100 {
        assert_eq!(store.submit(OWNER, Tag(tag), append_op(&format!("r{tag}"), tag % 2 == 0)), None);
    }
    let done = completions(&mut store, 100);
    let logged = |(tag, completion): &(u32, Completion)| match completion {
        Completion::Logged { position } => (*tag, position.0),
        other => panic!("{other:?}"),
    };
    let done: Vec<_> = done.iter().map(logged).collect();
    assert!(done.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1), "{done:?}");
    let blob: Arc<[u8]> = b"blob".as_slice().into();
    let hash: Arc<[u8]> = <sha1::Sha1 as sha1::Digest>::digest(&blob).as_slice().into();
    let put = StoreOp::Put {
        blobs: vec![(hash.clone(), blob.clone())],
        checkpoints: vec![("kvs-primary".into(), Arc::new(json!({"rootref": "sha1-0"})))],
    };
    store.submit(OWNER, Tag(101), put);
    assert_eq!(completions(&mut store, 1), [(101, Completion::Stored)]);
    assert_eq!(store.bytes_in_flight(), 0);
    store.submit(OWNER, Tag(0), StoreOp::Trim { before: LogPosition(done[97].1) });
    for file in ["content.sqlite", "content.sqlite-wal", "log/0000000000000000.log", "lock"] {
        let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is for our eyes only");
    }
    store.close();
    drop(store);
    let (mut store, recovered) = open_store(Some(dir.path()), dir.path(), None).unwrap();
    assert_eq!(recovered.checkpoints, [("kvs-primary".to_owned(), json!({"rootref": "sha1-0"}))].into());
    let texts: Vec<_> = recovered.records.iter().map(|(_, record)| String::from_utf8_lossy(record)).collect();
    assert_eq!(texts, ["r99", "r100"]);
    store.submit(OWNER, Tag(1), StoreOp::Get { hash });
    store.submit(OWNER, Tag(2), StoreOp::Get { hash: b"none".as_slice().into() });
    let want = [(1, Completion::Blob(Some(blob))), (2, Completion::Blob(None))];
    assert_eq!(completions(&mut store, 2), want);
}

#[test]
fn without_a_statedir_appends_are_answered_at_once_and_blobs_are_kept_while_it_lasts() {
    let dir = TempDir::new().unwrap();
    let (mut store, _) = open_store(None, dir.path(), None).unwrap();
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new(), "nothing is made before it is needed");
    let first = store.submit(OWNER, Tag(1), append_op("abc", true));
    assert_eq!(first, Some(Completion::Logged { position: LogPosition(3) }));
    assert_eq!(store.submit(OWNER, Tag(0), StoreOp::Trim { before: LogPosition(3) }), None);
    let (hash, blob): (Arc<[u8]>, Arc<[u8]>) = (b"h".as_slice().into(), b"b".as_slice().into());
    store.submit(OWNER, Tag(2), StoreOp::Put { blobs: vec![(hash.clone(), blob.clone())], checkpoints: vec![] });
    store.submit(OWNER, Tag(3), StoreOp::Get { hash });
    assert_eq!(completions(&mut store, 2), [(2, Completion::Stored), (3, Completion::Blob(Some(blob)))]);
}

#[test]
fn two_brokers_never_share_a_statedir() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open_store(Some(dir.path()), dir.path(), None).unwrap();
    let error = open_store(Some(dir.path()), dir.path(), None).unwrap_err();
    assert_eq!(error.errno(), Errno::EBUSY);
    let text = error.to_string();
    assert!(text.contains(&format!("another broker uses this statedir (process {})", std::process::id())), "{text}");
    drop(store);
    open_store(Some(dir.path()), dir.path(), None).unwrap();
}

/// Bytes that cannot be compressed.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn a_blob_whose_bytes_changed_on_disk_is_refused() {
    let dir = TempDir::new().unwrap();
    let (mut store, _) = open_store(Some(dir.path()), dir.path(), None).unwrap();
    let blob: Arc<[u8]> = noise(3000).into();
    let hash: Arc<[u8]> = <sha2::Sha256 as sha2::Digest>::digest(&blob).as_slice().into();
    store.submit(OWNER, Tag(1), StoreOp::Put { blobs: vec![(hash.clone(), blob)], checkpoints: vec![] });
    completions(&mut store, 1);
    store.close();
    drop(store);
    let path = dir.path().join("content.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(100).position(|window| window == &noise(100)[..]).expect("the blob is in the file");
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (mut store, _) = open_store(Some(dir.path()), dir.path(), None).unwrap();
    store.submit(OWNER, Tag(2), StoreOp::Get { hash });
    let [(2, Completion::Failed(fault))] = &completions(&mut store, 1)[..] else { panic!("it must fail") };
    assert_eq!(fault.errno, Errno::EIO);
    assert!(fault.text.contains("is damaged; see flux fsck"), "{}", fault.text);
}

#[test]
fn a_file_that_is_no_database_is_reported_at_opening() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("content.sqlite"), vec![b'z'; 8192]).unwrap();
    let error = open_store(Some(dir.path()), dir.path(), None).unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
    assert_eq!(error.errno(), Errno::EIO);
}

#[test]
fn a_failed_batch_fails_each_of_its_records_and_the_next_is_taken() {
    let dir = TempDir::new().unwrap();
    let opened = recover::open(&dir.path().join("log")).unwrap();
    let mut log = opened.log;
    log.failing_syncs = 1;
    let (mut store, _) = open_store(None, dir.path(), None).unwrap();
    store.log = LogSide::Idle(Box::new(log));
    store.submit(OWNER, Tag(1), append_op("refused", true));
    let [(1, Completion::Failed(fault))] = &completions(&mut store, 1)[..] else { panic!("it must fail") };
    assert_eq!(fault.errno, Errno::EIO);
    store.submit(OWNER, Tag(2), append_op("taken", true));
    assert!(matches!(completions(&mut store, 1)[..], [(2, Completion::Logged { .. })]));
    store.close();
    let records = recover::open(&dir.path().join("log")).unwrap().records;
    assert_eq!(records.iter().map(|(_, record)| &record[..]).collect::<Vec<_>>(), [b"taken"]);
}

#[test]
fn a_full_database_takes_nothing_of_a_put_and_more_when_there_is_space() {
    let dir = TempDir::new().unwrap();
    let database = Database::open(&dir.path().join("content.sqlite"), true).unwrap();
    database.limit_pages(8);
    let (mut store, _) = open_store(None, dir.path(), None).unwrap();
    store.database = DatabaseSide::Idle(Box::new(database));
    let put = |hash: &str, len| StoreOp::Put {
        blobs: vec![(hash.as_bytes().into(), noise(len).into())],
        checkpoints: vec![(hash.to_owned(), Arc::new(json!({})))],
    };
    store.submit(OWNER, Tag(1), put("small", 10));
    store.submit(OWNER, Tag(2), put("large", 100_000));
    store.submit(OWNER, Tag(3), StoreOp::Get { hash: b"large".as_slice().into() });
    store.submit(OWNER, Tag(4), put("again", 10));
    let done = completions(&mut store, 4);
    let Completion::Failed(fault) = &done[1].1 else { panic!("{done:?}") };
    assert_eq!(fault.errno, Errno::ENOSPC);
    assert_eq!(done[2].1, Completion::Blob(None));
    assert_eq!((&done[0].1, &done[3].1), (&Completion::Stored, &Completion::Stored));
    store.close();
    let checkpoints = Database::open(&dir.path().join("content.sqlite"), true).unwrap().checkpoints().unwrap();
    assert_eq!(checkpoints.len(), 2, "{checkpoints:?}");
}

#[test]
fn what_was_not_marked_before_the_next_checkpoint_is_swept() {
    let dir = TempDir::new().unwrap();
    let (mut store, _) = open_store(Some(dir.path()), dir.path(), None).unwrap();
    let mut run = |op: StoreOp| {
        assert_eq!(store.submit(OWNER, Tag(1), op), None);
        completions(&mut store, 1).remove(0).1
    };
    let hash = |n: u8| -> Arc<[u8]> { Arc::from([n; 4].as_slice()) };
    let blob = |n: u8| -> Arc<[u8]> { Arc::from([n].as_slice()) };
    let put = |range: std::ops::Range<u8>, checkpoint: bool| StoreOp::Put {
        blobs: range.map(|n| (hash(n), blob(n))).collect(),
        checkpoints: if checkpoint { vec![("k".into(), Arc::new(json!(1)))] } else { vec![] },
    };
    run(put(0..10, true)); // Makes epoch 1, and its blobs have that.
    run(put(10..20, true)); // Makes epoch 2.
    let horizon = run(StoreOp::Horizon { below: Some(2) });
    assert_eq!(horizon, Completion::Horizon { epoch: 2, last: 20, below: Some(10) });
    run(put(3..4, false)); // Referred to again: it is as good as new.
    let marked = run(StoreOp::Mark { epoch: 2, hashes: vec![hash(0), hash(99)] });
    assert_eq!(marked, Completion::Marked { count: 1 });
    let sweep = |cursor| StoreOp::Sweep { epoch: 2, cursor, last: 20, deletes_max: 5, rows_max: 9 };
    assert_eq!(run(sweep(0)), Completion::Swept { deleted: 5, cursor: 7 });
    assert_eq!(run(sweep(7)), Completion::Swept { deleted: 3, cursor: 16 });
    assert_eq!(run(sweep(16)), Completion::Swept { deleted: 0, cursor: 20 });
    for n in 0..20 {
        let want = [0, 3].contains(&n) || n >= 10;
        assert_eq!(run(StoreOp::Get { hash: hash(n) }), Completion::Blob(want.then(|| blob(n))), "{n}");
    }
}
