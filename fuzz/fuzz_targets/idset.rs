//! Idsets (RFC 22): what parses round-trips.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(set) = flux_types::Idset::parse(text) {
        assert_eq!(flux_types::Idset::parse(&set.to_string()), Ok(set));
    }
});
