//! `rexec`: the subprocess server of RFC 42.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{
    Completion, Cx, Fault, Handler, LogLevel, Outcome, ProcessEvent, ProcessOp, Service, SpawnSpec, StdStream, Tag,
};
use flux_types::iodata;
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::limits::{EXEC_RETAINED_MAX, PROCESSES_MAX};

const FLAG_STDOUT: u32 = 1;
const FLAG_STDERR: u32 = 2;
const FLAG_CHANNEL: u32 = 4;
const FLAG_CREDIT: u32 = 8;
const FLAG_WAITABLE: u32 = 16;
const LOCAL_FALLTHROUGH: u32 = 1;
const LOCAL_NO_SETPGRP: u32 = 2;
/// What a client may send before it hears of credit (RFC 42 asks for at least this).
const INPUT_CREDIT: usize = 4096;

#[derive(Deserialize)]
struct ExecBody {
    cmd: Value,
    flags: u32,
    #[serde(default)]
    local_flags: u32,
}

#[derive(Deserialize)]
struct CmdBody {
    #[serde(default)]
    cwd: Option<String>,
    cmdline: Vec<String>,
    env: BTreeMap<String, String>,
    channels: Vec<String>,
    /// Ours, for services of this instance: `env` is set on top of the environment of the broker that runs the command.
    #[serde(default)]
    inherit: bool,
    #[serde(default)]
    label: Option<String>,
}

#[derive(Deserialize)]
struct WriteBody {
    matchtag: u32,
    io: Map<String, Value>,
}

#[derive(Deserialize)]
struct PidBody {
    pid: i64,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    signum: i32,
    #[serde(default)]
    flags: u32,
}

struct Proc {
    cmd: Value,
    label: Option<String>,
    pid: Option<u32>,
    flags: u32,
    own_group: bool,
    /// Who gets output and status now; `None` in the background.
    client: Option<Message>,
    /// A non-streaming request that waits to hear of the start.
    starting: Option<Message>,
    waiters: Vec<Message>,
    /// Streams whose end has not been seen.
    open: Vec<StdStream>,
    retained: Vec<Value>,
    retained_len: usize,
    status: Option<i32>,
}

/// Runs processes for clients and services of this instance.
#[derive(Default)]
pub struct Rexec {
    procs: BTreeMap<Tag, Proc>,
    stopping: bool,
}

impl Service for Rexec {
    const NAME: &'static str = "rexec";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("rexec.exec", Rexec::exec),
        Handler::owner("rexec.write", Rexec::write),
        Handler::owner("rexec.kill", Rexec::kill),
        Handler::owner("rexec.list", Rexec::list),
        Handler::owner("rexec.wait", Rexec::wait),
        Handler::owner("rexec.attach", Rexec::attach),
        Handler::owner("rexec.disconnect", Rexec::disconnect),
    ];

    fn start(&mut self, _cx: &mut Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.stopping = true;
        self.procs.retain(|_, proc| proc.status.is_none());
        for (tag, proc) in &self.procs {
            kill_proc(cx, *tag, proc, SIGTERM);
        }
    }

    fn is_idle(&self) -> bool {
        self.procs.is_empty()
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        match completion {
            Completion::Process(event) => self.process_event(cx, tag, event),
            Completion::Failed(fault) => self.not_started(cx, tag, fault),
            _ => {}
        }
    }
}

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

fn kill_proc(cx: &mut Cx<'_>, of: Tag, proc: &Proc, signum: i32) {
    cx.process(ProcessOp::Kill { of, signum, group: proc.own_group });
}

impl Rexec {
    fn exec(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: ExecBody = request.decode()?;
        let cmd: CmdBody = serde_json::from_value(body.cmd.clone())
            .map_err(|why| Fault::new(Errno::EPROTO, format!("malformed command object: {why}")))?;
        self.check_exec(request, &body, &cmd)?;
        let background = !request.is_streaming();
        let mut open = vec![StdStream::Stdout, StdStream::Stderr];
        open.extend(cmd.channels.iter().map(|name| StdStream::Channel(name.as_str().into())));
        if body.local_flags & LOCAL_FALLTHROUGH != 0 {
            open.drain(..2);
        }
        let env = self.environment(cx, cmd.env);
        let (env, env_over) = if cmd.inherit { (None, env) } else { (Some(env), Vec::new()) };
        let spec = SpawnSpec {
            argv: cmd.cmdline,
            env,
            env_over,
            cwd: cmd.cwd,
            stdin: background.then(|| [].into()),
            capture: body.local_flags & LOCAL_FALLTHROUGH == 0,
            channels: cmd.channels.iter().map(|name| name.as_str().into()).collect(),
            own_group: body.local_flags & LOCAL_NO_SETPGRP == 0,
            ..SpawnSpec::default()
        };
        let tag = cx.process(ProcessOp::Spawn(Box::new(spec)));
        let proc = Proc {
            cmd: body.cmd,
            label: cmd.label,
            pid: None,
            flags: body.flags,
            own_group: body.local_flags & LOCAL_NO_SETPGRP == 0,
            client: (!background).then(|| request.clone()),
            starting: background.then(|| request.clone()),
            waiters: Vec::new(),
            open,
            retained: Vec::new(),
            retained_len: 0,
            status: None,
        };
        self.procs.insert(tag, proc);
        Ok(())
    }

