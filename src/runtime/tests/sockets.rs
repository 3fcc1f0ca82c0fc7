//! Clients.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use flux_sys::signal::Name as Signal;
use flux_wire::{Cred, Kind, role};

use super::*;
use crate::limits::{GUEST_CONNECTIONS_MAX, OUTPUT_BYTES_MAX};

#[test]
fn a_client_is_greeted_answered_and_missed_when_it_goes() {
    let running = start(vec![], nothing);
    assert_eq!(std::fs::metadata(&running.path).unwrap().permissions().mode() & 0o777, 0o777);
    let mut client = Client::connect(&running.path).unwrap();
    let answer = client.call("echo", json!({"a": 1}).into());
    assert_eq!((answer.kind(), answer.matchtag(), value(&answer)["a"].clone()), (Kind::Response, 9, json!(1)));
    drop(client);
    let cred = Cred { userid: own_uid(), rolemask: role::OWNER | role::LOCAL };
    let connection = running.wait_for(2, |input| match input {
        Input::Connected { conn, cred } => Some((*conn, Some(*cred))),
        Input::Disconnected { conn } => Some((*conn, None)),
        _ => None,
    });
    assert_eq!(connection, [(connection[0].0, Some(cred)), (connection[0].0, None)]);
    Client::connect(&running.path).unwrap().send("exit", 1, Payload::None);
    let path = running.path.clone();
    assert_eq!(running.exit_code(), 7);
    assert!(!path.exists(), "the socket goes with its listener");
}

#[test]
fn who_may_not_connect_is_told_why_in_one_byte() {
    let stranger = own_uid() + 1;
    let refused = start_as(stranger, json!({}), vec![], None, nothing);
    assert_eq!(Client::connect(&refused.path).err(), Some(Errno::EPERM.0 as u8));
    let guests = start_as(stranger, json!({"access": {"allow-guest-user": true}}), vec![], None, nothing);
    Client::connect(&guests.path).unwrap().call("echo", Payload::None);
    let creds = guests.wait_for(1, |input| match input {
        Input::Connected { cred, .. } => Some(*cred),
        _ => None,
    });
    assert_eq!(creds, [Cred { userid: own_uid(), rolemask: role::USER | role::LOCAL }]);
}

#[test]
fn one_guest_cannot_take_all_the_room() {
    let config = json!({"access": {"allow-guest-user": true}});
    let running = start_as(own_uid() + 1, config, vec![], None, nothing);
    let mut clients = Vec::new();
    for _ in 0..GUEST_CONNECTIONS_MAX {
        clients.push(Client::connect(&running.path).unwrap());
    }
    assert_eq!(Client::connect(&running.path).err(), Some(Errno::EMFILE.0 as u8));
    clients.pop();
    running.wait_for(1, |input| matches!(input, Input::Disconnected { .. }).then_some(()));
    Client::connect(&running.path).unwrap();
}

#[test]
fn many_requests_in_one_write_are_one_turn() {
    let running = start(vec![], nothing);
    let mut client = Client::connect(&running.path).unwrap();
    let before = value(&client.call("turns", Payload::None))["turns"].as_u64().unwrap();
    let mut bytes = Vec::new();
    for tag in 1..=500 {
        write_frame(&mut bytes, |out| encode_into(&Message::request("echo", Target::Any, tag, Payload::None), out));
    }
    client.stream.write_all(&bytes).unwrap();
    for tag in 1..=500 {
        assert_eq!(client.receive().unwrap().matchtag(), tag);
    }
    let after = value(&client.call("turns", Payload::None))["turns"].as_u64().unwrap();
    assert!(after - before < 10, "{} turns", after - before);
}

#[test]
fn large_messages_pass_both_ways_while_others_are_served() {
    let running = start(vec![], nothing);
    let (mut large, mut small) = (Client::connect(&running.path).unwrap(), Client::connect(&running.path).unwrap());
    let payload = Payload::raw(vec![5; 32 << 20]);
    large.send("echo", 1, payload.clone());
    small.call("echo", Payload::None); // The large answer waits for its reader; nobody else does.
    assert_eq!(large.receive().unwrap().payload, payload);
}

