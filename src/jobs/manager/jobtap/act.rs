//! What plugins want done.

use flux_service::{Cx, LogLevel};
use flux_types::{JobId, JobState};
use serde_json::{Map, Value, json};

use super::script::Action;
use crate::manager::JobManager;
use crate::manager::event::context;
use crate::manager::raise::Exception;
use crate::state::JobFlags;

impl JobManager {
    /// One `flux.NAME{...}` of plugin number `at`, said while it was told of job `current`.
    pub(super) fn act_for(&mut self, cx: &mut Cx<'_>, at: usize, current: JobId, action: &Action) {
        let args = &action.args;
        let id = args.get("id").and_then(Value::as_i64).map_or(current, |id| JobId(id as u64));
        if let Err(why) = self.try_action(cx, at, id, action) {
            let name = self.jobtap.scripts.get(at).map_or("?", |script| script.name.as_str());
            cx.log(LogLevel::Err, format!("jobtap: {name}: flux.{} for {id}: {why}", action.name));
        }
    }

    fn try_action(&mut self, cx: &mut Cx<'_>, at: usize, id: JobId, action: &Action) -> Result<(), String> {
        let args = &action.args;
        let text = |key: &str| args.get(key).and_then(Value::as_str).ok_or_else(|| format!("{key} is missing"));
        let number = |key: &str| args.get(key).and_then(Value::as_i64);
        if self.act_without_job(cx, at, id, action)? {
            return Ok(());
        }
        let Some(job) = self.jobs.get(&id) else { return Err("there is no such active job".to_owned()) };
        match action.name {
            "raise" => {
                let (kind, note) = (text("type")?, text("note").unwrap_or(""));
                let severity = number("severity").unwrap_or(0);
                let userid = Some(cx.node.owner);
                self.raise(cx, id, &Exception { userid, ..Exception::new(kind, severity, note) });
            }
            "dependency_add" => {
                let description = text("description")?;
                let known = |list: &[Box<str>]| list.iter().any(|known| &**known == description);
                if known(&job.satisfied) || known(&job.dependencies) {
                    return Ok(()); // RFC 26: each only once, so that a plugin may say it again after a restart.
                }
                if !matches!(job.state, JobState::New | JobState::Depend) || job.depend_posted {
                    return Err("it is past the DEPEND state".to_owned());
                }
                self.post(cx, id, "dependency-add", context([("description", description.into())]));
            }
            "dependency_remove" => {
                let description = text("description")?;
                if !job.dependencies.iter().any(|known| &**known == description) {
                    return Err(format!("it has no dependency {description}"));
                }
                self.post(cx, id, "dependency-remove", context([("description", description.into())]));
            }
            "post_event" => {
                let body = args.get("context").and_then(Value::as_object).cloned();
                self.post(cx, id, text("name")?, body);
            }
            "subscribe" => {
                self.jobtap.scripts.get_mut(at).map(|script| script.subscribed.insert(id));
            }
            "reprioritize" => self.set_priority(cx, id, number("priority").ok_or("priority is missing")?)?,
            "set_flag" => {
                let flag = text("flag")?;
                JobFlags::named(flag).ok_or_else(|| format!("unknown flag {flag}"))?;
                self.post(cx, id, "set-flags", context([("flags", json!([flag]))]));
            }
            "jobspec_update" => {
                let updates: Map<String, Value> =
                    args.get("updates").and_then(Value::as_object).cloned().ok_or("updates are missing")?;
                self.post(cx, id, "jobspec-update", Some(updates));
            }
            name => self.perilog_action(cx, id, name, args)?,
        }
        Ok(())
    }

    /// What needs no active job. `false`: it is something else.
    fn act_without_job(&mut self, cx: &mut Cx<'_>, at: usize, id: JobId, action: &Action) -> Result<bool, String> {
        let args = &action.args;
        match action.name {
            "log" => {
                let said = args.as_str().or_else(|| args.get("text").and_then(Value::as_str)).ok_or("no text")?;
                let level = match args.get("level").and_then(Value::as_str) {
                    Some("err") => LogLevel::Err,
                    Some("warning") => LogLevel::Warning,
                    Some("debug") => LogLevel::Debug,
                    _ => LogLevel::Info,
                };
                cx.log(level, said);
            }
            "timer" => self.set_timer(cx, at, args)?,
            "timer_cancel" => {
                let name = args.get("name").and_then(Value::as_str).ok_or("name is missing")?;
                self.jobtap.scripts.get_mut(at).map(|script| script.timers.remove(name));
            }
            "reprioritize_all" => self.reprioritize_all(cx),
            "unsubscribe" => {
                self.jobtap.scripts.get_mut(at).map(|script| script.subscribed.remove(&id));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn perilog_action(&mut self, cx: &mut Cx<'_>, id: JobId, name: &str, args: &Value) -> Result<(), String> {
        let description = args.get("description").and_then(Value::as_str).ok_or("description is missing")?;
        let job = &self.jobs[&id];
        let late = match name {
            "prolog_start" => job.state >= JobState::Cleanup || job.shells || job.started,
            "epilog_start" => job.state != JobState::Cleanup && !job.started || job.free_posted,
            _ => job.perilogs == 0,
        };
        if late {
            return Err(format!("this cannot be in state {}", job.state.name()));
        }
        let event = name.replace('_', "-");
        let mut body = Map::new();
        body.insert("description".into(), description.into());
        if event.ends_with("finish") {
            body.insert("status".into(), args.get("status").and_then(Value::as_i64).unwrap_or(0).into());
        }
        self.post(cx, id, &event, Some(body));
        Ok(())
    }
}
