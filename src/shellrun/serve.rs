//! Requests to `<uid>-shell-<id>`: what clients that attach to a job ask of its shell.

use flux_client::{Errno, Fault, Message, Payload};
use flux_shell::entry;
use serde_json::{Value, json};

use crate::limits::TABLE_WAITERS_MAX;
use crate::shell::Shell;

type Outcome = Result<Payload, Fault>;

impl Shell {
    /// `None`: the answer comes later, or never.
    pub(crate) fn serve(&mut self, request: &Message) -> Option<Outcome> {
        if !request.cred.authorize(self.bundle.userid) {
            return Some(Err(Errno::EPERM.into()));
        }
        let method = request.topic().strip_prefix(&self.bundle.service).and_then(|rest| rest.strip_prefix('.'));
        if let Some(method) = method.and_then(|method| method.strip_prefix("rexec.")) {
            return self.serve_rexec(method, request);
        }
        // All shells run commands; for the rest the first speaks for all.
        Some(match method.filter(|method| self.bundle.shell_rank == 0 || *method == "disconnect") {
            Some("stdin") => self.serve_stdin(request),
            Some("kill") => self.serve_kill(request),
            Some("proctable") => return self.serve_proctable(request),
            Some("disconnect") => {
                self.rexec_disconnect(request);
                return None;
            }
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

    /// The tasks of all shells, for debuggers: the others are asked.
    fn serve_proctable(&mut self, request: &Message) -> Option<Outcome> {
        if self.bundle.shell_count == 1 {
            return Some(Ok(proctable(&[self.table()]).into()));
        }
        if self.table_waiters.len() >= TABLE_WAITERS_MAX {
            return Some(Err(Errno::EAGAIN.into()));
        }
        self.table_waiters.push(request.clone());
        if self.table_waiters.len() == 1 {
            self.tell(json!({"type": "tables"}));
        }
        None
    }

    /// What the other shells have said.
    pub(crate) fn tables(&mut self, others: &Value) {
        let mut tables = vec![self.table()];
        tables.extend(others.as_array().into_iter().flatten().cloned());
        let answer = proctable(&tables);
        for request in std::mem::take(&mut self.table_waiters) {
            self.link.respond(&request, Ok(answer.clone().into()));
        }
    }

    /// The tasks of this shell.
    pub(crate) fn table(&self) -> Value {
        let ranks: Vec<u32> = self.tasks.iter().map(|task| task.rank).collect();
        let pids: Vec<i32> = self.tasks.iter().map(|task| task.pid.0).collect();
        let programs: Vec<&String> = self.plan.tasks.iter().filter_map(|task| task.argv.first()).collect();
        json!({"host": self.plan.node.host, "broker": self.bundle.rank, "ranks": ranks, "pids": pids, "programs": programs})
    }
}

/// All tasks by rank, as flux-core's shells say it. Numbers are each the difference to the one before.
fn proctable(tables: &[Value]) -> Value {
    let mut rows: Vec<(i64, i64, i64, &str, &str)> = Vec::new();
    for table in tables {
        let list = |key: &str| table.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (host, broker) = (table["host"].as_str().unwrap_or(""), table["broker"].as_i64().unwrap_or(0));
        let tasks = list("ranks").iter().zip(list("pids")).zip(list("programs"));
        rows.extend(tasks.filter_map(|((rank, pid), program)| {
            Some((rank.as_i64()?, pid.as_i64()?, broker, host, program.as_str()?))
        }));
    }
    rows.sort_unstable();
    let numbers = |of: fn(&(i64, i64, i64, &str, &str)) -> i64| deltas(&rows.iter().map(of).collect::<Vec<i64>>());
    json!({
        "hosts": rows.iter().map(|row| row.3).collect::<Vec<&str>>(),
        "executables": rows.iter().map(|row| row.4).collect::<Vec<&str>>(),
        "ids": numbers(|row| row.0),
        "pids": numbers(|row| row.1),
        "ranks": numbers(|row| row.2),
    })
}

fn deltas(numbers: &[i64]) -> Vec<i64> {
    let before = std::iter::once(0).chain(numbers.iter().copied());
    numbers.iter().zip(before).map(|(number, before)| number - before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_all_shells_make_one_by_rank() {
        let tables = [
            json!({"host": "b", "broker": 1, "ranks": [1, 3], "pids": [70, 71], "programs": ["x", "y"]}),
            json!({"host": "a", "broker": 0, "ranks": [0, 2], "pids": [90, 95], "programs": ["x", "x"]}),
            json!({"nonsense": 1}),
        ];
        let want = json!({"hosts": ["a", "b", "a", "b"], "executables": ["x", "x", "x", "y"], "ids": [0, 1, 1, 1],
                          "pids": [90, -20, 25, -24], "ranks": [0, 1, -1, 1]});
        assert_eq!(proctable(&tables), want);
    }
}
