//! Eventlogs (RFC 18): what reads also writes.
#![no_main]
use flux_types::eventlog::{Entry, entries};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for event in entries(text).flatten().filter_map(|event| event.to_entry().ok()) {
        assert_eq!(Entry::parse(&event.encode()), Ok(event));
    }
});
