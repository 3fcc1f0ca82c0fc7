use super::*;

fn curve_pair(server_knows: Allowed, client_wants: Option<PublicKey>) -> (Connection, Connection, PublicKey) {
    let (server, client) = (KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32]));
    let wanted = client_wants.unwrap_or(server.public);
    let key = client.public;
    let client = Security::CurveClient { own: client, server: wanted, seed: [3; 32] };
    let server = Security::CurveServer { own: server, allowed: server_knows, seed: [4; 32] };
    (Connection::new(SocketType::Dealer, client), Connection::new(SocketType::Router, server), key)
}

/// Carries bytes both ways, `chunk` at a time, until nothing moves.
fn shuttle(a: &mut Connection, b: &mut Connection, chunk: usize) -> Result<[Vec<Event>; 2], ZmtpError> {
    let mut events = [Vec::new(), Vec::new()];
    loop {
        let (from_a, from_b) = (std::mem::take(a.output()), std::mem::take(b.output()));
        if from_a.is_empty() && from_b.is_empty() {
            return Ok(events);
        }
        for bytes in from_a.chunks(chunk) {
            b.receive(bytes, |event| events[1].push(event))?;
        }
        for bytes in from_b.chunks(chunk) {
            a.receive(bytes, |event| events[0].push(event))?;
        }
    }
}

#[test]
fn two_ends_prove_their_keys_and_exchange_messages_however_the_bytes_are_cut() {
    for chunk in [1, 7, 64, 100_000] {
        let (mut client, mut server, key) = curve_pair(Allowed::Anybody, None);
        let events = shuttle(&mut client, &mut server, chunk).unwrap();
        let server_key = KeyPair::from_seed([1; 32]).public;
        assert_eq!(events, [vec![Event::Ready { peer: Some(server_key) }], vec![Event::Ready { peer: Some(key) }]]);
        let long = vec![9; 1000];
        client.send(&[b"one", &long]);
        client.send(&[b""]);
        server.send(&[b"back"]);
        let events = shuttle(&mut client, &mut server, chunk).unwrap();
        assert_eq!(events[0], [Event::Message(vec![b"back".to_vec()])]);
        let want = [Event::Message(vec![b"one".to_vec(), long]), Event::Message(vec![vec![]])];
        assert_eq!(events[1], want);
    }
}

#[test]
fn null_needs_no_keys() {
    let mut a = Connection::new(SocketType::Dealer, Security::Null);
    let mut b = Connection::new(SocketType::Router, Security::Null);
    let events = shuttle(&mut a, &mut b, 3).unwrap();
    assert_eq!(events, [vec![Event::Ready { peer: None }], vec![Event::Ready { peer: None }]]);
    a.send(&[b"x"]);
    assert_eq!(shuttle(&mut a, &mut b, 3).unwrap()[1], [Event::Message(vec![b"x".to_vec()])]);
}

#[test]
fn a_wrong_key_is_refused_on_either_side() {
    let other = KeyPair::from_seed([9; 32]).public;
    let (mut client, mut server, _) = curve_pair(Allowed::Anybody, Some(other));
    let error = shuttle(&mut client, &mut server, 64).unwrap_err();
    assert_eq!(error, ZmtpError::BadSeal { command: "HELLO" });
    let (mut client, mut server, key) = curve_pair(Allowed::Keys(Arc::new([other].into())), None);
    let error = shuttle(&mut client, &mut server, 64).unwrap_err();
    assert_eq!(error, ZmtpError::NotAllowed { key: key.to_string() });
    let told = std::mem::take(server.output());
    let error = client.receive(&told, |_| ()).unwrap_err();
    assert_eq!(error, ZmtpError::Refused { reason: "not authorized".into() });
    let (_, _, key) = curve_pair(Allowed::Anybody, None);
    let (mut client, mut server, _) = curve_pair(Allowed::Keys(Arc::new([key].into())), None);
    shuttle(&mut client, &mut server, 64).unwrap();
    assert!(client.is_ready() && server.is_ready());
}

#[test]
fn mechanisms_and_roles_must_fit() {
    let (mut client, ..) = curve_pair(Allowed::Anybody, None);
    let mut null = Connection::new(SocketType::Router, Security::Null);
    assert!(matches!(shuttle(&mut client, &mut null, 64), Err(ZmtpError::WrongMechanism { .. })));
    let (mut a, mut c, ..) = curve_pair(Allowed::Anybody, None);
    let (mut b, mut d, ..) = curve_pair(Allowed::Anybody, None);
    assert!(shuttle(&mut a, &mut b, 64).is_err(), "two clients");
    assert_eq!(shuttle(&mut c, &mut d, 64), Err(ZmtpError::SameRole), "two servers");
}

#[test]
fn changed_and_repeated_bytes_end_the_connection() {
    let (mut client, mut server, _) = curve_pair(Allowed::Anybody, None);
    shuttle(&mut client, &mut server, 64).unwrap();
    client.send(&[b"payload"]);
    let bytes = std::mem::take(client.output());
    server.receive(&bytes, |_| ()).unwrap();
    assert_eq!(server.receive(&bytes, |_| ()), Err(ZmtpError::Replayed));
    for at in 0..bytes.len() {
        let (mut client, mut server, _) = curve_pair(Allowed::Anybody, None);
        shuttle(&mut client, &mut server, 64).unwrap();
        client.send(&[b"payload"]);
        let mut bytes = std::mem::take(client.output());
        bytes[at] ^= 0x40;
        let outcome = server.receive(&bytes, |event| panic!("byte {at}: {event:?}"));
        assert!(outcome.is_err() || at == 1, "byte {at}"); // A longer length waits for more.
    }
}

#[test]
fn hostile_bytes_end_in_errors_and_cost_nothing() {
    let hello = std::mem::take(curve_pair(Allowed::Anybody, None).0.output());
    let rows: &[(Vec<u8>, bool)] = &[
        (b"GET / HTTP/1.1\r\n".to_vec(), true),
        ([&hello[..], &[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(), true),
        ([&hello[..], &[0xff]].concat(), true),
        ([&hello[..], &[4, 3, 200, 1, 2]].concat(), true),
        ([&hello[..], &[4, 0]].concat(), true),
        ([&hello[..], &[0, 1, 0]].concat(), true),
        ([&hello[..], &[4, 200]].concat(), false),
    ];
    for (bytes, fails) in rows {
        let (_, mut server, _) = curve_pair(Allowed::Anybody, None);
        assert_eq!(server.receive(bytes, |event| panic!("{event:?}")).is_err(), *fails, "{bytes:?}");
        assert_eq!(server.receive(b"more", |_| ()).is_err(), *fails);
    }
    let mut seed = 1_u64;
    for _ in 0..2000 {
        let (_, mut server, _) = curve_pair(Allowed::Anybody, None);
        let mut bytes = hello.clone();
        for _ in 0..300 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.push((seed >> 56) as u8);
        }
        let _ = server.receive(&bytes, |event| panic!("{event:?}"));
    }
}
