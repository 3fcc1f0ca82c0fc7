//! The run levels: from loading the services over the initial program to the exit of the broker.
//!
//! rc1 and rc3, which flux-core does with scripts, are the services' own start and stop here; `broker.rc1_path` and
//! `broker.rc3_path` may name a command to run besides.

use std::collections::VecDeque;
use std::time::Duration;

use flux_service::{Fault, LogLevel, Mono, Now, ProcessOp, SpawnSpec, StdStream};
use flux_types::duration::format_fsd;
use flux_types::{Hostlist, Idset};
use flux_wire::{Errno, Message, Payload, Rank, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::command::Command;
use crate::core::{Waiting, end_streams};
use crate::limits::WAITERS_MAX;
use crate::node::{Node, Output};
use crate::service::ONLINE;

type Answer = Result<Option<Payload>, Fault>;

/// How long the services may take to come to rest before the broker goes without them.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// How often the log says who is there, while a quorum is waited for.
const ONLINE_PAUSE: Duration = Duration::from_secs(5);

/// How long until a rank 0 without its resource module is told again what this node has.
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(500);

/// Where the broker stands, in the order in which it goes through them (flux-broker(1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunLevel {
    LoadBuiltins,
    Join,
    ConfigSync,
    Init,
    Quorum,
    Run,
    Cleanup,
    Shutdown,
    Finalize,
    Goodbye,
    UnloadBuiltins,
    Exit,
}

impl RunLevel {
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadBuiltins => "load-builtins",
            Self::Join => "join",
            Self::ConfigSync => "config-sync",
            Self::Init => "init",
            Self::Quorum => "quorum",
            Self::Run => "run",
            Self::Cleanup => "cleanup",
            Self::Shutdown => "shutdown",
            Self::Finalize => "finalize",
            Self::Goodbye => "goodbye",
            Self::UnloadBuiltins => "unload-builtins",
            Self::Exit => "exit",
        }
    }

    /// The event that says that a level before `Run` will not be passed.
    fn failure(self) -> &'static str {
        match self {
            Self::ConfigSync => "sync-fail",
            Self::Init => "rc1-fail",
            Self::Quorum => "quorum-fail",
            _ => "parent-fail",
        }
    }

    /// The number that `state-machine.monitor` answers: 1 for the first.
    fn number(self) -> u32 {
        self as u32 + 1
    }
}

