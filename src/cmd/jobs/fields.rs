//! The fields that a format of jobs may name: their headings, and what the service must be asked for.

use std::collections::BTreeSet;

/// What tells how a job ended, and why.
pub(super) const HOW_IT_ENDED: &[&str] =
    &["state", "result", "waitstatus", "exception_occurred", "exception_severity", "exception_type", "exception_note"];

/// Field, heading, and the attributes of RFC 43 it is made of.
const FIELDS: &[(&str, &str, &[&str])] = &[
    ("id", "JOBID", &[]),
    ("id.dec", "JOBID", &[]),
    ("id.hex", "JOBID", &[]),
    ("id.f58", "JOBID", &[]),
    ("id.f58plain", "JOBID", &[]),
    ("id.emoji", "JOBID", &[]),
    ("id.kvs", "JOBID", &[]),
    ("id.words", "JOBID", &[]),
    ("id.dothex", "JOBID", &[]),
    ("userid", "UID", &["userid"]),
    ("username", "USER", &["userid"]),
    ("urgency", "URG", &["urgency"]),
    ("priority", "PRI", &["priority"]),
    ("state", "STATE", &["state"]),
    ("state_single", "S", &["state"]),
    ("state_emoji", "STATE", &["state"]),
    ("name", "NAME", &["name"]),
    ("cwd", "CWD", &["cwd"]),
    ("queue", "QUEUE", &["queue"]),
    ("project", "PROJECT", &["project"]),
    ("bank", "BANK", &["bank"]),
    ("ntasks", "NTASKS", &["ntasks"]),
    ("ncores", "NCORES", &["ncores"]),
    ("duration", "DURATION", &["duration"]),
    ("nnodes", "NNODES", &["nnodes"]),
    ("expiration", "EXPIRATION", &["expiration", "state", "result"]),
    ("t_remaining", "T_REMAINING", &["expiration", "state", "result"]),
    ("ranks", "RANKS", &["ranks"]),
    ("nodelist", "NODELIST", &["nodelist"]),
    ("success", "SUCCESS", &["success"]),
    ("result", "RESULT", &["result"]),
    ("result_abbrev", "RS", &["result"]),
    ("result_emoji", "RESULT", &["result"]),
    ("t_submit", "T_SUBMIT", &["t_submit"]),
    ("t_depend", "T_DEPEND", &["t_depend"]),
    ("t_priority", "T_PRIORITY", &["t_priority"]),
    ("t_sched", "T_SCHED", &["t_sched"]),
    ("t_run", "T_RUN", &["t_run"]),
    ("t_cleanup", "T_CLEANUP", &["t_cleanup"]),
    ("t_inactive", "T_INACTIVE", &["t_inactive"]),
    ("runtime", "RUNTIME", &["t_run", "t_cleanup"]),
    ("status", "STATUS", &["state", "result"]),
    ("status_abbrev", "ST", &["state", "result"]),
    ("status_emoji", "STATUS", &["state", "result"]),
    ("waitstatus", "WSTATUS", &["waitstatus"]),
    ("returncode", "RC", &["waitstatus", "result"]),
    ("exception.occurred", "EXCEPTION-OCCURRED", &["exception_occurred"]),
    ("exception.severity", "EXCEPTION-SEVERITY", &["exception_severity"]),
    ("exception.type", "EXCEPTION-TYPE", &["exception_type"]),
    ("exception.note", "EXCEPTION-NOTE", &["exception_note"]),
    ("annotations", "ANNOTATIONS", &["annotations"]),
    ("dependencies", "DEPENDENCIES", &["dependencies"]),
    ("contextual_info", "INFO", &["state", "dependencies", "annotations", "nodelist", "priority", "urgency"]),
    ("contextual_time", "TIME", &["state", "t_run", "t_cleanup", "duration"]),
    ("inactive_reason", "INACTIVE-REASON", HOW_IT_ENDED),
    ("explain", "EXPLAIN", HOW_IT_ENDED),
    // RFC 27 names these.
    ("annotations.sched.t_estimate", "T_ESTIMATE", &["annotations"]),
    ("annotations.sched.reason_pending", "REASON", &["annotations"]),
    ("annotations.sched.resource_summary", "RESOURCES", &["annotations"]),
    ("sched", "SCHED", &["annotations"]),
    ("sched.t_estimate", "T_ESTIMATE", &["annotations"]),
    ("sched.reason_pending", "REASON", &["annotations"]),
    ("sched.resource_summary", "RESOURCES", &["annotations"]),
    ("user", "USER", &["annotations"]),
    ("uri", "URI", &["annotations"]),
    ("uri.local", "URI", &["annotations"]),
    ("instance.stats.total", "NJOBS", INSTANCE),
    ("instance.utilization", "CORE%", INSTANCE),
    ("instance.gpu_utilization", "GPU%", INSTANCE),
    ("instance.progress", "PROG", INSTANCE),
    ("instance.resources.all.ncores", "CORES", INSTANCE),
    ("instance.resources.all.ngpus", "GPUS", INSTANCE),
    ("instance.resources.all.nnodes", "NODES", INSTANCE),
    ("instance.resources.up.ncores", "UP", INSTANCE),
    ("instance.resources.up.ngpus", "UP", INSTANCE),
    ("instance.resources.up.nnodes", "UP", INSTANCE),
    ("instance.resources.down.ncores", "DOWN", INSTANCE),
    ("instance.resources.down.ngpus", "DOWN", INSTANCE),
    ("instance.resources.down.nnodes", "DOWN", INSTANCE),
    ("instance.resources.allocated.ncores", "USED", INSTANCE),
    ("instance.resources.allocated.ngpus", "USED", INSTANCE),
    ("instance.resources.allocated.nnodes", "USED", INSTANCE),
    ("instance.resources.free.ncores", "FREE", INSTANCE),
    ("instance.resources.free.ngpus", "FREE", INSTANCE),
    ("instance.resources.free.nnodes", "FREE", INSTANCE),
];

