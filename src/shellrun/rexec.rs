//! `<service>.rexec`: commands that run beside a job's tasks, for `flux exec --jobid` (RFC 42).
//!
//! They end with the job: when its tasks have ended they are sent SIGTERM, and SIGKILL after `rexec-shutdown-timeout`. The shell of
//! a guest runs none, as nobody but the guest may say what runs as the guest, and requests are not signed here.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use flux_client::{Errno, Fault, Message, Payload};
use flux_shell::output::{self, Stream};
use flux_sys::process::Child;
use flux_sys::spawn::{Session, Spawn};
use flux_types::iodata;
use serde_json::{Value, json};

use crate::limits::REXEC_PROCESSES_MAX;
use crate::shell::Shell;
use crate::task::{Feed, Pipe, Sink};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// RFC 42: what the client wants to hear of, and the credit for standard input.
const FLAG_STDOUT: u64 = 1;
const FLAG_STDERR: u64 = 2;
const FLAG_CREDIT: u64 = 8;
const FLAG_WAITABLE: u64 = 16;
/// The directory of commands whose own cannot be entered.
const INSTEAD: &str = "/tmp";
/// What a client may send before it hears of credit.
const INPUT_CREDIT: usize = 4096;

type Outcome = Result<Payload, Fault>;

/// A command that runs.
#[derive(Debug)]
pub(crate) struct Process {
    /// Tells it from the others.
    pub number: u64,
    request: Message,
    program: String,
    label: String,
    flags: u64,
    pub child: Option<Child>,
    pid: i32,
    status: Option<i32>,
    pub pipes: Vec<Pipe>,
    pub feed: Option<Feed>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Rexec {
    pub processes: Vec<Process>,
    last: u64,
    /// They were asked to end.
    told: bool,
}

impl Process {
    fn signal(&self, signum: i32) {
        if let Some(child) = &self.child {
            // One that has just ended is no error.
            let _ = flux_sys::process::kill_group(child.pid(), signum);
        }
    }
}

fn malformed(why: impl std::fmt::Display) -> Fault {
    Fault::new(Errno::EPROTO, format!("malformed command object: {why}"))
}

impl Shell {
    /// `None`: the answer comes later, or never.
    pub(crate) fn serve_rexec(&mut self, method: &str, request: &Message) -> Option<Outcome> {
        match method {
            "exec" => self.rexec_start(request).err().map(Err),
            "write" => {
                // Writes are not answered, not even those that come too late.
                let _ = self.rexec_write(request);
                None
            }
            "kill" => Some(self.rexec_kill(request)),
            "list" => Some(Ok(self.rexec_list())),
            "disconnect" => {
                self.rexec_disconnect(request);
                None
            }
            _ => Some(Err(Fault::new(Errno::ENOSYS, format!("unknown method rexec.{method}")))),
        }
    }

