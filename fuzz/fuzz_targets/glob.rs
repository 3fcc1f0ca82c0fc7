//! Patterns of shells (fnmatch): whatever is asked is answered, and soon.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (pattern, text) = input;
    let found = flux_types::glob::matches(pattern, text);
    assert!(flux_types::glob::is_pattern(pattern) || found == (pattern == text) || pattern.contains('\\'));
    assert!(flux_types::glob::matches("*", text));
});
