use super::*;
use crate::testing::{Xorshift, hostile_texts};

fn list(text: &str) -> Hostlist {
    Hostlist::parse(text).unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

fn names(list: &Hostlist) -> String {
    list.iter().collect::<Vec<_>>().join(",")
}

#[test]
fn hostlists_follow_rfc29_test_vectors() {
    // text, its names, its shortest text
    let rows = [
        ("", "", ""),
        ("foox,fooy,fooz", "foox,fooy,fooz", "foox,fooy,fooz"),
        ("[1-3,5-6]", "1,2,3,5,6", "[1-3,5-6]"),
        ("foo[1-5]", "foo1,foo2,foo3,foo4,foo5", "foo[1-5]"),
        (
            "foo[0-4]-eth2",
            "foo0-eth2,foo1-eth2,foo2-eth2,foo3-eth2,foo4-eth2",
            "foo0-eth2,foo1-eth2,foo2-eth2,foo3-eth2,foo4-eth2",
        ),
        ("foo1,foo1,foo1", "foo1,foo1,foo1", "foo[1,1,1]"),
        ("[00-02]", "00,01,02", "[00-02]"),
        ("[00-2]", "00,01,02", "[00-02]"),
        ("foo[1,1,2,1]", "foo1,foo1,foo2,foo1", "foo[1,1-2,1]"),
        // And some of our own.
        ("foo[005,4,11-13]", "foo005,foo4,foo11,foo12,foo13", "foo[005,4,11-13]"),
        ("foo8,foo9,foo10,foo11", "foo8,foo9,foo10,foo11", "foo[8-11]"),
        ("foo98,foo099,foo100", "foo98,foo099,foo100", "foo[98,099-100]"),
        ("foo[098-101]", "foo098,foo099,foo100,foo101", "foo[098-101]"),
        ("foo[999-1000],foo01001", "foo999,foo1000,foo01001", "foo[999-1000,01001]"),
        ("a1,b1,a2", "a1,b1,a2", "a1,b1,a2"),
        ("foo,foo1,foo,foo", "foo,foo1,foo,foo", "foo,foo1,foo,foo"),
        (" a1\ta2, ,a3,", "a1,a2,a3", "a[1-3]"),
        ("n123456789012345678901", "n123456789012345678901", "n123456789012345678901"),
        ("n000000000000000000001", "n000000000000000000001", "n000000000000000000001"),
        ("h[7]", "h7", "h7"),
        ("h[007-007]", "h007", "h007"),
    ];
    for (text, want, encoded) in rows {
        assert_eq!(names(&list(text)), want, "input {text:?}");
        assert_eq!(list(text).to_string(), encoded, "input {text:?}");
        assert_eq!(list(encoded), list(text), "input {text:?}");
        assert_eq!(list(text).count(), list(text).iter().count(), "input {text:?}");
    }
}

#[test]
fn what_is_no_hostlist_is_refused() {
    let rows = [
        "foo[",
        "foo]",
        "foo[]",
        "foo[1",
        "foo1]",
        "foo[1]]",
        "foo[[1]]",
        "foo[1][2]",
        "a[1]b[2]",
        "foo[1-]",
        "foo[-1]",
        "foo[2-1]",
        "foo[1,]",
        "foo[,1]",
        "foo[a]",
        "foo[1-2-3]",
        "foo[1 2]",
        "foo[+1]",
        "foo[0-1048576]",
        "foo\n",
        "fée",
        "x[0-1]y[",
        "foo[1234567890123456789]",
        "a,b[,c",
    ];
    for text in rows {
        assert!(Hostlist::parse(text).is_err(), "input {text:?}");
    }
    let mut hosts = Hostlist::new();
    for name in ["", "a,b", "a b", "a[1]", "a]"] {
        assert!(hosts.push(name).is_err(), "name {name:?}");
    }
    assert!(Hostlist::parse(&"x".repeat(1024)).is_err() && Hostlist::parse(&"x".repeat(1023)).is_ok());
    assert_eq!(Hostlist::parse("n[0-1048575]-very-long-suffix").unwrap_err(), HostlistError::ExpansionTooLong);
    let many = "n[0-1048575],".repeat(5);
    assert_eq!(Hostlist::parse(&many).unwrap_err(), HostlistError::TooManyHosts);
}

#[test]
fn a_million_hosts_cost_one_run() {
    let mut hosts = list("n[0-1048575]");
    assert_eq!((hosts.runs.len(), hosts.count()), (1, 1 << 20));
    assert_eq!(hosts.nth(777_777).as_deref(), Some("n777777"));
    assert_eq!(hosts.find("n777777"), Some(777_777));
    assert!(hosts.remove(500) && !hosts.contains("n500"));
    assert_eq!((hosts.runs.len(), hosts.count()), (2, (1 << 20) - 1));
    hosts.append("n[500-600]").unwrap();
    hosts.uniq();
    assert_eq!(hosts.to_string(), "n[0-1048575]");
}

#[test]
fn names_are_found_as_they_are_written() {
    let rows = [
        ("foo[1-5]", "foo3", Some(2)),
        ("foo[01-05]", "foo3", None),
        ("foo[01-05]", "foo03", Some(2)),
        ("foo[01-05]", "foo003", None),
        ("a,b,a", "a", Some(0)),
        ("f00[1-2]", "f002", Some(1)),
        ("foo[098-101]", "foo100", Some(2)),
        ("foo", "fo", None),
        ("foo[1-5]", "foo", None),
        ("foo[1-5]", "foo6", None),
        ("foo[0-4]-eth2", "foo3-eth2", Some(3)),
        ("", "", None),
        ("f0[0-20]", "f010", Some(10)),
        ("x,foo[1,1]", "foo1", Some(1)),
    ];
    for (text, name, want) in rows {
        assert_eq!(list(text).find(name), want, "{name:?} in {text:?}");
    }
}

#[test]
fn deleting_takes_the_first_of_each_name() {
    let rows = [
        ("foo[1-5]", "foo3", 1, "foo[1-2,4-5]"),
        ("a,b,a", "a", 1, "b,a"),
        ("a,b,a", "a,a", 2, "b"),
        ("foo[1-5]", "foo[9,1,5]", 2, "foo[2-4]"),
        ("foo[1,5,2]", "foo5", 1, "foo[1-2]"),
        ("a", "a", 1, ""),
        ("", "a", 0, ""),
    ];
    for (text, gone, count, left) in rows {
        let mut hosts = list(text);
        assert_eq!(hosts.delete(gone), Ok(count), "{gone:?} from {text:?}");
        assert_eq!((hosts.to_string().as_str(), hosts.count()), (left, list(left).count()), "{gone:?} from {text:?}");
    }
    assert!(list("a").delete("[").is_err());
}

#[test]
fn sorting_keeps_repeats_and_uniq_takes_them_out() {
    let rows = [
        ("foo[5-7],foo[6-8]", "foo[5-6,6-7,7-8]", "foo[5-8]"),
        ("foo3,foo2,foo1", "foo[1-3]", "foo[1-3]"),
        ("b1,a2,a10,a1,a", "a,a[1-2,10],b1", "a,a[1-2,10],b1"),
        ("foo10,foo9,foo010,foo09", "foo[9,09-10,010]", "foo[9,09-10,010]"),
        ("b,a,b,a", "a,a,b,b", "a,b"),
        ("n[1-3],n[1-3]", "n[1,1-2,2-3,3]", "n[1-3]"),
        ("foo[005,4,11-13]", "foo[4,11-13,005]", "foo[4,11-13,005]"),
        ("foo[1,1,2,1]", "foo[1,1,1-2]", "foo[1-2]"),
        ("", "", ""),
    ];
    for (text, sorted, unique) in rows {
        let mut hosts = list(text);
        hosts.sort();
        assert_eq!((hosts.to_string().as_str(), hosts.count()), (sorted, list(text).count()), "input {text:?}");
        hosts.uniq();
        assert_eq!(hosts.to_string(), unique, "input {text:?}");
    }
}

/// Goal: every operation agrees with a plain list of names. Method: the same random names to both.
#[test]
fn hostlists_agree_with_a_plain_list() {
    for seed in 1..600u64 {
        let mut rng = Xorshift(seed);
        let mut model: Vec<String> = Vec::new();
        let mut hosts = Hostlist::new();
        for _ in 0..rng.below(30) {
            let prefix = *rng.pick(&["a", "b", "", "a0", "a-"]);
            let (number, width) = (rng.below(13), rng.below(4) as usize);
            let count = rng.below(4);
            hosts.append(&format!("{prefix}[{number:0width$}-{}]", number + count)).unwrap();
            model.extend((number..=number + count).map(|n| format!("{prefix}{n:0width$}")));
        }
        assert!(hosts.iter().eq(model.iter().cloned()), "seed {seed}");
        assert_eq!(list(&hosts.to_string()), hosts, "seed {seed}");
        assert_eq!(list(&model.join(",")), hosts, "seed {seed}");
        let n = rng.below(50) as usize;
        assert_eq!(hosts.nth(n), model.get(n).cloned(), "seed {seed}");
        let places: Idset = (0..rng.below(20)).map(|_| rng.below(70) as u32).collect();
        let picked: Vec<String> = places.iter().filter_map(|place| model.get(place as usize).cloned()).collect();
        assert!(hosts.select(&places).iter().eq(picked), "seed {seed}");
        for name in &model {
            assert_eq!(hosts.find(name), model.iter().position(|m| m == name), "seed {seed}");
        }
        let mut sorted = hosts.clone();
        sorted.sort();
        let mut by_count: Vec<&String> = model.iter().collect();
        by_count.sort();
        let mut back: Vec<String> = sorted.iter().collect();
        back.sort();
        assert!(back.iter().eq(by_count), "seed {seed}");
        assert_eq!(hosts.remove(n), n < model.len(), "seed {seed}");
        if n < model.len() {
            model.remove(n);
        }
        assert_eq!(list(&model.join(",")), hosts, "seed {seed}");
    }
}

#[test]
fn hostile_hostlists_never_panic_and_what_parses_round_trips() {
    let samples =
        ["foo[1-5]", "foo[0-4]-eth2", "[00-02],a", "foo[005,4,11-13]", "n[0-1048575]", "foo99999999999999999"];
    hostile_texts(17, &samples, "fo0123456789,-[] ", |text| {
        if let Ok(hosts) = Hostlist::parse(text) {
            assert!(Hostlist::parse(&hosts.to_string()).as_ref() == Ok(&hosts), "{text:?}");
            let mut sorted = hosts.clone();
            sorted.uniq();
            assert!(sorted.count() <= hosts.count());
        }
    });
}
