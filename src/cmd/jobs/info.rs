//! One job of a listing, as the job-list service describes it (RFC 43), and all that can be said about it.

use std::cell::RefCell;
use std::rc::Rc;

use flux_sys::process::WaitStatus;
use flux_sys::users::Users;
use flux_types::json::to_spaced_string;
use flux_types::{JobId, JobIdForm, JobResult, JobState, StateSet, format_fsd_listing};
use serde_json::{Map, Value as Json, json};

use super::attributes::Attributes;
use super::instance::Instance;
use crate::format::{Row, Value};
use crate::frame::timefmt;
use crate::jobid::shown_as;

/// What the rows of one listing share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Seconds since the epoch.
    pub(crate) now: f64,
    pub(crate) hostname: String,
    /// Whether addresses are shown as they are used on this host (`FLUX_URI_RESOLVE_LOCAL`).
    pub(crate) local_uris: bool,
    pub(crate) utf8: bool,
    users: RefCell<Users>,
}

impl Shared {
    pub(crate) fn new(local_uris: bool) -> Rc<Shared> {
        Rc::new(Shared {
            now: timefmt::now(),
            hostname: flux_sys::ids::hostname().unwrap_or_default(),
            local_uris,
            utf8: shown_as(JobIdForm::F58) == JobIdForm::F58,
            users: RefCell::new(Users::new()),
        })
    }

    fn username(&self, uid: u32) -> String {
        match self.users.borrow_mut().by_uid(uid) {
            Ok(Some(user)) => user.name,
            _ => uid.to_string(),
        }
    }
}

/// One job.
#[derive(Clone, Debug)]
pub(crate) struct JobInfo {
    pub(crate) fields: Attributes,
    pub(crate) instance: Option<Rc<Instance>>,
    /// Why it does not run, if that was asked for and there is a reason.
    pub(crate) explain: Option<String>,
    shared: Rc<Shared>,
}

impl JobInfo {
    /// `None` if the answer is no job.
    pub(crate) fn new(job: Json, shared: &Rc<Shared>) -> Option<JobInfo> {
        let Json::Object(fields) = job else { return None };
        JobInfo::of(fields.into(), shared)
    }

    /// `None` if they have no id.
    pub(crate) fn of(fields: Attributes, shared: &Rc<Shared>) -> Option<JobInfo> {
        fields.get("id")?.as_u64()?;
        Some(JobInfo { fields, instance: None, explain: None, shared: Rc::clone(shared) })
    }

    fn number(&self, key: &str) -> f64 {
        self.fields.get(key).and_then(Json::as_f64).unwrap_or(0.0)
    }

    fn text(&self, key: &str) -> &str {
        self.fields.get(key).and_then(Json::as_str).unwrap_or("")
    }

    fn bits(&self, key: &str) -> Option<u32> {
        u32::try_from(self.fields.get(key)?.as_u64()?).ok()
    }

    pub(crate) fn id(&self) -> JobId {
        JobId(self.fields.get("id").and_then(Json::as_u64).unwrap_or(0))
    }

    pub(crate) fn userid(&self) -> Option<u32> {
        self.bits("userid")
    }

    pub(crate) fn state(&self) -> Option<JobState> {
        JobState::from_bit(self.bits("state")?)
    }

    pub(crate) fn result(&self) -> Option<JobResult> {
        JobResult::from_bit(self.bits("result")?)
    }

    fn is_active(&self) -> bool {
        self.state().is_some_and(|state| StateSet::ACTIVE.contains(state))
    }

