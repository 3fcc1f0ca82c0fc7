//! Durations (RFC 23): never negative; what is shown parses.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(seconds) = flux_types::parse_fsd(text) {
        assert!(seconds >= 0.0);
        let shown = flux_types::format_fsd(seconds).expect("it is not negative");
        assert!(flux_types::parse_fsd(&shown).is_some());
    }
});
