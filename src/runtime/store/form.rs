//! How a blob lies in the database.
//!
//! What a job leaves is text of few words: it is compressed (LZ4) with a dictionary of these words. Of a signed jobspec (RFC 39) the
//! payload, which is base64 and holds the environment, is a blob of its own, so that jobs that were submitted alike share it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use sha1::Digest;

/// Texts that blobs are like. The form [`Form::Packed`] means this dictionary for ever: another one is another form.
const WORDS: &[u8] = include_bytes!("words.txt");

/// A blob that is shorter stays as it is.
const PACKED_LEN_MIN: usize = 64;
/// A payload that is shorter stays where it is.
const PAYLOAD_LEN_MIN: usize = 256;
/// LZ4 cannot make more than this of a byte: a row that claims more is damaged.
const LZ4_RATIO_MAX: usize = 256;
/// How every signed jobspec begins: the base64 of the header's first key and its type, `version` and `i` (RFC 39).
const SIGNED_PREFIX: &[u8] = b"dmVyc2lvbgBp";

/// What the column `object` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The blob.
    Plain = 0,
    /// LZ4 of the blob, with [`WORDS`].
    Packed = 1,
    /// The hash of the payload, the header, `.`, and the signature.
    Signed = 2,
}

impl Form {
    pub(super) fn of_number(number: i64) -> Option<Form> {
        match number {
            0 => Some(Form::Plain),
            1 => Some(Form::Packed),
            2 => Some(Form::Signed),
            _ => None,
        }
    }
}

/// The bytes of a row, and the payload that must be a row too.
pub(super) struct Stored<'a> {
    pub(super) form: Form,
    pub(super) object: std::borrow::Cow<'a, [u8]>,
    pub(super) payload: Option<Payload>,
}

/// A blob that another one is rebuilt from.
pub(super) struct Payload {
    pub(super) hash: Vec<u8>,
    pub(super) blob: Vec<u8>,
}

/// How to store `blob`, whose hash is `hash`.
pub(super) fn stored<'a>(hash: &[u8], blob: &'a [u8]) -> Stored<'a> {
    signed(hash, blob).unwrap_or_else(|| packed(blob))
}

fn packed(blob: &[u8]) -> Stored<'_> {
    if blob.len() >= PACKED_LEN_MIN {
        let object = compress_with_dict(blob, WORDS);
        if object.len() < blob.len() {
            return Stored { form: Form::Packed, object: object.into(), payload: None };
        }
    }
    Stored { form: Form::Plain, object: blob.into(), payload: None }
}

/// `None`: it is no signed jobspec, or not one that would be the same after it was rebuilt.
fn signed<'a>(hash: &[u8], blob: &[u8]) -> Option<Stored<'a>> {
    if !blob.starts_with(SIGNED_PREFIX) {
        return None;
    }
    let mut parts = std::str::from_utf8(blob).ok()?.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || payload.len() < PAYLOAD_LEN_MIN {
        return None;
    }
    // What is inside is never of this form itself: reading would have no end.
    let decoded = STANDARD.decode(payload).ok().filter(|decoded| !decoded.starts_with(SIGNED_PREFIX))?;
    let hash = hash_like(hash, &decoded)?;
    (STANDARD.encode(&decoded) == payload).then_some(())?;
    let object = [&hash[..], header.as_bytes(), b".", signature.as_bytes()].concat();
    let payload = Some(Payload { hash, blob: decoded });
    Some(Stored { form: Form::Signed, object: object.into(), payload })
}

/// The blob of a [`Form::Packed`] row; `None`: the row is damaged.
pub(super) fn unpacked(object: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > object.len().checked_mul(LZ4_RATIO_MAX)? {
        return None;
    }
    decompress_with_dict(object, len, WORDS).ok().filter(|blob| blob.len() == len)
}

/// The blob of a [`Form::Signed`] row, whose payload was found under the first `hash_len` bytes; `None`: the row is damaged.
pub(super) fn rebuilt(object: &[u8], hash_len: usize, payload: &[u8]) -> Option<Vec<u8>> {
    let rest = object.get(hash_len..)?;
    let dot = rest.iter().position(|byte| *byte == b'.')?;
    let payload = STANDARD.encode(payload);
    Some([&rest[..=dot], payload.as_bytes(), &rest[dot..]].concat())
}

