//! Urgencies (RFC 30): what parses round-trips.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(urgency) = text.parse::<flux_types::Urgency>() {
        assert_eq!(urgency.to_string().parse(), Ok(urgency));
    }
});
