//! Simulated job shells: the shell's side of the launch contract (ADR 1), with tasks that are only a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flux_broker::{ConnId, Owner};
use flux_service::{Completion, ProcessEvent, SpawnSpec, Tag};
use flux_types::{JobId, JobIdForm, ResourceSet};
use flux_wire::{Errno, Flags, Message, Rank, Target};
use serde_json::{Value, json};

use crate::host::Peer;
use crate::scenario::between_us;
use crate::world::{Action, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShellId(pub(crate) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It has read its bundle, and takes the lock.
    Begin,
    Connect,
    /// The tasks print a line.
    Print,
    TasksEnd,
    /// Something may be due: sending again, giving up.
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Init,
    Starting,
    Running,
    Finished,
}

/// What the tasks of a simulated job do; it stands in the jobspec (`attributes.user.sim`).
#[derive(Clone, Debug)]
struct Plan {
    span: Duration,
    code: i32,
    lines: u64,
    stubborn: bool,
}

#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) host: usize,
    pub(crate) job: JobId,
    pub(crate) rank: u32,
    count: u32,
    service: String,
    record: Option<String>,
    /// The cores that its tasks use.
    pub(crate) cores: Vec<u32>,
    plan: Plan,
    /// Its parent: the broker's life, and who is told there.
    process: (u32, Owner, Tag),
    phase: Phase,
    locked: bool,
    pub(crate) tasks_run: bool,
    code: i32,
    printed: u64,
    events: VecDeque<(u64, Value)>,
    last: u64,
    acked: u64,
    sent: u64,
    sent_at: Duration,
    conn: Option<ConnId>,
    hello_tag: u32,
    greeted: bool,
    ever_greeted: bool,
    pause: Duration,
    away_since: Option<Duration>,
    dismissed: bool,
    /// The barrier that it is in, and the last that it was in.
    barrier: Option<&'static str>,
    passed: Option<&'static str>,
}

const ABSENT_MAX: Duration = Duration::from_secs(10);
const ACK_WAIT_MAX: Duration = Duration::from_secs(60);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_secs(5);

impl Shell {
    /// Does it hold the lock at this path?
    pub(crate) fn holds(&self, host: usize, path: &str) -> bool {
        self.host == host && self.locked && self.record.as_deref() == Some(path)
    }

    pub(crate) fn printed(&self) -> u64 {
        self.printed
    }

    fn tell(&mut self, event: Value) {
        self.last += 1;
        self.events.push_back((self.last, event));
    }

    /// Waits for the other shells.
    fn enter(&mut self, name: &'static str) {
        self.barrier = Some(name);
        self.tell(json!({"type": "barrier", "name": name}));
    }

    /// A broker that was lost may have forgotten who waits for whom.
    fn tell_barriers(&mut self) {
        if self.dismissed || self.phase == Phase::Finished {
            return;
        }
        if let Some(name) = self.passed {
            self.tell(json!({"type": "passed", "name": name, "data": {}}));
        }
        if let Some(name) = self.barrier {
            self.tell(json!({"type": "barrier", "name": name}));
        }
    }

    fn ack(&mut self, seq: u64) {
        self.acked = self.acked.max(seq.min(self.last));
        self.sent = self.sent.max(self.acked);
        while self.events.front().is_some_and(|(seq, _)| *seq <= self.acked) {
            self.events.pop_front();
        }
    }

    fn is_over(&self, now: Duration) -> bool {
        if self.phase != Phase::Finished {
            return self.dismissed && !self.tasks_run;
        }
        let absent = self.away_since.is_some_and(|since| now >= since + ABSENT_MAX);
        self.acked == self.last || self.dismissed || absent
    }
}

fn entry(timestamp: f64, name: &str, context: &Value) -> String {
    format!("{}\n", json!({"timestamp": timestamp, "name": name, "context": context}))
}

