//! `sched-fluxion-resource`: giving resources to jobs and taking them back, for whoever asks.

use super::graph::FluxionResource;
use super::{number, seconds, text};
use crate::error::MatchError;
use crate::fluxion::{Allocation, Fluxion};
use crate::jobspec::Jobspec;
use crate::traverser::MatchOp;
use flux_service::{Cx, Fault, Outcome};
use flux_wire::{Errno, Message};
use serde_json::{Value, json};

/// What a match without a job is written under.
const NO_JOB: i64 = -1;

pub(super) fn fault_of(error: &MatchError) -> Fault {
    let errno = match error.errno() {
        2 => Errno::ENOENT,
        16 => Errno::EBUSY,
        17 => Errno::EEXIST,
        19 => Errno::ENODEV,
        _ => Errno::EINVAL,
    };
    Fault::new(errno, error.to_string())
}

fn op_of(body: &Value) -> Result<MatchOp, Fault> {
    let name = text(body, "cmd")?;
    MatchOp::from_name(name).ok_or_else(|| Fault::new(Errno::EINVAL, format!("unknown match command '{name}'")))
}

fn answer(id: i64, op: MatchOp, allocation: &Allocation) -> Value {
    let status = match (op.takes(), allocation.is_reserved) {
        (false, _) => "MATCHED",
        (true, false) => "ALLOCATED",
        (true, true) => "RESERVED",
    };
    json!({"jobid": id, "status": status, "overhead": allocation.overhead, "R": written(&allocation.r), "at": allocation.at})
}

fn written(r: &Value) -> String {
    if r.is_null() { String::new() } else { r.to_string() }
}

fn run(fluxion: &mut Fluxion, op: MatchOp, id: u64, jobspec: &str, now: i64) -> Result<Allocation, Fault> {
    if op.takes() && fluxion.job(id).is_some() {
        return Err(Fault::new(Errno::EINVAL, format!("job {id} holds resources already")));
    }
    let jobspec = Jobspec::parse(jobspec).map_err(|error| Fault::new(Errno::EINVAL, error.to_string()))?;
    fluxion.match_jobspec(op, id, &jobspec, now).map_err(|error| fault_of(&error))
}

impl FluxionResource {
    pub(super) fn match_one(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let (op, now) = (op_of(&body)?, seconds(cx));
        let id = if op.takes() { number(&body, "jobid")? } else { 0 };
        let allocation = run(&mut *self.shared.graph()?, op, id, text(&body, "jobspec")?, now)?;
        let shown = if op.takes() { id as i64 } else { NO_JOB };
        cx.respond(message, answer(shown, op, &allocation));
        Ok(())
    }

    /// A stream: one answer for each job up to the first that does not match.
    pub(super) fn match_multi(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        if !message.is_streaming() {
            return Err(Fault::from(Errno::EPROTO));
        }
        let body: Value = message.decode()?;
        let (op, now) = (op_of(&body)?, seconds(cx));
        let jobs = body["jobs"].as_array().ok_or_else(|| Fault::from(Errno::EINVAL))?;
        for job in jobs {
            let id = number(job, "jobid")?;
            let jobspec = match &job["jobspec"] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let allocation = run(&mut *self.shared.graph()?, op, id, &jobspec, now)
                .map_err(|fault| Fault::new(fault.errno, format!("jobid={id}")))?;
            cx.respond(message, answer(id as i64, op, &allocation));
        }
        cx.end_stream(message);
        Ok(())
    }

    pub(super) fn satisfiability(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let now = seconds(cx);
        self.shared.graph()?.satisfiable(&body["jobspec"], now).map_err(|error| fault_of(&error))?;
        cx.respond_empty(message);
        Ok(())
    }

    /// Puts a job where its R says it is. A job that is there already is left alone.
    pub(super) fn update(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let (id, now) = (number(&body, "jobid")?, seconds(cx));
        let r: Value = serde_json::from_str(text(&body, "R")?)
            .map_err(|error| Fault::new(Errno::EINVAL, format!("R: {error}")))?;
        let mut fluxion = self.shared.graph()?;
        if fluxion.job(id).is_none() {
            fluxion.update(id, &r, now).map_err(|error| fault_of(&error))?;
        } else if !fluxion.holds(id, &r) {
            return Err(Fault::new(Errno::EINVAL, format!("job {id} holds other resources")));
        }
        let at = fluxion.job(id).map_or(0, |(at, _, _)| at);
        let body = json!({"jobid": id, "status": "ALLOCATED", "overhead": 0.0, "R": r.to_string(), "at": at});
        cx.respond(message, body);
        Ok(())
    }

    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let id = number(&message.decode::<Value>()?, "jobid")?;
        self.shared.graph()?.cancel(id).map_err(|error| fault_of(&error))?;
        cx.respond(message, json!({}));
        self.changed(cx);
        Ok(())
    }

    pub(super) fn partial_cancel(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let id = number(&body, "jobid")?;
        let r: Value = serde_json::from_str(text(&body, "R")?)
            .map_err(|error| Fault::new(Errno::EINVAL, format!("R: {error}")))?;
        let is_all = self.shared.graph()?.partial_cancel(id, &r).map_err(|error| fault_of(&error))?;
        cx.respond(message, json!({"full-removal": i32::from(is_all)}));
        self.changed(cx);
        Ok(())
    }
}
