use super::*;
use crate::{Mechanism, SignError, check_sent};
use std::os::unix::fs::PermissionsExt;

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("flux-sign-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&path); // Of an earlier run.
    path
}

#[test]
fn keys_are_stored_read_and_replaced_only_when_told() {
    let directory = scratch("store");
    let path = directory.join(".flux/curve/sig");
    let keys = KeyPair::generate();
    keys.store(&path, false).expect("stored");
    assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().expect("one")).expect("there").mode() & 0o777, 0o700);
    assert_eq!(KeyPair::load(&path).expect("readable").cert, keys.cert);
    let other = KeyPair::generate();
    assert!(matches!(other.store(&path, false), Err(KeyError::File { .. })), "keys are not overwritten");
    assert_eq!(KeyPair::load(&path).expect("readable").cert, keys.cert);
    other.store(&path, true).expect("replaced");
    assert_eq!(KeyPair::load(&path).expect("readable").cert, other.cert);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
    assert!(matches!(KeyPair::load(&path), Err(KeyError::Exposed { .. })), "others can read it");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
    fs::write(public_path(&path), keys.cert.to_toml()).expect("written");
    assert!(matches!(KeyPair::load(&path), Err(KeyError::Strangers { .. })), "half replaced");
    fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink("/etc/passwd", &path).expect("linked");
    assert!(matches!(KeyPair::load(&path), Err(KeyError::File { .. })), "a symbolic link");
    fs::remove_dir_all(directory).expect("removed");
}

#[test]
fn a_sent_request_must_be_whole_and_in_time() {
    let signed = KeyPair::generate().wrap(1000, b"{}", 1_800_000_000, 60).expect("it fits");
    let request = check_sent(&signed, 1_800_000_060).expect("good");
    assert_eq!((request.mechanism, request.userid, request.payload.as_slice()), (Mechanism::Curve, 1000, &b"{}"[..]));
    assert_eq!(check_sent(&signed, 1_800_000_061), Err(SignError::Expired));
    assert_eq!(check_sent(&signed, 1_799_999_999), Err(SignError::FromTheFuture));
    let other = KeyPair::generate().wrap(1000, b"[]", 1_800_000_000, 60).expect("it fits");
    let (head, _) = signed.rsplit_once('.').expect("three parts");
    let (_, tail) = other.rsplit_once('.').expect("three parts");
    assert_eq!(check_sent(&format!("{head}.{tail}"), 1_800_000_000), Err(SignError::BadSignature));
}

#[test]
fn our_decoder_takes_what_the_imps_takes() {
    let signed = crate::wrap_none(1000, b"{\"version\":1}");
    // Every byte replaced, and every end cut off: either both decoders refuse it or both read the same.
    let strict = |text: &str| flux_imp::j::parse(text, flux_imp::cert::decode64).map(|it| (it.header, it.payload));
    let ours = |text: &str| crate::parse(text).map(|it| (it.header, it.payload));
    for at in 0..signed.len() {
        for byte in *b"Aaz09+/=-_. \n" {
            let mut bytes = signed.clone().into_bytes();
            bytes[at] = byte;
            let text = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(ours(&text), strict(&text), "{text:?}");
        }
        assert_eq!(ours(&signed[..at]), strict(&signed[..at]));
    }
}
