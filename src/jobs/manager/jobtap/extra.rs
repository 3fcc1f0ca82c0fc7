//! What plugins have beyond jobs' topics: timers, services of their own, and word of jobs that are forgotten.

use std::time::Duration;

use flux_service::{Cx, Fault, Mono, Outcome};
use flux_types::{JobId, JobState};
use flux_wire::{Errno, Message};
use serde_json::{Value, json};

use crate::limits::LUA_TIMERS_MAX;
use crate::manager::JobManager;

impl JobManager {
    /// `flux.timer{name, seconds}` of plugin number `at`: one of that name is set anew.
    pub(super) fn set_timer(&mut self, cx: &Cx<'_>, at: usize, args: &Value) -> Result<(), String> {
        let name = args.get("name").and_then(Value::as_str).ok_or("name is missing")?;
        let seconds = args.get("seconds").and_then(Value::as_f64).filter(|seconds| (0.0..1e9).contains(seconds));
        let seconds = seconds.ok_or("seconds is missing, or no time")?;
        let Some(script) = self.jobtap.scripts.get_mut(at) else { return Ok(()) };
        if script.timers.len() >= LUA_TIMERS_MAX && !script.timers.contains_key(name) {
            return Err(format!("more than {LUA_TIMERS_MAX} timers"));
        }
        script.timers.insert(name.to_owned(), cx.now.mono.after(Duration::from_secs_f64(seconds)));
        Ok(())
    }

    pub(in crate::manager) fn tap_next_timer(&self) -> Option<Mono> {
        self.jobtap.scripts.iter().flat_map(|script| script.timers.values()).copied().min()
    }

    /// Calls `timer.NAME` of those that are due.
    pub(in crate::manager) fn tap_on_timer(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        for at in 0..self.jobtap.scripts.len() {
            let timers = &mut self.jobtap.scripts[at].timers;
            let due: Vec<String> = timers.extract_if(.., |_, time| *time <= now).map(|(name, _)| name).collect();
            for name in due {
                self.tap_one(cx, at, &format!("timer.{name}"), &json!({"name": name}));
            }
        }
    }

    /// A handler that is about no job.
    fn tap_one(&mut self, cx: &mut Cx<'_>, at: usize, topic: &str, args: &Value) -> Option<Result<Value, String>> {
        let script = &self.jobtap.scripts[at];
        let said = script.call(topic, args, &self.look());
        let actions = script.take_actions();
        if let Some(Err(why)) = &said {
            cx.log(flux_service::LogLevel::Err, format!("jobtap: {}: {topic}: {why}", script.name));
        }
        actions.iter().for_each(|action| self.act_for(cx, at, JobId(0), action));
        said
    }

    /// `job-manager.PLUGIN.METHOD`: the handler `service.METHOD` of the plugin PLUGIN.lua answers.
    pub(in crate::manager) fn plugin_request(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let unknown = || {
            let text = format!("No service matching {} is registered", request.topic());
            Err(Fault::new(Errno::ENOSYS, text))
        };
        let rest = request.topic().strip_prefix("job-manager.").unwrap_or("");
        let Some((plugin, method)) = rest.rsplit_once('.') else { return unknown() };
        if method == "disconnect" {
            return Ok(());
        }
        let topic = format!("service.{method}");
        let is_meant =
            |script: &super::Script| script.name.strip_suffix(".lua") == Some(plugin) && script.handles(&topic);
        let Some(at) = self.jobtap.scripts.iter().position(is_meant) else { return unknown() };
        let payload = if request.payload.is_none() { Value::Null } else { (*request.payload.value()?).clone() };
        let args = json!({"payload": payload, "userid": request.cred.userid});
        match self.tap_one(cx, at, &topic, &args) {
            Some(Err(why)) => Err(Fault::new(Errno::EINVAL, why)),
            Some(Ok(answer @ Value::Object(_))) => {
                cx.respond(request, answer);
                Ok(())
            }
            _ => {
                cx.respond_empty(request);
                Ok(())
            }
        }
    }

    /// Inactive jobs are purged.
    pub(in crate::manager) fn tap_purged(&mut self, cx: &mut Cx<'_>, ids: &[JobId]) {
        const TOPIC: &str = "job.inactive-remove";
        for at in 0..self.jobtap.scripts.len() {
            if !self.jobtap.scripts[at].handles(TOPIC) {
                continue;
            }
            for id in ids {
                let Some(finished) = self.archive.get(*id) else { continue };
                let result = finished.ended().result.name();
                let args =
                    json!({"id": id.0, "userid": finished.userid, "state": JobState::Inactive.bit(), "result": result});
                self.tap_one(cx, at, TOPIC, &args);
            }
        }
    }
}
