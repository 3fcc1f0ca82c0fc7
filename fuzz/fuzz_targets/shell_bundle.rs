//! What a job shell reads first: the bundle, and in it jobspec and R.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = flux_shell::Bundle::parse(bytes) {
        let _ = bundle.jobspec();
        let _ = bundle.tmpdir();
    }
});
