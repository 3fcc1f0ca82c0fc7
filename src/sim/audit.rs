//! The end of a run: when nothing goes wrong any more, an auditor at rank 0 waits until all jobs are over, and reads
//! everything back.

use std::time::Duration;

use flux_types::{Idset, JobId, JobIdForm};
use flux_wire::{Message, Rank, Target};
use serde_json::{Value, json};

use crate::check::{Switch, Table};
use crate::client::{Call, Duty, KEYS, Step, value_of};
use crate::host::OWNER;
use crate::limits::SETTLE_MAX;
use crate::world::{Action, World};

/// What the auditor asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Eventlog(JobId),
    Output(JobId),
    Key(String),
    /// What is allocated to jobs.
    Allocated,
    /// Which nodes are drained.
    Drained,
    /// Which brokers are there.
    Online,
    /// How many listen there.
    Listeners(Table, u32),
}

/// Where the audit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    #[default]
    Looking,
    /// All is turned on again, so that all jobs can run.
    Turning,
    Waiting,
    Reading,
    /// All brokers come back, each with all below it.
    Joining,
    /// What is kept for those who listen.
    Counting,
    Done,
}

const PAUSE: Duration = Duration::from_secs(1);

impl World {
    pub(crate) fn begin_audit(&mut self) {
        let client = self.add_client(0, Duty::Audit, OWNER);
        let healed = self.net.healed_at().max(self.now) + PAUSE;
        self.at(healed, Action::Client { client, step: Step::Connect });
    }

    /// Asks what is not known yet.
    pub(crate) fn audit(&mut self, at: usize) {
        if self.clients[at].conn.is_none() || self.history.progress == Progress::Done {
            return;
        }
        self.after(PAUSE, Action::Client { client: at, step: Step::Audit });
        let is_quiet = |client: &crate::client::Client| client.calls.values().all(|(call, _)| call.is_stream());
        if !self.clients.iter().all(is_quiet) {
            return; // What is under way may still change something.
        }
        match self.history.progress {
            Progress::Looking => {
                return self.call(at, Call::Audit(Question::Drained), "resource.status", Target::Any, json!({}));
            }
            Progress::Turning => return self.turn_all_on(at),
            Progress::Joining => {
                let body = json!({"name": "broker.online"});
                return self.call(at, Call::Audit(Question::Online), "groups.get", Target::Any, body);
            }
            Progress::Counting => return self.count_listeners(at),
            _ => {}
        }
        if self.history.progress == Progress::Reading {
            return self.call(at, Call::Audit(Question::Allocated), "resource.sched-status", Target::Any, json!({}));
        }
        let open = self.history.jobs.open();
        if !open.is_empty() {
            self.audits += 1;
            if self.audits.is_multiple_of(30) {
                self.history.progress = Progress::Looking; // Nodes may have been drained since.
            }
            for id in open {
                self.look_up(at, Question::Eventlog(id), format!("{}.eventlog", id.encode(JobIdForm::Kvs)));
            }
            return;
        }
        self.history.progress = Progress::Reading;
        for id in self.history.jobs.acked() {
            self.look_up(at, Question::Output(id), format!("{}.guest.output", id.encode(JobIdForm::Kvs)));
        }
        for key in (0..KEYS).map(|key| format!("k{key}")).chain(["log".to_owned()]) {
            self.history.kvs.begin_audit(&key, self.now);
            self.look_up(at, Question::Key(key.clone()), key);
        }
    }

    /// What the resource service says of drained nodes, ours and those that failed a prolog or kept their tasks.
    fn drains_told(&mut self, body: &Value) {
        if body["R"]["execution"]["R_lite"].as_array().is_none_or(Vec::is_empty) {
            return; // It does not know its nodes yet.
        }
        if body["online"] == "" {
            return; // Nor who is drained: rank 0 is there as soon as that has been read.
        }
        let mut drained: Vec<(u32, bool)> = Vec::new();
        for (ranks, why) in body["drain"].as_object().into_iter().flatten() {
            let ranks: Idset = ranks.parse().expect("ranks are an idset");
            drained.extend(ranks.iter().map(|rank| (rank, why["reason"] == "sim")));
        }
        if let Some(wrong) = self.history.site.told_drained(&drained) {
            self.violated("site", wrong);
        }
        self.history.progress = Progress::Turning;
    }

    fn turn_all_on(&mut self, at: usize) {
        let ranks = self.hosts.len() as u32;
        let all = (0..ranks).map(Switch::Node).chain([Switch::Queue]);
        let Some(off) = all.into_iter().find(|switch| self.history.site.is_off(*switch)) else {
            self.history.progress = Progress::Waiting;
            return;
        };
        self.turn_switch(at, off, true);
    }

    fn look_up(&mut self, at: usize, question: Question, key: String) {
        let body = json!({"namespace": "primary", "key": key, "flags": 0});
        self.call(at, Call::Audit(question), "kvs.lookup", Target::Any, body);
    }

