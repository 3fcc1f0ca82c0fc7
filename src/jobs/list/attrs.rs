//! Attributes by name (RFC 43), with the JSON types that flux-core gives them.

use flux_service::Fault;
use flux_types::{JobState, StateSet};
use flux_wire::Errno;
use serde_json::{Map, Value, json};

use super::record::{Record, seconds};

type Get = fn(&Record) -> Option<Value>;

/// All attributes but `id`, in the order of `list-attrs`. `None` is "not set": then the key is left out.
const ATTRS: &[(&str, Get)] = &[
    ("userid", |job| Some(job.userid.into())),
    ("urgency", |job| Some(job.urgency.into())),
    ("priority", |job| job.seen.contains(JobState::Sched).then(|| job.priority.into())),
    ("t_submit", |job| time(job.times.submit)),
    ("t_depend", |job| time(job.times.depend)),
    ("t_priority", |job| time(job.times.priority)),
    ("t_sched", |job| time(job.times.sched)),
    ("t_run", |job| time(job.times.run)),
    ("t_cleanup", |job| time(job.times.cleanup)),
    ("t_inactive", |job| time(job.times.inactive)),
    ("state", |job| Some(job.state.bit().into())),
    ("name", |job| job.name.as_deref().map(Value::from)),
    ("cwd", |job| job.cwd.as_deref().map(Value::from)),
    ("queue", |job| job.queue.as_deref().map(Value::from)),
    ("project", |job| job.project.as_deref().map(Value::from)),
    ("bank", |job| job.bank.as_deref().map(Value::from)),
    ("ntasks", |job| job.ntasks.map(Value::from)),
    ("ncores", |job| job.ncores.map(Value::from)),
    ("duration", |job| job.duration.map(Value::from)),
    ("nnodes", |job| job.nnodes.map(Value::from)),
    ("ranks", |job| ran(job).then(|| job.ranks.as_deref().map(Value::from)).flatten()),
    ("nodelist", |job| ran(job).then(|| job.nodelist.as_deref().map(Value::from)).flatten()),
    ("success", |job| ended(job).then(|| job.success.into())),
    ("exception_occurred", |job| ended(job).then(|| job.exception.is_some().into())),
    ("exception_type", |job| Some(Value::from(&*exception(job)?.kind))),
    ("exception_severity", |job| Some(exception(job)?.severity.into())),
    ("exception_note", |job| Some(Value::from(&*exception(job)?.note))),
    ("result", |job| ended(job).then(|| job.result().bit().into())),
    ("expiration", |job| ran(job).then(|| job.expiration.map(Value::from)).flatten()),
    ("annotations", |job| job.annotations.as_ref().map(|annotations| Value::Object((**annotations).clone()))),
    ("waitstatus", |job| job.wait_status.map(Value::from)),
    ("dependencies", |job| job.dependencies.as_ref().map(|list| json!(list))),
];

fn time(micros: u64) -> Option<Value> {
    (micros != 0).then(|| seconds(micros).into())
}

fn ran(job: &Record) -> bool {
    job.seen.contains(JobState::Run)
}

fn ended(job: &Record) -> bool {
    StateSet::of(&[JobState::Inactive]).contains(job.state)
}

fn exception(job: &Record) -> Option<&super::record::Exception> {
    job.exception.as_deref().filter(|_| ended(job))
}

/// The attributes a request asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted(Vec<(&'static str, Get)>);

impl Wanted {
    /// # Errors
    /// EINVAL if a name is no string, or not known.
    pub(super) fn read(attrs: &Value) -> Result<Wanted, Fault> {
        let invalid = |text: String| Fault::new(Errno::EINVAL, text);
        let list = attrs.as_array();
        let list = list.ok_or_else(|| Fault::new(Errno::EPROTO, "invalid payload: attrs must be an array"))?;
        let mut out: Vec<(&'static str, Get)> = Vec::new();
        for attr in list {
            let name = attr.as_str().ok_or_else(|| invalid("attr has no string value".into()))?;
            if name == "all" {
                out = ATTRS.to_vec();
                continue;
            }
            let row = ATTRS.iter().find(|(known, _)| *known == name);
            let row = row.ok_or_else(|| invalid(format!("{name} is not a valid attribute")))?;
            if !out.iter().any(|(known, _)| *known == name) {
                out.push(*row);
            }
        }
        Ok(Wanted(out))
    }

    /// The job's id, and what is set of the attributes wanted.
    pub(super) fn of(&self, job: &Record) -> Value {
        let mut out = Map::with_capacity(self.0.len() + 1);
        out.insert("id".into(), job.id.0.into());
        for (name, get) in &self.0 {
            if let Some(value) = get(job) {
                out.insert((*name).to_owned(), value);
            }
        }
        Value::Object(out)
    }
}

impl Wanted {
    /// As [`Wanted::of`], as JSON text.
    pub(super) fn write(&self, job: &Record, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        put(out, &job.id.0.into());
        for (name, get) in &self.0 {
            if let Some(value) = get(job) {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                put(out, &value);
            }
        }
        out.push(b'}');
    }
}

fn put(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("memory takes all, and keys are strings");
}

/// The names of all attributes.
pub(super) fn names() -> Vec<&'static str> {
    ATTRS.iter().map(|(name, _)| *name).collect()
}