    fn rexec_start(&mut self, request: &Message) -> Result<(), Fault> {
        if self.bundle.options.guest {
            return Err(Fault::new(Errno::EPERM, "shells of guests run no other commands"));
        }
        if self.rexec.told || self.rexec.processes.len() >= REXEC_PROCESSES_MAX {
            return Err(Fault::new(Errno::EAGAIN, "the job ends, or runs too many other commands"));
        }
        let body: Value = request.decode()?;
        let flags = body.get("flags").and_then(Value::as_u64).unwrap_or(0);
        if flags & FLAG_WAITABLE != 0 {
            return Err(Fault::new(Errno::EINVAL, "commands beside a job cannot be waited for"));
        }
        let cmd = &body["cmd"];
        let argv: Vec<String> = serde_json::from_value(cmd["cmdline"].clone()).map_err(malformed)?;
        let program = argv.first().cloned().ok_or_else(|| malformed("the command is empty"))?;
        let env: BTreeMap<String, String> = serde_json::from_value(cmd["env"].clone()).map_err(malformed)?;
        let (cwd, complaint) = match cmd["cwd"].as_str().map(|cwd| (cwd, std::fs::read_dir(cwd))) {
            None => (None, None),
            Some((cwd, Ok(_))) => (Some(cwd), None),
            Some((cwd, Err(error))) => {
                let why = Errno(error.raw_os_error().unwrap_or(5));
                (Some(INSTEAD), Some(format!("Could not change dir to {cwd}: {why}. Going to {INSTEAD} instead\n")))
            }
        };
        let (child, pipes, feed) = self.rexec_spawn(&argv, env, cwd)?;
        self.rexec.last += 1;
        let pid = child.pid().0;
        self.link.respond(request, Ok(json!({"type": "started", "pid": pid}).into()));
        if request.is_streaming() && flags & FLAG_CREDIT != 0 {
            let credit = json!({"type": "add-credit", "channels": {"stdin": INPUT_CREDIT}});
            self.link.respond(request, Ok(credit.into()));
        }
        self.rexec.processes.push(Process {
            number: self.rexec.last,
            request: request.clone(),
            program,
            label: cmd["label"].as_str().unwrap_or("").to_owned(),
            flags,
            child: Some(child),
            pid,
            status: None,
            pipes,
            feed: Some(feed).filter(|_| request.is_streaming()),
        });
        if let Some(complaint) = complaint {
            self.rexec_printed(self.rexec.last, Stream::Stderr, complaint.as_bytes());
        }
        Ok(())
    }

    fn rexec_spawn(
        &self,
        argv: &[String],
        mut env: BTreeMap<String, String>,
        cwd: Option<&str>,
    ) -> Result<(Child, Vec<Pipe>, Feed), Fault> {
        let failed = |error: io::Error| Fault::new(Errno(error.raw_os_error().unwrap_or(5)), error.to_string());
        env.insert("FLUX_URI".to_owned(), self.bundle.uri.clone());
        let (stdin, writer) = flux_sys::fd::pipe().map_err(failed)?;
        let (out_reader, out) = flux_sys::fd::pipe().map_err(failed)?;
        let (err_reader, err) = flux_sys::fd::pipe().map_err(failed)?;
        let pipe = |stream, reader| Pipe::new(stream, Sink::Kvs, false, reader).map_err(failed);
        let pipes = vec![pipe(Stream::Stdout, out_reader)?, pipe(Stream::Stderr, err_reader)?];
        let feed = Feed::new(writer).map_err(failed)?;
        let mut spawn = Spawn::new(argv).envs(env.iter()).stdio(stdin.as_fd(), out.as_fd(), err.as_fd());
        if let Some(cwd) = cwd {
            spawn = spawn.cwd(cwd);
        }
        let child = spawn.session(Session::NewGroup).parent_death_signal(SIGKILL).start().map_err(|error| {
            let errno = Errno(error.errno());
            Fault::new(errno, format!("error launching process: {errno}"))
        })?;
        Ok((child, pipes, feed))
    }

    fn rexec_write(&mut self, request: &Message) -> Result<(), Fault> {
        let body: Value = request.decode()?;
        let matchtag = body["matchtag"].as_u64();
        let ours = |one: &&mut Process| {
            matchtag == Some(u64::from(one.request.matchtag())) && request.same_sender(&one.request)
        };
        let Some(process) = self.rexec.processes.iter_mut().find(ours) else { return Ok(()) };
        let (bytes, eof) = output::decode(&body["io"]).ok_or_else(|| malformed("standard input"))?;
        let Some(feed) = process.feed.as_mut().filter(|feed| feed.has_room(bytes.len())) else { return Ok(()) };
        let bytes: Arc<[u8]> = bytes.into();
        feed.push(&bytes);
        feed.eof |= eof;
        let stays = feed.write();
        if process.flags & FLAG_CREDIT != 0 && !bytes.is_empty() {
            let credit = json!({"type": "add-credit", "channels": {"stdin": bytes.len()}});
            self.link.respond(&process.request, Ok(credit.into()));
        }
        if !stays {
            process.feed = None;
        }
        Ok(())
    }