    pub(crate) fn audited(&mut self, question: Question, message: &Message, body: &Value) {
        const ENOENT: i32 = 2;
        let missing = message.errno().is_some_and(|errno| errno.0 == ENOENT);
        if message.errno().is_some() && !missing {
            return; // Not yet.
        }
        let text = value_of(body);
        match question {
            Question::Eventlog(_) if missing && !self.everybody_is_back() => {}
            Question::Eventlog(id) => {
                if let Err(wrong) = self.history.jobs.eventlog(id, text.as_deref()) {
                    self.violated("jobs", wrong);
                }
            }
            Question::Output(id) => self.history.jobs.output(id, text.as_deref()),
            Question::Key(key) => {
                if let Err(wrong) = self.history.kvs.audited(&key, text, self.now) {
                    self.violated("kvs", wrong);
                }
            }
            Question::Allocated if message.errno().is_none() => {
                // Jobs whose submitter heard nothing may still run.
                let lite = body["allocated"]["execution"]["R_lite"].as_array();
                if lite.is_none_or(Vec::is_empty) && self.history.progress == Progress::Reading {
                    self.history.progress = Progress::Joining;
                }
            }
            Question::Allocated => {}
            Question::Drained if message.errno().is_none() => self.drains_told(body),
            Question::Drained => {}
            Question::Online => {
                let members = body["members"].as_str().and_then(|text| text.parse::<Idset>().ok());
                if members.is_some_and(|members| members == Idset::below(self.scenario.size)) {
                    self.history.progress = Progress::Counting;
                    self.history.tables.begin(self.scenario.size);
                }
            }
            Question::Listeners(table, rank) => {
                let open = self.streams_open(table, rank);
                self.history.tables.counted((table, rank), body, open);
            }
        }
    }

    fn count_listeners(&mut self, at: usize) {
        let due = self.history.tables.due();
        if due.is_empty() {
            self.history.progress = Progress::Done;
        }
        for (table, rank) in due {
            let target = Target::Rank(Rank(rank));
            self.call(at, Call::Audit(Question::Listeners(table, rank)), table.statistics().0, target, json!({}));
        }
    }

    fn everybody_is_back(&self) -> bool {
        self.hosts.iter().all(|host| host.node.is_some())
    }

    /// Runs to the end of all that was begun, and looks at everything that was seen.
    pub(crate) fn finish(&mut self) {
        let limit = self.scenario.span + SETTLE_MAX;
        while self.violation.is_none() && !self.is_settled() {
            if self.now >= limit {
                let text = self.unsettled();
                return self.violated("liveness", text);
            }
            let next = self.now + Duration::from_millis(500);
            self.run_until(next);
        }
        if self.violation.is_some() {
            return;
        }
        // What is still on its way to subscribers and watchers arrives.
        let next = self.now + Duration::from_secs(3);
        self.run_until(next);
        let wrong = self.history.judge(self.hosts[0].life);
        for (rule, text) in wrong {
            self.violated(rule, text);
        }
    }

    fn is_settled(&self) -> bool {
        let answered = |client: &crate::client::Client| client.calls.values().all(|(call, _)| call.is_endless());
        self.calm_since.is_some()
            && self.history.progress == Progress::Done
            && self.shells.is_empty()
            && self.reloads.is_empty()
            && self.clients.iter().all(answered)
    }

    fn unsettled(&self) -> String {
        let mut parts = Vec::new();
        for host in self.hosts.iter().filter(|host| host.node.is_none()) {
            parts.push(format!("rank {} is down", host.rank));
        }
        for (at, client) in self.clients.iter().enumerate() {
            if client.conn.is_none() && client.duty != Duty::Operate {
                parts.push(format!("client {at} is not connected"));
            }
            for (call, since) in client.calls.values().filter(|(call, _)| !call.is_endless()) {
                parts.push(format!("client {at} waits since {:.3} s for {call:?}", since.as_secs_f64()));
            }
        }
        if self.history.progress == Progress::Reading {
            parts.push("all jobs are over, but resources are allocated".to_owned());
        }
        if self.history.progress == Progress::Joining {
            parts.push("not all brokers are in broker.online".to_owned());
        }
        parts.extend(self.history.tables.told());
        for id in self.history.jobs.open() {
            parts.push(format!("job {id} is not over: {}", self.history.jobs.state_of(id)));
        }
        if let Some(id) = self.history.jobs.open().first() {
            parts.push(format!("the eventlog of {id}: {}", self.history.jobs.eventlog_of(*id)));
        }
        parts.extend(self.reloads.values().map(|reload| format!("{reload:?}")));
        for (id, shell) in &self.shells {
            parts.push(format!("shell {} of job {} runs on rank {}", id.0, shell.job, shell.host));
        }
        format!("{} s after the last fault: {}", SETTLE_MAX.as_secs(), parts.join("; "))
    }
}