    fn check_exec(&self, request: &Message, body: &ExecBody, cmd: &CmdBody) -> Outcome {
        if self.stopping {
            return Err(Fault::new(Errno::ENOSYS, "the subprocess server is shutting down"));
        }
        if self.procs.len() >= PROCESSES_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("{PROCESSES_MAX} processes run already")));
        }
        if cmd.cmdline.is_empty() {
            return Err(Fault::new(Errno::EPROTO, "the command is empty"));
        }
        let background_only = body.flags & FLAG_CREDIT != 0 || body.local_flags & LOCAL_FALLTHROUGH != 0;
        if !request.is_streaming() && background_only {
            return Err(Fault::new(Errno::EINVAL, "write-credit and stdio-fallthrough need a streaming request"));
        }
        match &cmd.label {
            Some(label) if label.is_empty() => Err(Fault::new(Errno::EINVAL, "the label is empty")),
            Some(label) if self.procs.values().any(|proc| proc.label.as_ref() == Some(label)) => {
                Err(Fault::new(Errno::EEXIST, format!("a process with label {label} exists")))
            }
            _ => Ok(()),
        }
    }

    /// The client's environment, with the way to this broker rather than to the client's.
    fn environment(&self, cx: &Cx<'_>, mut env: BTreeMap<String, String>) -> Vec<(String, String)> {
        if let Some(uri) = cx.node.attr("local-uri") {
            env.insert("FLUX_URI".into(), uri.into());
        }
        env.into_iter().collect()
    }

    fn process_event(&mut self, cx: &mut Cx<'_>, tag: Tag, event: ProcessEvent) {
        match event {
            ProcessEvent::Started { pid } => self.started(cx, tag, pid),
            ProcessEvent::NotStarted { errno } => {
                self.not_started(cx, tag, Fault::new(errno, format!("error launching process: {errno}")));
            }
            ProcessEvent::Output { stream, bytes, eof } => self.output(cx, tag, &stream, &bytes, eof),
            ProcessEvent::Stopped => {
                if let Some(client) = self.procs.get(&tag).and_then(|proc| proc.client.as_ref()) {
                    cx.respond(client, json!({"type": "stopped"}));
                }
            }
            ProcessEvent::Taken { stream, bytes } => self.taken(cx, tag, &stream, bytes),
            ProcessEvent::Exited { status } => self.exited(cx, tag, status),
        }
    }

    /// What the process took may be sent again (RFC 42).
    fn taken(&mut self, cx: &mut Cx<'_>, tag: Tag, stream: &StdStream, bytes: usize) {
        let Some(proc) = self.procs.get(&tag).filter(|proc| proc.flags & FLAG_CREDIT != 0) else { return };
        let Some(client) = &proc.client else { return };
        let name = match stream {
            StdStream::Channel(name) => name.to_string(),
            _ => "stdin".to_owned(),
        };
        cx.respond(client, json!({"type": "add-credit", "channels": {name: bytes}}));
    }

    fn started(&mut self, cx: &mut Cx<'_>, tag: Tag, pid: u32) {
        let Some(proc) = self.procs.get_mut(&tag) else { return };
        proc.pid = Some(pid);
        if let Some(request) = proc.starting.take() {
            cx.respond(&request, json!({"type": "started", "pid": pid}));
        }
        let Some(client) = &proc.client else { return };
        cx.respond(client, json!({"type": "started", "pid": pid}));
        if proc.flags & FLAG_CREDIT != 0 {
            let channels = proc.open.iter().filter_map(|stream| match stream {
                StdStream::Channel(name) => Some((name.to_string(), json!(INPUT_CREDIT))),
                _ => None,
            });
            let channels: Map<String, Value> =
                std::iter::once(("stdin".to_owned(), json!(INPUT_CREDIT))).chain(channels).collect();
            cx.respond(client, json!({"type": "add-credit", "channels": channels}));
        }
    }

    fn not_started(&mut self, cx: &mut Cx<'_>, tag: Tag, fault: Fault) {
        let Some(proc) = self.procs.remove(&tag) else { return };
        for request in proc.client.iter().chain(&proc.starting).chain(&proc.waiters) {
            cx.respond_error(request, &fault);
        }
    }

    fn output(&mut self, cx: &mut Cx<'_>, tag: Tag, stream: &StdStream, bytes: &[u8], eof: bool) {
        let Some(proc) = self.procs.get_mut(&tag) else { return };
        if eof {
            proc.open.retain(|open| open != stream);
        }
        let (name, flag) = match stream {
            StdStream::Stdout => ("stdout", FLAG_STDOUT),
            StdStream::Stderr => ("stderr", FLAG_STDERR),
            StdStream::Channel(name) => (&**name, FLAG_CHANNEL),
            StdStream::Stdin => return,
        };
        let io = iodata::encode(name, &cx.node.rank.to_string(), bytes, eof);
        match &proc.client {
            Some(client) if proc.flags & flag != 0 => {
                cx.respond(client, json!({"type": "output", "pid": proc.pid, "io": io}));
            }
            Some(_) => {}
            None => Self::background_output(cx, proc, bytes, io),
        }
    }

    /// Nobody listens: the log gets the text, and whoever waits for the end gets what fits.
    fn background_output(cx: &mut Cx<'_>, proc: &mut Proc, bytes: &[u8], io: Value) {
        if bytes.is_empty() {
            return;
        }
        let name = proc.label.as_deref().or(proc.cmd["cmdline"][0].as_str()).unwrap_or("?");
        for line in String::from_utf8_lossy(bytes).lines() {
            cx.log(LogLevel::Info, format!("{name}[{}]: {line}", proc.pid.unwrap_or(0)));
        }
        if proc.flags & FLAG_WAITABLE != 0 && proc.retained_len + bytes.len() <= EXEC_RETAINED_MAX {
            proc.retained_len += bytes.len();
            proc.retained.push(io);
        }
    }

    fn exited(&mut self, cx: &mut Cx<'_>, tag: Tag, status: i32) {
        let Some(proc) = self.procs.get_mut(&tag) else { return };
        proc.status = Some(status);
        let waited_for = !proc.waiters.is_empty();
        for waiter in std::mem::take(&mut proc.waiters) {
            cx.respond(&waiter, json!({"status": status, "output": proc.retained}));
        }
        let had_client = proc.client.is_some();
        if let Some(client) = proc.client.take() {
            cx.respond(&client, json!({"type": "finished", "status": status}));
            cx.end_stream(&client);
        }
        let keep = proc.flags & FLAG_WAITABLE != 0 && !waited_for && !had_client && !self.stopping;
        if !keep {
            self.procs.remove(&tag);
        }
    }

    fn write(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: WriteBody = request.decode()?;
        let ours =
            |proc: &Proc| proc.client.as_ref().is_some_and(|c| c.matchtag() == body.matchtag && request.same_sender(c));
        let Some((tag, proc)) = self.procs.iter().find(|(_, proc)| ours(proc)) else { return Ok(()) };
        let stream = match body.io.get("stream").and_then(Value::as_str) {
            Some("stdin") => StdStream::Stdin,
            Some(name) if proc.open.contains(&StdStream::Channel(name.into())) => StdStream::Channel(name.into()),
            _ => return Ok(()), // RFC 42: writes to unknown channels may be ignored.
        };
        let bytes = io_bytes(&body.io)?;
        let eof = body.io.get("eof").and_then(Value::as_bool).unwrap_or(false);
        let of = *tag;
        cx.process(ProcessOp::Write { of, stream, bytes, eof });
        Ok(())
    }

    fn find(&self, body: &PidBody) -> Result<Tag, Fault> {
        let matches = |proc: &Proc| match &body.label {
            Some(label) => proc.label.as_ref() == Some(label),
            None => proc.pid.is_some_and(|pid| i64::from(pid) == body.pid),
        };
        let found = self.procs.iter().find(|(_, proc)| matches(proc));
        let who = || body.label.as_ref().map_or_else(|| format!("pid {}", body.pid), |label| format!("label {label}"));
        let missing = || Fault::new(Errno::ESRCH, format!("{} does not belong to any subprocess", who()));
        found.map(|(tag, _)| *tag).ok_or_else(missing)
    }

    fn kill(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: PidBody = request.decode()?;
        let tag = self.find(&body)?;
        let proc = &self.procs[&tag];
        if proc.status.is_some() {
            return Err(Fault::from(Errno::ESRCH));
        }
        if !(0..=64).contains(&body.signum) {
            return Err(Fault::new(Errno::EINVAL, format!("{} is no signal", body.signum)));
        }
        kill_proc(cx, tag, proc, body.signum);
        cx.respond(request, Payload::None);
        Ok(())
    }

    fn list(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let entry = |proc: &Proc| {
            json!({
                "pid": proc.pid.map_or(-1, i64::from),
                "cmd": proc.cmd["cmdline"][0],
                "label": proc.label.as_deref().unwrap_or(""),
                "state": if proc.status.is_some() { "Z" } else { "R" },
            })
        };
        let own =
            cx.node.command.iter().map(
                |command| json!({"pid": command.pid, "cmd": command.program, "label": command.label, "state": "R"}),
            );
        let procs: Vec<Value> = own.chain(self.procs.values().map(entry)).collect();
        cx.respond(request, json!({"rank": cx.node.rank.0, "procs": procs}));
        Ok(())
    }

    fn wait(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: PidBody = request.decode()?;
        let tag = self.find(&body)?;
        let proc = self.procs.get_mut(&tag).expect("find gives tags of the table");
        if proc.flags & FLAG_WAITABLE == 0 {
            return Err(Fault::new(Errno::EINVAL, "the process was not started with the waitable flag"));
        }
        match proc.status {
            Some(status) => {
                cx.respond(request, json!({"status": status, "output": proc.retained}));
                self.procs.remove(&tag);
            }
            None if !proc.waiters.is_empty() => return Err(Fault::new(Errno::EBUSY, "somebody waits already")),
            None => proc.waiters.push(request.clone()),
        }
        Ok(())
    }

    fn attach(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: PidBody = request.decode()?;
        if !request.is_streaming() {
            return Err(Fault::from(Errno::EPROTO));
        }
        let tag = self.find(&body).map_err(|_| Fault::from(Errno::ENOENT))?;
        let rank = cx.node.rank.0;
        let proc = self.procs.get_mut(&tag).expect("find gives tags of the table");
        if proc.client.is_some() {
            return Err(Fault::new(Errno::EBUSY, "a client is attached already"));
        }
        proc.flags = proc.flags & !(FLAG_STDOUT | FLAG_STDERR | FLAG_CHANNEL) | body.flags & 7;
        cx.respond(request, json!({"type": "attached", "pid": proc.pid, "cmd": proc.cmd}));
        for io in std::mem::take(&mut proc.retained) {
            cx.respond(request, json!({"type": "output", "pid": proc.pid, "io": io}));
        }
        for (name, stream, flag) in
            [("stdout", StdStream::Stdout, FLAG_STDOUT), ("stderr", StdStream::Stderr, FLAG_STDERR)]
        {
            if proc.flags & flag != 0 && !proc.open.contains(&stream) {
                let io = iodata::encode(name, &rank.to_string(), &[], true);
                cx.respond(request, json!({"type": "output", "pid": proc.pid, "io": io}));
            }
        }
        match proc.status {
            Some(status) => {
                cx.respond(request, json!({"type": "finished", "status": status}));
                cx.end_stream(request);
                self.procs.remove(&tag);
            }
            None => proc.client = Some(request.clone()),
        }
        Ok(())
    }

    /// Whoever ran a process is gone: so is the process. Who had only attached leaves it in the background.
    fn disconnect(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.forget_clients(cx, |client| request.same_sender(client));
        Ok(())
    }

    fn forget_clients(&mut self, cx: &mut Cx<'_>, is_gone: impl Fn(&Message) -> bool) {
        for (tag, proc) in &mut self.procs {
            proc.waiters.retain(|waiter| !is_gone(waiter));
            let Some(client) = proc.client.take_if(|client| is_gone(client)) else { continue };
            if client.topic() == "rexec.exec" {
                kill_proc(cx, *tag, proc, SIGKILL);
                proc.flags &= !FLAG_WAITABLE;
            }
        }
    }
}

fn io_bytes(io: &Map<String, Value>) -> Result<Arc<[u8]>, Fault> {
    let data = io.get("data").and_then(Value::as_str).unwrap_or("");
    match io.get("encoding").and_then(Value::as_str) {
        None | Some("UTF-8") => Ok(data.as_bytes().into()),
        Some("base64") => Ok(STANDARD.decode(data).map_err(|_| Fault::from(Errno::EPROTO))?.into()),
        Some(_) => Err(Fault::from(Errno::EPROTO)),
    }
}

#[cfg(test)]
mod tests;
