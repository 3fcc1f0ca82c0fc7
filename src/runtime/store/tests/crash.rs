//! A process that is killed in the middle of its work.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

/// In the environment of the process that will be killed: where its store is.
const CHILD: &str = "FLUX_TEST_STORE_CHILD";

/// Goal: every append that was acknowledged before kill -9 is there afterwards, and no other than the next ones.
/// Method: this test starts itself again as a child that appends and says what was acknowledged; kill it after a while that
/// differs from round to round; open the store and compare.
#[test]
fn what_was_acknowledged_survives_a_kill() {
    if let Some(dir) = std::env::var_os(CHILD) {
        append_for_ever(Path::new(&dir));
    }
    let dir = TempDir::new().unwrap();
    let mut known = 0;
    for round in 1..=8u64 {
        let test = "store::tests::crash::what_was_acknowledged_survives_a_kill";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut acked = lines.by_ref().filter_map(|line| line.strip_prefix("acked ")?.parse::<u64>().ok());
        let seen = acked.by_ref().nth(7 * round as usize).expect("the child works until it is killed");
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = acked.last().unwrap_or(seen); // What it had said by then.
        let (mut store, recovered) = open_store(Some(dir.path()), dir.path(), None).unwrap();
        let numbers: Vec<u64> =
            recovered.records.iter().map(|(_, record)| u64::from_le_bytes(record[..8].try_into().unwrap())).collect();
        assert!(seen > known, "round {round} did something");
        assert!(numbers.len() as u64 >= seen, "round {round}: {seen} acknowledged, {} found", numbers.len());
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "round {round}: in order, each once");
        known = numbers.len() as u64;
        store.close();
    }
}

/// Appends records of many lengths, some with a sync, up to 16 at a time, and prints what is acknowledged.
fn append_for_ever(dir: &Path) -> ! {
    let (mut store, recovered) = open_store(Some(dir), dir, None).unwrap();
    let (mut next, mut acked) = (recovered.records.len() as u64, recovered.records.len() as u64);
    let mut inbox = VecDeque::new();
    loop {
        while next < acked + 16 {
            next += 1;
            let mut record = vec![next as u8; 8 + (next as usize * 7919) % 20_000];
            record[..8].copy_from_slice(&next.to_le_bytes());
            store.submit(Owner(1), Tag(1), StoreOp::Append { record: record.into(), sync: next % 3 == 0 });
        }
        store.flush();
        store.drain(&mut inbox);
        for input in inbox.drain(..) {
            assert!(matches!(input, Input::Completion { completion: Completion::Logged { .. }, .. }), "{input:?}");
            acked += 1;
            println!("acked {acked}");
        }
        std::thread::yield_now();
    }
}
