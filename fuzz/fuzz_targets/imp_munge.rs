//! Answers of munged.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(vouched) = flux_imp::munge::parse_decoded(bytes) {
        assert!(vouched.payload.len() < bytes.len());
    }
});
