//! Mock execution: a job that asks for it runs no shell, only a clock (`attributes.system.exec.test`).

use std::time::Duration;

use flux_service::{Cx, Fault, Outcome};
use flux_types::{At, JobId, parse_fsd};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Value, json};

use super::JobExec;
use super::job::{Mock, Phase};
use crate::body::WireId;

/// What the job asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    /// Seconds; `None`: until it is ended.
    duration: Option<f64>,
    status: i32,
    exception: Option<String>,
    /// It starts, and without a duration ends, when it is told to.
    overridden: bool,
    /// After a restart it is over.
    reattach_finish: bool,
}

/// `job-exec.override`
#[derive(Deserialize)]
struct Override {
    event: String,
    jobid: WireId,
    #[serde(default)]
    status: i32,
}

const SIGTERM: i32 = 15;

pub(super) fn asked(jobspec: &Value) -> Option<Asked> {
    let system = jobspec.at("/attributes/system")?;
    let test = system.at("/exec/test")?.as_object()?;
    let run = test.get("run_duration").and_then(Value::as_str).and_then(parse_fsd);
    let limit = system.get("duration").and_then(Value::as_f64).filter(|seconds| *seconds > 0.0);
    Some(Asked {
        duration: run.or(limit).filter(|seconds| seconds.is_finite()),
        status: test.get("wait_status").and_then(Value::as_i64).and_then(|s| i32::try_from(s).ok()).unwrap_or(0),
        exception: test.get("mock_exception").and_then(Value::as_str).map(str::to_owned),
        overridden: is_set(test.get("override")),
        reattach_finish: is_set(test.get("reattach_finish")),
    })
}

fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value.as_i64().map_or(value == &json!(true), |number| number != 0))
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
        let is_over = job.reattach && asked.reattach_finish;
        if asked.overridden && !job.reattach {
            return; // Until somebody says so.
        }
        self.run_mock(cx, id, asked);
        if is_over {
            self.end_mock(cx, id, 0);
        }
    }

    fn run_mock(&mut self, cx: &mut Cx<'_>, id: JobId, asked: &Asked) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
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

    /// A job in override mode starts or ends because its owner says so.
    pub(super) fn override_mock(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Override = request.decode()?;
        let id = body.jobid.id();
        let fault = |errno, text: &str| Err(Fault::new(errno, text));
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.mock.is_some()) else {
            return fault(Errno::ENOENT, "Job not found");
        };
        if request.cred.userid != job.userid {
            return fault(Errno::EPERM, "Permission denied");
        }
        let Some(asked) = asked(job.jobspec()).filter(|asked| asked.overridden) else {
            return fault(Errno::EINVAL, "Job not in exec override mode");
        };
        match (body.event.as_str(), job.announced) {
            ("start", true) => return fault(Errno::EINVAL, "Job already running"),
            ("start", false) => self.run_mock(cx, id, &asked),
            ("finish", false) => return fault(Errno::EINVAL, "Job not running"),
            ("finish", true) => {
                if let Some(mock) = &mut job.mock {
                    mock.status = body.status;
                }
                self.end_mock(cx, id, 0);
            }
            _ => return fault(Errno::EINVAL, "Invalid event"),
        }
        cx.respond_empty(request);
        Ok(())
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
