//! Task maps (RFC 34): what parses round-trips.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(map) = flux_types::Taskmap::parse(text) {
        assert_eq!(flux_types::Taskmap::parse(&map.to_string()), Ok(map));
    }
});