/// What the clean-up still has to do; each step waits for the one before.
enum Step {
    Command(Vec<String>),
    Request(&'static str, Value),
}

pub(crate) struct State {
    pub(crate) level: RunLevel,
    since: Mono,
    program: Option<Vec<String>>,
    interactive: bool,
    /// There was a program: the instance is somebody's session, and ends with it.
    session: bool,
    pub(crate) command: Option<Command>,
    /// Commands of this level that have ended, and whether one of them failed.
    pub(crate) commands: usize,
    pub(crate) command_failed: bool,
    /// There was something to wait for when the level began.
    was_busy: bool,
    /// Who was missing has been said.
    warned: bool,
    online_said: Option<Mono>,
    steps: VecDeque<Step>,
    step_running: bool,
    pushed: Vec<Vec<String>>,
    pub(crate) exit_code: i32,
    pub(crate) rc_done: bool,
    monitors: Vec<Message>,
    waiters: Vec<Message>,
    shutdowns: Vec<Message>,
    deadline: Option<Mono>,
    /// What rank 0 was told of this node has arrived.
    announced: bool,
    /// The configuration is that of rank 0.
    config_is_synced: bool,
    /// The parent's run level, as its number.
    parent_level: u32,
    /// It leaves because it has lost its own parent.
    parent_failed: bool,
    /// When to say who is waited for: for a quorum, or to leave.
    warn_at: Option<Mono>,
    /// When rank 0 is told once more of this node.
    announce_at: Option<Mono>,
    /// Brokers that are there, as rank 0 counts them.
    online: Idset,
    /// The start was noted in the key-value store.
    pub(crate) started: bool,
    /// The end is being noted there.
    pub(crate) finishing: bool,
    /// Where the key-value store is to be dumped at the end.
    pub(crate) dump: Option<String>,
    /// Commands that the initialization still has to run.
    pub(crate) rc: VecDeque<SpawnSpec>,
    /// The broker was told to end: `broker.cleanup-timeout` counts.
    hurried: bool,
    /// systemd gives it `broker.sd-stop-timeout` to end.
    pub(crate) stop_is_timed: bool,
}

impl State {
    pub(crate) fn new(program: Option<Vec<String>>, interactive: bool, now: Now) -> State {
        State {
            level: RunLevel::LoadBuiltins,
            since: now.mono,
            session: program.is_some(),
            program,
            interactive,
            command: None,
            commands: 0,
            command_failed: false,
            was_busy: false,
            warned: false,
            online_said: None,
            steps: VecDeque::new(),
            step_running: false,
            pushed: Vec::new(),
            exit_code: 0,
            rc_done: false,
            monitors: Vec::new(),
            waiters: Vec::new(),
            shutdowns: Vec::new(),
            deadline: None,
            announced: false,
            config_is_synced: false,
            parent_level: 0,
            parent_failed: false,
            warn_at: None,
            announce_at: None,
            online: Idset::range(0, 0),
            started: false,
            finishing: false,
            dump: None,
            rc: VecDeque::new(),
            hurried: false,
            stop_is_timed: false,
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.level > RunLevel::Run
    }

    pub(crate) fn end_with(&mut self, code: i32) {
        self.exit_code = code;
    }

    pub(crate) fn config_synced(&mut self) {
        self.config_is_synced = true;
    }

    pub(crate) fn next_timer(&self) -> Option<Mono> {
        self.deadline.into_iter().chain(self.warn_at).chain(self.announce_at).min()
    }
}

#[derive(Deserialize)]
struct Push {
    name: String,
    commands: Vec<String>,
}

#[derive(Deserialize)]
struct Post {
    event: String,
    #[serde(default)]
    error: bool,
}

impl Node {
    /// Goes on if the present level is over; `true` if it did.
    pub(crate) fn advance_state(&mut self) -> bool {
        let reaped = self.reap_modules(false);
        let (is_root, state) = (self.info.rank.is_root(), &self.core.state);
        let next = match state.level {
            // A broker that is not up yet leaves with its parent, too.
            level @ (RunLevel::ConfigSync | RunLevel::Init | RunLevel::Quorum) if self.parent_is_leaving() => {
                Some((level.failure(), RunLevel::Shutdown))
            }
            RunLevel::LoadBuiltins => Some(("builtins-success", RunLevel::Join)),
            RunLevel::Join if is_root => Some(("parent-none", RunLevel::ConfigSync)),
            RunLevel::Join => self.links.is_joined().then_some(("parent-ready", RunLevel::ConfigSync)),
            RunLevel::ConfigSync => {
                let event = if is_root { "sync-none" } else { "sync-success" };
                self.config_is_there().then_some((event, RunLevel::Init))
            }
            RunLevel::Init => self.init_is_over().then(|| (self.rc_event("rc1"), RunLevel::Quorum)),
            RunLevel::Quorum => self.quorum_is_there().then(|| self.quorum_reached()),
            RunLevel::Run => self.parent_is_leaving().then_some(("shutdown", RunLevel::Cleanup)),
            RunLevel::Exit => None,
            RunLevel::Cleanup => self.cleanup_is_over().then(|| (self.cleanup_event(), RunLevel::Shutdown)),
            RunLevel::Shutdown => {
                let event = if state.was_busy { "children-complete" } else { "children-none" };
                self.shutdown_is_over().then_some((event, RunLevel::Finalize))
            }
            RunLevel::Finalize => self.finalize_is_over().then(|| (self.rc_event("rc3"), RunLevel::Goodbye)),
            RunLevel::Goodbye => Some(("goodbye", RunLevel::UnloadBuiltins)),
            RunLevel::UnloadBuiltins => Some(("builtins-done", RunLevel::Exit)),
        };
        if let Some((event, level)) = next {
            self.enter(event, level);
        }
        reaped || next.is_some()
    }

