use super::*;
use crate::message::role;
use serde_json::json;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn owner_response(topic: &str, matchtag: u32) -> Message {
    let mut request = Message::request(topic, Target::Any, matchtag, Payload::None);
    request.route = Some(vec![]);
    let mut response = request.response(Payload::None);
    response.cred = Cred { userid: 0, rolemask: role::OWNER | role::LOCAL };
    response
}

/// Bytes that a flux-core 0.88 broker sent.
#[test]
fn messages_have_the_bytes_of_a_live_flux_core_broker() {
    let mut rank = owner_response("attr.get", 1);
    rank.payload = json!({"value": "0", "flags": 1}).into();
    let mut enosys = owner_response("nosuch.method", 3);
    enosys.body = Body::Response { errnum: 38, matchtag: 3 };
    enosys.payload = Payload::text("No service matching nosuch.method is registered");
    let mut event = Message::event("foo.bar", json!({"a": 1}).into());
    event.body = Body::Event { seq: 1 };
    event.cred = Cred { userid: 0, rolemask: 5 };
    event.route = Some(vec!["41b81c9c-ff39-4b97-ae02-38a6602435be".into()]);
    let mut dmesg = owner_response("log.dmesg", 8);
    dmesg.flags = Flags(Flags::STREAMING);
    dmesg.body = Body::Response { errnum: 61, matchtag: 8 };
    let rows = [
        (rank, 56, "8e01020b00000000000000050000000000000001"),
        (enosys, 85, "8e01020b00000000000000050000002600000003"),
        (event, 76, "8e01040b00000000000000050000000100000000"),
        (dmesg, 32, "8e01024900000000000000050000003d00000008"),
    ];
    for (message, len, proto) in rows {
        let bytes = encode(&message);
        assert_eq!(bytes.len(), len, "{message:?}");
        assert_eq!(hex(&bytes[bytes.len() - PROTO_LEN..]), proto, "{message:?}");
        assert_eq!(decode(&bytes).as_ref(), Ok(&message));
    }
}

#[test]
fn the_most_recent_hop_comes_first_on_the_wire() {
    let mut request = Message::request("mysvc.hello", Target::Any, 10, json!({}).into());
    request.cred = Cred { userid: 0, rolemask: 5 };
    for id in ["5a97b62d", "467635eb", "41b81c9c"] {
        request.push_route(id.into());
    }
    let bytes = encode(&request);
    assert_eq!(&bytes[..10], b"\x0841b81c9c\x08");
    assert_eq!(hex(&bytes[bytes.len() - PROTO_LEN..]), "8e01010b0000000000000005ffffffff0000000a");
    assert_eq!(decode(&bytes).unwrap().sender().map(|id| &**id), Some("5a97b62d"));
}

#[test]
fn long_frames_and_every_target_survive_the_round_trip() {
    for target in [Target::Any, Target::Rank(Rank(7)), Target::UpstreamOf(Rank(3))] {
        for len in [0, 1, 254, 255, 256, 70_000] {
            let mut request = Message::request("a.b", target, 9, Payload::raw(vec![b'x'; len]));
            request.flags = Flags(Flags::NORESPONSE);
            assert_eq!(decode(&encode(&request)), Ok(request), "payload of {len}");
        }
    }
}

#[test]
fn hostile_bytes_are_errors_and_never_panics() {
    let mut request = Message::request("kvs.lookup", Target::Any, 9, json!({"key": "a.b"}).into());
    request.push_route("5a97b62d-3012-4eff-bca7-db4417e22c36".into());
    let good = encode(&request);
    for cut in 0..good.len() {
        assert!(decode(&good[..cut]).is_err(), "cut at {cut}");
    }
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..50_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + state % 4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = (state >> 8) as usize % bytes.len();
            bytes[at] = state as u8;
        }
        if let Ok(message) = decode(&bytes) {
            assert_eq!(decode(&encode(&message)), Ok(message));
        }
    }
}
