use serde_json::json;

use super::*;
use crate::constraint::Constraint;
use crate::testing::{Xorshift, hostile_texts};

/// RFC 20 "Example R", in flux-core's key order.
const RFC20: &str = r#"{"version":1,"execution":{"R_lite":[{"rank":"19-22","children":{"core":"0-47","gpu":"0-7"}}],"nslots":32,"starttime":1676560542.0,"expiration":1676562342.0,"nodelist":["node[186-189]"]}}"#;
const MIXED: &str = r#"{"version":1,"execution":{"R_lite":[{"rank":"0,2","children":{"core":"0-3"}},{"rank":"1","children":{"core":"0-3","gpu":"0"}},{"rank":"3","children":{"gpu":"0-1"}}],"starttime":0.0,"expiration":0.0,"nodelist":["a[0-2],b"],"properties":{"big":"1,3","x@gpu":"1"}},"scheduling":{"graph":{"nodes":[]}}}"#;

fn set(text: &str) -> ResourceSet {
    ResourceSet::parse(text).unwrap()
}

fn ids(text: &str) -> Idset {
    Idset::parse(text).unwrap()
}

/// `0-3:0-7 4:0-3/0` is ranks 0-3 with cores 0-7, and rank 4 with cores 0-3 and GPU 0; hosts are `n<rank>`.
fn make(text: &str) -> ResourceSet {
    let mut out = ResourceSet::new();
    for part in text.split_whitespace() {
        let (ranks, children) = part.split_once(':').unwrap();
        let (cores, gpus) = children.split_once('/').unwrap_or((children, ""));
        for rank in ids(ranks).iter() {
            out.insert(rank, Node::new(&format!("n{rank}"), ids(cores), ids(gpus))).unwrap();
        }
    }
    out
}

#[test]
fn r_reads_and_writes_the_same_bytes() {
    for text in [RFC20, MIXED] {
        assert_eq!(set(text).encode(), text);
        assert_eq!(set(&set(text).encode_spaced()), set(text));
    }
    let r = set(RFC20);
    assert_eq!((r.nnodes(), r.ncores(), r.ngpus(), r.nslots), (4, 192, 32, Some(32)));
    assert_eq!((r.starttime, r.expiration), (1676560542.0, 1676562342.0));
    assert_eq!(
        (r.ranks().to_string(), r.nodelist().unwrap().encode()),
        ("19-22".to_owned(), "node[186-189]".to_owned())
    );
    assert_eq!((r.count("core"), r.count("node"), r.count("gpu"), r.count("memory")), (192, 4, 32, 0));
    assert_eq!(r.get(20).unwrap().host.as_deref(), Some("node187"));
    assert_eq!(r.dumps(), "rank[19-22]/core[0-47],gpu[0-7]");
    assert_eq!(set(MIXED).dumps(), "rank[0,2]/core[0-3] rank1/core[0-3],gpu0 rank3/gpu[0-1]");
}

