//! Messages between brokers and with clients (RFC 3): what is read is written as the same bytes mean.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = flux_wire::decode(bytes) {
        let written = flux_wire::encode(&message);
        let again = flux_wire::decode(&written).expect("what is written is read");
        assert_eq!(flux_wire::encode(&again), written);
    }
});
