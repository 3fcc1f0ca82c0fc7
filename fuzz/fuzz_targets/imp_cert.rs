//! Certificates: what is read from a file comes back from a header.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &str| {
    if let Some(cert) = flux_imp::cert::Cert::from_toml(bytes) {
        let mut header = flux_imp::kv::Kv::default();
        if cert.put_header(&mut header).is_some() {
            assert_eq!(flux_imp::cert::Cert::from_header(&header), Some(cert));
        }
    }
});
