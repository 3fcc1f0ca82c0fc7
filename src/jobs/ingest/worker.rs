//! A program of the site that changes or checks requests: started once, fed a line for each, answers a line for each, in order.
//!
//! The lines are flux-core's: `{"jobspec":o "userid":i "urgency":i "flags":i}` goes in; `{"errnum":0 "data"?:o}`, or another
//! `errnum` with `errstr`, comes out. What comes in one turn goes in one write.

use std::collections::VecDeque;

use flux_service::{Cx, Fault, LogLevel, ProcessEvent, ProcessOp, SpawnSpec, StdStream, Tag};
use flux_wire::Errno;
use serde_json::{Map, Value};

use crate::limits::INGEST_LINE_LEN_MAX;

const LOST: &str = "Unrecoverable error: worker unexpectedly exited";

#[derive(Debug, Default)]
pub(super) struct Worker {
    argv: Vec<String>,
    process: Option<Tag>,
    /// Requests it has not answered.
    asked: VecDeque<u64>,
    unsent: Vec<u8>,
    partial: [Vec<u8>; 2],
}

/// What a program said of a request.
pub(super) type Answer = (u64, Result<Option<Value>, Fault>);

impl Worker {
    pub(super) fn new(argv: Vec<String>) -> Worker {
        Worker { argv, ..Worker::default() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    pub(super) fn ask(&mut self, number: u64, line: &Value) {
        self.asked.push_back(number);
        self.unsent.extend(line.to_string().bytes());
        self.unsent.push(b'\n');
    }

    /// Once per turn.
    pub(super) fn send(&mut self, cx: &mut Cx<'_>) {
        if self.unsent.is_empty() {
            return;
        }
        let of = *self.process.get_or_insert_with(|| {
            let uri = cx.node.attr("local-uri").unwrap_or("").to_owned();
            let spec = SpawnSpec {
                argv: self.argv.clone(),
                env_over: vec![("FLUX_URI".to_owned(), uri)],
                capture: true,
                ..SpawnSpec::default()
            };
            cx.process(ProcessOp::Spawn(Box::new(spec)))
        });
        let bytes = std::mem::take(&mut self.unsent).into();
        cx.process(ProcessOp::Write { of, stream: StdStream::Stdin, bytes, eof: false });
    }

    /// Nothing more will come: it may end.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(of) = self.process {
            cx.process(ProcessOp::Write { of, stream: StdStream::Stdin, bytes: [].into(), eof: true });
        }
    }

    pub(super) fn owns(&self, tag: Tag) -> bool {
        self.process == Some(tag)
    }

    pub(super) fn on_event(&mut self, cx: &mut Cx<'_>, event: ProcessEvent) -> Vec<Answer> {
        let name = self.argv[0].rsplit('/').next().unwrap_or("").to_owned();
        match event {
            ProcessEvent::Output { stream, bytes, .. } => self.output(cx, &name, stream == StdStream::Stderr, &bytes),
            ProcessEvent::NotStarted { errno } => {
                cx.log(LogLevel::Err, format!("{name}: {errno}"));
                self.lost(&format!("{}: {errno}", self.argv[0]))
            }
            ProcessEvent::Exited { status } => {
                if !self.asked.is_empty() || status != 0 {
                    let how = match status & 0x7f {
                        0 => format!("exited with rc={}", status >> 8 & 0xff),
                        signal => format!("killed by {}", crate::state::signal_name(signal)),
                    };
                    cx.log(LogLevel::Err, format!("{name}: {how}"));
                }
                self.lost(LOST)
            }
            ProcessEvent::Started { .. } | ProcessEvent::Taken { .. } | ProcessEvent::Stopped => Vec::new(),
        }
    }

    /// It is gone; the next request starts another.
    fn lost(&mut self, why: &str) -> Vec<Answer> {
        self.process = None;
        self.partial = Default::default();
        self.unsent.clear();
        self.asked.drain(..).map(|number| (number, Err(Fault::new(Errno::EPROTO, why)))).collect()
    }

    fn output(&mut self, cx: &mut Cx<'_>, name: &str, is_error: bool, bytes: &[u8]) -> Vec<Answer> {
        let partial = &mut self.partial[usize::from(is_error)];
        partial.extend_from_slice(bytes);
        let mut answers = Vec::new();
        let mut from = 0;
        while let Some(len) = partial[from..].iter().position(|byte| *byte == b'\n') {
            let line = &partial[from..from + len];
            from += len + 1;
            if is_error {
                cx.log(LogLevel::Debug, format!("{name}: {}", String::from_utf8_lossy(line)));
            } else if let Some(number) = self.asked.pop_front() {
                answers.push((number, verdict(line)));
            } else {
                cx.log(LogLevel::Err, format!("{name}: dropping orphan response"));
            }
        }
        partial.drain(..from);
        if partial.len() > INGEST_LINE_LEN_MAX {
            partial.clear();
            cx.log(LogLevel::Err, format!("{name}: a line is over the limit of {INGEST_LINE_LEN_MAX} bytes"));
            if let Some(of) = self.process {
                cx.process(ProcessOp::Kill { of, signum: 9, group: true });
            }
        }
        answers
    }
}

fn verdict(line: &[u8]) -> Result<Option<Value>, Fault> {
    let invalid = |text: &str| Fault::new(Errno::EINVAL, text);
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(line) else {
        return Err(invalid("the program answers what is no JSON object"));
    };
    let text = |answer: &Map<String, Value>| answer.get("errstr").and_then(Value::as_str).map(str::to_owned);
    match answer.get("errnum").and_then(Value::as_i64).map(i32::try_from) {
        Some(Ok(0)) => Ok(answer.shift_remove("data")),
        Some(errnum) => {
            let errno = errnum.ok().filter(|errnum| *errnum > 0).map_or(Errno::EINVAL, Errno);
            Err(Fault::new(errno, text(&answer).unwrap_or_else(|| "the request is refused".to_owned())))
        }
        None => Err(invalid("the program answers without errnum")),
    }
}
