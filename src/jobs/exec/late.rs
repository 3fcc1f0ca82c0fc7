//! What comes too late: nodes whose shells do not get ready (`exec.barrier-timeout`), shells that go on after the first of them
//! has ended (`exec.shell-exit-timeout`), and starts so late that a job would lose much of its time
//! (`exec.max-start-delay-percent`).

use std::time::Duration;

use flux_service::{Cx, LogLevel, Mono};
use flux_types::eventlog::Entry;
use flux_types::{At, Hostlist, Idset, IdsetFormat, JobId, Jobspec, format_fsd, parse_fsd};
use flux_wire::Target;
use serde_json::{Value, json};

use super::config::Config;
use super::job::Job;
use super::record::entry;
use super::{JobExec, Pending};

/// The barrier that all shells of a job enter when they are ready to start tasks.
pub(super) const FIRST_BARRIER: &str = "init";

/// The hosts of these ranks, as all know them.
fn hosts_of(cx: &Cx<'_>, ranks: &Idset) -> String {
    let hosts = cx.node.attr("hostlist").and_then(|text| Hostlist::parse(text).ok());
    let named = hosts.map(|hosts| hosts.select(ranks).to_string()).filter(|text| !text.is_empty());
    named.unwrap_or_else(|| "(unknown)".to_owned())
}

/// `rank 1`, or `ranks 1-3`.
fn ranks_text(ranks: &Idset) -> String {
    let s = if ranks.count() > 1 { "s" } else { "" };
    format!("rank{s} {}", ranks.encode(IdsetFormat::RANGE))
}

/// Shells end with their tasks, so this is for jobs that have the usual `exit-timeout`: who may go on longer says so there.
pub(super) fn shell_deadline(config: &Config, job: &Job, now: Mono) -> Option<Mono> {
    let own = job.jobspec().at("/attributes/system/shell/options/exit-timeout");
    config.shell_exit_timeout.filter(|_| own.is_none()).map(|span| now.after(span))
}

impl Job {
    fn ranks_where(&self, is_meant: impl Fn(usize) -> bool) -> Idset {
        self.parts.iter().enumerate().filter(|(shell, _)| is_meant(*shell)).map(|(_, part)| part.rank.0).collect()
    }

    /// A job that starts late gets the time back that it would lose, if that is much of what it was given.
    pub(super) fn forgive_delay(&mut self, now: f64, percent_max: f64) {
        let start = self.asked["R"].at("/execution/starttime").and_then(Value::as_f64);
        let (Some(start), Some(end)) = (start, self.expiration) else { return };
        let (late, duration) = (now - start, end - start);
        if start > 0.0 && duration > 0.0 && late / duration * 100.0 > percent_max {
            self.expiration = Some(end + late);
        }
    }
}

impl JobExec {
    /// The first shell is in the first barrier: the others have so long to get there.
    pub(super) fn time_barrier(&self, now: Mono, job: &Job) -> Option<Mono> {
        let own = job.jobspec().at("/attributes/system/exec/bulkexec/barrier-timeout").and_then(Value::as_f64);
        let own = own.filter(|seconds| (0.0..1e9).contains(seconds)).map(Duration::from_secs_f64);
        let span = own.or(self.config.barrier_timeout)?;
        (!span.is_zero()).then(|| now.after(span))
    }

    pub(super) fn ring_late(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let now = cx.now.mono;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let barrier = job.barrier_by.take_if(|at| *at <= now).is_some();
        let exit = job.exit_by.take_if(|(at, ..)| *at <= now);
        let shells = job.shells_by.take_if(|at| *at <= now).is_some();
        if barrier {
            self.barrier_late(cx, id);
        }
        if let Some((_, shell, status, note)) = exit {
            self.exits_late(cx, id, shell, status, &note);
        }
        if shells {
            self.shells_late(cx, id);
        }
    }

