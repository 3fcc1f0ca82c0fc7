//! Hostlists (RFC 29): what parses round-trips; ordering loses nothing.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(hosts) = flux_types::Hostlist::parse(text) {
        assert!(flux_types::Hostlist::parse(&hosts.to_string()).as_ref() == Ok(&hosts));
        let mut sorted = hosts.clone();
        sorted.sort();
        assert_eq!(sorted.count(), hosts.count());
    }
});
