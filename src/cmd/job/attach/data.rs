//! RFC 24 data objects: a piece of a stream, of one task or several.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

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

#[cfg(test)]
mod tests {
    use super::*;
    use flux_types::iodata;

    #[test]
    fn pieces_come_back_as_they_were() {
        for (bytes, eof) in [(&b"hi\n"[..], false), (b"\xff\x00", false), (b"", true)] {
            let object = iodata::encode("stdin", "all", bytes, eof);
            let data = decode(object.as_object().unwrap()).unwrap();
            assert_eq!((data.stream, data.rank, &*data.bytes), ("stdin", "all", bytes));
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