impl World {
    pub(crate) fn spawn_shell(&mut self, at: usize, owner: Owner, tag: Tag, spec: &SpawnSpec) {
        let stdin = spec.stdin.as_deref().expect("the bundle comes on standard input");
        let bundle: Value = serde_json::from_slice(stdin).expect("the bundle is JSON");
        let number = |value: &Value| value.as_u64().expect("a number");
        let rank = number(&bundle["rank"]) as u32;
        let set = self.resources_of_job(&bundle["R"]);
        let node = set.get(rank).expect("R names the node");
        let cores = node.child("core").map(|cores| cores.iter().collect()).unwrap_or_default();
        let sim = &bundle["jobspec"]["attributes"]["user"]["sim"];
        let plan = Plan {
            span: Duration::from_millis(number(&sim["ms"])),
            code: number(&sim["code"]) as i32,
            lines: number(&sim["lines"]),
            stubborn: sim["stubborn"] == true,
        };
        self.last_shell += 1;
        let id = ShellId(self.last_shell);
        let shell = Shell {
            host: at,
            job: JobId(number(&bundle["id"])),
            rank: number(&bundle["shell_rank"]) as u32,
            count: number(&bundle["shell_count"]) as u32,
            service: bundle["service"].as_str().expect("a name").to_owned(),
            record: bundle["record"].as_str().map(str::to_owned),
            cores,
            plan,
            process: (self.hosts[at].life, owner, tag),
            phase: Phase::Init,
            locked: false,
            tasks_run: false,
            code: 0,
            printed: 0,
            events: VecDeque::new(),
            last: 0,
            acked: 0,
            sent: 0,
            sent_at: self.now,
            conn: None,
            hello_tag: 0,
            greeted: false,
            ever_greeted: false,
            pause: PAUSE_FIRST,
            away_since: Some(self.now),
            dismissed: false,
            barrier: None,
            passed: None,
        };
        let job = shell.job.encode(JobIdForm::F58Plain);
        self.trace.note(self.now, id.0, || format!("rank {at} starts shell {} of {job}", id.0));
        self.shells.insert(id, shell);
        let span = between_us(&mut self.rng, 500, 5_000);
        self.after(span, Action::Shell { shell: id, step: Step::Begin });
    }

    /// All shells of a job are given the same R: it is read once.
    fn resources_of_job(&mut self, text: &Value) -> &ResourceSet {
        if self.last_set.0 != *text {
            let set = ResourceSet::from_value(text).expect("the bundle has R");
            self.last_set = (text.clone(), set);
        }
        &self.last_set.1
    }

    pub(crate) fn shell_step(&mut self, id: ShellId, step: Step) {
        let Some(shell) = self.shells.get_mut(&id) else { return };
        match step {
            Step::Begin => return self.shell_begins(id),
            Step::Connect if shell.conn.is_none() => self.shell_connects(id),
            Step::Connect => {}
            Step::Print if shell.tasks_run => {
                shell.printed += 1;
                let (rank, number) = (shell.rank, shell.printed);
                let stamp = self.timestamp();
                let data = json!({"stream": "stdout", "rank": rank.to_string(), "data": format!("{rank}:{number}\n")});
                self.tell(id, json!({"type": "output", "entry": entry(stamp, "data", &data)}));
            }
            Step::Print => {}
            Step::TasksEnd => {
                let code = shell.plan.code;
                self.tasks_end(id, code);
            }
            Step::Tick => {
                if shell.acked < shell.sent && self.now >= shell.sent_at + ACK_WAIT_MAX {
                    shell.sent = shell.acked;
                }
                let forsaken = shell.record.is_none() && shell.away_since.is_some_and(|at| self.now >= at + ABSENT_MAX);
                if forsaken && shell.phase != Phase::Finished {
                    shell.dismissed = true;
                    self.tasks_end(id, 137);
                }
                self.after(TICK, Action::Shell { shell: id, step: Step::Tick });
            }
        }
        self.shell_goes_on(id);
    }

    fn tell(&mut self, id: ShellId, event: Value) {
        self.shells.get_mut(&id).expect("it tells").tell(event);
    }

