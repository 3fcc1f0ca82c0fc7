//! Requests to `<uid>-shell-<id>`: what clients that attach to a job ask of its shell.

use flux_client::{Errno, Fault, Message, Payload};
use flux_shell::entry;
use serde_json::{Value, json};

use crate::shell::Shell;

type Outcome = Result<Payload, Fault>;

impl Shell {
    /// `None`: the answer comes later, or never.
    pub(crate) fn serve(&mut self, request: &Message) -> Option<Outcome> {
        if !request.cred.authorize(self.bundle.userid) {
            return Some(Err(Errno::EPERM.into()));
        }
        let method = request.topic().strip_prefix(&self.bundle.service).and_then(|rest| rest.strip_prefix('.'));
        Some(match method {
            Some("stdin") => self.serve_stdin(request),
            Some("kill") => self.serve_kill(request),
            Some("proctable") => Ok(self.proctable().into()),
            Some("disconnect") => return None,
            _ => {
                let text = format!("No service matching {} is registered", request.topic());
                Err(Fault::new(Errno::ENOSYS, text))
            }
        })
    }

    fn serve_stdin(&mut self, request: &Message) -> Outcome {
        let object: Value = request.decode()?;
        self.feed(&object).map_err(|why| Fault::new(Errno::EAGAIN, why))?;
        let line = entry(self.timestamp(), "data", Some(&object));
        self.tell(json!({"type": "input", "entry": line, "data": object}));
        Ok(Payload::None)
    }

    fn serve_kill(&mut self, request: &Message) -> Outcome {
        let body: Value = request.decode()?;
        let signum = body.get("signum").and_then(Value::as_i64).filter(|signum| (1..=64).contains(signum));
        let signum = signum.ok_or_else(|| Fault::new(Errno::EINVAL, "Invalid signal number"))?;
        self.signal(signum as i32);
        Ok(Payload::None)
    }

    /// The tasks of this shell for a parallel debugger. Numbers are each the difference to the one before.
    fn proctable(&self) -> Value {
        let host = &self.plan.node.host;
        let ranks: Vec<i64> = self.tasks.iter().map(|task| i64::from(task.rank)).collect();
        let pids: Vec<i64> = self.tasks.iter().map(|task| i64::from(task.pid.0)).collect();
        let programs: Vec<&String> = self.plan.tasks.iter().filter_map(|task| task.argv.first()).collect();
        let shells = vec![i64::from(self.bundle.rank); ranks.len()];
        json!({
            "hosts": vec![host; ranks.len()],
            "executables": programs,
            "ids": deltas(&ranks),
            "pids": deltas(&pids),
            "ranks": deltas(&shells),
        })
    }
}

fn deltas(numbers: &[i64]) -> Vec<i64> {
    let before = std::iter::once(0).chain(numbers.iter().copied());
    numbers.iter().zip(before).map(|(number, before)| number - before).collect()
}
