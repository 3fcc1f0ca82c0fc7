//! `broker.*`: facts about this process.

use flux_service::{Completion, Fault, FileOp};
use flux_wire::{Errno, Message, Payload};
use serde_json::{Value, json};

use super::{Answer, Waiting};
use crate::node::Node;

/// Clock ticks of /proc/PID/stat: USER_HZ, fixed at 100 on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

impl Node {
    /// Echoes the request with its route and sender.
    pub(crate) fn ping(&mut self, request: &Message) -> Result<Payload, Fault> {
        let mut body = (*request.payload.value()?).clone();
        let object = body.as_object_mut().ok_or(Fault::from(Errno::EPROTO))?;
        let hops = request.route.as_deref().unwrap_or(&[]);
        let route: Vec<&str> = hops.iter().map(|id| id.get(..8).unwrap_or(id)).collect();
        object.insert("route".into(), Value::String(route.join("!")));
        object.insert("userid".into(), request.cred.userid.into());
        object.insert("rolemask".into(), request.cred.rolemask.into());
        object.insert("rank".into(), self.info.rank.0.into());
        Ok(body.into())
    }

    pub(crate) fn broker_stats(&mut self, _request: &Message) -> Answer {
        let body = json!({"clients": self.clients.len(), "modules": self.slots.len(), "events": self.core.event_seq});
        Ok(Some(body.into()))
    }

    /// Who is connected, in flux-core's words.
    pub(crate) fn connector_stats(&mut self, _request: &Message) -> Answer {
        let row = |client: &crate::node::Client| json!({"uuid": &*client.uuid, "userid": client.cred.userid});
        let clients: Vec<Value> = self.clients.values().map(row).collect();
        let allowed = |key: &str| self.info.config_at(key).and_then(Value::as_bool).unwrap_or(false);
        let body = json!({
            "server": {"clients": clients},
            "allow_guest_user": allowed("access.allow-guest-user"),
            "allow_root_owner": allowed("access.allow-root-owner"),
        });
        Ok(Some(body.into()))
    }

    pub(crate) fn start_rusage(&mut self, request: &Message) -> Answer {
        let tag = self.core_cx(|cx| cx.file(FileOp::Read { path: "/proc/self/stat".into() }));
        self.core.waiting.insert(tag, Waiting::Rusage(request.clone()));
        Ok(None)
    }

    pub(crate) fn finish_rusage(&mut self, request: &Message, completion: Completion) {
        let outcome = match completion {
            Completion::File(bytes) => rusage(&String::from_utf8_lossy(&bytes)).ok_or(Fault::from(Errno::EIO)),
            Completion::Failed(fault) => Err(fault),
            _ => Err(Fault::from(Errno::EIO)),
        };
        self.answer(request, outcome.map(Payload::from));
    }
}

/// The getrusage(2) fields that proc_pid_stat(5) tells; the rest is 0, as Linux leaves most of them.
fn rusage(stat: &str) -> Option<Value> {
    // The command name, in parentheses, may hold anything: fields count from the last parenthesis, beginning at 3.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    Some(json!({
        "utime": field(14)? as f64 / TICKS_PER_SECOND,
        "stime": field(15)? as f64 / TICKS_PER_SECOND,
        "maxrss": field(24)? * 4, "ixrss": 0, "idrss": 0, "isrss": 0,
        "minflt": field(10)?, "majflt": field(12)?, "nswap": 0, "inblock": 0, "oublock": 0,
        "msgsnd": 0, "msgrcv": 0, "nsignals": 0, "nvcsw": 0, "nivcsw": 0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rusage_reads_stat_lines_whatever_the_command_is_called() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 11 0 12 0 150 250 0 0 20 0 1 0 5 6 300 1844";
        let usage = rusage(stat).unwrap();
        assert_eq!((&usage["utime"], &usage["stime"], &usage["maxrss"]), (&json!(1.5), &json!(2.5), &json!(1200)));
        assert_eq!(rusage("nonsense"), None);
    }
}
