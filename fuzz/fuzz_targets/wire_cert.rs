//! Certificates of brokers (`flux keygen`).
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(cert) = flux_wire::cert::Certificate::parse(text) {
        let written = cert.encode();
        let again = flux_wire::cert::Certificate::parse(&written).expect("what is written is read");
        assert_eq!(again.encode(), written);
    }
});
