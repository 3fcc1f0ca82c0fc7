use serde_json::json;

use crate::testing::*;

#[test]
fn everything_acknowledged_is_there_after_a_crash() {
    let mut h = Harness::new();
    h.commit(&[put("a.b", "1"), append("log", "x"), put("big", &"y".repeat(1000))]).unwrap();
    h.commit(&[append("log", "y"), unlink("none")]).unwrap();
    let rootref = h.rootref();
    let mut h = h.crash();
    assert_eq!(h.rootref(), rootref);
    assert_eq!(h.get("log").unwrap(), "xy");
    let answer = h.rpc("kvs.getroot", json!({"namespace": "primary"})).unwrap();
    assert_eq!(answer["rootseq"], 2);
    let disk = h.finish();
    assert_eq!(disk.records, [], "a clean stop leaves no log");
    let mut h = Harness::on(disk);
    assert_eq!(h.get("log").unwrap(), "xy");
    assert_eq!(h.get("big").unwrap(), "y".repeat(1000));
    assert_eq!(h.rpc("kvs.getroot", json!({"namespace": "primary"})).unwrap()["rootseq"], 2);
}

#[test]
fn what_waits_in_the_log_reaches_the_database_by_itself() {
    let mut h = Harness::new();
    h.put("a", "1");
    assert_eq!(h.disk.records.len(), 1);
    h.sleep(std::time::Duration::from_secs(61));
    assert_eq!(h.disk.records, []);
    assert!(h.disk.checkpoints.contains_key("kvs-primary"));
    let mut h = h.crash();
    assert_eq!(h.get("a").unwrap(), "1");
    h.finish();
}
