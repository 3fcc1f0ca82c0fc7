//! The shell: its state, and what it does with what happens.

use std::collections::VecDeque;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flux_shell::journal::Journal;
use flux_shell::limits::LINES_APART_MAX;
use flux_shell::output::{self, Stream};
use flux_shell::plan::Input;
use flux_shell::template::render_for_job;
use flux_shell::{Bundle, Plan, ShellError, entry, exits, pmi};
use flux_types::IdsetFormat;
use serde_json::{Value, json};

use crate::cpus::Cpus;
use crate::files::Files;
use crate::limits::{BARRIERS_KEPT, BROKER_ABSENT_MAX, EXIT_WAIT, KILL_AFTER};
use crate::link::{Link, Said};
use crate::record::Record;
use crate::stage;
use crate::staging::Staging;
use crate::start::{StartFailure, Starter};
use crate::task::{Sink, Task};

/// RFC 5424.
const EMERG: u8 = 0;
pub(crate) const ERR: u8 = 3;
pub(crate) const WARNING: u8 = 4;
pub(crate) const NOTICE: u8 = 5;
pub(crate) const DEBUG: u8 = 6;
pub(crate) const TRACE: u8 = 7;
const SIGKILL: i32 = 9;
/// Signals that end what is not prepared for them: SIGHUP, SIGINT, SIGKILL, SIGALRM, SIGTERM.
const DEADLY: [i32; 5] = [1, 2, 9, 14, 15];
const SIGTERM: i32 = 15;

/// What the shell does when its clock says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alarm {
    /// `exit-timeout` has passed.
    Doom,
    /// The signal before the time limit is due.
    Warning,
    /// Tasks that were sent SIGTERM by the shell itself are sent SIGKILL.
    Kill,
    /// Co-processes that were sent SIGTERM are sent SIGKILL.
    KillHelpers,
    /// So are other commands.
    KillRexec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for the other shells before tasks start, then after.
    Init,
    /// Data is brought into the job's storage, and the other shells do that too.
    StagingIn,
    Starting,
    Running,
    /// Tasks have ended; data is brought out, or other shells' tasks are waited for first.
    StagingOut,
    /// `finish` is in the journal.
    Finished,
}

pub(crate) struct Shell {
    pub bundle: Bundle,
    pub plan: Plan,
    pub link: Link,
    pub journal: Journal,
    pub record: Option<Record>,
    pub tasks: Vec<Task>,
    pub files: Files,
    pub staging: Option<Staging>,
    /// The job's storage is there, since then.
    pub(crate) staged: Option<SystemTime>,
    pub cpus: Cpus,
    pub(crate) helpers: Vec<crate::helpers::Running>,
    /// They were asked to end.
    pub(crate) helpers_told: bool,
    pub(crate) rexec: crate::rexec::Rexec,
    pub(crate) scripts: Option<crate::rc::Scripts>,
    pmi: Option<pmi::Server>,
    pub(crate) phase: Phase,
    /// The largest exit code so far.
    pub(crate) code: i32,
    /// Bytes of each stream that went to the KVS, and those that were dropped over the limit.
    volume: [(u64, u64); 2],
    alarms: Vec<(Instant, Alarm)>,
    /// The first task that ended: rank and wait status.
    first_exit: Option<(u32, i32)>,
    pmi_barriers: u32,
    /// Barriers that this shell is in (tasks may be in one of theirs before all shells have started theirs), and the last
    /// that it has left, as it tells of them.
    barriers: Vec<Value>,
    /// Who waits for the table of all tasks.
    pub table_waiters: Vec<flux_client::Message>,
    passed: VecDeque<Value>,
    abandoned: bool,
    /// How long a broker may be away before a finished shell ends without it.
    absent_max: Duration,
    /// Nobody waits for the end of this shell any more.
    dismissed: bool,
    pub now: Instant,
    last_timestamp: f64,
}

