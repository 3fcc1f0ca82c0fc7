//! JSON with a space after `,` and `:`, as resource-query has always printed it.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use std::io;

struct Spaced(CompactFormatter);

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let Spaced(CompactFormatter) = self;
        writer.write_all(b": ")
    }
}

/// One line of JSON, with spaces.
pub fn dump_spaced(value: &Value) -> String {
    let mut out = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut out, Spaced(CompactFormatter));
    value.serialize(&mut serializer).expect("a value in memory can always be written to memory");
    String::from_utf8(out).expect("JSON is UTF-8")
}
