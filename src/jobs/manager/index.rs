//! Writing and reading the texts of finished jobs ([`crate::finished`]).
//!
//! A job's line goes into the commit that has its last event, or into a later one if that fails. Until a commit with it has succeeded
//! the job is `open`: the next text's header names it, and a restart reads its eventlog.

use std::collections::BTreeSet;
use std::sync::Arc;

use flux_service::{Cx, LogLevel, TxnOp};
use flux_types::JobId;
use flux_wire::Message;
use serde_json::Value;

use super::JobManager;
use super::archive::Archive;
use super::job::Job;
use super::restart::{Part as Read, Step};
use crate::finished::{self, Core, Header, Other};
use crate::kvs;
use crate::limits::INDEX_LINES_MAX;
use crate::list::Lines;

/// Lines for one text that are not stored yet.
#[derive(Debug)]
pub(super) struct Part {
    text: u64,
    lines: String,
    jobs: Vec<JobId>,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    /// The text that is being written.
    number: u64,
    /// Lines in it; 0 before its header is there.
    len: usize,
    after: JobId,
    pending: Vec<Part>,
    /// Inactive jobs of which no line is stored.
    open: BTreeSet<JobId>,
    writer: Lines,
}

/// What is read of it after a restart.
#[derive(Debug, Default)]
pub(super) struct Reading {
    texts: BTreeSet<u64>,
    under_way: usize,
    gone: BTreeSet<JobId>,
    /// Of the newest text that has one.
    header: Option<(u64, Header)>,
    late: Vec<(u64, JobId)>,
    failed: bool,
    /// Texts with no job that is still there.
    empty: Vec<u64>,
}

impl Index {
    /// All jobs below this id are known or open.
    pub(super) fn open(&self) -> impl Iterator<Item = JobId> + '_ {
        self.open.iter().copied()
    }

    pub(super) fn texts(&self) -> std::ops::RangeInclusive<u64> {
        0..=self.number
    }

    fn part(&mut self) -> &mut Part {
        if self.pending.last().is_none_or(|part| part.text != self.number) {
            self.pending.push(Part { text: self.number, lines: String::new(), jobs: Vec::new() });
        }
        self.pending.last_mut().expect("just pushed")
    }

    /// Begins a text if there is none, or the last is full. `active` are the jobs that are not finished.
    fn begin(&mut self, after: JobId, active: impl ExactSizeIterator<Item = JobId>) {
        // The header names all that is open: it must not be longer than what it stands before.
        if self.len >= INDEX_LINES_MAX.max(active.len() + self.open.len()) {
            (self.number, self.len) = (self.number + 1, 0);
        }
        if self.len > 0 {
            return;
        }
        let open = active.chain(self.open.iter().copied()).map(|id| id.0).collect();
        let mut line = serde_json::to_string(&Header { after: after.0, open }).expect("numbers are JSON");
        line.push('\n');
        self.part().lines.push_str(&line);
        (self.len, self.after) = (1, after);
    }

    /// The lines that go into the next commit.
    pub(super) fn take(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.pending)
    }

    pub(super) fn op(part: &Part) -> TxnOp {
        TxnOp::append(finished::key(part.text), part.lines.clone().into_bytes())
    }

    pub(super) fn stored(&mut self, parts: &[Part]) {
        for id in parts.iter().flat_map(|part| &part.jobs) {
            self.open.remove(id);
        }
    }

    /// The commit failed: they go into the next.
    pub(super) fn put_back(&mut self, mut parts: Vec<Part>) {
        parts.append(&mut self.pending);
        self.pending = parts;
    }

    pub(super) fn is_written(&self) -> bool {
        self.pending.is_empty()
    }

    /// An inactive job that was found without a line.
    pub(super) fn found(&mut self, id: JobId) {
        self.open.insert(id);
    }

    pub(super) fn forget(&mut self, id: JobId) {
        self.open.remove(&id);
    }
}

impl JobManager {
    /// The job is in the archive now; its line goes into the next commit.
    pub(super) fn index(&mut self, job: &Job) {
        let resources = job.resources.as_deref();
        let jobspec = self.index.writer.spec(&job.jobspec);
        self.index_line(job.id, &jobspec, resources, &job.eventlog);
    }

    /// As [`JobManager::index`], for a job of an earlier life that has no line yet.
    pub(super) fn index_found(&mut self, id: JobId, jobspec: &Value, resources: Option<&Value>, log: &str) {
        if self.index.open.contains(&id) && !self.index.pending.iter().any(|part| part.jobs.contains(&id)) {
            self.index_line(id, &Arc::new(jobspec.clone()), resources, log);
        }
    }

