//! Reading a jobspec without making values of its environment.
//!
//! The environment is most of a jobspec's bulk, and nothing here looks into it: it is kept as the text that it came as, and handed
//! to the manager beside the rest.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

const PATH: &[&str] = &["attributes", "system", "environment"];

/// The jobspec without `attributes.system.environment`, and that as JSON text.
///
/// # Errors
/// Those of JSON.
pub(super) fn read(text: &[u8]) -> Result<(Value, Option<Box<str>>), serde_json::Error> {
    let mut environment = None;
    let mut input = serde_json::Deserializer::from_slice(text);
    let jobspec = Reader { path: PATH, environment: &mut environment }.deserialize(&mut input)?;
    input.end()?;
    Ok((jobspec, environment.map(|raw| raw.get().into())))
}

/// Takes the environment out of a jobspec that somebody made.
pub(super) fn take_environment(jobspec: &mut Value) -> Option<Box<str>> {
    let system = jobspec.pointer_mut("/attributes/system")?.as_object_mut()?;
    system.shift_remove("environment").map(|environment| environment.to_string().into())
}

/// The whole jobspec again.
pub(super) fn whole(jobspec: &Value, environment: Option<&str>) -> Value {
    let mut jobspec = jobspec.clone();
    if let (Some(text), Some(Value::Object(system))) = (environment, jobspec.pointer_mut("/attributes/system")) {
        system.insert("environment".into(), serde_json::from_str(text).unwrap_or(Value::Null));
    }
    jobspec
}

/// Reads any value, but leaves what is at `path` as text.
struct Reader<'e> {
    path: &'static [&'static str],
    environment: &'e mut Option<Box<RawValue>>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a jobspec")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(value) = list.next_element()? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match self.path {
                [last] if key == *last => *self.environment = Some(map.next_value()?),
                [first, rest @ ..] if key == *first => {
                    let value = map.next_value_seed(Reader { path: rest, environment: &mut *self.environment })?;
                    out.insert(key, value);
                }
                _ => drop(out.insert(key, map.next_value()?)),
            }
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_environment_stays_text_and_all_else_is_as_it_was() {
        let spec = json!({"resources": [1, 2.5, -3, null, true], "attributes": {"user": {"environment": 1},
            "system": {"a": "b", "environment": {"X": "y\n"}, "z": {}}}, "environment": "no", "version": 1});
        let (rest, environment) = read(spec.to_string().as_bytes()).unwrap();
        assert_eq!(environment.as_deref(), Some(r#"{"X":"y\n"}"#));
        let mut want = spec.clone();
        assert_eq!(take_environment(&mut want), environment);
        assert_eq!(rest, want);
        assert_eq!(whole(&rest, environment.as_deref()), spec);
    }

    #[test]
    fn what_is_no_jobspec_is_read_as_what_it_is() {
        for text in ["1", "null", "\"x\"", "[{}]", "{\"attributes\":3}", "{\"attributes\":{\"system\":[]}}"] {
            let (value, environment) = read(text.as_bytes()).unwrap();
            assert_eq!((value.to_string().as_str(), environment), (text, None));
        }
        for text in ["", "{", "{}x", "{\"attributes\":{\"system\":{\"environment\":{]}}}"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
