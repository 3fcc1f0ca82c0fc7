//! `policy.access` (RFC 33): who may submit to a queue, by the names of users and of groups.
//!
//! Names are looked up when somebody submits, and remembered for a minute. Who cannot be looked up is nobody that is named.

use std::collections::BTreeMap;
use std::time::Duration;

use flux_service::{Completion, Cx, Fault, FileOp, Mono, Tag, enforced};
use flux_types::At;
use flux_wire::Errno;
use serde_json::Value;

use crate::limits::ACCESS_USERS_MAX;

const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// The names that a rule has; an empty one lets nobody in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    users: Vec<String>,
    groups: Vec<String>,
}

/// The rules of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    general: Option<Rule>,
    /// With what virtual queues have from their parents.
    queues: BTreeMap<String, Rule>,
}

/// Names of a user and of all groups of that user; `None` is nobody that is known.
type Who = Option<(String, Vec<String>)>;

/// Users that have been looked up.
#[derive(Debug, Default)]
pub(super) struct Known {
    users: BTreeMap<u32, (Mono, Who)>,
    asked: BTreeMap<Tag, u32>,
}

impl Rule {
    /// The rule of one place, where `wider` has what it leaves open.
    fn read(holder: &Value, wider: Option<&Rule>) -> Option<Rule> {
        let names = |key: &str| {
            let names = holder.at("/policy/access").and_then(|access| access.get(key)?.as_array());
            names.map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        };
        let (users, groups): (Option<Vec<String>>, Option<Vec<String>>) = (names("allow-user"), names("allow-group"));
        if users.is_none() && groups.is_none() {
            return wider.cloned();
        }
        let wider = wider.cloned().unwrap_or_default();
        Some(Rule { users: users.unwrap_or(wider.users), groups: groups.unwrap_or(wider.groups) })
    }

    fn allows(&self, who: &Who) -> bool {
        let named = |(user, groups): &(String, Vec<String>)| {
            self.users.contains(user) || groups.iter().any(|group| self.groups.contains(group))
        };
        who.as_ref().is_some_and(named) || !enforced("queue-access")
    }
}

impl Access {
    /// A configuration that has been checked (`crate::policy`).
    pub(super) fn read(config: &Value) -> Access {
        let general = Rule::read(config, None);
        let table = config.get("queues").and_then(Value::as_object);
        let rule = |(name, queue): (&String, &Value)| {
            let parent = queue.get("parent").and_then(Value::as_str).and_then(|parent| table?.get(parent));
            let wider = match parent {
                Some(parent) => Rule::read(parent, general.as_ref()),
                None => general.clone(),
            };
            Some((name.clone(), Rule::read(queue, wider.as_ref())?))
        };
        let queues = table.into_iter().flatten().filter_map(rule).collect();
        Access { general, queues }
    }

    fn rule<'a>(&'a self, jobspec: &'a Value) -> Option<(Option<&'a str>, &'a Rule)> {
        let queue = jobspec.at("/attributes/system/queue").and_then(Value::as_str);
        match queue.and_then(|queue| Some((queue, self.queues.get(queue)?))) {
            Some((queue, rule)) => Some((Some(queue), rule)),
            None => self.general.as_ref().map(|rule| (queue, rule)),
        }
    }
}

impl Known {
    /// Whether this user may submit this job; `None`: the user has to be looked up first, which [`Known::ask`] does.
    pub(super) fn check(&self, access: &Access, jobspec: &Value, uid: u32, now: Mono) -> Option<Result<(), Fault>> {
        let Some((queue, rule)) = access.rule(jobspec) else { return Some(Ok(())) };
        let (_, who) = self.users.get(&uid).filter(|(until, _)| now < *until)?;
        if rule.allows(who) {
            return Some(Ok(()));
        }
        let user = who.as_ref().map_or_else(|| uid.to_string(), |(name, _)| name.clone());
        let place = queue.map_or_else(|| "jobs here".to_owned(), |queue| format!("to queue {queue}"));
        Some(Err(Fault::new(Errno::EINVAL, format!("user {user} may not submit {place} (policy.access)"))))
    }

    pub(super) fn ask(&mut self, cx: &mut Cx<'_>, uid: u32) {
        if !self.asked.values().any(|asked| *asked == uid) {
            self.asked.insert(cx.file(FileOp::User { uid }), uid);
        }
    }

    /// The user that this answers for; `None`: it is of something else.
    pub(super) fn on_completion(&mut self, now: Mono, tag: Tag, completion: &Completion) -> Option<u32> {
        let uid = self.asked.remove(&tag)?;
        let who = match completion {
            Completion::User { name, groups } => Some((name.clone(), groups.clone())),
            _ => None,
        };
        if self.users.len() >= ACCESS_USERS_MAX {
            self.users.clear();
        }
        self.users.insert(uid, (now.after(REMEMBERED_FOR), who));
        Some(uid)
    }

    /// Other names may count now.
    pub(super) fn forget(&mut self) {
        self.users.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_queue_takes_jobs_of_those_who_are_named_and_a_virtual_one_those_of_its_parent() {
        let access = Access::read(&json!({
            "policy": {"access": {"allow-user": ["ann", "bob"]}},
            "queues": {
                "batch": {},
                "debug": {"policy": {"access": {"allow-group": ["dev"], "allow-user": []}}},
                "closed": {"policy": {"access": {"allow-user": []}}},
                "night": {"parent": "debug"},
            },
        }));
        let who = |name: &str, groups: &[&str]| {
            Some((name.to_owned(), groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>()))
        };
        let rows = [
            (who("ann", &[]), None, true),
            (who("eve", &["dev"]), None, false),
            (None, None, false),
            (who("ann", &[]), Some("batch"), true),
            (who("eve", &[]), Some("batch"), false),
            (who("ann", &["users"]), Some("debug"), false),
            (who("eve", &["users", "dev"]), Some("debug"), true),
            (who("eve", &["dev"]), Some("night"), true),
            (who("ann", &[]), Some("closed"), false),
        ];
        for (who, queue, want) in rows {
            let mut known = Known::default();
            known.users.insert(7, (Mono(Duration::from_secs(9)), who.clone()));
            let jobspec = json!({"attributes": {"system": queue.map_or(json!({}), |queue| json!({"queue": queue}))}});
            let at = |known: &Known, seconds| known.check(&access, &jobspec, 7, Mono(Duration::from_secs(seconds)));
            assert_eq!(at(&known, 1).map(|checked| checked.is_ok()), Some(want), "{who:?} {queue:?}");
            assert_eq!(at(&known, 9), None, "it is looked up again");
        }
        assert_eq!(Access::read(&json!({"queues": {"batch": {}}})), Access::default());
    }
}