    fn shell_begins(&mut self, id: ShellId) {
        let shell = &self.shells[&id];
        if let Some(path) = shell.record.clone() {
            let host = shell.host;
            let taken = self.shells.values().any(|other| other.holds(host, &path));
            if taken || !self.hosts[host].disk.has_file(&path) {
                return self.shell_exits(id, 1 << 8);
            }
            self.hosts[host].disk.put_file(&path, &Arc::from([0]), false);
        }
        let stamp = self.timestamp();
        let shell = self.shells.get_mut(&id).expect("it begins");
        shell.locked = true;
        if shell.rank == 0 {
            let header = json!({"version": 1, "encoding": {"stdout": "UTF-8"}, "count": {"stdout": 1}, "options": {}});
            shell.tell(json!({"type": "output", "entry": entry(stamp, "header", &header)}));
        }
        if shell.count > 1 {
            shell.enter("init");
        } else {
            self.launch_tasks(id);
        }
        self.shell_connects(id);
        self.after(TICK, Action::Shell { shell: id, step: Step::Tick });
        self.shell_goes_on(id);
    }

    fn launch_tasks(&mut self, id: ShellId) {
        let stamp = self.timestamp();
        let shell = self.shells.get_mut(&id).expect("it launches");
        shell.phase = Phase::Starting;
        if shell.rank == 0 {
            let context = json!({"service": shell.service, "leader-rank": shell.host, "size": shell.count});
            shell.tell(json!({"type": "exec", "entry": entry(stamp, "shell.init", &context)}));
        }
        shell.tasks_run = true;
        let (plan, count) = (shell.plan.clone(), shell.count);
        shell.tell(json!({"type": "start"}));
        if count > 1 {
            shell.enter("start");
        }
        self.tasks_started(id);
        for line in 0..plan.lines {
            let when = plan.span * (line as u32 + 1) / (plan.lines as u32 + 1);
            self.after(when, Action::Shell { shell: id, step: Step::Print });
        }
        self.after(plan.span, Action::Shell { shell: id, step: Step::TasksEnd });
        if count == 1 {
            self.shell_started(id);
        }
    }

    fn shell_started(&mut self, id: ShellId) {
        let stamp = self.timestamp();
        let shell = self.shells.get_mut(&id).expect("it started");
        shell.phase = Phase::Running;
        if shell.rank == 0 {
            let context = json!({"taskmap": {"version": 1, "map": [[0, shell.count, 1, 1]]}});
            shell.tell(json!({"type": "exec", "entry": entry(stamp, "shell.start", &context)}));
        }
        self.check_end(id);
    }

    fn tasks_end(&mut self, id: ShellId, code: i32) {
        let Some(shell) = self.shells.get_mut(&id).filter(|shell| shell.tasks_run) else { return };
        shell.tasks_run = false;
        shell.code = shell.code.max(code);
        self.tasks_ended(id);
        self.check_end(id);
    }

    fn check_end(&mut self, id: ShellId) {
        let shell = self.shells.get_mut(&id).expect("it ends");
        if shell.phase == Phase::Running && !shell.tasks_run {
            let status = shell.code << 8;
            let mut event = json!({"type": "finish", "status": status});
            if let Some(passed) = shell.passed {
                event["passed"] = passed.into();
            }
            shell.tell(event);
            shell.phase = Phase::Finished;
            self.shell_finished(id, status);
        }
    }