#[test]
fn entries_may_come_in_any_order_and_add_up() {
    let r = set(
        r#"{"version":1,"execution":{"R_lite":[{"rank":"1","children":{"core":"2-3"}},{"rank":"0-1","children":{"core":"0-1"}}],"nodelist":["a","b"]},"extra":1}"#,
    );
    assert_eq!(r.dumps(), "rank0/core[0-1] rank1/core[0-3]");
    assert_eq!(r.get(1).unwrap().host.as_deref(), Some("b"));
    assert_eq!(set(r#"{"version":1,"execution":{"R_lite":[{"rank":"0","children":{"core":"0"}}]}}"#).nodelist(), None);
}

#[test]
fn nodes_without_resources_are_dropped_with_their_names_and_properties() {
    let r = set(
        r#"{"version":1,"execution":{"R_lite":[{"rank":"0","children":{"core":""}},{"rank":"1","children":{"core":"0"}}],"nodelist":["a[0-1]"],"properties":{"p":"0-1","q":"0"}}}"#,
    );
    assert_eq!(r.nodelist().unwrap().encode(), "a1");
    assert_eq!(r.properties_value(), json!({"p": "1"}));
}

#[test]
fn bad_r_is_refused_with_the_reason() {
    let exec = |execution: Value| json!({"version": 1, "execution": execution});
    let entry = |entry: Value| exec(json!({ "R_lite": [entry] }));
    let good = json!({"rank": "0", "children": {"core": "0"}});
    let rows = [
        (json!([]), "R: R must be an object"),
        (json!({"execution": {}}), "R: Missing key (version)"),
        (json!({"version": "1"}), "R: version must be an integer"),
        (json!({"version": 2}), "invalid version=2"),
        (json!({"version": 1}), "R: Missing key (execution)"),
        (exec(json!({})), "R: Missing key (execution.R_lite)"),
        (exec(json!({"R_lite": {}})), "R: R_lite must be an array"),
        (entry(json!(1)), "R: Missing key (R_lite.rank)"),
        (entry(json!({"rank": "0"})), "R: Missing key (R_lite.children)"),
        (entry(json!({"rank": 0, "children": {}})), "R: R_lite rank must be an idset string"),
        (entry(json!({"rank": "x", "children": {}})), "invalid idset 'x' in R_lite rank"),
        (entry(json!({"rank": "0", "children": {"core": "x"}})), "invalid idset 'x' in core"),
        (entry(json!({"rank": "0", "children": {"core": 1}})), "R: R_lite children must be an idset string"),
        (entry(json!({"rank": "0-2000000000", "children": {"core": "0"}})), "more than 262144 execution targets"),
        (entry(json!({"rank": "0", "children": {"core": "0-2000000000"}})), "more than 65536 resources"),
        (exec(json!({"R_lite": [good, good]})), "rank 0: core0 is there twice"),
        (exec(json!({"R_lite": [good], "nodelist": ["a[0-1]"]})), "nodelist has 2 hosts for 1 execution targets"),
        (exec(json!({"R_lite": [good], "nodelist": "a"})), "R: nodelist must be an array of hostlist strings"),
        (exec(json!({"R_lite": [good], "nodelist": ["a["]})), "invalid hostlist 'a[' in nodelist"),
        (exec(json!({"R_lite": [good], "starttime": "1"})), "R: starttime must be a number"),
        (exec(json!({"R_lite": [good], "nslots": 1.5})), "R: nslots must be an integer"),
        (exec(json!({"R_lite": [good], "properties": []})), "R: properties must be an object of idset strings"),
        (exec(json!({"R_lite": [good], "properties": {"a": 1}})), "R: properties must be an idset string"),
        (exec(json!({"R_lite": [good], "properties": {"a": "x"}})), "invalid idset 'x' in property \"a\""),
        (exec(json!({"R_lite": [good], "properties": {"a|b": "0"}})), "invalid character '|' in property \"a|b\""),
        (exec(json!({"R_lite": [good], "properties": {"a": "0-2"}})), "ranks 1-2 not found in target resource list"),
        (exec(json!({"R_lite": [good], "properties": {"a": "5"}})), "rank 5 not found in target resource list"),
    ];
    for (value, want) in rows {
        let got = ResourceSet::from_value(&value).unwrap_err().to_string();
        assert!(got.starts_with(want), "{value}: {got}");
    }
}

#[test]
fn set_algebra_works_on_ids() {
    let rows = [
        // a, b, a - b, b - a, a and b, a or b
        (
            "0-1:0-3",
            "1-2:2-5",
            "rank0/core[0-3] rank1/core[0-1]",
            "rank1/core[4-5] rank2/core[2-5]",
            "rank1/core[2-3]",
            "rank0/core[0-3] rank1/core[0-5] rank2/core[2-5]",
        ),
        ("0:0-3/0-1", "0:0-3/1", "rank0/gpu0", "", "rank0/core[0-3],gpu1", "rank0/core[0-3],gpu[0-1]"),
        ("0:0", "1:0", "rank0/core0", "rank1/core0", "", "rank[0-1]/core0"),
        ("", "0:0", "", "rank0/core0", "", "rank0/core0"),
        ("3:1,3", "3:1,3", "", "", "rank3/core[1,3]", "rank3/core[1,3]"),
    ];
    for (a, b, a_b, b_a, both, either) in rows {
        let (a, b) = (make(a), make(b));
        assert_eq!(a.diff(&b).dumps(), a_b);
        assert_eq!(b.diff(&a).dumps(), b_a);
        assert_eq!(a.intersect(&b).dumps(), both);
        assert_eq!(a.union(&b).unwrap().dumps(), either);
        assert_eq!(b.union(&a).unwrap().dumps(), either);
    }
}

#[test]
fn append_refuses_what_is_there_and_then_changes_nothing() {
    let mut a = make("0-1:0-3");
    let before = a.clone();
    let error = a.append(&make("2:0 1:3-4")).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.errno()), ("rank 1: core3 is there twice", 17));
    assert_eq!(a, before);
    a.append(&make("1:4-5 2:0")).unwrap();
    assert_eq!(a.dumps(), "rank0/core[0-3] rank1/core[0-5] rank2/core0");
    a.add(&make("0:3-4")).unwrap();
    assert_eq!(a.get(0).unwrap().cores, ids("0-4"));
}

