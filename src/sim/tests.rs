use super::run;

#[test]
fn a_seed_goes_the_same_way_twice() {
    for seed in [1, 2] {
        let (first, second) = (run(seed, false), run(seed, false));
        assert_eq!((first.hash, first.steps), (second.hash, second.steps), "seed {seed}");
        assert!(first.messages > 0 || first.jobs > 0, "seed {seed} does something");
    }
}

#[test]
fn the_trace_changes_nothing() {
    let (quiet, told) = (run(3, false), run(3, true));
    assert_eq!(quiet.hash, told.hash);
    assert!(quiet.trace.is_empty() && told.trace.len() > 100);
}
