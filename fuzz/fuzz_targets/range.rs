//! Resource counts and ranges (RFC 14, 45): what parses round-trips.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(count) = flux_types::ResourceCount::parse(text) {
        assert_eq!(flux_types::ResourceCount::from_value(&count.to_value()), Ok(count));
    }
});