/// A running job that is an instance is asked itself.
const INSTANCE: &[&str] = &["annotations", "state", "result"];

/// Prefixes behind which anything may stand, and what its heading leaves out.
const OPEN: &[(&str, &str)] = &[
    ("annotations.", "annotations."),
    ("sched.", ""),
    ("user.", ""),
    ("instance.resources.", "instance.resources."),
    ("instance.", "instance."),
];

/// The headings of all fields, with those that only this format names. They live as long as the process: a format
/// is chosen once.
pub(crate) fn headings(format: &str) -> &'static [(&'static str, &'static str)] {
    let mut headings: Vec<(&'static str, &'static str)> = FIELDS.iter().map(|(name, head, _)| (*name, *head)).collect();
    for name in named(format) {
        let open = OPEN.iter().find(|(prefix, _)| name.starts_with(prefix));
        if let Some((_, cut)) = open.filter(|_| !headings.iter().any(|(known, _)| *known == name)) {
            let heading: &'static str = name[cut.len()..].to_uppercase().leak();
            headings.push((name.to_owned().leak(), heading));
        }
    }
    headings.leak()
}

/// Whatever stands behind an opening brace, up to what can end a name.
fn named(format: &str) -> impl Iterator<Item = &str> {
    format.split('{').skip(1).map(|rest| rest.split([':', '!', '}', '{']).next().unwrap_or(""))
}

/// The attributes to ask for; the id always comes along.
pub(crate) fn attributes<'f>(fields: impl IntoIterator<Item = &'f str>) -> BTreeSet<&'static str> {
    let mut attributes = BTreeSet::new();
    for field in fields {
        match FIELDS.iter().find(|(name, ..)| *name == field) {
            Some((_, _, needed)) => attributes.extend(needed.iter().copied()),
            None if field.starts_with("instance.") => attributes.extend(INSTANCE.iter().copied()),
            None => drop(attributes.insert("annotations")),
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_fields_get_headings_of_their_own() {
        let heading = |name: &str| {
            let format = format!("{{id}} {{{name}:>8}}");
            headings(&format).iter().find(|(known, _)| *known == name).map(|(_, heading)| *heading)
        };
        let rows = [
            ("annotations.user.foo", Some("USER.FOO")),
            ("user.foo", Some("USER.FOO")),
            ("sched.reason_pending", Some("REASON")),
            ("instance.resources.all.properties", Some("ALL.PROPERTIES")),
            ("instance.stats.failed", Some("STATS.FAILED")),
            ("nosuch", None),
        ];
        for (name, want) in rows {
            assert_eq!(heading(name), want, "{name}");
        }
    }

    #[test]
    fn only_what_is_shown_is_asked_for() {
        let asked: Vec<_> = attributes(["id.f58", "username", "contextual_time", "user.x"]).into_iter().collect();
        assert_eq!(asked, ["annotations", "duration", "state", "t_cleanup", "t_run", "userid"]);
    }
}