    /// How rc1 or rc3 went, which are the services' own start and stop unless the attribute names none at all.
    fn rc_event(&self, name: &str) -> &'static str {
        let none = self.attrs.get(&format!("broker.{name}_path")) == Some("");
        match (name, self.core.state.command_failed) {
            ("rc1", true) => "rc1-ignorefail", // Else it were left at once.
            ("rc1", false) if none => "rc1-none",
            ("rc1", false) => "rc1-success",
            (_, true) => "rc3-fail",
            (_, false) if none => "rc3-none",
            (_, false) => "rc3-success",
        }
    }

    fn cleanup_event(&self) -> &'static str {
        match (self.core.state.command_failed, self.core.state.was_busy) {
            (true, _) => "cleanup-fail",
            (false, true) => "cleanup-success",
            (false, false) => "cleanup-none",
        }
    }

    /// Goes to `level`, because of what `event` names in the log as flux-core does.
    pub(crate) fn enter(&mut self, event: &str, level: RunLevel) {
        let state = &mut self.core.state;
        let span = format_fsd(self.now.mono.since(state.since).as_secs_f64()).unwrap_or_default();
        let text = format!("{event}: {}->{} {span}", state.level.name(), level.name());
        state.level = level;
        state.since = self.now.mono;
        state.rc_done = false;
        state.warn_at = None;
        (state.commands, state.command_failed) = (0, false);
        self.log(LogLevel::Info, "broker", &text);
        for request in self.core.state.monitors.clone() {
            let body = self.monitor_body();
            self.answer(&request, Ok(body));
        }
        self.tell_systemd(level);
        match level {
            RunLevel::ConfigSync => self.announce(),
            RunLevel::Quorum => self.enter_quorum(),
            RunLevel::Shutdown => self.enter_shutdown(),
            RunLevel::Goodbye => self.say_goodbye(),
            RunLevel::Init => self.start_rc1(),
            RunLevel::Run => self.enter_run(),
            RunLevel::Cleanup => self.enter_cleanup(),
            RunLevel::Finalize => self.enter_finalize(),
            RunLevel::Exit => self.enter_exit(),
            _ => {}
        }
    }

    fn config_is_there(&self) -> bool {
        self.core.state.announced && (self.info.rank.is_root() || self.core.state.config_is_synced)
    }

    fn init_is_over(&self) -> bool {
        self.core.state.rc_done && self.slots.values().all(|slot| slot.service.is_ready())
    }

    /// Tells rank 0 what this node has.
    fn announce(&mut self) {
        let Some(body) = self.links.announcement() else {
            self.core.state.announced = true;
            return;
        };
        let tag = self.core_cx(|cx| cx.request("resource.topo-reduce", Target::Any, body));
        self.core.waiting.insert(tag, Waiting::Announced);
    }

    pub(crate) fn announced(&mut self, response: &Message) {
        let fault = Fault::of(response);
        if fault.as_ref().is_some_and(|fault| fault.errno == Errno::ENOSYS) {
            // The resource module of rank 0 is being reloaded.
            self.core.state.announce_at = Some(self.now.mono.after(ANNOUNCE_AGAIN));
            return;
        }
        self.core.state.announced = true;
        if let Some(fault) = fault {
            self.log(LogLevel::Err, "broker", &format!("rank 0 does not take this node's resources: {fault}"));
        }
    }

    fn enter_quorum(&mut self) {
        self.go_online();
        if self.info.rank.is_root() && self.info.size > 1 {
            self.warn_after("broker.quorum-warn");
        }
    }

    /// Joins `broker.online`; rank 0 is in it, and hears who else is.
    fn go_online(&mut self) {
        let name = json!({"name": ONLINE});
        if !self.info.rank.is_root() {
            let tag = self.core_cx(|cx| cx.request("groups.join", Target::Rank(cx.node.rank), name));
            self.core.waiting.insert(tag, Waiting::Ignored);
        } else if self.info.size > 1 {
            let tag = self.core_cx(|cx| cx.request_stream("groups.get", Target::Rank(Rank::ROOT), name));
            self.core.waiting.insert(tag, Waiting::Online);
        }
    }

