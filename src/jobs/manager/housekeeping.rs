//! `[job-manager.housekeeping]`: a command on every node of a job after it has given its resources back. The scheduler gets them
//! when the command is over: all at once, or with `release-after` node by node (RFC 27 partial release).

use std::collections::BTreeMap;
use std::time::Duration;

use flux_service::{Cx, Fault, LogLevel, Mono, Outcome, Tag};
use flux_types::{At, Idset, JobId, ResourceSet, parse_fsd};
use flux_wire::{Errno, Message};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::bulk::{self, Bulk, Command, hosts};
use super::perilog::imp;
use super::{JobManager, Pending};
use crate::body::WireId;

const SIGTERM: i32 = 15;

/// The table, understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conf {
    /// `None`: there is no housekeeping.
    argv: Option<Vec<String>>,
    /// Seconds after the first node is done; `None` is when all are.
    release_after: Option<f64>,
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

impl Conf {
    /// # Errors
    /// EINVAL and the key that makes no sense.
    pub(super) fn read(config: &Value) -> Result<Conf, Fault> {
        let at = |why: &str| invalid(format!("job-manager.housekeeping: {why}"));
        let Some(table) = config.at("/job-manager/housekeeping") else { return Ok(Conf::default()) };
        let table = table.as_object().ok_or_else(|| at("must be a table"))?;
        const KEYS: [&str; 4] = ["command", "release-after", "use-systemd-unit", "exit-on-first-error"];
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(at(&format!("unknown key {key}")));
        }
        let argv = match (table.get("command"), imp(config)) {
            (Some(command), _) => bulk::argv(command).ok_or_else(|| at("command must be an array of strings"))?,
            (None, Some(imp)) => vec![imp.to_owned(), "run".to_owned(), "housekeeping".to_owned()],
            (None, None) => return Err(at("implies IMP but exec.imp is undefined")),
        };
        let release_after = match table.get("release-after") {
            None => None,
            Some(text) => {
                let seconds = text.as_str().and_then(parse_fsd);
                Some(seconds.ok_or_else(|| at("release-after: FSD parse error"))?).filter(|seconds| seconds.is_finite())
            }
        };
        Ok(Conf { argv: Some(argv), release_after })
    }
}

/// What a job held, on its way back to the scheduler.
#[derive(Debug)]
struct Held {
    userid: u32,
    priority: i64,
    t_submit: f64,
    /// Seconds since the epoch.
    began: f64,
    /// What the scheduler does not have back.
    rest: ResourceSet,
    /// Nodes that are not done.
    pending: Idset,
    /// Nodes that the scheduler has back.
    freed: Idset,
    timer: Option<Mono>,
    timer_expired: bool,
    release_after: Option<f64>,
    bulk: Bulk,
}

/// What is stored of one that runs, so that it is run again after a restart.
#[derive(Debug, Deserialize, Serialize)]
struct Saved {
    id: JobId,
    userid: u32,
    priority: i64,
    t_submit: f64,
    began: f64,
    #[serde(rename = "R")]
    rest: Value,
    pending: Idset,
    freed: Idset,
}

/// All housekeeping that runs.
#[derive(Debug, Default)]
pub(super) struct Housekeeping {
    conf: Conf,
    held: BTreeMap<JobId, Held>,
    /// Of an earlier life, until all jobs have been read.
    remembered: Vec<Saved>,
}

impl Housekeeping {
    pub(super) fn set_conf(&mut self, conf: Conf) {
        self.conf = conf;
    }

    pub(super) fn next_timer(&self) -> Option<Mono> {
        self.held.values().filter_map(|held| held.timer).min()
    }

    /// For the checkpoint; `None` if nothing is held.
    pub(super) fn save(&self) -> Option<Value> {
        let saved = |(id, held): (&JobId, &Held)| Saved {
            id: *id,
            userid: held.userid,
            priority: held.priority,
            t_submit: held.t_submit,
            began: held.began,
            rest: held.rest.to_value(),
            pending: held.pending.clone(),
            freed: held.freed.clone(),
        };
        (!self.held.is_empty()).then(|| json!(self.held.iter().map(saved).collect::<Vec<_>>()))
    }

    /// From the checkpoint.
    pub(super) fn remember(&mut self, saved: &Value) {
        let list = saved.as_array().into_iter().flatten();
        self.remembered = list.filter_map(|one| Saved::deserialize(one).ok()).collect();
    }

