//! RFC 38 lists: what is read is written again byte for byte.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(kv) = flux_imp::kv::Kv::decode(bytes) {
        assert_eq!(kv.encode(), bytes);
    }
});