    /// State while active, result afterwards.
    pub(crate) fn status(&self) -> &'static str {
        match (self.is_active(), self.state(), self.result()) {
            (true, Some(state), _) => state.name(),
            (_, _, Some(result)) => result.name(),
            _ => "",
        }
    }

    pub(crate) fn status_abbrev(&self) -> &'static str {
        match (self.is_active(), self.state(), self.result()) {
            (true, Some(state), _) => state.short(),
            (_, _, Some(result)) => result.short(),
            _ => "",
        }
    }

    /// A value in the annotations by dotted path.
    fn annotation(&self, path: &str) -> Option<&Json> {
        let mut value = self.fields.get("annotations")?;
        for part in path.split('.') {
            value = value.get(part)?;
        }
        Some(value)
    }

    /// The address of the instance that the job is, if it is one.
    pub(crate) fn uri(&self) -> Option<&str> {
        self.annotation("user.uri")?.as_str().filter(|uri| !uri.is_empty())
    }

    fn shown_uri(&self) -> Option<String> {
        let uri = self.uri()?;
        if self.shared.local_uris { self.local_uri() } else { Some(uri.to_owned()) }
    }

    /// The address as it is used on the host it names.
    pub(crate) fn local_uri(&self) -> Option<String> {
        let uri = self.uri()?;
        match uri.strip_prefix("ssh://").and_then(|rest| rest.split_once('/')) {
            Some((_, path)) => Some(format!("local:///{}", path.trim_start_matches('/'))),
            None => Some(uri.to_owned()),
        }
    }

    /// The address to connect to from here, if that is possible.
    pub(crate) fn reachable_uri(&self) -> Option<String> {
        let uri = self.uri()?;
        match uri.strip_prefix("ssh://").and_then(|rest| rest.split_once('/')) {
            Some((host, _)) if host == self.shared.hostname || host == "localhost" => self.local_uri(),
            Some(_) => None,
            None => Some(uri.to_owned()),
        }
    }

    fn runtime(&self) -> f64 {
        let (run, cleanup) = (self.number("t_run"), self.number("t_cleanup"));
        match (run > 0.0, cleanup > 0.0) {
            (true, true) => cleanup - run,
            (true, false) => self.shared.now - run,
            _ => 0.0,
        }
    }

    fn remaining(&self) -> f64 {
        match self.state() {
            Some(JobState::Run) => (self.number("expiration") - self.shared.now).max(0.0),
            _ => 0.0,
        }
    }

    /// The largest exit code; minus the signal that ended the shell; -128 if canceled before it ran.
    pub(crate) fn returncode(&self) -> Option<i64> {
        match (self.fields.get("waitstatus").and_then(Json::as_i64), self.result()) {
            (Some(status), _) => {
                let status = WaitStatus(status as i32);
                status.signal().map(|signal| -i64::from(signal)).or(status.exit_code().map(i64::from))
            }
            (None, Some(JobResult::Canceled)) => Some(-128),
            (None, Some(JobResult::Failed)) => Some(1),
            _ => None,
        }
    }

    /// What the job waits for, with times as people read them.
    fn dependencies(&self) -> Vec<String> {
        let list = self.fields.get("dependencies").and_then(Json::as_array).into_iter().flatten();
        list.filter_map(Json::as_str).map(|text| self.shown_dependency(text)).collect()
    }

    fn shown_dependency(&self, text: &str) -> String {
        let Some(at) = text.strip_prefix("begin-time=").and_then(|at| at.parse::<f64>().ok()) else {
            return text.to_owned();
        };
        let local = |format| timefmt::local(at, format).unwrap_or_default();
        let today = timefmt::local(self.shared.now, "%Y-%m-%d");
        let mut shown = match Some(local("%Y-%m-%d")) == today {
            true => format!("begin@{}", local("%H:%M")),
            false => format!("begin@{}", local("%b%d-%H:%M")),
        };
        if local("%S") != "00" {
            shown.push_str(&local(":%S"));
        }
        shown
    }

    /// Where the job runs, or why it does not.
    fn contextual_info(&self) -> String {
        match self.state() {
            Some(JobState::Priority) => "priority-wait".to_owned(),
            Some(JobState::Depend) => format!("depends:{}", self.dependencies().join(",")),
            Some(JobState::Sched) => match self.annotation("sched.t_estimate").and_then(Json::as_f64) {
                Some(at) if at < self.shared.now => "eta:now".to_owned(),
                Some(at) => format!("eta:{}", format_fsd_listing(at - self.shared.now)),
                None if self.bits("urgency") == Some(0) => "held".to_owned(),
                None if self.bits("priority") == Some(0) => "priority-hold".to_owned(),
                None => String::new(),
            },
            _ => self.text("nodelist").to_owned(),
        }
    }

    fn contextual_time(&self) -> f64 {
        match self.state() {
            Some(JobState::Priority | JobState::Depend | JobState::Sched) => self.number("duration"),
            _ => self.runtime(),
        }
    }

    /// Why the job ended as it did.
    fn inactive_reason(&self) -> String {
        if self.state() != Some(JobState::Inactive) {
            return String::new();
        }
        let occurred = self.fields.get("exception_occurred").and_then(Json::as_bool) == Some(true);
        let (kind, note) = (self.text("exception_type"), self.text("exception_note"));
        let code = self.returncode();
        match self.result() {
            Some(JobResult::Timeout) => "Timeout".to_owned(),
            Some(JobResult::Canceled) if occurred && kind == "cancel" && !note.is_empty() => {
                format!("Canceled: {note}")
            }
            Some(JobResult::Canceled) => "Canceled".to_owned(),
            Some(JobResult::Failed) if occurred && kind != "exec" && self.bits("exception_severity") == Some(0) => {
                let note = if note.is_empty() { String::new() } else { format!(" note={note}") };
                format!("Exception: type={kind}{note}")
            }
            Some(JobResult::Failed) => match code {
                Some(code @ 129..) => flux_sys::signal::description((code - 128) as i32).to_owned(),
                Some(126) => "Command invoked cannot execute".to_owned(),
                Some(127) => "command not found".to_owned(),
                Some(128) => "Invalid argument to exit".to_owned(),
                code => format!("Exit {}", Value::from(code)),
            },
            _ => format!("Exit {}", Value::from(code)),
        }
    }

    /// Why the job failed, as the end of a sentence; `None` if it did not.
    pub(crate) fn failure(&self) -> Option<String> {
        if self.result() != Some(JobResult::Failed) {
            return None;
        }
        let occurred = self.fields.get("exception_occurred").and_then(Json::as_bool) == Some(true);
        let (kind, note) = (self.text("exception_type"), self.text("exception_note"));
        if occurred && self.bits("exception_severity") == Some(0) {
            return Some(if note.is_empty() { format!("an exception of type {kind}") } else { note.to_owned() });
        }
        let reason = self.inactive_reason();
        Some(match reason.strip_prefix("Exit ") {
            Some(code) => format!("its exit code is {code}"),
            None => format!("{reason} (exit code {})", Value::from(self.returncode())),
        })
    }

    fn state_emoji(&self) -> &'static str {
        let Some(state) = self.state() else { return "" };
        if !self.shared.utf8 {
            return state.short();
        }
        match state {
            JobState::New => "🎁",
            JobState::Depend => "🛑",
            JobState::Priority => "🚦",
            JobState::Sched => "📅",
            JobState::Run => "🏃",
            JobState::Cleanup => "🗑",
            JobState::Inactive => "💀",
        }
    }

    fn result_emoji(&self) -> &'static str {
        let (emoji, plain) = match self.result() {
            Some(JobResult::Completed) => ("😀", ":-)"),
            Some(JobResult::Failed) => ("💩", ":'-("),
            Some(JobResult::Canceled) => ("💥", "%-|"),
            Some(JobResult::Timeout) => ("⌛", "(-_-)"),
            None => ("\u{3000}", ""),
        };
        if self.shared.utf8 { emoji } else { plain }
    }

    fn json_or_empty(&self, key: &str) -> Value {
        self.fields.get(key).map_or(Value::Empty, Value::of_json)
    }

    /// Fields that are derived from several.
    fn derived(&self, name: &str) -> Option<Value> {
        Some(match name {
            "username" => Value::Text(self.userid().map(|uid| self.shared.username(uid)).unwrap_or_default()),
            "state" => self.state().map_or("", JobState::name).into(),
            "state_single" => self.state().map_or("", JobState::short).into(),
            "state_emoji" => self.state_emoji().into(),
            "result" => self.result().map_or("", JobResult::name).into(),
            "result_abbrev" => self.result().map_or("", JobResult::short).into(),
            "result_emoji" => self.result_emoji().into(),
            "status" => self.status().into(),
            "status_abbrev" => self.status_abbrev().into(),
            "status_emoji" => if self.is_active() { self.state_emoji() } else { self.result_emoji() }.into(),
            "runtime" => self.runtime().into(),
            "t_remaining" => self.remaining().into(),
            "returncode" => self.returncode().into(),
            "dependencies" => self.dependencies().join(",").into(),
            "contextual_info" => self.contextual_info().into(),
            "contextual_time" => self.contextual_time().into(),
            "explain" => self.explain.clone().unwrap_or_default().into(),
            "inactive_reason" => self.inactive_reason().into(),
            // Python's word for nothing, which users' scripts look for.
            "uri" => self.shown_uri().unwrap_or_else(|| "None".to_owned()).into(),
            "uri.local" => self.local_uri().unwrap_or_else(|| "None".to_owned()).into(),
            "annotations" => shown_object(self.fields.get("annotations")),
            _ => return None,
        })
    }
}

