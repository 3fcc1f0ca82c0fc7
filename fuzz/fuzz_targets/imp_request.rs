//! Signed requests (RFC 39): whatever is read is refused or whole.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &str| {
    if let Ok(signed) = flux_imp::j::parse(bytes, flux_imp::cert::decode64) {
        assert!(bytes.starts_with(signed.signed_part));
        let parts: Vec<&str> = bytes.split('.').collect();
        assert_eq!((parts.len(), parts[2]), (3, signed.signature));
    }
});
