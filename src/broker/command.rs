//! The commands that run levels run, one at a time: rc1, the initial program (rc2), those of the clean-up, rc3.

use flux_service::{Completion, LogLevel, Mono, ProcessEvent, ProcessOp, RunLevelCommand, SpawnSpec, StdStream, Tag};
use flux_wire::Errno;

use crate::core::Waiting;
use crate::limits::LOG_LINE_MAX;
use crate::node::Node;
use crate::state::RunLevel;

/// The command that runs now for a run level.
pub(crate) struct Command {
    pub(crate) tag: Tag,
    argv: Vec<String>,
    began: Mono,
    /// It was told to end: that it ends well is no success.
    pub(crate) aborted: bool,
    /// Of standard output and error, the lines that have not ended.
    partial: [Vec<u8>; 2],
}

impl Command {
    /// What it is called in the log: a line for a shell stands for itself.
    fn words(&self) -> String {
        match self.argv.as_slice() {
            [sh, c, line] if sh.starts_with("/bin/") && c == "-c" => line.clone(),
            [sh, c, _, words @ ..] if sh.starts_with("/bin/") && c == "-c" => words.join(" "),
            words => words.join(" "),
        }
    }

    /// Takes output; answers the lines that are whole now, or all there is at the end.
    fn lines(&mut self, stream: usize, bytes: &[u8], eof: bool) -> Vec<String> {
        let partial = &mut self.partial[stream];
        partial.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(len) = partial.iter().position(|byte| *byte == b'\n') {
            lines.push(String::from_utf8_lossy(&partial[..len]).into_owned());
            partial.drain(..=len);
        }
        if !partial.is_empty() && (eof || partial.len() > LOG_LINE_MAX) {
            lines.push(String::from_utf8_lossy(partial).into_owned());
            partial.clear();
        }
        lines
    }
}

impl Node {
    /// A command of the clean-up.
    pub(crate) fn start_command(&mut self, argv: Vec<String>) {
        self.start_logged(SpawnSpec { argv, ..SpawnSpec::default() });
    }

    /// Starts a command whose output goes into the log.
    pub(crate) fn start_logged(&mut self, spec: SpawnSpec) {
        self.start_program(SpawnSpec { capture: true, stdin: Some([].into()), ..spec });
    }

    pub(crate) fn start_program(&mut self, spec: SpawnSpec) {
        let spec = SpawnSpec { env: Some(self.command_env()), ..spec };
        let argv = spec.argv.clone();
        let tag = self.core_cx(|cx| cx.process(ProcessOp::Spawn(Box::new(spec))));
        self.core.waiting.insert(tag, Waiting::Command);
        let (began, partial) = (self.now.mono, Default::default());
        self.core.state.command = Some(Command { tag, argv, began, aborted: false, partial });
    }

    /// The broker's environment without what described its own job, and with the way to this instance.
    pub(crate) fn command_env(&self) -> Vec<(String, String)> {
        const FOREIGN: &[&str] = &[
            "FLUX_JOB_",
            "FLUX_TASK_",
            "FLUX_ENCLOSING_ID",
            "FLUX_URI",
            "FLUX_KVS_NAMESPACE",
            "FLUX_PROXY_REMOTE",
            "FLUX_PMI_LIBRARY_PATH",
            "I_MPI_PMI_LIBRARY",
            "NOTIFY_SOCKET",
            "PMI_",
            "PMIX_",
            "PALS_",
            "SLURM_",
        ];
        let own = |name: &String| !FOREIGN.iter().any(|prefix| name.starts_with(prefix));
        let kept = self.core.env.iter().filter(|(name, _)| own(name));
        let mut env: Vec<(String, String)> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        if let Some(uri) = self.attrs.get("local-uri") {
            env.push(("FLUX_URI".to_owned(), uri.to_owned()));
        }
        env
    }

    pub(crate) fn command_event(&mut self, tag: Tag, completion: Completion) {
        let event = match completion {
            Completion::Process(event) => event,
            Completion::Failed(fault) => ProcessEvent::NotStarted { errno: fault.errno },
            _ => return,
        };
        match event {
            ProcessEvent::NotStarted { errno } => {
                let code = if errno == Errno::ENOENT { 127 } else { 126 };
                self.command_over(code, &format!("error launching process: {errno}"));
            }
            ProcessEvent::Exited { status } => self.command_exited(status),
            ProcessEvent::Output { stream, bytes, eof } => {
                self.core.waiting.insert(tag, Waiting::Command);
                self.command_output(&stream, &bytes, eof);
            }
            ProcessEvent::Started { pid } => {
                self.core.waiting.insert(tag, Waiting::Command);
                let (label, command) = (self.level_name(), self.core.state.command.as_ref());
                let program = command.and_then(|command| command.argv.first()).cloned().unwrap_or_default();
                self.info.command = Some(RunLevelCommand { pid, program, label });
            }
            ProcessEvent::Taken { .. } | ProcessEvent::Stopped => {
                self.core.waiting.insert(tag, Waiting::Command);
            }
        }
    }

    fn command_output(&mut self, stream: &StdStream, bytes: &[u8], eof: bool) {
        let (stream, level) = match stream {
            StdStream::Stderr => (1, LogLevel::Err),
            _ => (0, LogLevel::Info),
        };
        let lines = self.core.state.command.as_mut().map(|command| command.lines(stream, bytes, eof));
        let name = self.command_name();
        for line in lines.unwrap_or_default() {
            self.log(level, "broker", &format!("{name}: {line}"));
        }
    }

    /// Which command of which level runs, `rc2.0`.
    fn command_name(&self) -> String {
        format!("{}.{}", self.level_name(), self.core.state.commands)
    }

    fn level_name(&self) -> &'static str {
        match self.core.state.level {
            RunLevel::Init => "rc1",
            RunLevel::Run => "rc2",
            RunLevel::Cleanup => "cleanup",
            _ => "rc3",
        }
    }

    fn command_exited(&mut self, status: i32) {
        let aborted = self.core.state.command.as_ref().is_some_and(|command| command.aborted);
        match (status & 0x7f, status >> 8 & 0xff) {
            (0, 0) if aborted => self.command_over(1, "aborted after exit with rc=0"),
            (0, code) => self.command_over(code, "Exited"),
            (signal, _) => self.command_over(128 + signal, &flux_jobs::state::signal_name(signal)),
        }
    }

    fn command_over(&mut self, code: i32, how: &str) {
        self.info.command = None;
        if let Some(command) = self.core.state.command.take() {
            let secs = self.now.mono.since(command.began).as_secs_f64();
            let text = format!("{}: {} {how} (rc={code}) {secs:.1}s", self.command_name(), command.words());
            self.log(if code == 0 { LogLevel::Info } else { LogLevel::Err }, "broker", &text);
        }
        self.core.state.commands += 1;
        self.command_done(code);
    }

    /// The first that fails decides the broker's exit code.
    fn command_done(&mut self, code: i32) {
        let state = &mut self.core.state;
        state.command_failed |= code != 0;
        if state.level != RunLevel::Init && state.exit_code == 0 {
            state.exit_code = code;
        }
        match state.level {
            RunLevel::Init => self.rc1_done(code),
            RunLevel::Run => {
                let event = if code == 0 { "rc2-success" } else { "rc2-fail" };
                self.enter(event, RunLevel::Cleanup);
            }
            RunLevel::Cleanup => self.cleanup_step_done(None),
            _ => state.rc_done = true,
        }
    }
}