    fn shell_connects(&mut self, id: ShellId) {
        let (host, pause) = (self.shells[&id].host, self.shells[&id].pause);
        let conn = self.connect(host, Peer::Shell(id));
        let shell = self.shells.get_mut(&id).expect("it connects");
        let Some(conn) = conn else {
            shell.pause = (pause * 2).min(PAUSE_MAX);
            return self.after(pause, Action::Shell { shell: id, step: Step::Connect });
        };
        shell.conn = Some(conn);
        shell.greeted = false;
        shell.sent = shell.acked;
        shell.hello_tag += 1;
        let (rank, tag) = (Rank(host as u32), shell.hello_tag);
        let body = json!({"id": shell.job.0, "shell_rank": shell.rank, "pid": 1000 + id.0, "next_seq": shell.last + 1});
        let service = (shell.rank == 0).then(|| shell.service.clone());
        if let Some(name) = service {
            let body = json!({"service": name}).into();
            self.say_to_broker(host, conn, &Message::request("service.add", Target::Any, 1 << 20, body));
        }
        let mut hello = Message::request("job-exec.shell-hello", Target::Rank(rank), tag, body.into());
        hello.flags = Flags(Flags::STREAMING);
        self.say_to_broker(host, conn, &hello);
    }

    /// Sends what there is to send, and ends if it is over.
    fn shell_goes_on(&mut self, id: ShellId) {
        let now = self.now;
        let Some(shell) = self.shells.get_mut(&id) else { return };
        if let Some(conn) = shell.conn
            && (shell.greeted || !shell.ever_greeted)
            && shell.sent < shell.last
        {
            let sent = shell.sent;
            let events: Vec<&(u64, Value)> = shell.events.iter().filter(|(seq, _)| *seq > sent).collect();
            let body = json!({"id": shell.job.0, "shell_rank": shell.rank, "acked": shell.acked, "events": events});
            let host = shell.host;
            let topic = "job-exec.shell-events";
            let mut message = Message::request(topic, Target::Rank(Rank(host as u32)), 0, body.into());
            message.flags = Flags(Flags::NORESPONSE);
            (shell.sent, shell.sent_at) = (shell.last, now);
            self.say_to_broker(host, conn, &message);
        }
        if self.shells[&id].is_over(now) {
            self.leave_record(id);
            let status = self.shells[&id].code << 8;
            self.shell_exits(id, status);
        }
    }

    /// What nobody has acknowledged is left on disk.
    fn leave_record(&mut self, id: ShellId) {
        let shell = &self.shells[&id];
        let Some(record) = shell.record.clone() else { return };
        if shell.acked == shell.last || shell.dismissed || !self.hosts[shell.host].disk.has_file(&record) {
            return;
        }
        let line = |(seq, event): &(u64, Value)| format!("[{seq},{event}]\n");
        let spool: String = shell.events.iter().map(line).collect();
        let exit = shell.events.back().map(line).unwrap_or_default();
        let disk = &mut self.hosts[shell.host].disk;
        disk.put_file(&format!("{record}.left/spool"), &spool.into_bytes().into(), true);
        disk.put_file(&format!("{record}.left/exit"), &exit.into_bytes().into(), true);
    }

    /// The process ends, with all its tasks.
    fn shell_exits(&mut self, id: ShellId, status: i32) {
        if self.shells[&id].tasks_run {
            self.shells.get_mut(&id).expect("it exits").tasks_run = false;
            self.tasks_ended(id);
        }
        let shell = self.shells.remove(&id).expect("it exits");
        self.trace.note(self.now, id.0, || format!("shell {} ends with status {status:#x}", id.0));
        if let Some(conn) = shell.conn {
            self.disconnect(shell.host, conn);
        }
        let (life, owner, tag) = shell.process;
        let span = between_us(&mut self.rng, 10, 2_000);
        let input = flux_broker::Input::Completion {
            owner,
            tag,
            completion: Completion::Process(ProcessEvent::Exited { status }),
        };
        self.after(span, Action::Arrive { host: shell.host, life, input });
    }

