//! The JSON that `flux-imp exec` reads, and the frame made of it.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &str| {
    if let Some(frame) = flux_imp::reader::frame(bytes) {
        let kv = flux_imp::kv::Kv::decode(&frame).expect("what is framed is read");
        assert!(kv.text("J").is_some());
    }
});