    /// The module of groups was loaded anew.
    pub(crate) fn go_online_again(&mut self) {
        if self.core.state.level >= RunLevel::Quorum && self.core.state.level < RunLevel::Shutdown {
            self.go_online();
        }
    }

    /// Says who is waited for, after the time that the attribute names.
    fn warn_after(&mut self, attr: &str) {
        self.core.state.warn_at = crate::tbon::duration(&self.attrs, attr).map(|span| self.now.mono.after(span));
    }

    fn warn_of_missing(&mut self) {
        if self.core.state.warn_at.is_none_or(|at| self.now.mono < at) {
            return;
        }
        self.core.state.warn_at = None;
        match self.core.state.level {
            RunLevel::Quorum => {
                let missing = Idset::range(0, self.info.size - 1).subtract(&self.core.state.online);
                let text = format!("quorum delayed: waiting for {} (rank {missing})", self.hosts_of(&missing));
                self.log(LogLevel::Err, "broker", &text);
                self.core.state.warned = true;
                self.warn_after("broker.quorum-warn");
            }
            RunLevel::Shutdown => {
                let left = self.links.family.online();
                let text = format!(
                    "shutdown delayed: waiting for {} peers: {} (rank {left})",
                    left.count(),
                    self.hosts_of(&left)
                );
                self.log(LogLevel::Err, "broker", &text);
                self.warn_after("broker.shutdown-warn");
            }
            _ => {}
        }
    }

    fn hosts_of(&self, ranks: &Idset) -> String {
        let all = self.attrs.get("hostlist").and_then(|text| Hostlist::parse(text).ok()).unwrap_or_default();
        all.select(ranks).to_string()
    }

    pub(crate) fn online_changed(&mut self, response: &Message) {
        #[derive(Deserialize)]
        struct Body {
            members: Idset,
        }
        let Ok(body) = response.decode::<Body>() else { return };
        let before = std::mem::replace(&mut self.core.state.online, body.members);
        match self.core.state.level {
            RunLevel::Quorum if !self.quorum_is_there() => {
                let said = self.core.state.online_said;
                if said.is_none_or(|at| self.now.mono.since(at) > ONLINE_PAUSE) {
                    self.say_who_is_online();
                }
            }
            RunLevel::Run | RunLevel::Cleanup => {
                let lost = before.subtract(&self.core.state.online);
                if !lost.is_empty() {
                    let text = format!("dead to Flux: {} (rank {lost})", self.hosts_of(&lost));
                    self.log(LogLevel::Err, "broker", &text);
                }
            }
            _ => {}
        }
    }

    fn say_who_is_online(&mut self) {
        let online = self.core.state.online.clone();
        self.core.state.online_said = Some(self.now.mono);
        let text = format!("online: {} (ranks {online})", self.hosts_of(&online));
        self.log(LogLevel::Info, "broker", &text);
    }

    fn quorum_reached(&mut self) -> (&'static str, RunLevel) {
        if self.info.rank.is_root() {
            self.say_who_is_online();
            if std::mem::take(&mut self.core.state.warned) {
                self.log(LogLevel::Err, "broker", "quorum reached");
            }
        }
        ("quorum-full", RunLevel::Run)
    }

    /// Rank 0 counts; the others take its word, passed down from level to level.
    fn quorum_is_there(&self) -> bool {
        if !self.info.rank.is_root() {
            return self.core.state.parent_level >= RunLevel::Run.number();
        }
        let quorum = self.attrs.get("broker.quorum").and_then(|text| text.parse().ok());
        self.core.state.online.count() >= quorum.unwrap_or(self.info.size as usize)
    }

    pub(crate) fn parent_state(&mut self, response: &Message) {
        #[derive(Deserialize)]
        struct Body {
            state: u32,
            #[serde(default)]
            orphaned: bool,
        }
        if let Ok(body) = response.decode::<Body>() {
            let state = &mut self.core.state;
            state.parent_level = body.state;
            if body.orphaned && !state.parent_failed {
                // Who watches over brokers is to start this one again too.
                state.parent_failed = true;
                state.exit_code = 1;
            }
        }
    }

