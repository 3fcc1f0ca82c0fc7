//! What else clients do: namespaces, jobs that wait for others or are changed, the operator's commands, and what guests try.

use std::time::Duration;

use flux_broker::ConnId;
use flux_types::{JobId, JobIdForm};
use flux_wire::{Message, Rank, Target};
use serde_json::{Value, json};

use crate::check::{Switch, space_name};
use crate::client::{Call, KEYS, commit, jobspec, val, value_of};
use crate::host::OWNER;
use crate::scenario::percent;
use crate::world::World;

/// Users that are not the owner of the instance.
pub(crate) const GUESTS: [u32; 2] = [2001, 2002];

impl World {
    /// Namespaces are made, used and removed.
    pub(crate) fn use_space(&mut self, at: usize) {
        let userid = self.clients[at].userid;
        let known: Vec<usize> = self.history.spaces.known();
        let mine: Vec<usize> = known.iter().copied().filter(|space| self.may_use(userid, *space)).collect();
        let chosen = (!mine.is_empty()).then(|| mine[self.rng.below(mine.len() as u64) as usize]);
        match (self.rng.below(10), chosen) {
            (0..2, _) | (_, None) if userid == OWNER => {
                let guest = self.scenario.guests && percent(&mut self.rng, 40);
                let owner = if guest { GUESTS[self.rng.below(2) as usize] } else { OWNER };
                let space = self.history.spaces.begin(owner);
                let body = json!({"namespace": space_name(space), "owner": owner, "flags": 0});
                self.call(at, Call::CreateSpace(space), "kvs.namespace-create", Target::Any, body);
            }
            (_, None) => {}
            (2, Some(space)) if userid == OWNER => {
                self.history.spaces.begin_remove(space, self.now);
                let body = json!({"namespace": space_name(space)});
                self.call(at, Call::RemoveSpace(space), "kvs.namespace-remove", Target::Any, body);
            }
            (3..6, Some(space)) => {
                let key = self.some_key();
                let (write, value) = self.history.kvs.begin_write(&within(space, &key), at, self.now);
                let mut body = commit(json!([{"key": key, "flags": 0, "dirent": val(&value)}]));
                body["namespace"] = space_name(space).into();
                self.call(at, Call::WriteSpace(space, write), "kvs.commit", Target::Any, body);
            }
            (6, Some(space)) => {
                // The broker here answers with what it has heard of.
                let body = json!({"namespace": space_name(space), "key": self.some_key(), "flags": 0});
                self.call(at, Call::Other, "kvs.lookup", Target::Any, body);
            }
            (_, Some(space)) => {
                let key = self.some_key();
                let read = self.history.kvs.begin_read(&within(space, &key), self.now);
                let body = json!({"namespace": space_name(space), "key": key, "flags": 0});
                self.call(at, Call::ReadSpace(space, read), "kvs.lookup", Target::Rank(Rank::ROOT), body);
            }
        }
    }

    fn may_use(&self, userid: u32, space: usize) -> bool {
        userid == OWNER || self.history.spaces.owner(space) == userid
    }

    fn some_key(&mut self) -> String {
        format!("k{}", self.rng.below(KEYS))
    }

    /// A job that waits for another one of the same client.
    pub(crate) fn submit_after(&mut self, at: usize) {
        let Some(first) = self.one_of_its_jobs(at) else { return };
        let scheme = ["after", "afterany", "afterok", "afternotok"][self.rng.below(4) as usize];
        let dependency = json!({"scheme": scheme, "value": first.encode(JobIdForm::F58)});
        let system = json!({"duration": 0, "cwd": "/", "environment": {}, "dependencies": [dependency]});
        let sim = json!({"ms": 50 + self.rng.below(500), "code": 0, "lines": 1, "stubborn": false});
        let spec = jobspec(1, 1, system, sim);
        self.submit_spec(at, spec, 16, Some((first, scheme)));
    }

    /// Another time limit for a job, or another urgency.
    pub(crate) fn update(&mut self, at: usize) {
        let Some(id) = self.one_of_its_jobs(at) else { return };
        let duration = 30 + self.rng.below(3000);
        if duration.is_multiple_of(3) {
            let body = json!({"id": id.0, "urgency": 1 + duration % 30});
            return self.call(at, Call::Order(id, "urgency"), "job-manager.urgency", Target::Any, body);
        }
        let body = json!({"id": id.0, "updates": {"attributes.system.duration": duration}});
        self.call(at, Call::Order(id, "jobspec-update"), "job-manager.update", Target::Any, body);
    }

    /// The operator drains and undrains nodes, and stops and starts the queue.
    pub(crate) fn operate(&mut self, at: usize) {
        if at != 0 || self.history.site.busy {
            return;
        }
        let switch = match self.rng.below(3) {
            0 => Switch::Queue,
            _ => Switch::Node(self.rng.below(self.hosts.len() as u64) as u32),
        };
        let on = self.history.site.is_off(switch);
        self.turn_switch(at, switch, on);
    }

    pub(crate) fn turn_switch(&mut self, at: usize, switch: Switch, on: bool) {
        let (topic, body) = match (switch, on) {
            (Switch::Queue, _) => {
                let reason = (!on).then_some("sim");
                ("job-manager.queue-start", json!({"start": on, "reason": reason, "all": false}))
            }
            (Switch::Node(rank), true) => {
                ("resource.undrain", json!({"targets": rank.to_string(), "mode": "overwrite"}))
            }
            (Switch::Node(rank), false) => {
                ("resource.drain", json!({"targets": rank.to_string(), "reason": "sim", "mode": "overwrite"}))
            }
        };
        self.history.site.begin(switch, self.now);
        self.call(at, Call::Turn(switch, on), topic, Target::Any, body);
    }

