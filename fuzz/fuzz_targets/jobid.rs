//! Job ids (RFC 19): what parses comes back from every form.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(id) = flux_types::JobId::parse(text) {
        for form in flux_types::JobIdForm::ALL {
            assert_eq!(flux_types::JobId::parse(&id.encode(form)), Ok(id));
        }
    }
});
