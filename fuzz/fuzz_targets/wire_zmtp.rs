//! What a peer of the overlay sends (ZMTP 3.1), with and without CURVE, in pieces.
#![no_main]
use flux_wire::crypto::KeyPair;
use flux_wire::zmtp::{Allowed, Connection, Security, SocketType};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<Vec<u8>>)| {
    let (curve, pieces) = input;
    let own = KeyPair::from_seed([7; 32]);
    let security = match curve {
        true => Security::CurveServer { own, allowed: Allowed::Anybody, seed: [9; 32] },
        false => Security::Null,
    };
    let mut connection = Connection::new(SocketType::Router, security);
    for piece in pieces {
        if connection.receive(&piece, |_| ()).is_err() {
            break;
        }
        connection.output().clear();
    }
});