#[test]
fn properties_and_scheduling_follow_the_nodes() {
    let r = set(MIXED);
    let some = r.copy_ranks(&ids("0-1,9"));
    assert_eq!(some.properties_value(), json!({"big": "1", "x@gpu": "1"}));
    assert!(some.scheduling.is_some() && some.nodelist().unwrap().encode() == "a[0-1]");
    assert!(r.copy_ranks(&ids("9")).scheduling.is_none());
    assert_eq!(r.diff(&r.copy_ranks(&ids("1"))).properties_value(), json!({"big": "3"}));
    let mut rest = r.clone();
    assert_eq!(rest.remove_ranks(&ids("3,7")), 1);
    assert_eq!(rest.properties_value(), json!({"big": "1", "x@gpu": "1"}));
    rest.clear_property("big", &ids("1"));
    rest.set_property("+queue", &ids("0-2")).unwrap();
    assert_eq!(rest.properties_value(), json!({"+queue": "0-2", "x@gpu": "1"}));
    rest.drop_local_properties();
    assert_eq!(rest.properties_value(), json!({"x@gpu": "1"}));
    assert_eq!(rest.set_property("p", &ids("8")).unwrap_err().errno(), 2);
    assert!(rest.set_property("a&b", &ids("0")).is_err() && rest.set_property("", &ids("0")).is_err());
}

#[test]
fn nodes_are_picked_by_constraint_and_by_host() {
    let r = set(MIXED);
    let rows = [
        (json!({"properties": ["big"]}), "1,3"),
        (json!({"properties": ["^big"]}), "0,2"),
        (json!({"hostlist": ["a[0-1],b"]}), "0-1,3"),
        (json!({"ranks": ["0-2"]}), "0-2"),
        (json!({"and": [{"ranks": ["0-2"]}, {"not": [{"properties": ["big"]}]}]}), "0,2"),
        (json!({}), "0-3"),
    ];
    for (constraint, want) in rows {
        let constraint = Constraint::from_value(&constraint).unwrap();
        assert_eq!(r.matching(&constraint), ids(want));
        assert_eq!(r.copy_constraint(&constraint).ranks(), ids(want));
    }
    let hosts = |text: &str| Hostlist::parse(text).unwrap();
    assert_eq!(r.hosts_to_ranks(&hosts("b,a0")), Ok(ids("0,3")));
    assert_eq!(r.copy_hosts(&hosts("b,a0")).unwrap().nnodes(), 2);
    let unknown = r.hosts_to_ranks(&hosts("a0,c[1-2]")).unwrap_err();
    assert_eq!(unknown.to_string(), "invalid hosts: c[1-2]");
}

#[test]
fn remap_counts_from_zero_but_leaves_gpus_alone() {
    let mut r = make("3:1,3/2 7:4-7");
    r.set_property("p", &ids("7")).unwrap();
    r.remap();
    assert_eq!(r.dumps(), "rank0/core[0-1],gpu2 rank1/core[0-3]");
    assert_eq!(r.nodelist().unwrap().encode(), "n[3,7]");
    assert_eq!(r.properties_value(), json!({"p": "1"}));
}

#[test]
fn rerank_follows_the_host_list_or_changes_nothing() {
    let hosts = |text: &str| Hostlist::parse(text).unwrap();
    let mut r = make("0:0 1:0-1 2:0-2");
    r.set_property("p", &ids("0,2")).unwrap();
    let before = r.clone();
    for (list, errno) in [("n[0-3]", 75), ("n[0-1]", 28), ("n[0-1],x", 2), ("n0,n0,n1", 2)] {
        assert_eq!(r.rerank(&hosts(list)).unwrap_err().errno(), errno, "{list}");
        assert_eq!(r, before);
    }
    r.rerank(&hosts("n2,n0,n1")).unwrap();
    assert_eq!(r.dumps(), "rank0/core[0-2] rank1/core0 rank2/core[0-1]");
    assert_eq!(r.properties_value(), json!({"p": "0-1"}));
    let mut twins = make("0:0 1:1");
    twins.name_nodes(&hosts("h,h")).unwrap();
    twins.rerank(&hosts("h,h")).unwrap();
    assert_eq!(twins.dumps(), "rank0/core0 rank1/core1");
}

