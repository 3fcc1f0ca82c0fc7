//! The stages of a shell's life that its scripts are told of.

use std::collections::BTreeMap;

use flux_shell::plan::Task;
use flux_shell::{Bundle, Plan, ShellError, exits};
use serde_json::{Value, json};

use crate::rc::{self, Scripts};
use crate::shell::{ERR, Shell};
use crate::start::StartFailure;

/// A plan, its scripts, and what they have said so far.
pub(crate) struct Planned {
    pub plan: Plan,
    pub failure: Option<ShellError>,
    pub scripts: Option<Scripts>,
    pub logs: Vec<(u8, String)>,
}

/// The plan of a job, after its scripts have changed what they want to change.
pub(crate) fn planned(bundle: &mut Bundle) -> Planned {
    let mut hostfile = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let failed = |bundle: &Bundle, failure, scripts, logs| Planned {
        plan: Plan::empty(bundle),
        failure: Some(failure),
        scripts,
        logs,
    };
    let plan = match Plan::of(bundle, &mut hostfile) {
        Ok(plan) => plan,
        Err(error) => return failed(bundle, error, None, Vec::new()),
    };
    if !rc::wanted(bundle) {
        return Planned { plan, failure: None, scripts: None, logs: Vec::new() };
    }
    let scripts = match rc::load(bundle, &plan) {
        Ok(scripts) => scripts,
        Err((logs, why)) => return failed(bundle, ShellError::Script(why), None, logs),
    };
    let logs = scripts.logs();
    match Plan::of(bundle, &mut hostfile) {
        Ok(plan) => Planned { plan, failure: None, scripts: Some(scripts).filter(|all| !all.is_idle()), logs },
        Err(error) => failed(bundle, error, None, logs),
    }
}

fn is_shown(level: u8, verbose: u64) -> bool {
    u64::from(level) <= u64::from(crate::shell::NOTICE) + verbose
}

impl Shell {
    pub(crate) fn tell_logs(&mut self, logs: Vec<(u8, String)>) {
        for (level, text) in logs {
            if is_shown(level, self.plan.verbose) {
                self.log(level, &text);
            }
        }
    }

    fn after(&mut self, outcome: Result<(), String>) -> Result<(), StartFailure> {
        let logs = self.scripts.as_ref().map(Scripts::logs).unwrap_or_default();
        self.tell_logs(logs);
        outcome.map_err(|note| StartFailure { note, code: 1 })
    }

    /// # Errors
    /// A handler failed.
    pub(crate) fn stage(&mut self, topic: &str) -> Result<(), StartFailure> {
        let Some(scripts) = &self.scripts else { return Ok(()) };
        let outcome = scripts.shell(topic);
        self.after(outcome)
    }

    /// A stage at which a failure changes only how the job ends.
    pub(crate) fn pass(&mut self, topic: &str) {
        if let Err(failure) = self.stage(topic) {
            self.log(ERR, &failure.note);
            self.code = self.code.max(failure.code);
        }
    }

    /// A stage of one task before it runs; what handlers change in its environment is kept.
    ///
    /// # Errors
    /// A handler failed.
    pub(crate) fn task_stage(&mut self, topic: &str, at: usize) -> Result<(), StartFailure> {
        let Some(scripts) = &self.scripts else { return Ok(()) };
        let task = &mut self.plan.tasks[at];
        let info = json!({"localid": task.local, "rank": task.rank, "state": "Init"});
        let env = environment(&self.plan.env, task);
        let outcome = scripts.task(topic, info, env, &mut task.changes);
        self.after(outcome)
    }

    /// A stage of a task that runs, or has ended with this wait status.
    pub(crate) fn task_pass(&mut self, topic: &str, at: usize, status: Option<i32>) {
        let Some(scripts) = &self.scripts else { return };
        let task = &self.tasks[at];
        let state = if status.is_some() { "Exited" } else { "Running" };
        let mut info = json!({"localid": task.local, "rank": task.rank, "state": state, "pid": task.pid.0});
        if let Some(status) = status {
            info["wait_status"] = status.into();
            info["exitcode"] = exits::exit_code(status).into();
            if status & 0x7f != 0 {
                info["signaled"] = Value::from(status & 0x7f);
            }
        }
        let outcome = scripts.task(topic, info, BTreeMap::new(), &mut BTreeMap::new());
        if let Err(failure) = self.after(outcome) {
            self.log(ERR, &failure.note);
        }
    }
}

fn environment(common: &BTreeMap<String, String>, task: &Task) -> BTreeMap<String, String> {
    let mut env = common.clone();
    env.extend(task.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    env
}
