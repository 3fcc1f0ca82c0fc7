//! Constraint queries (RFC 35): any text is refused, or an object whose depth is bounded.
#![no_main]
use flux_types::Constraint;
use flux_types::constraint::ConstraintError;
use flux_types::constraint::query::{REQUIRES, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(object) = parse(text, &REQUIRES) else { return };
    assert!(!matches!(Constraint::from_value(&object), Err(ConstraintError::TooDeep { .. })));
});
