use std::collections::BTreeSet;

use super::*;
use crate::testing::{Xorshift, hostile_texts};

#[test]
fn idsets_follow_rfc22() {
    // text, as ranges, one by one, with brackets
    let rows = [
        ("", "", "", ""),
        ("[]", "", "", ""),
        ("0", "0", "0", "0"),
        ("[42]", "42", "42", "42"),
        ("1,2,3,5,6,42", "1-3,5-6,42", "1,2,3,5,6,42", "[1-3,5-6,42]"),
        ("1-3,5-6,42", "1-3,5-6,42", "1,2,3,5,6,42", "[1-3,5-6,42]"),
        ("[1-3,5-6,42]", "1-3,5-6,42", "1,2,3,5,6,42", "[1-3,5-6,42]"),
        ("0-1", "0-1", "0,1", "[0-1]"),
        ("1-2,3,4-5", "1-5", "1,2,3,4,5", "[1-5]"),
        ("1,,2,", "1-2", "1,2", "[1-2]"),
        ("2147483647", "2147483647", "2147483647", "2147483647"),
    ];
    for (text, ranged, plain, bracketed) in rows {
        let set = Idset::parse(text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(set.to_string(), ranged, "input {text:?}");
        assert_eq!(set.encode(IdsetFormat::PLAIN), plain, "input {text:?}");
        assert_eq!(set.encode(IdsetFormat::RANGE_BRACKETS), bracketed, "input {text:?}");
    }
}

#[test]
fn what_is_no_idset_is_refused() {
    let rows = [
        "a",
        "1-",
        "-1",
        "-",
        "1-1",
        "2-1",
        "1--2",
        "01",
        "00",
        "1-02",
        "2,1",
        "1,1",
        "1-5,5",
        "3-4,1",
        "1 ",
        " 1",
        "1, 2",
        "+1",
        "[1",
        "1]",
        "[[1]]",
        "[1],2",
        "[1][2]",
        "][",
        "2147483648",
        "0-4294967296",
        "99999999999999999999",
        "1-2-3",
        "1.5",
        "0x1",
    ];
    for text in rows {
        assert!(Idset::parse(text).is_err(), "input {text:?}");
    }
    assert_eq!(Idset::parse("0-2147483648").unwrap_err().errno(), 34);
}

#[test]
fn a_million_ids_cost_one_range() {
    let mut set = Idset::parse("0-1000000").unwrap();
    assert_eq!((set.ranges().len(), set.count(), set.first(), set.last()), (1, 1_000_001, Some(0), Some(1_000_000)));
    assert!(set.remove(500_000) && !set.remove(500_000) && set.insert(500_000) && !set.insert(500_000));
    assert_eq!(set.to_string(), "0-1000000");
    let all = Idset::range(0, IDSET_ID_MAX);
    assert_eq!(all.count(), 1 << 31);
    assert_eq!(all.subtract(&set).to_string(), "1000001-2147483647");
    assert_eq!(
        (all.next_after(IDSET_ID_MAX), all.next_after(u32::MAX), all.prev_before(u32::MAX)),
        (None, None, Some(IDSET_ID_MAX))
    );
}

#[test]
fn idsets_travel_as_json_strings() {
    let set: Idset = serde_json::from_str("\"0-3,7\"").unwrap();
    assert_eq!(serde_json::to_string(&set).unwrap(), "\"0-3,7\"");
    assert!(serde_json::from_str::<Idset>("\"3-1\"").is_err());
    assert!(serde_json::from_str::<Idset>("[1]").is_err());
}

/// Goal: every operation agrees with a plain set of integers. Method: the same random steps on both.
#[test]
fn idsets_agree_with_a_plain_set() {
    for seed in 1..200u64 {
        let mut rng = Xorshift(seed);
        let (mut set, mut model) = (Idset::new(), BTreeSet::new());
        for _ in 0..60 {
            let lo = rng.below(80) as u32;
            let hi = lo + rng.below(9) as u32;
            match rng.below(5) {
                0 => assert_eq!(set.insert(lo), model.insert(lo)),
                1 => assert_eq!(set.remove(lo), model.remove(&lo)),
                2 => {
                    set.remove_range(lo, hi);
                    model.retain(|id| !(lo..=hi).contains(id));
                }
                _ => {
                    set.insert_range(lo, hi);
                    model.extend(lo..=hi);
                }
            }
            assert!(set.iter().eq(model.iter().copied()), "seed {seed}");
            assert!(set.iter().rev().eq(model.iter().rev().copied()), "seed {seed}");
            assert!(set.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0), "seed {seed}: {set:?}");
            let id = rng.below(90) as u32;
            assert_eq!(set.contains(id), model.contains(&id), "seed {seed}");
            assert_eq!(set.next_after(id), model.range(id + 1..).next().copied(), "seed {seed}");
            assert_eq!(set.prev_before(id), model.range(..id).next_back().copied(), "seed {seed}");
            assert_eq!(set.nth(id as usize), model.iter().nth(id as usize).copied(), "seed {seed}");
            assert_eq!(set.count_below(id), model.range(..id).count(), "seed {seed}");
            assert_eq!(
                (set.first(), set.last(), set.count()),
                (model.first().copied(), model.last().copied(), model.len())
            );
            assert_eq!(Idset::parse(&set.to_string()), Ok(set.clone()), "seed {seed}");
            assert_eq!(Idset::parse(&set.encode(IdsetFormat::BRACKETS)), Ok(set.clone()), "seed {seed}");
        }
    }
}

#[test]
fn set_algebra_agrees_with_plain_sets() {
    for seed in 1..500u64 {
        let mut rng = Xorshift(seed);
        let mut random = || -> BTreeSet<u32> { (0..rng.below(20)).map(|_| rng.below(30) as u32).collect() };
        let (a, b) = (random(), random());
        let (x, y): (Idset, Idset) = (a.iter().copied().collect(), b.iter().copied().collect());
        let set = |ids: BTreeSet<u32>| ids.into_iter().collect::<Idset>();
        assert_eq!(x.union(&y), set(&a | &b), "seed {seed}");
        assert_eq!(x.intersect(&y), set(&a & &b), "seed {seed}");
        assert_eq!(x.subtract(&y), set(&a - &b), "seed {seed}");
        assert_eq!(x.intersects(&y), !a.is_disjoint(&b), "seed {seed}");
        assert_eq!(x.is_subset(&y), a.is_subset(&b), "seed {seed}");
        let (mut grown, mut shrunk) = (x.clone(), x.clone());
        grown.extend_from(&y);
        shrunk.remove_all(&y);
        assert_eq!((grown, shrunk), (x.union(&y), x.subtract(&y)), "seed {seed}");
        let n = (seed % 12) as usize;
        let mut rest = x.clone();
        let taken = rest.take_first(n);
        assert!(taken.iter().eq(a.iter().copied().take(n)) && rest.iter().eq(a.iter().copied().skip(n)), "seed {seed}");
    }
}

#[test]
fn hostile_idsets_never_panic_and_what_parses_round_trips() {
    hostile_texts(11, &["1-3,5-6,42", "[0-1000000]", "2147483647", "0-1,3"], "0123456789,-[]", |text| {
        if let Ok(set) = Idset::parse(text) {
            assert_eq!(Idset::parse(&set.to_string()).as_ref(), Ok(&set), "{text:?}");
            assert_eq!(Idset::parse(&set.encode(IdsetFormat::RANGE_BRACKETS)), Ok(set), "{text:?}");
        }
    });
}