    /// R of all that is held, one per job.
    pub(super) fn rests(&self) -> impl Iterator<Item = Value> + '_ {
        self.held.values().map(|held| held.rest.to_value())
    }

    pub(super) fn stats(&self) -> Value {
        let running: Map<String, Value> = self
            .held
            .iter()
            .map(|(id, held)| {
                let (pending, allocated) = (held.pending.to_string(), held.rest.ranks().to_string());
                (id.to_string(), json!({"t_start": held.began, "pending": pending, "allocated": allocated}))
            })
            .collect();
        let command = self.conf.argv.as_ref().map(|argv| argv.join(" ")).unwrap_or_default();
        let release_after = self.conf.release_after.unwrap_or(-1.0);
        json!({"running": running, "config": {"release-after": release_after, "command": command}})
    }
}

#[derive(Deserialize)]
struct Kill {
    signum: i32,
    jobid: Option<WireId>,
    ranks: Option<String>,
}

impl JobManager {
    /// The job is done with its resources: they go through housekeeping, or straight back.
    pub(super) fn give_back(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(argv) = self.housekeeping.conf.argv.clone() else { return self.send_free(cx, id) };
        let Some(job) = self.jobs.get(&id).filter(|job| !job.bypasses()) else { return self.send_free(cx, id) };
        let set = job.resources.as_deref().and_then(|r| ResourceSet::from_value(r).ok());
        let Some(rest) = set.filter(|set| !set.is_empty()) else { return self.send_free(cx, id) };
        let ranks = rest.ranks();
        let (userid, argv) = (job.userid, argv);
        let bulk = self.start_housekeeping(cx, id, userid, argv, &ranks, &ranks);
        let Some(job) = self.jobs.get(&id) else { return };
        let held = Held {
            userid: job.userid,
            priority: job.priority,
            t_submit: job.t_submit,
            began: cx.now.wall.timestamp(),
            rest,
            pending: ranks,
            freed: Idset::new(),
            timer: None,
            timer_expired: false,
            release_after: self.housekeeping.conf.release_after,
            bulk,
        };
        self.housekeeping.held.insert(id, held);
        self.save_housekeeping();
        cx.log(LogLevel::Debug, format!("housekeeping: {id} started"));
    }

    /// `all` are the ranks of the job, `ranks` those on which the command runs.
    fn start_housekeeping(
        &mut self,
        cx: &mut Cx<'_>,
        id: JobId,
        userid: u32,
        argv: Vec<String>,
        all: &Idset,
        ranks: &Idset,
    ) -> Bulk {
        let env = vec![
            ("FLUX_JOB_ID", id.0.to_string()),
            ("FLUX_JOB_USERID", userid.to_string()),
            ("FLUX_JOB_RANKS", all.to_string()),
        ];
        let pending = &mut self.pending;
        Bulk::start(cx, ranks, &Command { argv, env }, |tag, rank| {
            pending.insert(tag, Pending::Housekeeping { id, rank });
        })
    }

    /// Goes to the store with whatever goes there next: a restart runs again what is not over.
    fn save_housekeeping(&mut self) {
        let op = self.checkpoint_op();
        self.events.batch.puts.push(op);
    }

    /// After a restart: what ran is run again where it was not over. Without a command any more, it is over.
    pub(super) fn resume_housekeeping(&mut self, cx: &mut Cx<'_>) {
        let remembered = std::mem::take(&mut self.housekeeping.remembered);
        if remembered.is_empty() {
            return;
        }
        for saved in remembered {
            let id = saved.id;
            let rest = ResourceSet::from_value(&saved.rest).ok().filter(|set| !set.is_empty());
            // A job whose end was not stored gives its resources back again itself.
            let (Some(argv), Some(rest), false) =
                (self.housekeeping.conf.argv.clone(), rest, self.jobs.contains_key(&id))
            else {
                continue;
            };
            let pending = saved.pending.intersect(&rest.ranks());
            self.claim_set(cx, id, &rest);
            let all = rest.ranks().union(&saved.freed);
            let bulk = self.start_housekeeping(cx, id, saved.userid, argv, &all, &pending);
            let held = Held {
                userid: saved.userid,
                priority: saved.priority,
                t_submit: saved.t_submit,
                began: saved.began,
                rest,
                pending: pending.clone(),
                freed: saved.freed,
                timer: None,
                timer_expired: false,
                release_after: self.housekeeping.conf.release_after,
                bulk,
            };
            self.housekeeping.held.insert(id, held);
            cx.log(LogLevel::Info, format!("housekeeping: {id} started again on ranks {pending}"));
            if pending.is_empty() {
                self.release_housekept(cx, id);
                self.housekeeping.held.remove(&id);
            }
        }
        self.save_housekeeping();
    }

