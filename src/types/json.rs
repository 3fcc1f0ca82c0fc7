//! JSON text in the layout that Python's `json.dumps` and jansson use by default: a space after commas and colons.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

/// `value` on one line, a space after each comma and colon; the bytes flux-core's tools print for people.
pub fn to_spaced_string(value: &Value) -> String {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Spaced)).expect("a JSON value always encodes");
    String::from_utf8(out).expect("serde_json writes UTF-8")
}

/// What lies deep in a JSON value.
pub trait At {
    /// As [`Value::pointer`] for a path without `~`, but the path is not copied: services ask for the same few members of every job.
    fn at(&self, path: &str) -> Option<&Value>;
}

impl At for Value {
    fn at(&self, path: &str) -> Option<&Value> {
        if path.is_empty() {
            return Some(self);
        }
        path.strip_prefix('/')?.split('/').try_fold(self, |value, name| match value {
            Value::Object(members) => members.get(name),
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_where_a_json_pointer_leads() {
        let value = serde_json::json!({"a": {"b": [10, {"c": null}], "": 1}, "d": "text"});
        for path in ["", "/", "/a", "/a/b", "/a/b/0", "/a/b/1/c", "/a/b/2", "/a/b/x", "/a/", "/d/e", "a", "/a/b/-1"] {
            assert_eq!(value.at(path), value.pointer(path), "{path:?}");
        }
    }
}
