//! RFC 24 data objects: a piece of a stream, of one rank or several.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A piece of `stream`; `rank` is a rank, an idset of them, or `all`. Text goes as it is, anything else in base64; no bytes without
/// the end of the stream say nothing.
pub fn encode(stream: &str, rank: &str, bytes: &[u8], eof: bool) -> Value {
    let mut object = json!({"stream": stream, "rank": rank});
    if !bytes.is_empty() {
        match std::str::from_utf8(bytes) {
            Ok(text) => object["data"] = text.into(),
            Err(_) => {
                object["encoding"] = "base64".into();
                object["data"] = STANDARD.encode(bytes).into();
            }
        }
    }
    if eof {
        object["eof"] = true.into();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_as_it_is_and_bytes_in_base64() {
        let rows: &[(&[u8], bool, &str)] = &[
            (b"hi\n", false, r#"{"stream":"stdin","rank":"all","data":"hi\n"}"#),
            (b"\xff\x00", false, r#"{"stream":"stdin","rank":"all","encoding":"base64","data":"/wA="}"#),
            (b"", true, r#"{"stream":"stdin","rank":"all","eof":true}"#),
        ];
        for (bytes, eof, want) in rows {
            assert_eq!(encode("stdin", "all", bytes, *eof).to_string(), *want);
        }
    }
}
