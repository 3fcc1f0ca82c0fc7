//! Blobrefs (RFC 10): there is one text for each.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(blobref) = flux_types::Blobref::parse(text) {
        assert_eq!(blobref.to_string(), text);
    }
});