    /// What brokers below, and others, are told of this one's state.
    fn monitor_body(&self) -> Payload {
        let mut body = json!({"state": self.core.state.level.number()});
        if self.links.orphaned || self.core.state.parent_failed {
            body["orphaned"] = true.into();
        }
        body.into()
    }

    fn parent_is_leaving(&self) -> bool {
        !self.info.rank.is_root() && self.core.state.parent_level >= RunLevel::Shutdown.number()
    }

    fn enter_shutdown(&mut self) {
        let timeout = crate::tbon::duration(&self.attrs, "broker.shutdown-timeout").unwrap_or(STOP_TIMEOUT);
        self.core.state.deadline = Some(self.now.mono.after(timeout));
        self.core.state.was_busy = self.links.has_children();
        if self.core.state.was_busy {
            self.warn_after("broker.shutdown-warn");
        }
        self.log_finish();
    }

    fn shutdown_is_over(&self) -> bool {
        !self.links.has_children() && !self.core.state.finishing
    }

    /// Without its parent a broker is not part of the instance: it ends, for its starter to start it again.
    pub(crate) fn parent_lost(&mut self, why: &str) {
        if self.core.state.level >= RunLevel::Goodbye {
            return;
        }
        self.log(LogLevel::Crit, "broker", &format!("the parent broker is gone: {why}"));
        self.core.state.exit_code = 1;
        if self.core.state.level <= RunLevel::Run {
            self.enter("parent-fail", RunLevel::Shutdown);
        }
    }

    fn enter_run(&mut self) {
        for request in std::mem::take(&mut self.core.state.waiters) {
            self.answer(&request, Ok(Payload::None));
        }
        self.log_start();
        if let Some(argv) = self.core.state.program.take() {
            if self.core.state.interactive && self.attrs.get("broker.recovery-mode").is_some() {
                self.welcome_to_recovery();
            }
            let own_group = self.attrs.get("broker.rc2_pgrp").is_some();
            self.start_program(SpawnSpec { argv, own_group, ..SpawnSpec::default() });
        }
    }

    /// A session ends with its program, and its jobs with it; a system instance leaves them to the next broker.
    fn enter_cleanup(&mut self) {
        let pushed = std::mem::take(&mut self.core.state.pushed);
        let mut steps: VecDeque<Step> = pushed.into_iter().map(Step::Command).collect();
        if self.core.state.session && self.names.contains_key("job-manager") {
            const ANYBODY: u32 = 0xffff_ffff;
            const RUN: u32 = 16;
            let stop = json!({"start": false, "all": true, "nocheckpoint": true});
            let cancel = json!({"dry_run": false, "userid": ANYBODY, "states": RUN, "severity": 0,
                "type": "cancel", "note": "the instance is shutting down"});
            steps.push_back(Step::Request("job-manager.queue-start", stop));
            steps.push_back(Step::Request("job-manager.raiseall", cancel));
            steps.push_back(Step::Request("job-manager.idle", json!({})));
        }
        self.core.state.was_busy = !steps.is_empty();
        self.core.state.steps = steps;
        self.core.state.step_running = false;
        if self.core.state.hurried {
            let timeout = crate::tbon::duration(&self.attrs, "broker.cleanup-timeout");
            self.core.state.deadline = timeout.map(|span| self.now.mono.after(span));
        }
    }

    fn cleanup_is_over(&mut self) -> bool {
        if self.core.state.step_running {
            return false;
        }
        match self.core.state.steps.pop_front() {
            None => return true,
            Some(Step::Command(argv)) => self.start_command(argv),
            Some(Step::Request(topic, body)) => {
                let tag = self.core_cx(|cx| cx.request(topic, Target::Any, body));
                self.core.waiting.insert(tag, Waiting::Cleanup);
            }
        }
        self.core.state.step_running = true;
        false
    }