#[test]
fn verification_tells_missing_from_extra() {
    let expected = make("0:0-3/0 1:0-3");
    let rows = [
        ("0:0-3/0", json!(true), Verdict::Same),
        ("0:0-1/0", json!(true), Verdict::Differs("rank 0 (n0) missing resources: core[2-3]".into())),
        ("0:0-3", json!({}), Verdict::Differs("rank 0 (n0) missing resources: gpu0".into())),
        ("0:0-5/0", json!({}), Verdict::Extra("rank 0 (n0) has extra resources: core[4-5]".into())),
        ("0:0-5/0", json!({"core": "allow-extra"}), Verdict::Same),
        ("0:0-1/0", json!({"core": "allow-missing"}), Verdict::Same),
        ("0:0-1", json!(false), Verdict::Same),
        ("0:0-3", json!({"gpu": "ignore"}), Verdict::Same),
        ("2:0", json!({}), Verdict::Differs("rank 2 not found in expected ranks".into())),
        ("0:0 1:0", json!({}), Verdict::Differs("Verification supported on single rank only".into())),
    ];
    for (found, config, want) in rows {
        let config = VerifyConfig::from_value(&config).unwrap();
        assert_eq!(expected.verify(&make(found), &config), want, "{found}");
    }
    let mut renamed = make("0:0-3/0");
    renamed.name_nodes(&Hostlist::parse("other").unwrap()).unwrap();
    let want = Verdict::Differs("rank 0 got hostname 'other', expected 'n0'".into());
    assert_eq!(expected.verify(&renamed, &VerifyConfig::default()), want);
    let lax = VerifyConfig { hostname: Some(VerifyMode::Ignore), ..VerifyConfig::default() };
    assert_eq!(expected.verify(&renamed, &lax), Verdict::Same);
    for (config, want) in [
        (json!(1), "verify must be a table or boolean"),
        (json!({"core": 1}), "verify.core mode must be a string"),
        (json!({"core": "x"}), "verify.core: unknown verify mode 'x'"),
        (json!({"disk": "strict"}), "verify: unsupported resource type: disk"),
    ] {
        assert_eq!(VerifyConfig::from_value(&config).unwrap_err().to_string(), want);
    }
}

/// Goal: the algebra agrees with plain sets of (rank, kind, id). Method: random sets, an oracle of tuples.
#[test]
fn the_algebra_agrees_with_sets_of_single_resources() {
    use std::collections::BTreeSet;
    let flat = |set: &ResourceSet| -> BTreeSet<(u32, String, u32)> {
        let ids = |(rank, node): (u32, &Node)| {
            let each = |(kind, ids): (&str, &Idset)| ids.iter().map(|id| (kind.to_owned(), id)).collect::<Vec<_>>();
            node.children().flat_map(each).map(move |(kind, id)| (rank, kind, id)).collect::<Vec<_>>()
        };
        set.iter().flat_map(ids).collect()
    };
    for seed in 1..500u64 {
        let mut rng = Xorshift(seed);
        let mut random = || {
            let mut set = ResourceSet::new();
            for rank in 0..4 {
                let mut pick = |n: u32| {
                    (0..n).fold(Idset::new(), |mut ids, id| {
                        if rng.below(2) == 0 {
                            ids.insert(id);
                        }
                        ids
                    })
                };
                set.insert(rank, Node::new(&format!("n{rank}"), pick(5), pick(3))).unwrap();
            }
            set
        };
        let (a, b) = (random(), random());
        let (flat_a, flat_b) = (flat(&a), flat(&b));
        assert_eq!(flat(&a.diff(&b)), &flat_a - &flat_b, "seed {seed}");
        assert_eq!(flat(&a.intersect(&b)), &flat_a & &flat_b, "seed {seed}");
        assert_eq!(flat(&a.union(&b).unwrap()), &flat_a | &flat_b, "seed {seed}");
        assert_eq!(a.clone().append(&b).is_ok(), (&flat_a & &flat_b).is_empty(), "seed {seed}");
        assert_eq!(ResourceSet::parse(&a.encode()), Ok(a), "seed {seed}");
    }
}

#[test]
fn hostile_r_never_panics_and_what_reads_also_writes() {
    hostile_texts(20, &[RFC20, MIXED], "{}[]\":,0123456789.e-corgpu", |text| {
        let Ok(mut first) = ResourceSet::parse(text) else { return };
        assert_eq!(ResourceSet::parse(&first.encode()).as_ref(), Ok(&first), "text {text:?}");
        let _ = (first.dumps(), first.verify(&first, &VerifyConfig::default()));
        first.remap();
    });
}
