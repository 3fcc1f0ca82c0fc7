//! RFC 24 data objects: a piece of a stream, of one task or several.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// A decoded piece.
#[derive(Debug, PartialEq)]
pub(crate) struct Data<'a> {
    pub(crate) stream: &'a str,
    /// A task rank, an idset of them, or `all`.
    pub(crate) rank: &'a str,
    /// Empty at the end of the stream.
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// `None` if a required key is absent or the base64 is none.
pub(crate) fn decode(context: &Map<String, Value>) -> Option<Data<'_>> {
    let text = |key| context.get(key).and_then(Value::as_str);
    let (stream, rank) = (text("stream")?, text("rank")?);
    let bytes = match (text("data"), text("encoding")) {
        (Some(data), Some("base64")) => Cow::Owned(STANDARD.decode(data).ok()?),
        (Some(data), _) => Cow::Borrowed(data.as_bytes()),
        (None, _) => {
            context.get("eof")?.as_bool()?;
            Cow::Borrowed(&[][..])
        }
    };
    Some(Data { stream, rank, bytes })
}

/// Text goes as it is, anything else in base64.
pub(crate) fn encode(stream: &str, rank: &str, bytes: &[u8], eof: bool) -> Value {
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
    fn pieces_come_back_as_they_were() {
        let rows: &[(&[u8], bool, &str)] = &[
            (b"hi\n", false, r#"{"stream":"stdin","rank":"all","data":"hi\n"}"#),
            (b"\xff\x00", false, r#"{"stream":"stdin","rank":"all","encoding":"base64","data":"/wA="}"#),
            (b"", true, r#"{"stream":"stdin","rank":"all","eof":true}"#),
        ];
        for (bytes, eof, want) in rows {
            let object = encode("stdin", "all", bytes, *eof);
            assert_eq!(object.to_string(), *want);
            let data = decode(object.as_object().unwrap()).unwrap();
            assert_eq!((data.stream, data.rank, &*data.bytes), ("stdin", "all", *bytes));
        }
    }

    #[test]
    fn malformed_pieces_are_refused() {
        for text in [
            r#"{}"#,
            r#"{"stream":"stdout"}"#,
            r#"{"stream":"stdout","rank":"0"}"#,
            r#"{"stream":"stdout","rank":"0","data":"%%","encoding":"base64"}"#,
            r#"{"stream":1,"rank":"0","eof":true}"#,
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(decode(value.as_object().unwrap()), None, "{text}");
        }
    }
}