impl Shell {
    pub(crate) fn new(bundle: Bundle, plan: Plan, record: Option<Record>, now: Instant) -> Shell {
        let link = Link::new(&bundle, now);
        let absent_max = bundle.options.broker_absent_ms.map_or(BROKER_ABSENT_MAX, Duration::from_millis);
        let level = bundle.options.instance_level;
        let name = bundle.id.encode(flux_types::JobIdForm::F58);
        let (size, here) = (plan.map.ntasks(), plan.tasks.len());
        let map = (!plan.pmi_nomap).then_some(&plan.map);
        let pmi = plan.pmi.then(|| pmi::Server::new(name, size, here, map, Some(level)));
        Shell {
            bundle,
            plan,
            link,
            journal: Journal::new(record.is_some()),
            record,
            tasks: Vec::new(),
            files: Files::default(),
            staging: None,
            staged: None,
            cpus: Cpus::default(),
            helpers: Vec::new(),
            helpers_told: false,
            rexec: Default::default(),
            scripts: None,
            pmi,
            phase: Phase::Init,
            code: 0,
            volume: [(0, 0); 2],
            alarms: Vec::new(),
            first_exit: None,
            pmi_barriers: 0,
            barriers: Vec::new(),
            table_waiters: Vec::new(),
            passed: VecDeque::new(),
            abandoned: false,
            absent_max,
            dismissed: false,
            now,
            last_timestamp: 0.0,
        }
    }

    /// The exit code of this process: that of the job's tasks here.
    pub(crate) fn code(&self) -> i32 {
        self.code
    }

    /// Tasks that print must wait: neither memory nor the spool has room.
    pub(crate) fn is_choked(&self) -> bool {
        let spooling = self.record.as_ref().is_some_and(|record| record.is_spooling() && !record.is_full());
        let full = self.journal.is_full() && (self.link.is_up() || !spooling);
        full || (self.link.is_up() && self.journal.is_ahead())
    }

    /// Says what is known before tasks start, and starts them unless other shells are waited for.
    pub(crate) fn begin(&mut self, logs: Vec<(u8, String)>) {
        if self.bundle.shell_rank == 0 {
            let header = output::header(self.timestamp(), self.plan.map.ntasks());
            self.tell(json!({"type": "output", "entry": header}));
            self.begin_input();
        }
        self.tell_logs(logs);
        self.tell_redirects();
        self.set_alarm_before_limit(self.plan.expiration);
        if self.bundle.shell_count > 1 {
            self.enter(json!({"type": "barrier", "name": "init"}));
        } else {
            self.stage_in();
        }
    }

    fn begin_input(&mut self) {
        let header = json!({"version": 1, "encoding": {"stdin": "UTF-8"}, "count": {"stdin": 1}, "options": {}});
        let line = entry(self.timestamp(), "header", Some(&header));
        self.tell(json!({"type": "input", "entry": line}));
        if let Input::File(path) = self.plan.input.clone() {
            let line = output::redirect(self.timestamp(), "stdin", &self.all_ranks(), &path);
            self.tell(json!({"type": "input", "entry": line}));
        }
    }

    fn all_ranks(&self) -> String {
        flux_types::Idset::below(self.plan.map.ntasks() as u32).encode(IdsetFormat::RANGE_BRACKETS)
    }

    /// The first shell speaks for all.
    fn tell_redirects(&mut self) {
        if self.bundle.shell_rank > 0 {
            return;
        }
        let ranks = self.all_ranks();
        for stream in Stream::BOTH {
            let output::Sink::File { template, .. } = &self.plan.output.route(stream).sink else { continue };
            let path = render_for_job(template, &self.plan.tags(&self.bundle, None));
            let line = output::redirect(self.timestamp(), stream.name(), &ranks, &path);
            self.tell(json!({"type": "output", "entry": line}));
        }
    }

    /// Starts the tasks.
    pub(crate) fn launch(&mut self) {
        self.phase = Phase::Starting;
        if self.bundle.shell_rank == 0 {
            let context = json!({
                "service": self.bundle.service,
                "leader-rank": self.bundle.rank,
                "size": self.bundle.shell_count,
            });
            self.tell_exec("shell.init", &context);
        }
        self.enter_directory();
        if self.staged.is_none() {
            self.make_tmpdir();
        }
        for file in std::mem::take(&mut self.plan.files) {
            if let Err(error) = stage::extract(std::path::Path::new(&self.plan.tmpdir), &file) {
                let note = format!("cannot extract {} into the job's directory: {error}", file.path);
                return self.start_failed(&StartFailure { note, code: 1 });
            }
        }
        if let Err(failure) = self.prepare().and_then(|()| self.start_tasks()) {
            return self.start_failed(&failure);
        }
        self.tell(json!({"type": "start"}));
        if self.bundle.shell_count > 1 {
            self.enter(json!({"type": "barrier", "name": "start"}));
        } else {
            self.started();
        }
    }

