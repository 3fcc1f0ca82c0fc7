//! One command on several nodes, by the subprocess server of each (RFC 42): prolog, epilog and housekeeping are such.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flux_service::{Cx, Fault, Tag};
use flux_types::{Hostlist, Idset};
use flux_wire::{Errno, Message, Rank, Target};
use serde_json::{Map, Value, json};

use crate::limits::PERILOG_LINE_LEN_MAX;

/// Standard output and standard error are wanted (RFC 42).
const FLAGS: u32 = 1 | 2;
/// The wait status of a command that could not be started.
const NOT_STARTED: i32 = 1 << 8;

/// The command and what its environment has on top of the broker's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(&'static str, String)>,
}

#[derive(Debug)]
struct Proc {
    tag: Tag,
    pid: Option<u64>,
    /// A signal that came before the process had a pid.
    signal: Option<i32>,
    status: Option<i32>,
    /// Lines that are not complete: standard output, standard error.
    partial: [Vec<u8>; 2],
}

/// The processes of one command, by rank.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    procs: BTreeMap<u32, Proc>,
    active: usize,
    /// The largest wait status so far.
    status: i32,
}

/// What came of one answer.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Complete lines, and whether they are errors.
    pub(super) lines: Vec<(bool, String)>,
    /// Why the command could not be run on this rank.
    pub(super) error: Option<Fault>,
    /// The wait status, when the process is gone.
    pub(super) ended: Option<i32>,
}

impl Bulk {
    /// Starts the command on `ranks`; `pend` keeps the tag of each request.
    pub(super) fn start(cx: &mut Cx<'_>, ranks: &Idset, command: &Command, mut pend: impl FnMut(Tag, u32)) -> Bulk {
        let env: Map<String, Value> =
            command.env.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let cmd = json!({"cmdline": command.argv, "env": env, "opts": {}, "channels": [], "inherit": true});
        let mut bulk = Bulk::default();
        for rank in ranks.iter() {
            let body = json!({"cmd": cmd, "flags": FLAGS});
            let tag = cx.request_stream("rexec.exec", Target::Rank(Rank(rank)), body);
            pend(tag, rank);
            let partial = [Vec::new(), Vec::new()];
            bulk.procs.insert(rank, Proc { tag, pid: None, signal: None, status: None, partial });
            bulk.active += 1;
        }
        bulk
    }

    /// Takes an answer of one rank; `None` if it is of no process of ours, or there was an end already.
    pub(super) fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, rank: u32, reply: &Message) -> Option<Step> {
        let proc = self.procs.get_mut(&rank).filter(|proc| proc.tag == tag && proc.status.is_none())?;
        let mut step = Step::default();
        if let Some(fault) = Fault::of(reply) {
            proc.flush(&mut step.lines);
            step.ended = Some(match fault.errno {
                Errno::ENOENT => 127 << 8,
                Errno::EACCES | Errno::EPERM => 126 << 8,
                _ => NOT_STARTED,
            });
            step.error = Some(fault);
        } else if let Ok(body) = reply.payload.value() {
            match body.get("type").and_then(Value::as_str) {
                Some("started") => {
                    proc.pid = body.get("pid").and_then(Value::as_u64);
                    if let Some(signal) = proc.signal.take() {
                        kill(cx, rank, proc, signal);
                    }
                }
                Some("output") => proc.output(body.get("io").unwrap_or(&Value::Null), &mut step.lines),
                Some("finished") => {
                    proc.flush(&mut step.lines);
                    let status = body.get("status").and_then(Value::as_i64).unwrap_or(i64::from(NOT_STARTED));
                    step.ended = Some(status as i32);
                }
                _ => {}
            }
        }
        if let Some(status) = step.ended {
            proc.status = Some(status);
            self.active -= 1;
            self.status = self.status.max(status);
        }
        Some(step)
    }

    /// Signals the processes on `ranks` (or all) that are not gone.
    pub(super) fn kill(&mut self, cx: &mut Cx<'_>, ranks: Option<&Idset>, signal: i32) {
        let wanted = |rank: &u32| ranks.is_none_or(|ranks| ranks.contains(*rank));
        for (rank, proc) in self.procs.iter_mut().filter(|(rank, proc)| wanted(rank) && proc.status.is_none()) {
            kill(cx, *rank, proc, signal);
        }
    }

    pub(super) fn total(&self) -> usize {
        self.procs.len()
    }

    pub(super) fn active(&self) -> usize {
        self.active
    }

    pub(super) fn status(&self) -> i32 {
        self.status
    }

    pub(super) fn active_ranks(&self) -> Idset {
        self.procs.iter().filter(|(_, proc)| proc.status.is_none()).map(|(rank, _)| *rank).collect()
    }

    pub(super) fn failed_ranks(&self) -> Idset {
        let failed = |proc: &Proc| proc.status.is_some_and(|status| status != 0);
        self.procs.iter().filter(|(_, proc)| failed(proc)).map(|(rank, _)| *rank).collect()
    }
}

fn kill(cx: &mut Cx<'_>, rank: u32, proc: &mut Proc, signal: i32) {
    match proc.pid {
        None => proc.signal = Some(signal),
        Some(pid) => {
            let body = json!({"pid": pid, "signum": signal});
            cx.notify("rexec.kill", Target::Rank(Rank(rank)), body);
        }
    }
}

impl Proc {
    /// RFC 24 data.
    fn output(&mut self, io: &Value, lines: &mut Vec<(bool, String)>) {
        let data = io.get("data").and_then(Value::as_str).unwrap_or("");
        let bytes = match io.get("encoding").and_then(Value::as_str) {
            Some("base64") => BASE64.decode(data).unwrap_or_default(),
            _ => data.as_bytes().to_vec(),
        };
        let is_error = io.get("stream").and_then(Value::as_str) == Some("stderr");
        let partial = &mut self.partial[usize::from(is_error)];
        for byte in bytes {
            if byte != b'\n' {
                partial.push(byte);
            }
            if byte == b'\n' || partial.len() >= PERILOG_LINE_LEN_MAX {
                lines.push((is_error, String::from_utf8_lossy(&std::mem::take(partial)).into_owned()));
            }
        }
    }

    fn flush(&mut self, lines: &mut Vec<(bool, String)>) {
        for (is_error, partial) in [false, true].into_iter().zip(&mut self.partial) {
            if !partial.is_empty() {
                lines.push((is_error, String::from_utf8_lossy(&std::mem::take(partial)).into_owned()));
            }
        }
    }
}

/// The names of the nodes of these ranks.
pub(super) fn hosts(cx: &Cx<'_>, ranks: &Idset) -> String {
    let all = cx.node.attr("hostlist").and_then(|text| Hostlist::parse(text).ok());
    let named = all.map(|all| all.select(ranks).to_string()).filter(|text| !text.is_empty());
    named.unwrap_or_else(|| if *ranks == Idset::below(1) { cx.node.hostname.clone() } else { "unknown".to_owned() })
}

/// `command` of a table: an array of strings, at least one.
pub(super) fn argv(command: &Value) -> Option<Vec<String>> {
    let words = command.as_array()?.iter().map(|word| word.as_str().map(str::to_owned));
    words.collect::<Option<Vec<String>>>().filter(|argv| !argv.is_empty())
}
