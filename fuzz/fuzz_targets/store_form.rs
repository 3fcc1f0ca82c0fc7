//! How blobs lie in the database: what is stored is found again, and damaged rows are no blobs.
#![no_main]
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src/runtime/store/form.rs"]
mod form;

fuzz_target!(|input: (Vec<u8>, u16)| {
    let (bytes, claimed) = input;
    let hash = form::hash_like(&[0; 20], &bytes).expect("a known length");
    let stored = form::stored(&hash, &bytes);
    let blob = match (stored.form, &stored.payload) {
        (form::Form::Plain, _) => Some(stored.object.to_vec()),
        (form::Form::Packed, _) => form::unpacked(&stored.object, bytes.len()),
        (form::Form::Signed, payload) => {
            form::rebuilt(&stored.object, 20, &payload.as_ref().expect("its payload").blob)
        }
    };
    assert_eq!(blob.as_deref(), Some(&bytes[..]));
    let damaged = form::unpacked(&bytes, claimed.into());
    assert!(damaged.is_none_or(|blob| blob.len() == usize::from(claimed)));
    let _ = form::rebuilt(&bytes, 20, &hash);
});
