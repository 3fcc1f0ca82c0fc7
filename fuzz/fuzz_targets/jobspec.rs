//! Jobspecs (RFC 14, RFC 25): what reads also writes, and no accessor trips over it.
#![no_main]
use flux_types::Jobspec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(mut spec) = Jobspec::parse(text) else { return };
    let _ = (spec.summary(), spec.check_v1_shape(), spec.name().len(), spec.shell_option(text));
    assert_eq!(Jobspec::parse(&spec.encode()).as_ref(), Ok(&spec));
    let _ = spec.set_dotted(text, serde_json::Value::Null);
    assert_eq!(spec.validate(), Ok(()));
});