/// The hash of `blob` by the function that made `like` (RFC 10); `None`: nobody knows which that was.
pub(super) fn hash_like(like: &[u8], blob: &[u8]) -> Option<Vec<u8>> {
    match like.len() {
        20 => Some(sha1::Sha1::digest(blob).to_vec()),
        32 => Some(sha2::Sha256::digest(blob).to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(blob: &[u8]) -> Vec<u8> {
        hash_like(&[0; 20], blob).unwrap()
    }

    fn read(blob: &[u8], stored: &Stored<'_>) -> Option<Vec<u8>> {
        match stored.form {
            Form::Plain => Some(stored.object.to_vec()),
            Form::Packed => unpacked(&stored.object, blob.len()),
            Form::Signed => rebuilt(&stored.object, 20, &stored.payload.as_ref()?.blob),
        }
    }

    fn signed_jobspec(payload: &str) -> Vec<u8> {
        let header = STANDARD.encode(b"version\0i1\0mechanism\0snone\0userid\0i0\0");
        format!("{header}.{payload}.none").into_bytes()
    }

    #[test]
    fn every_blob_comes_back_as_it_was_put() {
        let jobspec = STANDARD.encode(r#"{"tasks":[{"command":["true"]}],"environment":{"HOME":"/root"}}"#.repeat(9));
        let mut unusual = jobspec.clone();
        unusual.replace_range(10..11, "*");
        let loose = jobspec.trim_end_matches('=').to_owned() + "A";
        let inner = STANDARD.encode(signed_jobspec(&jobspec));
        let rows: [(&str, Vec<u8>, Form); 11] = [
            ("nothing", vec![], Form::Plain),
            ("a short one", b"short".to_vec(), Form::Plain),
            ("noise", [sha2::Sha256::digest(b"one"), sha2::Sha256::digest(b"two")].concat(), Form::Plain),
            (
                "words",
                br#"{"timestamp":1.5,"name":"submit","context":{"userid":0,"urgency":16}}"#.to_vec(),
                Form::Packed,
            ),
            ("the same byte", vec![7; 1 << 20], Form::Packed),
            ("a signed jobspec", signed_jobspec(&jobspec), Form::Signed),
            ("one with a short payload", signed_jobspec("eyJ9"), Form::Plain),
            ("one that is not base64", signed_jobspec(&unusual), Form::Packed),
            ("one that is base64 of another kind", signed_jobspec(&loose), Form::Packed),
            ("one in another", signed_jobspec(&inner), Form::Packed),
            ("one with four parts", signed_jobspec(&format!("{jobspec}.x")), Form::Packed),
        ];
        for (what, blob, form) in rows {
            let stored = stored(&hash(&blob), &blob);
            assert_eq!(stored.form, form, "{what}");
            assert_eq!(read(&blob, &stored).as_deref(), Some(&blob[..]), "{what}");
            assert_eq!(Form::of_number(form as i64), Some(form));
        }
    }

    #[test]
    fn what_a_job_leaves_is_a_third_of_its_text() {
        let texts = [
            concat!(
                r#"{"timestamp":1795296547.347134,"name":"init"}"#,
                "\n",
                r#"{"timestamp":1795296547.367809,"name":"shell.init","context":{"service":"0-shell-f4qP9Gj","leader-rank":0,"size":1}}"#,
                "\n",
                r#"{"timestamp":1795296547.399258,"name":"complete","context":{"status":0}}"#,
                "\n",
                r#"{"timestamp":1795296547.399258,"name":"done"}"#,
                "\n"
            ),
            r#"{"version":1,"execution":{"R_lite":[{"rank":"0-7","children":{"core":"1"}}],"nodelist":["n[0-7]"],"starttime":1795296547.2,"expiration":0}}"#,
        ];
        for text in texts {
            let stored = stored(&hash(text.as_bytes()), text.as_bytes());
            assert!(stored.object.len() * 2 < text.len(), "{} of {}: {text}", stored.object.len(), text.len());
        }
    }

    #[test]
    fn a_damaged_row_is_noticed_and_takes_no_memory() {
        let blob = [b"0123456789".as_slice(); 40].concat();
        let object = stored(&hash(&blob), &blob).object.into_owned();
        assert_eq!(unpacked(&object, usize::MAX), None);
        assert_eq!(unpacked(&object, object.len() * LZ4_RATIO_MAX + 1), None);
        assert_eq!(unpacked(&object, blob.len() - 1), None);
        assert_eq!(unpacked(&object, blob.len() + 1), None);
        assert_eq!(unpacked(&object[..object.len() / 2], blob.len()), None);
        assert_eq!(rebuilt(b"short", 20, b""), None);
        assert_eq!(rebuilt(&[b'x'; 40], 20, b""), None);
    }
}
