//! The tools on files of the examples.

use super::*;

fn words(line: &str) -> impl Iterator<Item = OsString> {
    line.split_whitespace().map(OsString::from).collect::<Vec<_>>().into_iter()
}

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/schedules");

#[test]
fn what_is_no_jobspec_is_told_from_what_cannot_be_read() {
    assert_eq!(jobspec_validate(words("/nonexistent")), ExitCode::from(1));
    assert_eq!(jobspec_validate(words(&format!("{EXAMPLES}/four-nodes.json"))), ExitCode::from(2));
}

#[test]
fn a_recipe_must_be_one() {
    for bad in ["", "a b", "--x a", "/nonexistent", &format!("{EXAMPLES}/four-nodes.json")] {
        assert_eq!(grug2dot(words(bad)), ExitCode::from(1), "words {bad:?}");
    }
}
