//! Records of the KVS's log: what can be read can be written and read again, and nothing panics.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| {
    for alg in [flux_kvs::Algorithm::Sha1, flux_kvs::Algorithm::Sha256] {
        let _ = flux_kvs::check_record(alg, record);
    }
});
