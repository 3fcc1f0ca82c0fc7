//! The store against crashes, torn writes, full disks and damage.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flux_wire::Errno;
use serde_json::json;
use tempfile::TempDir;

use super::format::{FRAME_HEADER_LEN, SEGMENT_HEADER_LEN};
use super::*;
use crate::limits::{SEGMENT_BYTES, UNSYNCED_BYTES_MAX};

mod blobs;
mod crash;
mod handle;

fn open(dir: &TempDir) -> (Log, Vec<Vec<u8>>) {
    let opened = recover::open(dir.path()).unwrap();
    (opened.log, opened.records.into_iter().map(|(_, record)| record.to_vec()).collect())
}

fn append(log: &mut Log, records: &[&[u8]], sync: bool) -> LogPosition {
    let records: Vec<Arc<[u8]>> = records.iter().map(|record| Arc::from(*record)).collect();
    *log.append(&records, sync).unwrap().last().unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn last_file(dir: &TempDir) -> PathBuf {
    files(dir.path()).pop().unwrap()
}

#[test]
fn what_was_appended_is_there_again_with_its_positions() {
    let dir = TempDir::new().unwrap();
    let (mut log, records) = open(&dir);
    assert!(records.is_empty());
    let first = append(&mut log, &[b"one", b""], true);
    let second = append(&mut log, &[b"three"], false);
    assert!(first < second);
    drop(log);
    let opened = recover::open(dir.path()).unwrap();
    let found: Vec<_> = opened.records.iter().map(|(at, record)| (*at, &record[..])).collect();
    assert_eq!(found[1..], [(first, &b""[..]), (second, &b"three"[..])]);
    assert_eq!((found[0].1, opened.torn_bytes), (&b"one"[..], 0));
    assert_eq!(opened.log.end, second.0, "positions go on where they ended");
}

#[test]
fn one_batch_costs_one_sync_and_a_batch_without_a_wish_none() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(&dir);
    let batch: Vec<&[u8]> = vec![b"record"; 500];
    append(&mut log, &batch, true);
    assert_eq!(log.syncs, 1);
    append(&mut log, &batch, false);
    assert_eq!(log.syncs, 1);
    let large = vec![7; UNSYNCED_BYTES_MAX];
    append(&mut log, &[&large], false);
    assert_eq!((log.syncs, log.unsynced.len()), (2, 0), "what is kept in memory is bounded");
}

#[test]
fn a_write_torn_at_any_byte_loses_only_itself() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(&dir);
    append(&mut log, &[b"kept"], true);
    let kept = log.end;
    append(&mut log, &[b"torn"], false);
    let (end, file) = (log.end, last_file(&dir));
    drop(log);
    let whole = fs::read(&file).unwrap();
    for cut in 0..(end - kept) as usize {
        fs::write(&file, &whole[..whole.len() - 1 - cut]).unwrap();
        let opened = recover::open(dir.path()).unwrap();
        assert_eq!(opened.records.len(), 1, "cut by {cut}");
        assert_eq!(opened.log.end, kept);
        assert_eq!(opened.torn_bytes, end - kept - 1 - cut as u64);
        assert_eq!(fs::metadata(&file).unwrap().len(), SEGMENT_HEADER_LEN as u64 + kept, "the tail is cut off");
    }
    let mut holes = whole.clone();
    holes.truncate(SEGMENT_HEADER_LEN + kept as usize);
    holes.extend_from_slice(&[0; 4096]);
    fs::write(&file, holes).unwrap();
    let (mut log, records) = open(&dir);
    assert_eq!(records, [b"kept"]);
    append(&mut log, &[b"after"], true);
    drop(log);
    assert_eq!(open(&dir).1, [b"kept".to_vec(), b"after".to_vec()]);
}

#[test]
fn damage_to_what_was_synced_is_reported_and_never_served() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(&dir);
    append(&mut log, &[b"first"], true);
    append(&mut log, &[b"second"], true);
    append(&mut log, &[b"third"], true);
    let file = last_file(&dir);
    drop(log);
    let whole = fs::read(&file).unwrap();
    for at in [SEGMENT_HEADER_LEN, SEGMENT_HEADER_LEN + 5, SEGMENT_HEADER_LEN + FRAME_HEADER_LEN + 3] {
        let mut wrong = whole.clone();
        wrong[at] ^= 0x40;
        fs::write(&file, &wrong).unwrap();
        let error = recover::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::CorruptLog { offset: 32, .. }), "byte {at}: {error}");
        assert_eq!(error.errno(), Errno::EIO);
    }
    let mut wrong = whole.clone();
    wrong[0] = 0;
    fs::write(&file, &wrong).unwrap();
    assert!(recover::open(dir.path()).unwrap_err().to_string().contains("no header"));
}

#[test]
fn blocks_that_a_power_cut_lost_out_of_order_are_a_torn_tail() {
    // Two writes that no sync had confirmed; the disk has the second one only.
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(&dir);
    append(&mut log, &[b"synced"], true);
    let lost = log.end;
    append(&mut log, &[b"lost"], false);
    let end_of_lost = log.end;
    append(&mut log, &[b"stray"], false);
    let file = OpenOptions::new().write(true).open(last_file(&dir)).unwrap();
    let hole = vec![0; (end_of_lost - lost) as usize];
    file.write_all_at(&hole, SEGMENT_HEADER_LEN as u64 + lost).unwrap();
    drop(log);
    assert_eq!(open(&dir).1, [b"synced"]);
}