    pub(crate) fn shell_hears(&mut self, id: ShellId, conn: ConnId, message: Option<Message>) {
        let Some(shell) = self.shells.get_mut(&id).filter(|shell| shell.conn == Some(conn)) else { return };
        let Some(message) = message else { return self.shell_loses_broker(id) };
        if message.matchtag() != shell.hello_tag {
            return;
        }
        match message.errno() {
            Some(Errno::ENODATA | Errno::ENOENT | Errno::EPERM) => {
                shell.dismissed = true;
                self.shell_is_dismissed(id);
                self.tasks_end(id, 128 + 15);
            }
            Some(_) => {
                let host = shell.host;
                self.disconnect(host, conn);
                return self.shell_loses_broker(id);
            }
            None => {
                let is_back = !shell.greeted && shell.ever_greeted;
                (shell.greeted, shell.ever_greeted, shell.away_since) = (true, true, None);
                shell.pause = PAUSE_FIRST;
                let body = message.payload.value().expect("answers are JSON");
                self.shell_obeys(id, &body);
                if is_back && let Some(shell) = self.shells.get_mut(&id) {
                    shell.tell_barriers();
                }
            }
        }
        self.shell_goes_on(id);
    }

    fn shell_obeys(&mut self, id: ShellId, body: &Value) {
        let shell = self.shells.get_mut(&id).expect("it obeys");
        let acked = body.get("acked").or_else(|| body.get("seq")).and_then(Value::as_u64);
        match (body.get("type").and_then(Value::as_str), acked) {
            (None | Some("acked"), Some(seq)) => shell.ack(seq),
            (Some("resend"), Some(seq)) => {
                shell.ack(seq);
                shell.sent = shell.acked;
                shell.tell_barriers();
            }
            (Some("barrier"), _) => {
                if shell.barrier.take_if(|name| body["name"] == **name).is_none() {
                    return; // Said twice.
                }
                shell.passed = if body["name"] == "init" { Some("init") } else { Some("start") };
                match shell.phase {
                    Phase::Init => self.launch_tasks(id),
                    Phase::Starting => self.shell_started(id),
                    Phase::Running | Phase::Finished => {}
                }
            }
            (Some("signal"), _) => {
                let signum = body["signum"].as_i64().expect("a number") as i32;
                self.signal_tasks(id, signum);
            }
            _ => {}
        }
    }

    fn signal_tasks(&mut self, id: ShellId, signum: i32) {
        let shell = self.shells.get_mut(&id).expect("it is signalled");
        if shell.phase == Phase::Init {
            shell.code = shell.code.max(128 + signum);
            shell.phase = Phase::Running;
            return self.check_end(id);
        }
        if shell.plan.stubborn && signum != 9 {
            return;
        }
        self.tasks_end(id, 128 + signum);
    }

    fn shell_loses_broker(&mut self, id: ShellId) {
        let now = self.now;
        let shell = self.shells.get_mut(&id).expect("it loses its broker");
        (shell.conn, shell.greeted) = (None, false);
        shell.away_since.get_or_insert(now);
        let pause = shell.pause;
        shell.pause = (pause * 2).min(PAUSE_MAX);
        self.after(pause, Action::Shell { shell: id, step: Step::Connect });
        self.after(ABSENT_MAX, Action::Shell { shell: id, step: Step::Tick });
        self.shell_goes_on(id);
    }

    /// A signal to the shell's own process, from the broker that started it.
    pub(crate) fn kill_shell_process(&mut self, at: usize, process: (u32, Owner, Tag), signum: i32) {
        let found = self.shells.iter().find(|(_, shell)| shell.host == at && shell.process == process);
        if let Some(id) = found.map(|(id, _)| *id) {
            self.shell_exits(id, signum);
        }
    }

    /// Somebody kills a shell (the kernel, short of memory; a clumsy user).
    pub(crate) fn kill_a_shell(&mut self) {
        let ids: Vec<ShellId> = self.shells.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.rng.below(ids.len() as u64) as usize];
        self.count(crate::scenario::Fault::ShellKilled);
        self.shell_exits(id, 9);
    }

    pub(crate) fn shells_lose_power(&mut self, at: usize) {
        let ids: Vec<ShellId> = self.shells.iter().filter(|(_, shell)| shell.host == at).map(|(id, _)| *id).collect();
        for id in ids {
            self.shell_is_uncertain(id);
            self.shell_exits(id, 9);
        }
    }
}
