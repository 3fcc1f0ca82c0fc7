//! Tree objects (RFC 11): what parses round-trips.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(object) = flux_types::Treeobj::parse(text.as_bytes()) {
        assert_eq!(flux_types::Treeobj::parse(object.encode().as_bytes()), Ok(object));
    }
});
