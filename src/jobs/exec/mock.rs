//! Mock execution: a job that asks for it runs no shell, only a clock (`attributes.system.exec.test`).

use std::time::Duration;

use flux_service::Cx;
use flux_types::{JobId, parse_fsd};
use serde_json::{Value, json};

use super::JobExec;
use super::job::{Mock, Phase};

/// What the job asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    /// Seconds; `None`: until it is ended.
    duration: Option<f64>,
    status: i32,
    exception: Option<String>,
}

const SIGTERM: i32 = 15;

pub(super) fn asked(jobspec: &Value) -> Option<Asked> {
    let system = jobspec.pointer("/attributes/system")?;
    let test = system.pointer("/exec/test")?.as_object()?;
    let run = test.get("run_duration").and_then(Value::as_str).and_then(parse_fsd);
    let limit = system.get("duration").and_then(Value::as_f64).filter(|seconds| *seconds > 0.0);
    Some(Asked {
        duration: run.or(limit).filter(|seconds| seconds.is_finite()),
        status: test.get("wait_status").and_then(Value::as_i64).and_then(|s| i32::try_from(s).ok()).unwrap_or(0),
        exception: test.get("mock_exception").and_then(Value::as_str).map(str::to_owned),
    })
}

impl JobExec {
    pub(super) fn start_mock(&mut self, cx: &mut Cx<'_>, id: JobId, asked: &Asked) {
        let guests = self.config.testexec_guests;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.mock = Some(Mock { ends: None, status: asked.status });
        if job.userid != cx.node.owner && !guests {
            return self.raise(cx, id, 0, "exec", "guests may not use test exec implementation", None);
        }
        if asked.exception.as_deref() == Some("init") {
            return self.raise(cx, id, 0, "exec", "mock initialization exception generated", None);
        }
        job.phase = Phase::Running;
        job.announced = true;
        let seconds = asked.duration.map(|seconds| seconds.clamp(0.0, 1e9));
        if let Some(mock) = &mut job.mock {
            mock.ends = seconds.map(|seconds| cx.now.mono.after(Duration::from_secs_f64(seconds)));
        }
        job.parts.iter_mut().for_each(|part| part.started = true);
        self.note(cx, id, "recoverable", None);
        self.say(cx, id, "start", json!({}));
        if asked.exception.as_deref() == Some("run") {
            self.raise(cx, id, 0, "exec", "mock run exception generated", None);
        }
    }

    pub(super) fn ring_mock(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(mock) = self.jobs.get_mut(&id).and_then(|job| job.mock.as_mut()) else { return };
        if mock.ends.take_if(|at| *at <= cx.now.mono).is_some() {
            self.end_mock(cx, id, 0);
        }
    }

    /// Over: by its clock (0), or by a signal.
    pub(super) fn end_mock(&mut self, cx: &mut Cx<'_>, id: JobId, signum: i32) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(mock) = job.mock.as_mut().filter(|_| signum != 0) {
            mock.status = SIGTERM;
            mock.ends = None;
        }
        job.parts.iter_mut().for_each(|part| part.status = Some(0));
        self.check_end(cx, id);
    }
}
