//! Constraint objects (RFC 31): what reads also writes.
#![no_main]
use flux_types::Constraint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(value) = serde_json::from_str(text) else { return };
    let Ok(constraint) = Constraint::from_value(&value) else { return };
    assert_eq!(Constraint::from_value(&constraint.to_value()), Ok(constraint));
});
