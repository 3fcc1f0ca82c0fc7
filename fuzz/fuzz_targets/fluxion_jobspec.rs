//! Jobspecs in YAML (RFC 14): an error or a request, whatever the aliases say.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = flux_fluxion::jobspec::Jobspec::parse(text);
});
