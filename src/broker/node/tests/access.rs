//! What guests may ask for: made from the handler tables, so that no new row escapes it.

use std::collections::BTreeSet;

use flux_resource::{Inventory, Method};
use flux_types::ResourceSet;
use flux_wire::{Kind, role};

use super::*;

const GUEST: u32 = 2000;

/// Every request that others than the owner may make. A row in a handler table that is not here, or the other way round,
/// fails: who adds one says so here, and has looked at what its handler gives away.
const FOR_GUESTS: &[&str] = &[
    "attr.get",
    "attr.list",
    "broker.conf-builtin",
    "broker.ping",
    "broker.rusage",
    "broker.stats-get",
    "config.cancel",
    "config.disconnect",
    "config.get",
    "config.get-cancel",
    "config.ping",
    "connector-local.ping",
    "content-sqlite.stats-get",
    "event.disconnect",
    "event.publish",
    "feasibility.check",
    "groups.disconnect",
    "groups.get",
    "groups.stats-get",
    "job-exec.critical-ranks",
    "job-exec.disconnect",
    "job-exec.override",
    "job-exec.shell-events",
    "job-exec.shell-hello",
    "job-info.disconnect",
    "job-info.eventlog-watch",
    "job-info.eventlog-watch-cancel",
    "job-info.lookup",
    "job-info.update-lookup",
    "job-info.update-watch",
    "job-info.update-watch-cancel",
    "job-ingest.frobnicate",
    "job-ingest.submit",
    "job-list.disconnect",
    "job-list.job-stats",
    "job-list.list",
    "job-list.list-attrs",
    "job-list.list-id",
    "job-manager.alloc-query",
    "job-manager.disconnect",
    "job-manager.explain",
    "job-manager.getattr",
    "job-manager.getinfo",
    "job-manager.history.get",
    "job-manager.kill",
    "job-manager.killall",
    "job-manager.memo",
    "job-manager.queue-list",
    "job-manager.queue-status",
    "job-manager.raise",
    "job-manager.raiseall",
    "job-manager.update",
    "job-manager.urgency",
    "kvs-watch.cancel",
    "kvs-watch.disconnect",
    "kvs-watch.lookup",
    "kvs-watch.stats-get",
    "kvs.commit",
    "kvs.disconnect",
    "kvs.getroot",
    "kvs.lookup",
    "kvs.lookup-plus",
    "kvs.setroot-pause",
    "kvs.setroot-unpause",
    "kvs.stats-get",
    "kvs.wait-version",
    "module.list",
    "overlay.health",
    "overlay.ping",
    "overlay.stats-get",
    "overlay.topology",
    "resource.disconnect",
    "resource.sched-status",
    "resource.status",
    "sched-fluxion-feasibility.check",
    "sched-fluxion-qmanager.params",
    "sched-fluxion-resource.stats-get",
    "sched.resource-status",
    "service.disconnect",
    "state-machine.get",
    "state-machine.wait",
];

/// The node with all services of rank 0, for `owner` 1000.
fn whole_node(config: Value) -> Node {
    let set = json!({"version": 1, "execution": {"R_lite": [{"rank": "0", "children": {"core": "0-3"}}],
                     "nodelist": ["host"], "starttime": 0, "expiration": 0}});
    let found = Inventory::new(ResourceSet::from_value(&set).expect("well-formed"), Method::Configuration);
    let composed = crate::compose("sha1", found, (0, 1), flux_service::Recovered::default(), crate::Scheduler::Fluxion)
        .expect("known");
    let mut setup = setup_with(None);
    (setup.services, setup.loader, setup.config) = (composed.services, composed.loader, Arc::new(config));
    Node::new(setup, now(0)).expect("the node starts")
}

/// Topic and roles of every request that this node's tables have.
fn rows(node: &Node) -> BTreeMap<String, u32> {
    let mut rows: BTreeMap<String, u32> =
        crate::core::core_table().map(|(topic, roles)| (topic.to_owned(), roles)).collect();
    for slot in node.slots.values() {
        let table = slot.service.table();
        rows.extend(table.iter().filter(|row| row.kind == Kind::Request).map(|row| (row.topic.to_owned(), row.roles)));
    }
    rows
}

