//! Dependencies (RFC 26): the object of a URI reads back as the same.
#![no_main]
use flux_types::Dependency;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(dependency) = Dependency::parse_uri(text) else { return };
    assert_eq!(Dependency::from_value(&dependency.to_value()), Ok(dependency.clone()));
    assert_eq!(Dependency::parse_uri(&dependency.to_uri()), Ok(dependency));
});