#[test]
fn bytes_that_are_no_message_end_the_connection_and_no_other() {
    let running = start(vec![], nothing);
    let mut good = Client::connect(&running.path).unwrap();
    let mut frame = Vec::new();
    write_frame(&mut frame, |out| out.extend_from_slice(b"no message"));
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &frame] {
        let mut bad = Client::connect(&running.path).unwrap();
        bad.stream.write_all(garbage).unwrap();
        assert!(bad.receive().is_none(), "dropped");
    }
    good.call("echo", Payload::None);
}

#[test]
fn a_client_that_does_not_read_is_first_not_heard_and_then_dropped() {
    let big = Payload::raw(vec![0; OUTPUT_BYTES_MAX / 4]);
    let mut slow = None;
    let running = start(vec![], move |input| {
        let Input::Message { conn, message } = input else { return Vec::new() };
        let flood = |conn| Output::Send { conn, message: message.response(big.clone()) };
        match message.topic() {
            "flood" => {
                slow = Some(*conn);
                vec![flood(*conn)]
            }
            "others" => (0..5).map(|_| flood(slow.unwrap())).collect(),
            _ => Vec::new(),
        }
    });
    let floods = |input: &Input| match input {
        Input::Message { message, .. } if message.topic() == "flood" => Some(()),
        _ => None,
    };
    let (mut client, mut other) = (Client::connect(&running.path).unwrap(), Client::connect(&running.path).unwrap());
    client.send("flood", 1, Payload::None);
    running.wait_for(1, floods);
    client.send("flood", 1, Payload::None);
    other.call("echo", Payload::None);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(running.wait_for(1, floods).len(), 1, "it is not read from while its answers wait");
    other.send("others", 1, Payload::None);
    running.wait_for(1, |input| matches!(input, Input::Disconnected { .. }).then_some(()));
    other.call("echo", Payload::None);
}

#[test]
fn the_node_may_close_a_connection() {
    let running = start(vec![], nothing);
    let mut client = Client::connect(&running.path).unwrap();
    client.send("close", 1, Payload::None);
    assert!(client.receive().is_none());
}

#[test]
fn a_timer_fires_when_it_is_due() {
    let running = start_as(own_uid(), json!({}), vec![], Some(Mono(Duration::from_millis(50))), nothing);
    assert_eq!(running.exit_code(), 3);
}

#[test]
fn a_signal_reaches_the_node() {
    let running = start(vec![], |input| match input {
        Input::Signal { signum } => vec![Output::Exit { code: *signum }],
        // To the loop's own thread: the test harness has others that do not block it.
        Input::Message { .. } => nix::sys::signal::raise(Signal::SIGUSR1).map(|()| vec![]).unwrap(),
        _ => vec![],
    });
    Client::connect(&running.path).unwrap().send("raise", 1, Payload::None);
    assert_eq!(running.exit_code(), Signal::SIGUSR1 as i32);
}

#[test]
fn a_dead_brokers_socket_is_replaced_and_a_live_ones_is_not() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("local-0");
    let live = UnixListener::bind(&path).unwrap();
    assert_eq!(Listener::bind(&path).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(live); // The file stays.
    assert!(path.exists());
    Listener::bind(&path).unwrap();
}

#[test]
fn everything_queued_reaches_the_client_before_the_exit() {
    let running = start(vec![], |input| match input {
        Input::Message { conn, message } if message.topic() == "last" => vec![
            Output::Send { conn: *conn, message: message.response(Payload::raw(vec![1; 8 << 20])) },
            Output::Exit { code: 0 },
        ],
        _ => vec![],
    });
    let mut client = Client::connect(&running.path).unwrap();
    let answer = client.call("last", Payload::None);
    assert_eq!(answer.payload.as_bytes().unwrap().len(), 8 << 20);
    assert_eq!(running.exit_code(), 0);
}