    fn rexec_kill(&mut self, request: &Message) -> Outcome {
        let body: Value = request.decode()?;
        let signum = body["signum"].as_i64().and_then(|signum| i32::try_from(signum).ok());
        let signum = signum.filter(|signum| (0..=64).contains(signum));
        let signum = signum.ok_or_else(|| Fault::new(Errno::EINVAL, "no such signal"))?;
        let pid = body["pid"].as_i64().unwrap_or(0);
        let (label, runs) = (body["label"].as_str(), |one: &&Process| one.child.is_some());
        let meant = |one: &&Process| label.map_or(i64::from(one.pid) == pid, |label| one.label == label);
        let found = self.rexec.processes.iter().filter(runs).find(meant);
        let missing = || Fault::new(Errno::ESRCH, format!("pid {pid} does not belong to any subprocess"));
        found.ok_or_else(missing)?.signal(signum);
        Ok(Payload::None)
    }

    fn rexec_list(&self) -> Payload {
        let entry = |one: &Process| json!({"pid": one.pid, "cmd": one.program, "label": one.label, "state": "R"});
        let list: Vec<Value> = self.rexec.processes.iter().map(entry).collect();
        json!({"rank": self.bundle.rank, "procs": list}).into()
    }

    /// Whoever ran a command is gone: so is the command.
    pub(crate) fn rexec_disconnect(&mut self, request: &Message) {
        let gone = |one: &&Process| one.request.is_streaming() && request.same_sender(&one.request);
        self.rexec.processes.iter().filter(gone).for_each(|one| one.signal(SIGKILL));
    }

    /// The connection is lost, and with it all who listened.
    pub(crate) fn rexec_lost(&mut self) {
        let listened = |one: &&Process| one.request.is_streaming();
        self.rexec.processes.iter().filter(listened).for_each(|one| one.signal(SIGKILL));
    }

    /// Bytes of a command's pipe; none at its end.
    pub(crate) fn rexec_printed(&mut self, number: u64, stream: Stream, bytes: &[u8]) {
        let Some(process) = self.rexec.processes.iter_mut().find(|one| one.number == number) else { return };
        let wanted = process.flags & if stream == Stream::Stdout { FLAG_STDOUT } else { FLAG_STDERR } != 0;
        if wanted && process.request.is_streaming() {
            let io = iodata::encode(stream.name(), &self.bundle.rank.to_string(), bytes, bytes.is_empty());
            let answer = json!({"type": "output", "pid": process.pid, "io": io});
            self.link.respond(&process.request, Ok(answer.into()));
        }
        if bytes.is_empty() {
            process.pipes.retain(|pipe| pipe.stream != stream);
            self.rexec_check(number);
        }
    }

    pub(crate) fn rexec_exited(&mut self, number: u64, status: i32) {
        let Some(process) = self.rexec.processes.iter_mut().find(|one| one.number == number) else { return };
        (process.status, process.child, process.feed) = (Some(status), None, None);
        self.rexec_check(number);
    }

    /// It has ended and nothing more comes from it: that is said last.
    fn rexec_check(&mut self, number: u64) {
        let done = |one: &Process| one.number == number && one.status.is_some() && one.pipes.is_empty();
        let Some(at) = self.rexec.processes.iter().position(done) else { return };
        let process = self.rexec.processes.remove(at);
        if process.request.is_streaming() {
            let status = process.status.unwrap_or(0);
            self.link.respond(&process.request, Ok(json!({"type": "finished", "status": status}).into()));
            self.link.respond(&process.request, Err(Errno::ENODATA.into()));
        }
        self.check_end();
    }

    /// All tasks have ended: asks the other commands to end too. `true` once none is left.
    pub(crate) fn rexec_ended(&mut self) -> bool {
        if !self.rexec.processes.is_empty() && !self.rexec.told {
            self.kill_rexec_after(Duration::from_secs_f64(self.plan.rexec_timeout));
            self.signal_rexec(SIGTERM);
        }
        self.rexec.told = true;
        self.rexec.processes.is_empty()
    }

    pub(crate) fn signal_rexec(&self, signum: i32) {
        self.rexec.processes.iter().for_each(|one| one.signal(signum));
    }
}
