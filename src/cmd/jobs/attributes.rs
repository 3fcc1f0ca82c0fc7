//! What the job-list service tells of a job, by key (RFC 43).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Keys that come with every job: they are not copied.
const KNOWN: &[&str] = &[
    "id",
    "userid",
    "urgency",
    "priority",
    "t_submit",
    "t_depend",
    "t_priority",
    "t_sched",
    "t_run",
    "t_cleanup",
    "t_inactive",
    "state",
    "name",
    "cwd",
    "queue",
    "project",
    "bank",
    "ntasks",
    "ncores",
    "duration",
    "nnodes",
    "ranks",
    "nodelist",
    "success",
    "exception_occurred",
    "exception_type",
    "exception_severity",
    "exception_note",
    "result",
    "expiration",
    "annotations",
    "waitstatus",
    "dependencies",
];

/// A few dozen keys at most, in order: looking at each is quicker than hashing one, and a listing has them a hundred thousand times.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attributes(Vec<(Cow<'static, str>, Value)>);

impl Attributes {
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(crate) fn insert(&mut self, key: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((kept(key), value)),
        }
    }
}

fn kept(key: &str) -> Cow<'static, str> {
    match KNOWN.iter().find(|known| **known == key) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(key.to_owned()),
    }
}

impl From<Map<String, Value>> for Attributes {
    fn from(map: Map<String, Value>) -> Attributes {
        Attributes(map.into_iter().map(|(key, value)| (kept(&key), value)).collect())
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Attributes, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Attributes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a job")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut out = Vec::with_capacity(16);
                while let Some(Key(key)) = map.next_key()? {
                    out.push((key, map.next_value()?));
                }
                Ok(Attributes(out))
            }
        }
        input.deserialize_map(Reader)
    }
}

struct Key(Cow<'static, str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Key, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(Key(kept(key)))
            }
        }
        input.deserialize_str(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn attributes_are_read_by_key_whether_they_are_known_or_not() {
        let text = r#"{"id":7,"name":"x","new":{"a":[1]}}"#;
        let mut read: Attributes = serde_json::from_str(text).unwrap();
        assert_eq!(read, Attributes::from(serde_json::from_str::<Map<String, Value>>(text).unwrap()));
        assert_eq!((read.get("id"), read.get("new"), read.get("x")), (Some(&json!(7)), Some(&json!({"a": [1]})), None));
        read.insert("id", json!(8));
        read.insert("x", json!(1));
        assert_eq!((read.get("id"), read.get("x")), (Some(&json!(8)), Some(&json!(1))));
        assert!(serde_json::from_str::<Attributes>("[]").is_err());
    }
}
