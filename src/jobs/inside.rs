//! What the job services of one broker tell one another without making JSON of it.

use std::sync::Arc;

use flux_service::Fault;
use flux_types::JobId;
use flux_types::eventlog::Entry;
use flux_wire::{Errno, Local};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::body::WireId;

/// One job of `job-manager.submit`.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub(crate) id: JobId,
    pub(crate) userid: u32,
    pub(crate) urgency: i64,
    pub(crate) t_submit: f64,
    pub(crate) flags: u32,
    /// Equal ones that come one after another are the same.
    pub(crate) jobspec: Arc<Value>,
    /// As JSON text, if it is not in the jobspec.
    pub(crate) environment: Option<Box<str>>,
    /// The signed request, if the sender has stored neither that nor the jobspec.
    pub(crate) signed: Option<Arc<str>>,
}

impl NewJob {
    fn read(body: &Value) -> Result<NewJob, Fault> {
        #[derive(Deserialize)]
        struct Numbers {
            id: WireId,
            userid: u32,
            urgency: i64,
            t_submit: f64,
            flags: u32,
        }
        let numbers = Numbers::deserialize(body).map_err(|error| malformed(error.to_string()))?;
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        Ok(NewJob {
            id: numbers.id.id(),
            userid: numbers.userid,
            urgency: numbers.urgency,
            t_submit: numbers.t_submit,
            flags: numbers.flags,
            jobspec: Arc::new(body.get("jobspec").cloned().ok_or_else(|| malformed("missing field `jobspec`".into()))?),
            environment: text("environment").map(Into::into),
            signed: text("J").map(Into::into),
        })
    }

    fn to_json(&self) -> Value {
        let mut job = json!({"id": self.id.0, "userid": self.userid, "urgency": self.urgency, "t_submit": self.t_submit,
                             "flags": self.flags, "jobspec": *self.jobspec});
        for (key, text) in [("environment", self.environment.as_deref()), ("J", self.signed.as_deref())] {
            if let Some(text) = text {
                job[key] = text.into();
            }
        }
        job
    }
}

fn malformed(why: String) -> Fault {
    Fault::new(Errno::EPROTO, format!("malformed payload: {why}"))
}

/// The body of `job-manager.submit`.
#[derive(Clone, Debug)]
pub(crate) struct NewJobs(pub(crate) Vec<NewJob>);

impl NewJobs {
    /// # Errors
    /// EPROTO and what is missing.
    pub(crate) fn read(body: &Value) -> Result<NewJobs, Fault> {
        let jobs = body.get("jobs").and_then(Value::as_array);
        let jobs = jobs.ok_or_else(|| malformed("missing field `jobs`".into()))?;
        jobs.iter().map(NewJob::read).collect::<Result<_, _>>().map(NewJobs)
    }
}

impl Local for NewJobs {
    fn to_json(&self) -> Value {
        json!({"jobs": self.0.iter().map(NewJob::to_json).collect::<Vec<Value>>()})
    }
}

/// A response of `job-manager.events-journal`: what happened to one job.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// `None` ends the past.
    pub(crate) id: Option<JobId>,
    pub(crate) events: Vec<Arc<Entry>>,
    /// Without its environment.
    pub(crate) jobspec: Option<Arc<Value>>,
    pub(crate) resources: Option<Arc<Value>>,
}

impl Told {
    /// The past is told, now comes the present.
    pub(crate) const END: Told = Told { id: None, events: Vec::new(), jobspec: None, resources: None };
    /// The id that says so.
    const END_ID: i64 = -1;

    /// From JSON, if it is that.
    pub(crate) fn read(body: &Value) -> Option<Told> {
        let id = WireId::deserialize(body.get("id")?).ok()?;
        let events = body.get("events")?.as_array()?.iter();
        Some(Told {
            id: (id.0 != WireId::ANY).then(|| id.id()),
            events: events.filter_map(|event| Entry::from_value(event.clone()).ok().map(Arc::new)).collect(),
            jobspec: body.get("jobspec").cloned().map(Arc::new),
            resources: body.get("R").cloned().map(Arc::new),
        })
    }
}

impl Local for Told {
    fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("id".into(), self.id.map_or(Self::END_ID.into(), |id| id.0.into()));
        body.insert("events".into(), self.events.iter().map(|event| event.to_value()).collect());
        for (key, value) in [("jobspec", &self.jobspec), ("R", &self.resources)] {
            if let Some(value) = value {
                body.insert(key.into(), (**value).clone());
            }
        }
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_inside_reads_the_same_as_json() {
        let jobs = json!({"jobs": [{"id": 7, "userid": 1, "urgency": 16, "t_submit": 2.5, "flags": 0, "jobspec": {"a": 1},
                                    "environment": "{}", "J": "x.y.z"},
                                   {"id": 8, "userid": 1, "urgency": 16, "t_submit": 2.5, "flags": 0, "jobspec": {}}]});
        assert_eq!(NewJobs::read(&jobs).unwrap().to_json(), jobs);
        assert_eq!(NewJobs::read(&json!({"jobs": [{"id": 7}]})).unwrap_err().errno, Errno::EPROTO);
        let told =
            json!({"id": 7, "events": [{"timestamp": 1.0, "name": "alloc"}], "jobspec": {}, "R": {"version": 1}});
        assert_eq!(Told::read(&told).unwrap().to_json(), told);
        assert_eq!(Told::END.to_json(), json!({"id": -1, "events": []}));
        assert_eq!(Told::read(&Told::END.to_json()).unwrap().id, None);
        assert!(Told::read(&json!({"id": 7})).is_none());
    }
}
