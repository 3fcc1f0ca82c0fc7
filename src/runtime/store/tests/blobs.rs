//! Blobs that are not stored as they are, and signed jobspecs above all.

use super::super::form::hash_like;
use super::*;

fn hashed(blob: &[u8]) -> (Arc<[u8]>, Arc<[u8]>) {
    (hash_like(&[0; 20], blob).unwrap().into(), blob.into())
}

/// A signed jobspec of `user` (the base64 of "version\0i1\0userid\0i" and a number) with 3 KB of environment.
fn signed_jobspec(user: char) -> (Arc<[u8]>, Arc<[u8]>) {
    let payload = "eyJhIjoi".repeat(512);
    hashed(format!("dmVyc2lvbgBpMQB1c2VyaWQAaT{user}A.{payload}.none").as_bytes())
}

fn database(dir: &TempDir) -> Database {
    Database::open(&dir.path().join("content.sqlite"), true).unwrap()
}

fn count(database: &mut Database, what: &str) -> i64 {
    database.sqlite().query_row(&format!("SELECT {what} FROM objects"), [], |row| row.get(0)).unwrap()
}

#[test]
fn signed_jobspecs_share_a_payload_that_is_compressed() {
    let dir = TempDir::new().unwrap();
    let mut database = database(&dir);
    let signed: Vec<_> = ['A', 'B', 'C', 'D'].into_iter().map(signed_jobspec).collect();
    for blob in &signed {
        database.put(std::slice::from_ref(blob), &[]).unwrap();
    }
    assert_eq!(count(&mut database, "COUNT(*)"), 5, "four and their payload");
    let bytes = count(&mut database, "SUM(LENGTH(object))");
    assert!(bytes < 1024, "{bytes} bytes of {} each", signed[0].1.len());
    for (hash, blob) in &signed {
        assert_eq!(database.get(hash).unwrap().as_ref(), Some(blob));
    }
}

#[test]
fn a_payload_lasts_as_long_as_a_signed_jobspec_that_needs_it() {
    let dir = TempDir::new().unwrap();
    let mut database = database(&dir);
    let (one, two) = (signed_jobspec('A'), signed_jobspec('B'));
    let checkpoint = [("k".to_owned(), Arc::new(json!(1)))];
    database.put(&[one.clone(), two.clone()], &checkpoint).unwrap();
    let mut collect = |epoch: u64, kept: &[Arc<[u8]>]| {
        database.put(&[], &checkpoint).unwrap();
        assert_eq!(database.mark(epoch, kept).unwrap(), kept.len() as u64);
        database.sweep(epoch, (0, 99), (99, 99)).unwrap();
        let found = [&one, &two].map(|(hash, _)| database.get(hash).unwrap());
        (found, count(&mut database, "COUNT(*)"))
    };
    assert_eq!(collect(2, std::slice::from_ref(&two.0)), ([None, Some(two.1.clone())], 2));
    assert_eq!(collect(3, &[]), ([None, None], 0));
}

#[test]
fn damage_below_a_blob_is_an_error_and_never_served() {
    let damages = [
        "UPDATE objects SET object = ZEROBLOB(LENGTH(object)) WHERE form = 1",
        "UPDATE objects SET size = 1 << 40 WHERE form = 1",
        "UPDATE objects SET size = -1 WHERE form = 1",
        "UPDATE objects SET form = 2 WHERE form = 1",
        "UPDATE objects SET form = 77 WHERE form = 2",
        "UPDATE objects SET object = X'00' WHERE form = 2",
        "UPDATE objects SET object = SUBSTR(object, 1, LENGTH(object) - 1) WHERE form = 2",
        "DELETE FROM objects WHERE form = 1",
    ];
    for damage in damages {
        let dir = TempDir::new().unwrap();
        let mut database = database(&dir);
        let (hash, blob) = signed_jobspec('A');
        database.put(&[(hash.clone(), blob)], &[]).unwrap();
        database.sqlite().execute_batch(damage).unwrap();
        let error = database.get(&hash).expect_err(damage);
        assert!(matches!(error, StoreError::CorruptBlob { .. }), "{damage}: {error}");
    }
}

#[test]
fn a_database_of_an_earlier_version_is_read_and_written() {
    let dir = TempDir::new().unwrap();
    let (hash, blob) = signed_jobspec('A');
    let sqlite = rusqlite::Connection::open(dir.path().join("content.sqlite")).unwrap();
    sqlite.execute_batch("CREATE TABLE objects(hash BLOB PRIMARY KEY, size INT, object BLOB)").unwrap();
    let text = "INSERT INTO objects VALUES (?1, ?2, ?3)";
    sqlite.execute(text, rusqlite::params![&*hash, blob.len() as i64, &*blob]).unwrap();
    sqlite.close().unwrap();
    let mut database = database(&dir);
    let other = signed_jobspec('B');
    database.put(std::slice::from_ref(&other), &[]).unwrap();
    assert_eq!(database.get(&hash).unwrap(), Some(blob));
    assert_eq!(database.get(&other.0).unwrap(), Some(other.1));
}
