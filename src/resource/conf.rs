//! The `[resource]` table (flux-config-resource(5)).

use flux_service::Fault;
use flux_types::parse_fsd;
use flux_types::resource_set::{VerifyConfig, VerifyMode};
use flux_wire::Errno;
use serde_json::{Map, Value};

use crate::inventory::from_config;
use crate::limits::JOURNAL_MAX;

/// What the table says beyond the inventory itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conf {
    /// `None`: nothing is compared.
    pub(crate) verify: Option<VerifyConfig>,
    /// The configuration speaks of it: then the resources of a job are compared too.
    pub(crate) explicit: bool,
    pub(crate) rediscover: bool,
    pub(crate) journal_max: usize,
    /// Seconds; older entries of the eventlog go at a start.
    pub(crate) history: f64,
}

const KEYS: [&str; 11] = [
    "path",
    "scheduling",
    "config",
    "verify",
    "exclude",
    "norestrict",
    "noverify",
    "no-update-watch",
    "rediscover",
    "journal-max",
    "history",
];
/// Ninety days, as flux-core keeps them.
const HISTORY: f64 = 90.0 * 86400.0;

fn invalid(text: impl std::fmt::Display) -> Fault {
    Fault::new(Errno::EINVAL, format!("error parsing [resource] configuration: {text}"))
}

impl Default for Conf {
    fn default() -> Conf {
        Conf { verify: None, explicit: false, rediscover: false, journal_max: JOURNAL_MAX, history: HISTORY }
    }
}

impl Conf {
    /// # Errors
    /// EINVAL and the key that makes no sense.
    pub(crate) fn read(config: &Value) -> Result<Conf, Fault> {
        let empty = Map::new();
        let table = match config.get("resource") {
            None => &empty,
            Some(table) => table.as_object().ok_or_else(|| invalid("it is no table"))?,
        };
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(invalid(format!("unknown key '{key}' (one of {})", KEYS.join(", "))));
        }
        for key in ["path", "scheduling", "exclude"] {
            if table.get(key).is_some_and(|value| !value.is_string()) {
                return Err(invalid(format!("'{key}' must be a string")));
            }
        }
        let flag = |key: &str| match table.get(key) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| invalid(format!("'{key}' must be a boolean"))),
        };
        if let Some(entries) = table.get("config") {
            from_config(entries).map_err(invalid)?;
        } else if table.contains_key("scheduling") && !table.contains_key("path") {
            return Err(invalid("resource.scheduling requires resource.path or [resource.config]"));
        }
        flag("norestrict")?;
        flag("no-update-watch")?;
        let journal_max = match table.get("journal-max") {
            None => JOURNAL_MAX,
            Some(max) => max.as_u64().ok_or_else(|| invalid("'journal-max' must be a whole number"))? as usize,
        };
        let history = match table.get("history") {
            None => HISTORY,
            Some(text) => text.as_str().and_then(parse_fsd).ok_or_else(|| invalid("invalid history time"))?,
        };
        let verify = read_verify(table.get("verify"))?;
        let verify = if flag("noverify")? { None } else { Some(verify) };
        Ok(Conf {
            verify,
            explicit: table.contains_key("verify"),
            rediscover: flag("rediscover")?,
            journal_max,
            history,
        })
    }
}

/// Without a word on it, nodes may have more than they need, and GPUs are not looked at (flux-config-resource(5)).
fn read_verify(value: Option<&Value>) -> Result<VerifyConfig, Fault> {
    match value {
        None => Ok(VerifyConfig {
            default: VerifyMode::AllowExtra,
            hostname: Some(VerifyMode::Strict),
            core: None,
            gpu: Some(VerifyMode::Ignore),
        }),
        Some(value) => VerifyConfig::from_value(value).map_err(invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_that_makes_no_sense_is_refused_with_its_key() {
        let rows = [
            (json!({"foo": 1}), "unknown key 'foo'"),
            (json!({"verify": "x"}), "verify must be a table or boolean"),
            (json!({"verify": {"core": "x"}}), "verify.core: unknown verify mode 'x'"),
            (json!({"verify": {"memory": "strict"}}), "unsupported resource type: memory"),
            (json!({"journal-max": "x"}), "'journal-max' must be a whole number"),
            (json!({"history": "x"}), "invalid history time"),
            (json!({"scheduling": "/x"}), "requires resource.path"),
            (json!({"norestrict": 1}), "'norestrict' must be a boolean"),
            (json!({"config": [{"cores": "0"}]}), "resource.config[0] has no 'hosts'"),
        ];
        for (table, want) in rows {
            let text = Conf::read(&json!({"resource": table})).expect_err(want).message();
            assert!(text.contains(want), "{table}: {text}");
        }
    }
}
