//! Calling plugins: who is told what, and what they may answer.

use flux_service::Cx;
use flux_types::{JobId, JobState};
use serde_json::{Map, Value, json};

use super::script::{Action, Look, Script};
use crate::manager::JobManager;
use crate::manager::job::Job;
use crate::state::EndEvent;

/// What the plugins of one topic said, together.
#[derive(Debug, Default)]
pub(in crate::manager) struct Said {
    /// Some plugin handles the topic.
    pub(in crate::manager) handled: bool,
    /// Why the first that refused did.
    pub(in crate::manager) refused: Option<String>,
    /// What they returned, later ones over earlier ones.
    pub(in crate::manager) out: Map<String, Value>,
}

/// RFC 21's name in lower case, as it stands in topics.
fn state_topic(state: JobState) -> String {
    format!("job.state.{}", state.name().to_lowercase())
}

impl JobManager {
    /// Tells the plugins of a job; what they want done is done before this returns.
    pub(in crate::manager) fn tap(&mut self, cx: &mut Cx<'_>, id: JobId, topic: &str, more: Value) -> Said {
        self.tap_some(cx, id, topic, more, |_| true)
    }

    fn tap_some(
        &mut self,
        cx: &mut Cx<'_>,
        id: JobId,
        topic: &str,
        more: Value,
        wanted: impl Fn(&(usize, &Script)) -> bool,
    ) -> Said {
        let mut said = Said::default();
        let who: Vec<usize> = self
            .jobtap
            .scripts
            .iter()
            .enumerate()
            .filter(|one| one.1.handles(topic) && wanted(one))
            .map(|(at, _)| at)
            .collect();
        let Some(job) = self.jobs.get(&id).filter(|_| !who.is_empty()) else { return said };
        let mut args = arguments(job);
        if let Value::Object(more) = more {
            args.extend(more);
        }
        let args = Value::Object(args);
        let mut actions: Vec<(usize, Action)> = Vec::new();
        for at in who {
            let script = &self.jobtap.scripts[at];
            match script.call(topic, &args, &self.look()) {
                Some(Ok(Value::Object(out))) => said.out.extend(out),
                Some(Err(why)) => {
                    let why =
                        if why.is_empty() { format!("rejected by job-manager plugin {}", script.name) } else { why };
                    said.refused.get_or_insert(why);
                }
                _ => {}
            }
            said.handled = true;
            actions.extend(script.take_actions().into_iter().map(|action| (at, action)));
        }
        for (at, action) in actions {
            self.act_for(cx, at, id, &action);
        }
        if let Some(Value::Object(annotations)) = said.out.remove("annotations") {
            self.annotate(cx, id, annotations);
        }
        said
    }

    pub(super) fn look(&self) -> Look<'_> {
        Look { jobs: &self.jobs, archive: &self.archive }
    }

    /// Announces a job that is there already, to all plugins or to a new one.
    pub(in crate::manager) fn introduce(&mut self, cx: &mut Cx<'_>, id: JobId, only: Option<usize>) {
        for topic in ["job.create", "job.new"] {
            let said = self.tap_some(cx, id, topic, json!({}), |(at, _)| only.is_none_or(|only| only == *at));
            self.log_refusal(cx, id, topic, &said);
        }
    }

    /// A job has come to another state.
    pub(in crate::manager) fn tap_state(&mut self, cx: &mut Cx<'_>, id: JobId, from: JobState, entry: Value) -> Said {
        let Some(state) = self.jobs.get(&id).map(|job| job.state) else { return Said::default() };
        let topic = state_topic(state);
        let said = self.tap(cx, id, &topic, json!({"prev_state": from.bit(), "entry": entry}));
        self.log_refusal(cx, id, &topic, &said);
        said
    }

    /// Those who listen to this job hear of every event.
    pub(in crate::manager) fn tap_event(&mut self, cx: &mut Cx<'_>, id: JobId, name: &str, entry: Value) {
        let topic = format!("job.event.{name}");
        let said =
            self.tap_some(cx, id, &topic, json!({"entry": entry}), |(_, script)| script.subscribed.contains(&id));
        self.log_refusal(cx, id, &topic, &said);
    }

    fn log_refusal(&self, cx: &mut Cx<'_>, id: JobId, topic: &str, said: &Said) {
        if let Some(why) = &said.refused {
            cx.log(flux_service::LogLevel::Err, format!("jobtap: {topic}: {id}: {why}"));
        }
    }

    pub(in crate::manager) fn handles_topic(&self, topic: &str) -> bool {
        self.jobtap.scripts.iter().any(|script| script.handles(topic))
    }

    /// Nobody listens to a job that is gone.
    pub(in crate::manager) fn untap(&mut self, id: JobId) {
        self.jobtap.scripts.iter_mut().for_each(|script| _ = script.subscribed.remove(&id));
    }
}

/// flux-jobtap-plugins(7): what a handler is told of the job.
pub(super) fn arguments(job: &Job) -> Map<String, Value> {
    let mut args = Map::new();
    args.insert("jobspec".into(), job.jobspec_value());
    if let Some(resources) = &job.resources {
        args.insert("R".into(), (**resources).clone());
    }
    args.insert("id".into(), job.id.0.into());
    args.insert("state".into(), job.state.bit().into());
    args.insert("userid".into(), job.userid.into());
    args.insert("urgency".into(), job.urgency.into());
    args.insert("priority".into(), job.priority.into());
    args.insert("t_submit".into(), job.t_submit.into());
    match &job.end {
        Some(EndEvent::Finish { status }) => {
            args.insert("end_event".into(), json!({"name": "finish", "context": {"status": status}}));
        }
        Some(EndEvent::Exception { kind, note }) => {
            let context = json!({"type": kind, "severity": 0, "note": note});
            args.insert("end_event".into(), json!({"name": "exception", "context": context}));
        }
        None => {}
    }
    args
}