/// An object as Python prints it; an empty one as nothing.
fn shown_object(value: Option<&Json>) -> Value {
    match value {
        None | Some(Json::Null) => Value::Empty,
        Some(Json::Object(map)) if map.is_empty() => Value::Empty,
        Some(object @ (Json::Object(_) | Json::Array(_))) => Value::Text(to_spaced_string(object)),
        Some(other) => Value::of_json(other),
    }
}

impl Row for JobInfo {
    fn field(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.derived(name) {
            return Some(value);
        }
        if self.id() == JobId(0) && (name == "id" || name.starts_with("id.")) {
            return Some(".".into()); // No job: the instance itself, at the root of a tree.
        }
        if let Some(form) = name.strip_prefix("id.") {
            let form = JobIdForm::from_name(form)?;
            return Some(match form {
                JobIdForm::Dec => Value::Unsigned(self.id().0),
                form => Value::Text(self.id().encode(shown_as(form))),
            });
        }
        if let Some(key) = name.strip_prefix("exception.") {
            return Some(self.json_or_empty(&format!("exception_{key}")));
        }
        if let Some(path) = name.strip_prefix("annotations.") {
            return Some(shown_object(self.annotation(path)));
        }
        if matches!(name.split('.').next(), Some("sched" | "user")) {
            return Some(shown_object(self.annotation(name)));
        }
        if let Some(path) = name.strip_prefix("instance.") {
            return Some(self.instance.as_ref().map_or(Value::Empty, |instance| instance.field(path)));
        }
        match name {
            "id" => Some(Value::Text(self.id().encode(shown_as(JobIdForm::F58)))),
            "duration" | "expiration" => Some(self.number(name).into()),
            name if name.starts_with("t_") => Some(self.number(name).into()),
            name => Some(self.json_or_empty(name)),
        }
    }
}