#[test]
fn what_guests_may_ask_for_is_listed() {
    let node = whole_node(json!({}));
    let listed: BTreeSet<&str> = FOR_GUESTS.iter().copied().collect();
    let rows = rows(&node);
    let open: BTreeSet<&str> =
        rows.iter().filter(|(_, roles)| **roles != role::OWNER).map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(open, listed);
}

#[test]
fn everything_else_is_refused_and_nothing_happens() {
    let mut node = whole_node(json!({"access": {"allow-guest-user": true}}));
    let rows = rows(&node);
    let conn = client(&mut node, 2, GUEST, role::USER | role::LOCAL);
    node.take_outputs();
    let methods = ["stats-clear", "debug", "config-reload", "config-update", "shutdown"];
    let private = ["job-exec.stats-get", "job-info.stats-get", "heartbeat.stats-get", "content.stats-get"];
    let names = node.names.keys().cloned().collect::<Vec<_>>();
    let standard = names.iter().filter(|name| node.names[*name] != Endpoint::Core);
    let standard = standard.flat_map(|name| methods.map(|method| format!("{name}.{method}")));
    let closed = rows.iter().filter(|(_, roles)| **roles == role::OWNER).map(|(topic, _)| topic.clone());
    let topics: Vec<String> = closed.chain(standard).chain(private.map(String::from)).collect();
    assert!(topics.len() > 100, "the tables are there");
    for topic in topics {
        for streaming in [false, true] {
            let mut request = Message::request(&*topic, Target::Any, 9, json!({}).into());
            request.flags = Flags(if streaming { Flags::STREAMING } else { 0 });
            // What a guest claims to be is not believed.
            request.cred = Cred { userid: 1000, rolemask: role::OWNER };
            node.handle(now(0), Input::Message { conn, message: request });
            node.end_turn(now(0));
            let outputs = node.take_outputs();
            let [Output::Send { conn: to, message }] = &outputs[..] else { panic!("{topic}: {outputs:?}") };
            assert_eq!((*to, message.errno()), (conn, Some(Errno::EPERM)), "{topic}");
        }
    }
}

#[test]
fn no_request_of_a_guest_breaks_the_node() {
    let mut node = whole_node(json!({}));
    let conn = client(&mut node, 2, GUEST, role::USER | role::LOCAL);
    let deep = (0..64).fold(json!(1), |inner, _| json!([inner]));
    let bodies = [
        json!({}),
        json!([]),
        json!(null),
        json!({"id": u64::MAX, "userid": -1, "signum": i64::MIN, "severity": -1, "type": "", "states": -1, "dry_run": 0}),
        json!({"id": 1, "userid": 1000, "signum": 9, "severity": 0, "type": "cancel", "states": 127, "dry_run": false}),
        json!({"namespace": "primary", "key": ".", "flags": -1, "ops": [{"key": "a", "flags": 0, "dirent": deep}]}),
        json!({"namespace": "../x", "key": "a..b", "flags": 4_294_967_295_u64, "rootseq": -1, "rootdir": {}}),
        json!({"J": "..", "urgency": 1e300, "flags": 1.5, "max_entries": -1, "attrs": ["all"], "constraint": deep}),
        json!({"name": "\u{0}", "topic": "job-exception", "keys": [1], "matchtag": u32::MAX, "ranks": "0-4294967295"}),
    ];
    for topic in FOR_GUESTS.iter().filter(|topic| !topic.ends_with("rusage")) {
        for body in &bodies {
            for flags in [0, Flags::STREAMING, Flags::NORESPONSE] {
                let mut request = Message::request(*topic, Target::Any, 9, body.clone().into());
                request.flags = Flags(flags);
                for (to, answer) in exchange(&mut node, conn, request) {
                    assert_eq!(to, conn, "{topic}: only the sender is answered");
                    assert!(flags != Flags::NORESPONSE || answer.kind() != Kind::Response, "{topic}: {answer:?}");
                }
            }
        }
    }
}