    /// The first task of a job has ended: the others have `exit-timeout` from now on. The shell that tells of it watches the
    /// time itself as long as it lives; we do when it has ended.
    pub(super) fn time_exit(&mut self, cx: &Cx<'_>, id: JobId, shell: usize, line: &str) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Ok(entry) = Entry::parse(line) else { return };
        let Ok(spec) = Jobspec::from_value(job.jobspec().clone()) else { return };
        let text = match spec.shell_option("exit-timeout") {
            None => "30s".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        let Some(seconds) = parse_fsd(&text).filter(|seconds| *seconds < 1e9) else { return };
        let get = |key: &str| entry.context.as_ref().and_then(|context| context.get(key)).and_then(Value::as_i64);
        let (Some(rank), Some(status)) = (get("rank"), get("wait_status").and_then(|s| i32::try_from(s).ok())) else {
            return;
        };
        let how = match status & 0x7f {
            0 => format!("Exit {}", status >> 8 & 0xff),
            signal => format!("signal {signal}"),
        };
        let node = job.parts[shell].rank.0;
        let (name, host) = (spec.name(), hosts_of(cx, &Idset::range(node, node)));
        let note =
            format!("{name}: task rank {rank} on host {host} exited ({how}) and exit-timeout={text} has expired");
        job.exit_by = Some((cx.now.mono.after(Duration::from_secs_f64(seconds)), shell, status, note));
    }

    fn exits_late(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize, status: i32, note: &str) {
        let Some(job) = self.jobs.get(&id).filter(|job| job.killing.is_none()) else { return };
        if job.parts[shell].status.is_some() && !job.all_ended() {
            self.say_fatal(cx, id, shell, &format!("task-exit: {note}"));
            self.raise(cx, id, 0, "exec", note, Some(if status == 0 { 1 << 8 } else { status }));
        }
    }

    /// A line in the job's output as its shell would have written it.
    fn say_fatal(&mut self, cx: &Cx<'_>, id: JobId, shell: usize, message: &str) {
        const EMERG: u8 = 0;
        let context = json!({"rank": shell, "level": EMERG, "message": message});
        if let Some(job) = self.jobs.get_mut(&id) {
            job.lines.output.push_str(&entry(cx.now.wall.timestamp(), "log", Some(context)));
            self.dirty.insert(id);
        }
    }

    fn barrier_late(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(barrier) = job.barriers.get(FIRST_BARRIER) else { return };
        let missing = job.ranks_where(|shell| !barrier.here.contains(shell as u32));
        let (count, total) = (missing.count(), job.parts.len());
        self.drain(cx, &missing, &format!("job {id} start timeout: possible node hang"));
        let note = format!("start barrier timeout waiting for {count}/{total} nodes ({})", ranks_text(&missing));
        self.raise(cx, id, 0, "exec", &note, None);
    }

    fn shells_late(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id).filter(|job| job.killing.is_none()) else { return };
        let left = job.ranks_where(|shell| job.parts[shell].status.is_none());
        if left.is_empty() {
            return;
        }
        let span = self.config.shell_exit_timeout.unwrap_or_default().as_secs_f64();
        let span = format_fsd(span).unwrap_or_default();
        let (hosts, ranks) = (hosts_of(cx, &left), ranks_text(&left));
        let note = format!("job shells still active on {hosts} ({ranks}) {span} after leader shell exit");
        self.raise(cx, id, 0, "exec", &note, None);
    }

    pub(super) fn drain(&mut self, cx: &mut Cx<'_>, ranks: &Idset, reason: &str) {
        let targets = ranks.encode(IdsetFormat::RANGE);
        cx.log(LogLevel::Err, format!("job-exec: draining {targets}: {reason}"));
        let body = json!({"targets": targets, "reason": reason, "mode": "update"});
        let tag = cx.request("resource.drain", Target::Any, body);
        self.pending.insert(tag, Pending::Drain);
    }
}