    /// Guests run jobs on a clock, use what is theirs, and try what they may not.
    pub(crate) fn choose_as_guest(&mut self, at: usize) {
        let userid = self.clients[at].userid;
        match self.rng.below(100) {
            0..25 => {
                let span = format!("{}s", (20 + self.rng.below(2000)) as f64 / 1000.0);
                let exec = json!({"test": {"run_duration": span}});
                let system = json!({"duration": 0, "cwd": "/", "environment": {}, "exec": exec});
                let spec = jobspec(1, 1, system, json!({"ms": 0, "code": 0, "lines": 0, "stubborn": false}));
                self.submit_spec(at, spec, 16, None);
            }
            25..35 => self.follow(at),
            35..40 => self.cancel(at),
            40..55 => self.use_space(at),
            55..65 => {
                let body = json!({"namespace": "primary", "key": self.some_key(), "flags": 0});
                self.call(at, Call::Forbidden, "kvs.lookup", Target::Any, body);
            }
            65..70 => {
                let known = self.history.spaces.known();
                if let Some(space) = known.into_iter().find(|space| !self.may_use(userid, *space)) {
                    let body = json!({"namespace": space_name(space), "key": self.some_key(), "flags": 0});
                    self.call(at, Call::Forbidden, "kvs.lookup", Target::Any, body);
                }
            }
            70..95 => self.pry(at, userid),
            _ => self.publish(at),
        }
    }

    /// At a job of somebody else.
    fn pry(&mut self, at: usize, userid: u32) {
        let others: Vec<JobId> = self.history.jobs.of_others(userid);
        if others.is_empty() {
            return;
        }
        let id = others[self.rng.below(others.len() as u64) as usize].0;
        let (topic, body, stream) = match self.rng.below(5) {
            0 => ("job-info.lookup", json!({"id": id, "keys": ["eventlog"], "flags": 0}), false),
            1 => ("job-info.lookup", json!({"id": id, "keys": ["jobspec", "R"], "flags": 0}), false),
            2 => ("job-info.eventlog-watch", json!({"id": id, "path": "guest.output", "flags": 0}), true),
            3 => ("job-info.eventlog-watch", json!({"id": id, "path": "eventlog", "flags": 0}), true),
            _ => ("job-manager.raise", json!({"id": id, "severity": 0, "type": "cancel", "note": ""}), false),
        };
        let call = if stream { Call::ForbiddenStream } else { Call::Forbidden };
        self.call(at, call, topic, Target::Any, body);
    }
}

impl World {
    /// The answer to one of these. `false`: it is none.
    pub(crate) fn answered_deed(
        &mut self,
        at: usize,
        stream: (ConnId, u32),
        call: &Call,
        began: Duration,
        message: &Message,
    ) -> bool {
        const ENOENT: i32 = 2;
        const ENOTSUP: i32 = 95;
        const ENODATA: i32 = 61;
        let errno = message.errno().map(|errno| errno.0);
        let body = message.payload.value().map(|value| (*value).clone()).unwrap_or(Value::Null);
        let mut wrong = None;
        match call {
            Call::CreateSpace(space) if errno.is_none() => self.history.spaces.created(*space, self.now),
            Call::RemoveSpace(space) if errno.is_none() => self.history.spaces.removed(*space, self.now),
            Call::WriteSpace(space, write) => {
                let seq = body["rootseq"].as_i64().filter(|_| errno.is_none());
                self.history.kvs.written_elsewhere(*write, self.now, seq.is_some());
                wrong = self.judge_space(*space, began, errno == Some(ENOTSUP), errno.is_none());
            }
            Call::ReadSpace(space, read) => {
                if errno.is_none() || errno == Some(ENOENT) {
                    self.history.kvs.read(*read, self.now, value_of(&body));
                }
                wrong = self.judge_space(*space, began, errno == Some(ENOTSUP), errno.is_none());
            }
            Call::Turn(switch, on) => {
                self.history.site.done(*switch, errno.is_none().then_some(*on), self.now);
            }
            Call::Forbidden | Call::ForbiddenStream if errno.is_none() => {
                let text = format!("client {at} is a guest, and was answered: {}", crate::host::named(message));
                self.violated("access", text);
            }
            Call::Follow(_) => match errno {
                None => {
                    let twice = self.history.streams.heard(stream, body["event"].as_str().unwrap_or(""));
                    if let Some(text) = twice {
                        self.violated("streams", text);
                    }
                }
                Some(ENODATA) => self.history.streams.ended(stream, self.hosts[0].life),
                Some(_) => {}
            },
            Call::CreateSpace(_) | Call::RemoveSpace(_) | Call::Forbidden | Call::ForbiddenStream => {}
            Call::Order(id, event) if errno.is_none() => self.history.jobs.ordered(*id, event),
            Call::Other | Call::Order(..) | Call::Ping => {}
            _ => return false,
        }
        if let Some(text) = wrong {
            self.violated("kvs", text);
        }
        true
    }

    fn judge_space(&self, space: usize, began: Duration, absent: bool, there: bool) -> Option<String> {
        if !absent && !there {
            return None;
        }
        self.history.spaces.judge(space, began, there)
    }
}

/// The key of a namespace, as the history knows it.
fn within(space: usize, key: &str) -> String {
    format!("{}:{key}", space_name(space))
}

/// When a line of an eventlog was written, as the world counts.
pub(crate) fn time_of(timestamp: f64, start: Duration) -> Duration {
    Duration::from_secs_f64(timestamp.max(0.0)).saturating_sub(start)
}