    pub(crate) fn cleanup_step_done(&mut self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.log(LogLevel::Err, "broker", &format!("cleanup: {fault}"));
        }
        self.core.state.step_running = false;
    }

    fn enter_finalize(&mut self) {
        self.start_rc3();
        self.core.state.deadline = Some(self.now.mono.after(STOP_TIMEOUT));
        self.core.state.dump = self.dump_path();
        self.stop_externals();
        self.stop_all_but_store();
    }

    fn finalize_is_over(&mut self) -> bool {
        self.core.state.rc_done && self.stop_store_last()
    }

    fn enter_exit(&mut self) {
        self.core.state.deadline = None;
        self.end_overlay_monitors();
        for request in std::mem::take(&mut self.core.state.shutdowns) {
            self.answer(&request, Err(Fault::from(Errno::ENODATA)));
        }
        for request in std::mem::take(&mut self.core.state.monitors) {
            self.answer(&request, Err(Fault::from(Errno::ENODATA)));
        }
        self.outputs.push(Output::Exit { code: self.core.state.exit_code });
    }

    pub(crate) fn core_timer(&mut self) {
        self.warn_of_missing();
        if self.core.state.announce_at.take_if(|at| *at <= self.now.mono).is_some() {
            self.announce();
        }
        let due = self.core.state.deadline.is_some_and(|at| at <= self.now.mono);
        if due {
            self.core.state.deadline = None;
            if self.core.state.level == RunLevel::Cleanup {
                self.log(LogLevel::Err, "broker", "cleanup timeout: going on without what is left of it");
                return self.abort_cleanup();
            }
            if self.core.state.level == RunLevel::Shutdown {
                let left = self.links.family.online().to_string();
                let text = format!("shutdown timeout: leaving without the brokers on ranks {left}");
                self.log(LogLevel::Err, "broker", &text);
                return self.enter("children-complete", RunLevel::Finalize);
            }
            if self.core.state.command.is_some() {
                self.core.state.deadline = Some(self.now.mono.after(STOP_TIMEOUT));
                return; // A dump takes its time.
            }
            let names: Vec<&str> = self.slots.values().map(|slot| slot.service.name()).collect();
            let text =
                format!("not at rest after {} s: {}; leaving without them", STOP_TIMEOUT.as_secs(), names.join(" "));
            self.log(LogLevel::Err, "broker", &text);
            self.reap_modules(true);
            self.kill_externals();
        }
    }

    pub(crate) fn on_signal(&mut self, signum: i32) {
        const SIGINT: i32 = 2;
        const SIGTERM: i32 = 15;
        if signum == SIGINT && self.core.state.interactive && self.core.state.command.is_some() {
            return; // The keyboard's signal has reached the program itself.
        }
        self.log(LogLevel::Info, "broker", &format!("signal {signum}"));
        self.core.state.hurried = true;
        self.time_stop();
        match self.core.state.level {
            RunLevel::Cleanup => self.abort_cleanup(),
            _ => self.begin_shutdown(if signum == SIGINT { SIGINT } else { SIGTERM }),
        }
    }

    /// A second signal: no more waiting for jobs.
    fn abort_cleanup(&mut self) {
        const SIGTERM: i32 = 15;
        if let Some(of) = self.core.state.command.take().map(|command| command.tag) {
            self.core.waiting.remove(&of);
            self.core_cx(|cx| cx.process(ProcessOp::Kill { of, signum: SIGTERM, group: false }));
        }
        self.core.state.deadline = None;
        self.core.state.steps.clear();
        self.core.state.step_running = false;
        self.enter("cleanup-fail", RunLevel::Shutdown);
    }

    /// Ends the program if there is one (the rest follows from its end), else leaves the run level.
    fn begin_shutdown(&mut self, signum: i32) {
        match (self.core.state.level, &mut self.core.state.command) {
            (RunLevel::Run, Some(command)) => {
                command.aborted = true;
                let of = command.tag;
                self.core_cx(|cx| {
                    cx.process(ProcessOp::Write { of, stream: StdStream::Stdin, bytes: [].into(), eof: true });
                    cx.process(ProcessOp::Kill { of, signum, group: false })
                });
            }
            (RunLevel::Run, None) => self.enter("shutdown", RunLevel::Cleanup),
            (level, _) if level < RunLevel::Run => self.enter(level.failure(), RunLevel::Shutdown),
            _ => {}
        }
    }

    pub(crate) fn shutdown_start(&mut self, request: &Message) -> Answer {
        const SIGHUP: i32 = 1;
        let level = self.core.state.level;
        if level != RunLevel::Run {
            let text = format!("shutdown cannot be initiated in state {}", level.name());
            return Err(Fault::new(Errno::EINVAL, text));
        }
        if !self.info.rank.is_root() {
            return Err(Fault::new(Errno::EINVAL, "shutdown may only be initiated on rank 0"));
        }
        if let Some(code) = self.norestart() {
            self.core.state.exit_code = code;
        }
        if request.is_streaming() {
            self.core.state.shutdowns.push(request.clone());
        }
        self.begin_shutdown(SIGHUP);
        Ok(if request.is_streaming() { None } else { Some(Payload::None) })
    }

    pub(crate) fn shutdown_disconnect(&mut self, request: &Message) -> Answer {
        end_streams(&mut self.core.state.shutdowns, request);
        Ok(None)
    }

    pub(crate) fn runat_push(&mut self, request: &Message) -> Answer {
        let body: Push = request.decode()?;
        if body.name != "cleanup" {
            return Err(Fault::new(Errno::EINVAL, format!("commands run at 'cleanup', not at '{}'", body.name)));
        }
        let shell = |command: String| vec!["/bin/sh".to_owned(), "-c".to_owned(), command];
        // The last pushed runs first.
        let mut commands: Vec<Vec<String>> = body.commands.into_iter().map(shell).collect();
        commands.append(&mut self.core.state.pushed);
        self.core.state.pushed = commands;
        Ok(Some(Payload::None))
    }

    /// The broker cannot go on: it ends with an error, and those below it with it.
    pub(crate) fn panic(&mut self) {
        const SIGHUP: i32 = 1;
        self.core.state.exit_code = self.norestart().unwrap_or(1);
        self.begin_shutdown(SIGHUP);
    }

    pub(crate) fn state_post(&mut self, request: &Message) -> Answer {
        const SIGHUP: i32 = 1;
        let body: Post = request.decode()?;
        match body.event.as_str() {
            "shutdown" | "panic" | "goodbye" => {
                if body.error || body.event == "panic" {
                    self.core.state.exit_code = self.norestart().unwrap_or(1);
                }
                self.begin_shutdown(SIGHUP);
                Ok(Some(Payload::None))
            }
            other => Err(Fault::new(Errno::EINVAL, format!("the event {other} is not for clients to post"))),
        }
    }

    pub(crate) fn state_get(&mut self, _request: &Message) -> Answer {
        let state = &self.core.state;
        let duration = self.now.mono.since(state.since).as_secs_f64();
        Ok(Some(json!({"state": state.level.name(), "duration": duration}).into()))
    }

    pub(crate) fn state_wait(&mut self, request: &Message) -> Answer {
        match self.core.state.level {
            RunLevel::Run => Ok(Some(Payload::None)),
            level if level > RunLevel::Run => Err(Fault::new(Errno::EINVAL, "the instance is shutting down")),
            _ if self.core.state.waiters.len() >= WAITERS_MAX => Err(Fault::from(Errno::EAGAIN)),
            _ => {
                self.core.state.waiters.push(request.clone());
                Ok(None)
            }
        }
    }

    pub(crate) fn state_monitor(&mut self, request: &Message) -> Answer {
        let payload = self.monitor_body();
        if !request.is_streaming() {
            return Ok(Some(payload));
        }
        if self.core.state.monitors.len() >= WAITERS_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        self.answer(request, Ok(payload));
        self.core.state.monitors.push(request.clone());
        Ok(None)
    }

    pub(crate) fn state_disconnect(&mut self, request: &Message) -> Answer {
        end_streams(&mut self.core.state.monitors, request);
        end_streams(&mut self.core.state.waiters, request);
        Ok(None)
    }
}