    fn start_tasks(&mut self) -> Result<(), StartFailure> {
        self.stage("shell.init")?;
        self.start_helpers();
        (0..self.plan.tasks.len()).try_for_each(|at| self.task_stage("task.init", at))?;
        self.stage("shell.post-init")?;
        for at in 0..self.plan.tasks.len() {
            self.task_stage("task.exec", at)?;
            let task = self.plan.tasks[at].clone();
            let Shell { bundle, plan, files, cpus, .. } = self;
            self.tasks.push((Starter { bundle, plan, files, cpus }).start(&task)?);
            self.task_pass("task.fork", self.tasks.len() - 1, None);
        }
        Ok(())
    }

    pub(crate) fn make_tmpdir(&mut self) {
        if self.bundle.tmpdir.is_some() {
            return; // A guest's shell has made it.
        }
        let mut private = std::fs::DirBuilder::new();
        if let Err(error) = private.mode(0o700).create(&self.plan.tmpdir) {
            self.log(ERR, &format!("cannot make the job's temporary directory {}: {error}", self.plan.tmpdir));
        }
    }

    fn started(&mut self) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Running;
        }
        if self.bundle.shell_rank == 0 {
            let context = json!({"taskmap": self.plan.map.to_wrapped_value()});
            self.tell_exec("shell.start", &context);
        }
        self.pass("shell.start");
        self.check_end();
    }

    pub(crate) fn start_failed(&mut self, failure: &StartFailure) {
        self.log(EMERG, &failure.note);
        self.raise("exec", &failure.note);
        self.code = self.code.max(failure.code);
        self.phase = Phase::Running;
        self.kill_tasks(SIGKILL);
        self.check_end();
    }

    /// A shell that cannot even plan its tasks says why and ends.
    pub(crate) fn fail(&mut self, error: &ShellError, logs: Vec<(u8, String)>) {
        if self.bundle.shell_rank == 0 {
            let header = output::header(self.timestamp(), 0);
            self.tell(json!({"type": "output", "entry": header}));
        }
        self.tell_logs(logs);
        self.start_failed(&StartFailure { note: error.to_string(), code: 1 });
    }

    fn enter_directory(&mut self) {
        const INSTEAD: &str = "/tmp";
        let Some(cwd) = self.plan.cwd.clone() else { return };
        if let Err(error) = std::env::set_current_dir(&cwd) {
            let why = flux_wire::Errno(error.raw_os_error().unwrap_or(5));
            let host = &self.plan.node.host;
            let text = format!("host {host}: Could not change dir to {cwd}: {why}. Going to {INSTEAD} instead");
            self.log(ERR, &text);
            let _ = std::env::set_current_dir(INSTEAD);
        }
    }

    /// Takes a message from the broker.
    pub(crate) fn hear(&mut self, said: Said) {
        match said {
            Said::Acked(seq) => {
                self.journal.ack(seq);
                if self.journal.is_settled()
                    && let Some(record) = &mut self.record
                {
                    record.settle();
                }
                self.refill();
            }
            Said::Command(command) => self.obey(&command),
            Said::Back => self.tell_barriers(),
            Said::Request(request) => {
                let outcome = self.serve(&request);
                if let Some(outcome) = outcome {
                    self.link.respond(&request, outcome);
                }
            }
            Said::Dismissed => {
                self.dismissed = true;
                self.abandon();
            }
        }
    }

    fn refill(&mut self) {
        if let Some(record) = &mut self.record
            && let Err(error) = record.refill(&mut self.journal)
        {
            self.log(ERR, &format!("cannot read the spool back: {error}"));
        }
    }

    fn obey(&mut self, command: &Value) {
        let number = |key: &str| command.get(key).and_then(Value::as_i64);
        match command.get("type").and_then(Value::as_str) {
            Some("signal") => {
                if let Some(signum @ 1..=64) = number("signum") {
                    self.signal(signum as i32);
                }
            }
            Some("input") => {
                let _ = self.feed(command.get("data").unwrap_or(&Value::Null));
            }
            Some("barrier") => self.released(command),
            Some("table") => self.tell(json!({"type": "table", "data": self.table()})),
            Some("tables") => self.tables(command.get("data").unwrap_or(&Value::Null)),
            Some("resend") => {
                self.journal.ack(number("acked").and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0));
                self.journal.rewind();
                self.tell_barriers();
            }
            Some("expiration") => {
                let at = command.get("expiration").and_then(Value::as_f64).filter(|at| *at > 0.0);
                self.set_alarm_before_limit(at);
                self.pass("shell.resource-update");
            }
            _ => {} // A later broker may know more commands than we do.
        }
    }

    /// Waits for the other shells.
    pub(crate) fn enter(&mut self, event: Value) {
        self.barriers.push(event.clone());
        self.tell(event);
    }

    /// The broker was lost, or the leader: who waits for whom may have been lost with it, so it is told again.
    fn tell_barriers(&mut self) {
        if !self.dismissed && !self.is_over() {
            let events: Vec<Value> = self.passed.iter().chain(&self.barriers).cloned().collect();
            for event in events {
                self.tell(event);
            }
        }
    }

    fn released(&mut self, command: &Value) {
        let name = command.get("name").and_then(Value::as_str);
        let Some(at) = self.barriers.iter().position(|event| event.get("name").and_then(Value::as_str) == name) else {
            return; // Said twice.
        };
        self.barriers.remove(at);
        self.passed.truncate(BARRIERS_KEPT - 1);
        self.passed.push_front(json!({"type": "passed", "name": name, "data": command.get("data")}));
        match (name, self.phase) {
            (Some("init"), Phase::Init) => self.stage_in(),
            (Some("storage-in"), Phase::StagingIn) => self.launch(),
            (Some("storage-out"), Phase::StagingOut) => self.stage_out(),
            (Some("start"), Phase::Starting) => self.started(),
            (Some(name), _) if name.starts_with("pmi-") => {
                let puts = command.get("data").and_then(Value::as_object);
                let puts = puts.into_iter().flatten();
                let puts = puts.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
                let mut answers = Vec::new();
                if let Some(server) = &mut self.pmi {
                    server.release(puts, &mut answers);
                }
                self.answer_pmi(answers);
            }
            _ => {}
        }
    }

    /// Signals all tasks; before they started, the job ends as if they had been killed by it.
    pub(crate) fn signal(&mut self, signum: i32) {
        if self.phase == Phase::Init {
            self.code = self.code.max(128 + signum);
            self.plan.tasks.clear();
            self.phase = Phase::Running;
            return self.check_end();
        }
        if let Some(staging) = &self.staging {
            self.code = self.code.max(128 + signum);
            return staging.stop();
        }
        self.kill_tasks(signum);
        if self.phase == Phase::Starting && DEADLY.contains(&signum) {
            // The other shells may never get to the barrier: the job ends for one of them.
            self.phase = Phase::Running;
            self.check_end();
        }
    }

    fn kill_tasks(&self, signum: i32) {
        self.tasks.iter().for_each(|task| task.signal(signum));
    }

    /// Standard input for the tasks that a data object names.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn feed(&mut self, object: &Value) -> Result<(), &'static str> {
        let (bytes, eof) = output::decode(object).ok_or("malformed data")?;
        let ranks = object.get("rank").and_then(Value::as_str).unwrap_or("all");
        let wanted: Option<flux_types::Idset> = match ranks {
            "all" => None,
            text => Some(text.parse().map_err(|_| "the rank is no idset")?),
        };
        let bytes: Arc<[u8]> = bytes.into();
        let chosen = |task: &&mut Task| wanted.as_ref().is_none_or(|wanted| wanted.contains(task.rank));
        let full = |task: &Task| task.feed.as_ref().is_some_and(|feed| !feed.has_room(bytes.len()));
        if self.tasks.iter_mut().filter(chosen).any(|task| full(task)) {
            return Err("too much standard input is waiting to be read");
        }
        for task in self.tasks.iter_mut().filter(chosen) {
            if let Some(feed) = &mut task.feed {
                feed.push(&bytes);
                feed.eof |= eof;
                if !feed.write() {
                    task.feed = None;
                }
            }
        }
        Ok(())
    }

    /// A task has ended.
    pub(crate) fn exited(&mut self, at: usize, status: i32) {
        let task = &mut self.tasks[at];
        task.status = Some(status);
        task.child = None;
        task.feed = None;
        task.pmi = None;
        let (rank, local, pid) = (task.rank, task.local, task.pid.0);
        self.code = self.code.max(exits::exit_code(status));
        self.task_pass("task.exit", at, Some(status));
        if self.plan.verbose > 0 {
            self.log(DEBUG, &format!("task {rank} complete status={}", exits::exit_code(status)));
        }
        if self.first_exit.is_none() {
            self.first_exit = Some((rank, status));
            self.tell_exec("shell.task-exit", &exits::task_exit(local, rank, pid, status));
            if let Some(note) = self.plan.doom.at_once(&self.plan.name, rank, &self.plan.node.host, status) {
                self.log(EMERG, &format!("task-exit: {note}"));
                self.raise_with("exec", &note, Some(status));
            } else if let Some(seconds) = self.plan.doom.timeout {
                self.alarms.push((self.now + Duration::from_secs_f64(seconds), Alarm::Doom));
            }
        }
        self.check_end();
    }

    /// Everything is over: says so.
    pub(crate) fn check_end(&mut self) {
        if self.phase != Phase::Running || !self.tasks.iter().all(Task::is_done) {
            return;
        }
        if !self.helpers_ended() | !self.rexec_ended() {
            return;
        }
        if self.staged.is_some() {
            return self.clear_storage();
        }
        self.end();
    }

    pub(crate) fn kill_rexec_after(&mut self, span: Duration) {
        self.alarms.push((self.now + span, Alarm::KillRexec));
    }

    pub(crate) fn kill_helpers_after(&mut self, span: Duration) {
        self.alarms.push((self.now + span, Alarm::KillHelpers));
    }

    /// Says that everything is over.
    pub(crate) fn end(&mut self) {
        ["shell.tasks-complete", "shell.finish", "shell.exit"].iter().for_each(|topic| self.pass(topic));
        self.tell_volume();
        if self.plan.verbose > 0 {
            self.log(DEBUG, &format!("exit {}", self.code));
        }
        if std::fs::remove_dir(&self.plan.tmpdir).is_err() {
            let _ = std::fs::remove_dir_all(&self.plan.tmpdir); // Most tasks leave nothing in it.
        }
        let mut event = json!({"type": "finish", "status": exits::shell_status(self.code)});
        // A leader that restarted while this one ended may not know that the others may go on.
        if let Some(passed) = self.passed.front() {
            event["passed"] = passed["name"].clone();
        }
        self.tell(event);
        self.phase = Phase::Finished;
    }

    fn tell_volume(&mut self) {
        for (at, stream) in Stream::BOTH.into_iter().enumerate() {
            let (_, dropped) = self.volume[at];
            if dropped > 0 {
                let (name, limit) = (stream.name(), self.plan.output.limit_bytes);
                let total = limit + dropped;
                self.log(WARNING, &format!("output.kvs: {name}: {dropped} of {total} bytes truncated"));
            }
        }
    }

    /// Nothing is left to do, and nothing to wait for.
    pub(crate) fn is_over(&self) -> bool {
        if self.phase != Phase::Finished {
            return self.dismissed && self.tasks.iter().all(|task| task.status.is_some());
        }
        let absent = self.link.away_since().is_some_and(|since| self.now >= since + self.absent_max);
        self.journal.is_settled() || self.dismissed || absent
    }

    /// Leaves what nobody has acknowledged. Called last.
    pub(crate) fn leave_record(&mut self) {
        if self.journal.is_settled() || self.dismissed {
            return;
        }
        let status = exits::shell_status(self.code);
        let last = json!({"type": "finish", "status": status}).to_string();
        let last = flux_shell::journal::Numbered { seq: self.journal.last(), event: last };
        if let Some(record) = &mut self.record
            && let Err(error) = record.start(&self.journal).and_then(|()| record.exit(&last))
        {
            eprintln!("flux-shell: cannot leave an exit record: {error}");
        }
    }

    /// The broker may be away for good: without a place for records nobody will ever ask for this job.
    pub(crate) fn tend_absence(&mut self) {
        let Some(since) = self.link.away_since() else { return };
        self.rexec_lost();
        match &mut self.record {
            Some(record) if !self.link.is_connected() && !record.is_spooling() && !self.journal.is_settled() => {
                if let Err(error) = record.start(&self.journal) {
                    eprintln!("flux-shell: cannot spool: {error}");
                }
            }
            Some(_) => {}
            None if self.now >= since + self.absent_max => self.abandon(),
            None => {}
        }
    }

    fn abandon(&mut self) {
        if !self.abandoned {
            self.abandoned = true;
            self.signal(SIGTERM);
            self.alarms.push((self.now + KILL_AFTER, Alarm::Kill));
        }
    }

    /// The next moment at which the clock matters.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        let absence = self.link.away_since().map(|since| since + self.absent_max).filter(|at| *at > self.now);
        let alarms = self.alarms.iter().map(|(at, _)| *at);
        let rests = self.tasks.iter().flat_map(|task| &task.pipes).filter_map(|pipe| pipe.rests(self.now));
        let ends = self.tasks.iter().filter_map(|task| task.ends(self.now));
        alarms.chain(self.link.next_timer(&self.journal)).chain(absence).chain(rests).chain(ends).min()
    }

    pub(crate) fn ring(&mut self) {
        let now = self.now;
        let due: Vec<Alarm> = self.alarms.extract_if(.., |(at, _)| *at <= now).map(|(_, alarm)| alarm).collect();
        for alarm in due {
            match (alarm, self.first_exit) {
                (Alarm::Doom, Some((rank, status))) if self.phase != Phase::Finished => {
                    let note = self.plan.doom.overdue(&self.plan.name, rank, &self.plan.node.host, status);
                    self.log(EMERG, &format!("task-exit: {note}"));
                    // That of a task that succeeded is no status for a job that fails.
                    self.raise_with("exec", &note, Some(if status == 0 { exits::shell_status(1) } else { status }));
                }
                (Alarm::Doom, _) => {}
                (Alarm::Warning, _) => {
                    if let Some((signum, before)) = self.plan.warning {
                        let name = flux_sys::signal::name(signum);
                        self.log(NOTICE, &format!("signal: job will expire in {before:.1}s, sending {name} to job"));
                        self.kill_tasks(signum);
                    }
                }
                (Alarm::Kill, _) => self.kill_tasks(SIGKILL),
                (Alarm::KillRexec, _) => self.signal_rexec(SIGKILL),
                (Alarm::KillHelpers, _) if self.helpers.is_empty() => {}
                (Alarm::KillHelpers, _) => {
                    self.log(WARNING, "coprocess: helper(s) still running, sending SIGKILL");
                    self.signal_helpers(SIGKILL);
                }
            }
        }
    }

    fn set_alarm_before_limit(&mut self, expiration: Option<f64>) {
        self.alarms.retain(|(_, alarm)| *alarm != Alarm::Warning);
        let (Some((_, before)), Some(at)) = (self.plan.warning, expiration) else { return };
        let left = (at - before - wall()).clamp(0.0, 1e9);
        self.alarms.push((self.now + Duration::from_secs_f64(left), Alarm::Warning));
    }

    /// Bytes of a task's pipe; empty at its end.
    pub(crate) fn printed(&mut self, at: usize, pipe: usize, bytes: &[u8]) {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut take = |piece: &[u8]| pieces.push(piece.to_vec());
        let source = &mut self.tasks[at].pipes[pipe];
        if bytes.is_empty() {
            source.cutter.finish(&mut take)
        } else {
            source.cutter.push(bytes, &mut take)
        }
        let (stream, sink, rank) = (source.stream, source.sink, self.tasks[at].rank);
        if sink == Sink::Kvs && pieces.len() > LINES_APART_MAX {
            pieces = output::together(&pieces);
        }
        for piece in pieces {
            match sink {
                Sink::Kvs => self.tell_output(stream, rank, &piece),
                Sink::File(number) => {
                    if let Err(error) = self.files.write(number, rank, &piece) {
                        self.log(ERR, &format!("{}: write failed: {error}", stream.name()));
                    }
                }
            }
        }
        if bytes.is_empty() {
            self.tasks[at].pipes.remove(pipe);
            self.tasks[at].ends_until = Some(self.now + EXIT_WAIT);
            if sink == Sink::Kvs {
                let line = output::end(self.timestamp(), stream.name(), &rank.to_string());
                self.tell(json!({"type": "output", "entry": line}));
            }
            if self.tasks[at].pty && self.plan.output.stderr.sink == output::Sink::Kvs {
                let line = output::end(self.timestamp(), Stream::Stderr.name(), &rank.to_string());
                self.tell(json!({"type": "output", "entry": line}));
            }
            self.check_end();
        }
    }

    fn tell_output(&mut self, stream: Stream, rank: u32, piece: &[u8]) {
        let (sent, dropped) = &mut self.volume[usize::from(stream == Stream::Stderr)];
        let limit = self.plan.output.limit_bytes;
        let room = limit.saturating_sub(*sent).min(piece.len() as u64);
        let is_first = *dropped == 0 && room < piece.len() as u64;
        *sent += room;
        *dropped += piece.len() as u64 - room;
        if is_first {
            self.log(WARNING, &format!("output.kvs: {} will be truncated, {limit} limit exceeded", stream.name()));
        }
        if room > 0 {
            let line = output::data(self.timestamp(), stream.name(), &rank.to_string(), &piece[..room as usize]);
            self.tell(json!({"type": "output", "entry": line}));
        }
    }

    /// Lines of a task's PMI connection; `None` at its end.
    pub(crate) fn pmi(&mut self, at: usize, lines: Option<Vec<String>>) {
        let Some(lines) = lines else {
            self.tasks[at].pmi = None;
            return;
        };
        for line in lines {
            let Some(server) = &mut self.pmi else { return };
            let mut answers = Vec::new();
            let step = server.line(at as u32, &line, &mut answers);
            if step == pmi::Step::Barrier {
                if self.bundle.shell_count == 1 {
                    server.release(Default::default(), &mut answers);
                } else {
                    self.pmi_barriers += 1;
                    let puts = json!(server.fresh());
                    self.enter(json!({"type": "barrier", "name": format!("pmi-{}", self.pmi_barriers), "data": puts}));
                }
            }
            self.answer_pmi(answers);
            match step {
                pmi::Step::Answered | pmi::Step::Barrier | pmi::Step::Finalized => {}
                pmi::Step::Abort { code, message } => {
                    self.code = self.code.max(code & 0xff);
                    let colon = if message.is_empty() { "" } else { ": " };
                    self.raise("exec", &format!("PMI_Abort{colon}{message}"));
                }
                pmi::Step::Violation(why) => {
                    self.log(EMERG, &format!("PMI-1 wire protocol error: {why}"));
                    self.raise("exec", "PMI-1 wire protocol error");
                    self.tasks[at].pmi = None;
                    return;
                }
            }
        }
    }

    fn answer_pmi(&mut self, answers: Vec<(u32, String)>) {
        for (local, line) in answers {
            if let Some(task) = self.tasks.get_mut(local as usize)
                && let Some(wire) = &mut task.pmi
                && !wire.answer(&line)
            {
                task.pmi = None;
            }
        }
    }

    /// Sends what there is, tries to connect, rings alarms.
    pub(crate) fn tend(&mut self) {
        self.ring();
        let Shell { link, bundle, journal, now, phase, .. } = self;
        link.tend(*now, bundle, journal, *phase == Phase::Finished);
        self.tend_absence();
    }

    pub(crate) fn raise(&mut self, kind: &str, note: &str) {
        self.raise_with(kind, note, None);
    }

    fn raise_with(&mut self, kind: &str, note: &str, status: Option<i32>) {
        let mut event = json!({"type": "exception", "severity": 0, "etype": kind, "note": note});
        if let Some(status) = status {
            event["wait_status"] = status.into();
        }
        self.tell(event);
    }

    pub(crate) fn log(&mut self, level: u8, message: &str) {
        let line = output::log(self.timestamp(), self.bundle.shell_rank, level, message);
        self.tell(json!({"type": "output", "entry": line}));
    }

    fn tell_exec(&mut self, name: &str, context: &Value) {
        let line = entry(self.timestamp(), name, Some(context));
        self.tell(json!({"type": "exec", "entry": line}));
    }

    /// An event for the broker. After `finish` there are none.
    pub(crate) fn tell(&mut self, event: Value) {
        if self.phase == Phase::Finished {
            return;
        }
        let (numbered, kept) = self.journal.push(event.to_string());
        let Some(record) = &mut self.record else { return };
        let result = match kept {
            true => record.append(&numbered, true),
            false => record.start(&self.journal).and_then(|()| record.append(&numbered, false)),
        };
        if let Err(error) = result {
            eprintln!("flux-shell: cannot spool: {error}");
        }
    }

    /// Seconds since the epoch. Entries of one shell never go back in time.
    pub(crate) fn timestamp(&mut self) -> f64 {
        self.last_timestamp = wall().max(self.last_timestamp);
        self.last_timestamp
    }
}

fn wall() -> f64 {
    flux_sys::clock::wall().as_micros() as f64 / 1e6
}