/// The keys of a job in JSON, in order.
const JSON_KEYS: &[&str] = &[
    "t_depend",
    "t_priority",
    "t_sched",
    "t_run",
    "t_cleanup",
    "t_inactive",
    "duration",
    "expiration",
    "name",
    "cwd",
    "queue",
    "project",
    "bank",
    "ntasks",
    "ncores",
    "nnodes",
    "priority",
    "ranks",
    "nodelist",
    "success",
    "result",
    "waitstatus",
    "id",
    "t_submit",
    "t_remaining",
    "state",
    "username",
    "userid",
    "urgency",
    "runtime",
    "status",
    "returncode",
    "dependencies",
];

impl JobInfo {
    /// The job as `flux jobs --json` prints it: what is unset is left out.
    pub(crate) fn to_json(&self) -> Map<String, Json> {
        let mut out = Map::new();
        for key in JSON_KEYS {
            let value = match *key {
                "id" => json!(self.id()),
                "dependencies" => json!(self.dependencies()),
                "t_remaining" | "runtime" | "duration" | "expiration" => {
                    json!(self.field(key).and_then(|value| value.number()).unwrap_or(0.0))
                }
                "returncode" => json!(self.returncode()),
                "state" | "result" | "status" | "username" => {
                    json!(self.field(key).map(|value| value.to_string()).unwrap_or_default())
                }
                key => self.fields.get(key).cloned().unwrap_or(Json::Null),
            };
            let unset_if_zero = key.starts_with("t_") || matches!(*key, "runtime" | "expiration");
            let unset = value.is_null() || value == "" || (unset_if_zero && value.as_f64() == Some(0.0));
            if !unset {
                out.insert((*key).to_owned(), value);
            }
        }
        if let Some(explain) = &self.explain {
            out.insert("explain".to_owned(), json!(explain));
        }
        out.insert("jobid".to_owned(), json!(self.id().encode(shown_as(JobIdForm::F58))));
        out.insert("annotations".to_owned(), self.json_annotations());
        out.insert("exception".to_owned(), self.json_exception());
        if let Some(uri) = self.shown_uri() {
            out.insert("uri".to_owned(), json!(uri));
        }
        out
    }

    /// Without the address, which has a key of its own.
    fn json_annotations(&self) -> Json {
        let mut annotations = self.fields.get("annotations").cloned().unwrap_or(json!({}));
        if self.uri().is_some()
            && let Some(map) = annotations.as_object_mut()
            && let Some(user) = map.get_mut("user").and_then(Json::as_object_mut)
        {
            user.shift_remove("uri");
            if user.is_empty() {
                map.shift_remove("user");
            }
        }
        annotations
    }

    fn json_exception(&self) -> Json {
        let get = |key: &str| self.fields.get(&format!("exception_{key}")).cloned().unwrap_or(json!(""));
        match get("occurred") == true {
            true => json!({"occurred": true, "severity": get("severity"), "type": get("type"), "note": get("note")}),
            false => json!({"occurred": false}),
        }
    }
}

#[cfg(test)]
#[path = "info_tests.rs"]
mod tests;
