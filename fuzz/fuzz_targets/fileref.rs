//! Archives of file objects (RFC 37): what parses round-trips.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(files) = flux_types::FileObject::parse_archive(text.as_bytes()) {
        let again: serde_json::Value = files.iter().map(|file| file.to_value(false)).collect();
        assert_eq!(flux_types::FileObject::archive_from_value(&again), Ok(files));
    }
});
