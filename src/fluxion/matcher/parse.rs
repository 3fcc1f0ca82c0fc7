//! The names of policies and matchers.

use super::{MatchPolicy, Preference};

const NAMED: &[(&str, &str)] = &[
    ("first", "policy=high node_centric=true stop_on_1_matches=true"),
    ("firstnodex", "policy=high node_centric=true node_exclusive=true stop_on_1_matches=true"),
    ("high", "policy=high"),
    ("low", "policy=low"),
    ("lonode", "policy=low node_centric=true"),
    ("hinode", "policy=high node_centric=true"),
    ("lonodex", "policy=low node_centric=true node_exclusive=true"),
    ("hinodex", "policy=high node_centric=true node_exclusive=true"),
];

/// A policy by name, or made of `policy=low|high [node_centric=..] [node_exclusive=..] [stop_on_1_matches=..]`.
///
/// # Errors
/// The word that is not understood.
pub fn parse_policy(text: &str) -> Result<MatchPolicy, String> {
    let plain =
        |preference| MatchPolicy { preference, is_node_centric: false, stops_early: false, ..MatchPolicy::FIRST };
    match text {
        "locality" => return Ok(plain(Preference::Locality)),
        "variation" => return Ok(plain(Preference::Variation)),
        _ => {}
    }
    let text = NAMED.iter().find(|(name, _)| *name == text).map_or(text, |(_, long)| long);
    let mut policy = None;
    let mut flags = [("node_centric", false), ("node_exclusive", false), ("stop_on_1_matches", false)];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        // The manual page spells the last flag with a prefix.
        let key = key.strip_prefix("set_").unwrap_or(key);
        if key == "policy" {
            policy = Some(match value {
                "high" => Preference::High,
                "low" => Preference::Low,
                _ => return Err("policy key within custom policy accepts only low or high".into()),
            });
            continue;
        }
        let Some(flag) = flags.iter_mut().find(|(name, _)| *name == key) else {
            return Err(format!("invalid policy option: {key}"));
        };
        flag.1 = match value {
            "true" => true,
            "false" => false,
            _ => return Err(format!("Policy option {key} requires true or false, got {value}")),
        };
    }
    let preference = policy.ok_or_else(|| format!("policy '{text}' names neither low nor high"))?;
    let [(_, is_node_centric), (_, is_node_exclusive), (_, stops_early)] = flags;
    Ok(MatchPolicy { preference, is_node_centric, is_node_exclusive, stops_early, ..MatchPolicy::FIRST })
}

const MATCHERS: &[(&str, &[&str])] = &[
    ("CA", &["containment"]),
    ("IBA", &["ibnet"]),
    ("IBBA", &["ibnetbw"]),
    ("PA", &["power"]),
    ("PFS1BA", &["pfs1bw"]),
    ("C+IBA", &["containment", "ibnet"]),
    ("C+IBBA", &["containment", "ibnetbw"]),
    ("C+PA", &["containment", "power"]),
    ("C+PFS1BA", &["containment", "pfs1bw"]),
    ("IB+IBBA", &["ibnet", "ibnetbw"]),
    ("C+P+IBA", &["containment", "power", "ibnet"]),
    ("V+PFS1BA", &["virtual1", "pfs1bw"]),
    ("VA", &["virtual1"]),
    ("ALL", &["containment", "ibnet", "ibnetbw", "pfs1bw", "power"]),
];

/// The subsystems a matcher walks, the dominant one first; its name may be in lower case.
pub fn subsystems_of(matcher: &str) -> Option<&'static [&'static str]> {
    let is_it = |name: &str| name == matcher || name.to_lowercase() == matcher;
    MATCHERS.iter().find(|(name, _)| is_it(name)).map(|(_, subsystems)| *subsystems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_names_and_parts() {
        assert_eq!(parse_policy("first"), Ok(MatchPolicy::FIRST));
        assert_eq!(parse_policy("policy=high node_centric=true stop_on_1_matches=true"), Ok(MatchPolicy::FIRST));
        assert_eq!(parse_policy("policy=high node_centric=true set_stop_on_1_matches=true"), Ok(MatchPolicy::FIRST));
        for bad in ["", "best", "policy=mid", "policy=low node_centric=yes", "node_centric=true"] {
            assert!(parse_policy(bad).is_err(), "input {bad:?}");
        }
    }

    #[test]
    fn matchers_name_their_dominant_subsystem_first() {
        assert_eq!(subsystems_of("C+PA"), Some(["containment", "power"].as_slice()));
        assert_eq!(subsystems_of("c+pa"), subsystems_of("C+PA"));
        assert_eq!(subsystems_of("XA"), None);
    }
}