    pub(super) fn on_housekeeping(&mut self, cx: &mut Cx<'_>, tag: Tag, id: JobId, rank: u32, reply: &Message) {
        let Some(held) = self.housekeeping.held.get_mut(&id) else { return };
        let Some(step) = held.bulk.on_reply(cx, tag, rank, reply) else { return };
        if step.ended.is_none() {
            self.pending.insert(tag, Pending::Housekeeping { id, rank });
        }
        let host = hosts(cx, &Idset::range(rank, rank));
        let said = |what: &str| format!("housekeeping: {host} (rank {rank}) {id}: {what}");
        for (is_error, line) in &step.lines {
            cx.log(if *is_error { LogLevel::Err } else { LogLevel::Info }, said(line));
        }
        let Some(status) = step.ended else { return };
        match &step.error {
            Some(fault) => cx.log(LogLevel::Err, said(&fault.message())),
            None if status & 0x7f != 0 => cx.log(LogLevel::Err, said(&crate::state::signal_name(status & 0x7f))),
            None if status != 0 => cx.log(LogLevel::Err, said("nonzero exit code")),
            None => {}
        }
        self.housekept(cx, id, rank);
    }

    /// One node is done.
    fn housekept(&mut self, cx: &mut Cx<'_>, id: JobId, rank: u32) {
        let Some(held) = self.housekeeping.held.get_mut(&id) else { return };
        held.pending.remove(rank);
        let at_once = held.release_after == Some(0.0) || held.timer_expired;
        if held.pending.is_empty() || at_once {
            self.release_housekept(cx, id);
        } else if let (Some(after), None) = (held.release_after, held.timer) {
            held.timer = Some(cx.now.mono.after(Duration::from_secs_f64(after.min(1e9))));
        }
        if self.housekeeping.held.get(&id).is_some_and(|held| held.pending.is_empty()) {
            self.housekeeping.held.remove(&id);
            cx.log(LogLevel::Debug, format!("housekeeping: {id} complete"));
        }
        self.save_housekeeping();
    }

    /// What is held on nodes that are done goes back.
    fn release_housekept(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(held) = self.housekeeping.held.get_mut(&id) else { return };
        let done = held.rest.ranks().subtract(&held.pending);
        if done.is_empty() {
            return;
        }
        let part = held.rest.copy_ranks(&done);
        held.rest.remove_ranks(&done);
        held.freed.extend_from(&done);
        let ranks = part.ranks();
        let body = json!({"id": id.0, "R": part.to_value(), "final": held.pending.is_empty()});
        self.tell_free(cx, body);
        self.send_release(cx, id, Some(&ranks));
    }

    pub(super) fn housekeeping_on_timer(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let due = |held: &Held| held.timer.is_some_and(|at| at <= now);
        let ids: Vec<JobId> = self.housekeeping.held.iter().filter(|(_, held)| due(held)).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(held) = self.housekeeping.held.get_mut(&id) {
                (held.timer, held.timer_expired) = (None, true);
            }
            self.release_housekept(cx, id);
        }
    }

    /// A scheduler that comes up is told of what is held here too (RFC 27). One that knows no partial release cannot take over
    /// what was partly given back: that housekeeping is ended.
    pub(super) fn hello_housekeeping(&mut self, cx: &mut Cx<'_>, request: &Message, partial_ok: bool) {
        let mut ended = Vec::new();
        for (id, held) in &mut self.housekeeping.held {
            if !held.freed.is_empty() && !partial_ok {
                let (nodes, ranks) = (hosts(cx, &held.pending), held.pending.to_string());
                let why = "scheduler does not support restart with partially released resources";
                let text = format!("housekeeping: {nodes} (rank {ranks}) from {id} will be terminated because {why}");
                cx.log(LogLevel::Err, text);
                held.bulk.kill(cx, None, SIGTERM);
                ended.push(*id);
                continue;
            }
            let mut body =
                json!({"id": id.0, "priority": held.priority, "userid": held.userid, "t_submit": held.t_submit});
            if !held.freed.is_empty() {
                body["free"] = held.freed.to_string().into();
            }
            cx.respond(request, body);
        }
        for id in ended {
            self.housekeeping.held.remove(&id);
        }
    }

    pub(super) fn housekeeping_kill(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Kill = request.decode()?;
        let ranks = match body.ranks.as_deref().map(Idset::parse) {
            None => None,
            Some(Ok(ranks)) => Some(ranks),
            Some(Err(error)) => return Err(invalid(error.to_string())),
        };
        if !(0..=64).contains(&body.signum) {
            return Err(invalid(format!("{} is no signal", body.signum)));
        }
        let wanted = body.jobid.filter(|id| id.0 != WireId::ANY).map(WireId::id);
        for (_, held) in self.housekeeping.held.iter_mut().filter(|(id, _)| wanted.is_none_or(|want| want == **id)) {
            held.bulk.kill(cx, ranks.as_ref(), body.signum);
        }
        cx.respond_empty(request);
        Ok(())
    }
}