    fn index_line(&mut self, id: JobId, jobspec: &Arc<Value>, resources: Option<&Value>, log: &str) {
        let Some(finished) = self.archive.get(id) else { return };
        let line = self.index.writer.line(id, jobspec, resources, log, finished.core());
        self.index.open.insert(id);
        self.index.begin(self.max_id, self.jobs.keys().copied());
        let part = self.index.part();
        part.lines.push_str(&line);
        part.jobs.push(id);
        self.index.len += 1;
    }

    /// A job of a small id has come late.
    pub(super) fn index_late(&mut self, id: JobId) {
        if self.index.len > 0 && id <= self.index.after {
            self.index.part().lines.push_str(&format!("{{\"late\":{}}}\n", id.0));
        }
    }

    /// Which texts there are.
    pub(super) fn load_index(&mut self, reply: &Message) {
        let loader = self.loader.as_mut().expect("loading");
        let Ok(object) = kvs::treeobj(reply) else { return self.index_loaded() };
        let entries = object.get("data").and_then(Value::as_object).into_iter().flatten();
        loader.index.texts = entries.filter_map(|(name, _)| name.parse().ok()).collect();
        // Those that are gone must be known first.
        loader.todo.push_front(Step::Gone);
    }

    pub(super) fn load_gone(&mut self, reply: &Message) {
        let loader = self.loader.as_mut().expect("loading");
        let text = kvs::text(reply).unwrap_or_default();
        loader.index.gone = text.lines().filter_map(|line| line.parse().ok().map(JobId)).collect();
        loader.index.under_way = loader.index.texts.len();
        for number in loader.index.texts.iter().rev() {
            loader.todo.push_front(Step::Finished(*number));
        }
        if loader.index.under_way == 0 {
            self.index_loaded();
        }
    }

    pub(super) fn load_finished(&mut self, cx: &mut Cx<'_>, number: u64, reply: &Message) {
        let reading = &mut self.loader.as_mut().expect("loading").index;
        reading.under_way -= 1;
        match kvs::text(reply) {
            Ok(text) => {
                let newest = read_text(&text, number, reading, &mut self.archive);
                self.max_id = self.max_id.max(newest);
            }
            Err(fault) => {
                cx.log(LogLevel::Err, format!("restart: {}: {fault}; all jobs are read", finished::key(number)));
                reading.failed = true;
            }
        }
        if reading.under_way == 0 {
            self.index_loaded();
        }
    }

    /// Goes on with the jobs that the texts do not tell of.
    fn index_loaded(&mut self) {
        let loader = self.loader.as_mut().expect("loading");
        let reading = &mut loader.index;
        loader.loaded += self.archive.len();
        self.index.number = reading.texts.last().map_or(0, |last| last + 1);
        if let (Some((from, header)), false) = (&reading.header, reading.failed) {
            let late = reading.late.iter().filter(|(text, _)| text >= from).map(|(_, id)| *id);
            let open: BTreeSet<JobId> = header.open.iter().copied().map(JobId).chain(late).collect();
            loader.after = Some(JobId(header.after));
            self.max_id = self.max_id.max(JobId(header.after));
            let unknown = open.into_iter().filter(|id| !self.archive.has(*id) && !reading.gone.contains(id));
            loader.todo.extend(unknown.map(|id| Step::Part(Read::Open(id))));
            let empty = std::mem::take(&mut reading.empty);
            let puts = &mut self.events.batch.puts;
            puts.extend(empty.into_iter().filter(|text| text < from).map(|text| TxnOp::unlink(finished::key(text))));
        }
        loader.todo.push_back(Step::Part(Read::Directory("job".into())));
    }

    /// The part of a text that is of jobs still there.
    pub(super) fn finished_now(&self, text: String) -> String {
        let there = |line: &str| finished::id_of(line).is_some_and(|id| self.archive.has(id));
        let mut kept = String::with_capacity(text.len());
        for line in text.split_inclusive('\n').filter(|line| there(line)) {
            kept.push_str(line);
        }
        kept
    }
}

/// Takes the jobs of a text over; gives the largest id.
fn read_text(text: &str, number: u64, reading: &mut Reading, archive: &mut Archive) -> JobId {
    let (mut newest, mut kept) = (JobId(0), false);
    for line in text.lines() {
        if finished::id_of(line).is_some() {
            let Ok(core) = serde_json::from_str::<Core>(line) else {
                reading.failed = true;
                continue;
            };
            newest = newest.max(JobId(core.id));
            if !reading.gone.contains(&JobId(core.id)) {
                archive.add_known(&core);
                kept = true;
            }
            continue;
        }
        match serde_json::from_str(line) {
            Ok(Other::Header(header)) if reading.header.as_ref().is_none_or(|(known, _)| *known < number) => {
                reading.header = Some((number, header));
            }
            Ok(Other::Header(_)) => {}
            Ok(Other::Late { late }) => reading.late.push((number, JobId(late))),
            Err(_) => reading.failed = true,
        }
    }
    if !kept {
        reading.empty.push(number);
    }
    newest
}