#[test]
fn a_log_goes_on_in_new_files_and_trimming_deletes_old_ones() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(&dir);
    let large = vec![1; SEGMENT_BYTES as usize / 2];
    let mut middle = LogPosition(0);
    for round in 0..7 {
        let position = append(&mut log, &[&large], false);
        if round == 3 {
            middle = position;
        }
    }
    let end = append(&mut log, &[b"last"], true);
    assert_eq!(files(dir.path()).len(), 4);
    log.trim(middle).unwrap();
    assert_eq!(files(dir.path()).len(), 2);
    drop(log);
    let (mut log, records) = open(&dir);
    assert_eq!(records.len(), 4, "records before the trim are not given again");
    log.trim(end).unwrap();
    let after = append(&mut log, &[b"more"], true);
    assert!(after > end);
    drop(log);
    assert_eq!(open(&dir).1, [b"more"]);
    let first = files(dir.path()).remove(0);
    fs::copy(&first, dir.path().join("0000000000000000.log")).unwrap();
    assert!(recover::open(dir.path()).unwrap_err().to_string().contains("no header"), "a file under a wrong name");
}

#[test]
fn a_closed_log_of_which_nothing_is_needed_is_empty() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(&dir);
    let len = |dir: &TempDir| files(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    let first = append(&mut log, &[b"one"], true);
    let second = append(&mut log, &[b"two"], false);
    log.trim(first).unwrap();
    log.close().unwrap();
    let (mut log, records) = open(&dir);
    assert_eq!(records, [b"two"]);
    log.trim(second).unwrap();
    let end = log.end;
    log.close().unwrap();
    assert_eq!(len(&dir), SEGMENT_HEADER_LEN as u64);
    let (mut log, records) = open(&dir);
    assert_eq!((records.len(), log.end), (0, end), "positions go on where they ended");
    assert!(append(&mut log, &[b"three"], true) > second);
    log.close().unwrap();
    assert_eq!(open(&dir).1, [b"three"]);
}

#[test]
fn a_missing_file_between_others_is_reported() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(&dir);
    let large = vec![1; SEGMENT_BYTES as usize];
    for _ in 0..3 {
        append(&mut log, &[&large], false);
    }
    drop(log);
    fs::remove_file(&files(dir.path())[1]).unwrap();
    assert!(matches!(recover::open(dir.path()).unwrap_err(), StoreError::CorruptLog { .. }));
}

#[test]
fn a_failed_sync_undoes_its_batch_and_keeps_what_was_written_before() {
    for synced_first in [false, true] {
        let dir = TempDir::new().unwrap();
        let (mut log, _) = open(&dir);
        append(&mut log, &[b"a"], synced_first);
        let before = append(&mut log, &[b"written"], false);
        log.failing_syncs = 1;
        let error = log.append(&[Arc::from(&b"refused"[..])], true).unwrap_err();
        assert_eq!(error.errno(), Errno::EIO);
        assert_eq!(log.end, before.0);
        // What the kernel may have dropped: everything that was not synced.
        let file = OpenOptions::new().write(true).open(last_file(&dir)).unwrap();
        file.set_len(SEGMENT_HEADER_LEN as u64 + log.synced_to).unwrap();
        append(&mut log, &[b"next"], true);
        drop(log);
        assert_eq!(open(&dir).1, [&b"a"[..], b"written", b"next"], "synced first: {synced_first}");
    }
}

#[test]
fn a_full_disk_refuses_the_batch_whole_and_the_log_recovers_by_itself() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(&dir);
    append(&mut log, &[b"before"], true);
    let size = flux_sys::rlimit::by_name("fsize").unwrap();
    let (soft, hard) = flux_sys::rlimit::get(size).unwrap();
    flux_sys::signal::ignore(flux_sys::signal::Name::SIGXFSZ as i32).unwrap();
    flux_sys::rlimit::set(size, 1 << 20, hard).unwrap();
    let (small, large) = (Arc::from(&b"small"[..]), Arc::from(vec![7; 2 << 20]));
    let error = log.append(&[small, large], true).unwrap_err();
    assert_eq!(error.errno(), Errno::EFBIG, "{error}");
    append(&mut log, &[b"fits"], true);
    flux_sys::rlimit::set(size, soft, hard).unwrap();
    append(&mut log, &[b"after"], true);
    drop(log);
    assert_eq!(open(&dir).1, [&b"before"[..], b"fits", b"after"]);
}

#[test]
fn an_interrupted_start_of_a_file_is_cleared_away() {
    let dir = TempDir::new().unwrap();
    let (mut log, _) = open(&dir);
    append(&mut log, &[b"kept"], true);
    drop(log);
    fs::write(dir.path().join("00000000000000ff.tmp"), b"half a head").unwrap();
    assert_eq!(open(&dir).1, [b"kept"]);
    assert_eq!(files(dir.path()).len(), 1);
}
