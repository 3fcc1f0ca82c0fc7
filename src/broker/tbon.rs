//! `tbon.*`: how brokers keep in touch, from the command line or the `[tbon]` table (flux-config-tbon(5)).

use std::time::Duration;

use flux_service::Fault;
use flux_types::{format_fsd, parse_fsd};
use flux_wire::Errno;
use serde_json::Value;

use crate::attr::Attrs;

/// What a setting is made of.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    /// An RFC 23 duration.
    Duration,
}

/// Key in the table (with `tbon.` before it, the attribute's name), kind, and default; an empty default leaves it unset.
const SETTINGS: &[(&str, Kind, &str)] = &[
    ("topo", Kind::Text, ""),
    ("interface-hint", Kind::Text, "default-route"),
    ("torpid_min", Kind::Duration, "5s"),
    ("torpid_max", Kind::Duration, "30s"),
    ("tcp_user_timeout", Kind::Duration, "20s"),
    ("connect_timeout", Kind::Duration, "30s"),
    ("zmqdebug", Kind::Number, "0"),
    ("zmq_io_threads", Kind::Number, "1"),
    ("child_rcvhwm", Kind::Number, "0"),
    ("prefertcp", Kind::Number, "0"),
];

/// Keys that a running broker takes from a new configuration.
const RUNTIME: &[&str] = &["torpid_min", "torpid_max"];

/// Sets the attributes: what the command line gave stays, then the table counts, then the default.
///
/// # Errors
/// EINVAL: a value that is not what it should be.
pub fn settle(attrs: &mut Attrs, config: &Value) -> Result<(), Fault> {
    settle_some(attrs, config, |_| true)
}

/// As [`settle`], for what a running broker can change.
///
/// # Errors
/// As [`settle`].
pub(crate) fn resettle(attrs: &mut Attrs, config: &Value) -> Result<(), Fault> {
    settle_some(attrs, config, |key| RUNTIME.contains(&key))
}

fn settle_some(attrs: &mut Attrs, config: &Value, wanted: impl Fn(&str) -> bool) -> Result<(), Fault> {
    let table = config.get("tbon");
    for (key, kind, default) in SETTINGS.iter().filter(|(key, ..)| wanted(key)) {
        let name = format!("tbon.{key}");
        let text = match (attrs.get(&name).filter(|_| attrs.is_given(&name)), table.and_then(|table| table.get(key))) {
            (Some(given), _) => given.to_owned(),
            (None, Some(Value::String(text))) => text.clone(),
            (None, Some(other)) => other.to_string(),
            (None, None) => (*default).to_owned(),
        };
        if text.is_empty() {
            continue;
        }
        let value =
            kind.check(&text).ok_or_else(|| Fault::new(Errno::EINVAL, format!("{name}={text}: {}", kind.wants())))?;
        attrs.set(&name, value);
    }
    Ok(())
}

/// A duration among the attributes that [`settle`] has set; `None` if it is 0, which means never.
pub fn duration(attrs: &Attrs, name: &str) -> Option<Duration> {
    let seconds = attrs.get(name).and_then(parse_fsd)?;
    Duration::try_from_secs_f64(seconds).ok().filter(|span| !span.is_zero())
}

impl Kind {
    /// The value in its normal form.
    fn check(self, text: &str) -> Option<String> {
        match self {
            Kind::Text => Some(text.to_owned()),
            Kind::Number => text.parse::<i64>().ok().map(|number| number.to_string()),
            Kind::Duration => parse_fsd(text).and_then(format_fsd),
        }
    }

    fn wants(self) -> &'static str {
        match self {
            Kind::Text => "give a text",
            Kind::Number => "give an integer",
            Kind::Duration => "give a duration, such as 30s",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_command_line_outranks_the_table_and_the_table_the_default() {
        let mut attrs = Attrs::default();
        attrs.set_at_start("tbon.torpid_max", "60").unwrap();
        settle(&mut attrs, &json!({"tbon": {"torpid_max": "5s", "torpid_min": "1m", "zmqdebug": 1}})).unwrap();
        let rows = [("torpid_max", "1m"), ("torpid_min", "1m"), ("zmqdebug", "1"), ("connect_timeout", "30s")];
        for (key, want) in rows {
            assert_eq!(attrs.get(&format!("tbon.{key}")), Some(want), "{key}");
        }
        settle(&mut attrs, &json!({"tbon": {"torpid_min": "0"}})).unwrap();
        assert_eq!((attrs.get("tbon.torpid_max"), duration(&attrs, "tbon.torpid_min")), (Some("1m"), None));
        assert_eq!(duration(&attrs, "tbon.torpid_max"), Some(Duration::from_secs(60)));
        for bad in [json!({"torpid_min": "x"}), json!({"child_rcvhwm": "many"}), json!({"connect_timeout": -1})] {
            assert!(settle(&mut attrs.clone(), &json!({"tbon": bad})).is_err(), "{bad}");
        }
    }
}
