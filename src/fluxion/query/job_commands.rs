//! Commands about jobs.

use super::{Host, JobInfo, Session};
use crate::error::MatchError;
use crate::jobspec::Jobspec;
use crate::reader::Reader;
use crate::traverser::{Expression, Hold, MatchOp};
use crate::writer::{Format, Writer};
use std::io;

/// The tool lives at this time.
const NOW: i64 = 0;

impl<H: Host> Session<'_, H> {
    pub(super) fn match_one(&mut self, words: &[&str]) -> io::Result<bool> {
        let Some(op) = MatchOp::from_name(words[1]) else {
            return self.error(&format!("unknown subcmd {}", words[1]));
        };
        self.run_match(op, words[2])?;
        Ok(true)
    }

    pub(super) fn match_many(&mut self, words: &[&str]) -> io::Result<bool> {
        let Some(op) = MatchOp::from_name(words[1]) else {
            return self.error(&format!("unknown subcmd {}", words[1]));
        };
        for path in &words[2..] {
            if !self.run_match(op, path)? {
                break;
            }
        }
        Ok(true)
    }

    /// False if nothing matched.
    fn run_match(&mut self, op: MatchOp, path: &str) -> io::Result<bool> {
        let Ok(text) = self.host.read(path) else {
            self.error(&format!("can't open {path}"))?;
            return Ok(true);
        };
        let job = self.next_job;
        let mut writer = Writer::new(self.options.match_format);
        let started = self.host.clock();
        let visits = self.engine.visit_count;
        let jobspec = Jobspec::parse(&text).map_err(|error| MatchError::Invalid(error.to_string()));
        let jobspec = jobspec.and_then(|jobspec| match self.engine.unknown_type(&jobspec) {
            Some(kind) => Err(MatchError::Invalid(format!("resource type '{kind}' is not known to this graph"))),
            None => Ok(jobspec),
        });
        let result = jobspec.and_then(|jobspec| self.engine.match_job(op, job, &jobspec, NOW, &mut writer));
        let elapsed = self.host.clock() - started;
        if let Some(trouble) = self.engine.take_trouble() {
            self.error(&trouble)?;
        }
        self.visits = self.engine.visit_count - visits;
        if let Err(error @ (MatchError::Invalid(_) | MatchError::NotFound(_) | MatchError::Exists(_))) = &result {
            self.error(&format!("job {job}: {error}"))?;
        }
        let text = self.text_of(writer);
        let is_answered =
            matches!(&result, Ok(_) | Err(MatchError::Busy | MatchError::Beyond | MatchError::Unsatisfiable));
        let is_blank = self.options.match_format == Format::Rlite && is_answered && text == Ok(String::new());
        match text {
            Ok(text) => self.streams.results.write_all(text.as_bytes())?,
            Err(error) => _ = self.error(&error)?,
        }
        let is_satisfiable = !matches!(&result, Err(MatchError::Unsatisfiable));
        if is_blank {
            return self.say_blank((op, job, path), is_satisfiable, elapsed);
        }
        if op.takes() && is_answered {
            self.next_job += 1;
        }
        if op == MatchOp::Satisfiability {
            self.say_satisfiable(is_satisfiable, elapsed)?;
        } else {
            let at = result.as_ref().ok().map(|matched| matched.at);
            self.say_scheduled(job, path, at, op.takes(), is_satisfiable, elapsed)?;
        }
        Ok(result.is_ok())
    }

    /// A list of ranks that is empty is an error, as it is for flux-sched's tool: nothing was found, the job has no number,
    /// and, here, holds nothing either.
    fn say_blank(
        &mut self,
        (op, job, path): (MatchOp, u64, &str),
        is_satisfiable: bool,
        elapsed: f64,
    ) -> io::Result<bool> {
        self.error("match writer emit: Invalid argument")?;
        if op == MatchOp::Satisfiability {
            self.say_satisfiable(is_satisfiable, elapsed)?;
            return Ok(is_satisfiable);
        }
        if op.takes() {
            _ = self.engine.cancel(job);
        }
        self.say_scheduled(job, path, None, op.takes(), is_satisfiable, elapsed)?;
        Ok(false)
    }

    fn say_satisfiable(&mut self, is_satisfiable: bool, elapsed: f64) -> io::Result<()> {
        self.rule()?;
        let word = if is_satisfiable { "Satisfiable" } else { "Unsatisfiable" };
        writeln!(self.streams.results, "INFO: {word} request")?;
        self.rule()?;
        self.say_elapsed(elapsed)
    }

    fn say_elapsed(&mut self, elapsed: f64) -> io::Result<()> {
        if self.options.shows_elapsed {
            let visits = self.visits;
            writeln!(self.streams.out, "INFO: ELAPSE={elapsed:.6}\nINFO: PREORDER VISIT COUNT={visits}")?;
            writeln!(self.streams.out, "INFO: POSTORDER VISIT COUNT={visits}")?;
        }
        Ok(())
    }

    fn say_scheduled(
        &mut self,
        job: u64,
        path: &str,
        at: Option<i64>,
        takes: bool,
        is_satisfiable: bool,
        elapsed: f64,
    ) -> io::Result<()> {
        self.rule()?;
        let Some(at) = at else {
            writeln!(self.streams.results, "INFO: No matching resources found")?;
            if !is_satisfiable {
                writeln!(self.streams.results, "INFO: Unsatisfiable request")?;
            }
            writeln!(self.streams.results, "INFO: JOBID={job}")?;
            if self.options.shows_elapsed {
                writeln!(self.streams.results, "INFO: ELAPSE={elapsed:.6}")?;
            }
            return self.rule();
        };
        let state = if at == NOW { "ALLOCATED" } else { "RESERVED" };
        let mode = if takes { state } else { "MATCHED" };
        let when = if at == NOW { "Now".to_string() } else { at.to_string() };
        writeln!(self.streams.results, "INFO: JOBID={job}\nINFO: RESOURCES={mode}\nINFO: SCHEDULED AT={when}")?;
        self.say_elapsed(elapsed)?;
        self.rule()?;
        if takes {
            let (least, most, sum) = self.elapsed;
            self.elapsed = (least.min(elapsed), most.max(elapsed), sum + elapsed);
            self.jobs.insert(job, JobInfo { state, at, jobspec: path.to_string(), elapsed });
        }
        Ok(())
    }

    pub(super) fn update(&mut self, words: &[&str]) -> io::Result<bool> {
        let hold = match words[1] {
            "allocate" => Hold::Allocated,
            "reserve" => Hold::Reserved,
            other => return self.error(&format!("unknown subcmd {other}")),
        };
        let reader = Reader::from_name(words[2]).filter(|_| ["jgf", "rv1exec", "jgf_shorthand"].contains(&words[2]));
        let Some(reader) = reader else { return self.error(&format!("unsupported reader {}", words[2])) };
        let Ok(text) = self.host.read(words[3]) else { return self.error(&format!("can't open {}", words[3])) };
        let number = |word: &str| word.parse::<i64>().unwrap_or(0);
        let (id, at, duration) = (number(words[4]).max(0) as u64, number(words[5]), number(words[6]));
        if self.engine.jobs.contains_key(&id) {
            return self.error("existing Jobid ");
        }
        if at < 0 || duration <= 0 {
            return self.error(&format!("invalid time ({at}, {duration})"));
        }
        let started = self.host.clock();
        let mut writer = Writer::new(self.options.match_format);
        let claim = reader.claim(&mut self.engine.graph, &text).map_err(MatchError::from);
        let result = claim.and_then(|claim| self.engine.update_job(id, &claim, (hold, at, duration), NOW, &mut writer));
        let elapsed = self.host.clock() - started;
        match &result {
            Err(error) => _ = self.error(&format!("traverser run () returned error \nERROR: {error}"))?,
            Ok(()) => match self.text_of(writer) {
                Ok(text) => self.streams.results.write_all(text.as_bytes())?,
                Err(error) => _ = self.error(&error)?,
            },
        }
        self.say_scheduled(id, words[3], result.is_ok().then_some(at), true, true, elapsed)?;
        self.next_job = id + 1;
        Ok(true)
    }

    fn cancelled(&mut self, id: u64) {
        if let Some(info) = self.jobs.get_mut(&id) {
            info.state = "CANCELED";
        }
    }

    pub(super) fn cancel(&mut self, words: &[&str]) -> io::Result<bool> {
        let id = words[1].parse().unwrap_or(0);
        match self.engine.cancel(id) {
            Err(error) => self.error(&error.to_string()),
            Ok(stats) => {
                self.cancelled(id);
                if words.get(2) == Some(&"stats") {
                    self.say_counts("CANCEL", stats.preorder, stats.postorder)?;
                }
                Ok(true)
            }
        }
    }

    fn say_counts(&mut self, what: &str, preorder: u64, postorder: u64) -> io::Result<()> {
        self.rule()?;
        writeln!(self.streams.results, "INFO: {what} PREORDER COUNT=\"{preorder}\"")?;
        writeln!(self.streams.results, "INFO: {what} POSTORDER COUNT=\"{postorder}\"")?;
        self.rule()
    }

    pub(super) fn partial_cancel(&mut self, words: &[&str]) -> io::Result<bool> {
        let id = words[1].parse().unwrap_or(0);
        let reader = Reader::from_name(words[2]).filter(|_| ["jgf", "rv1exec"].contains(&words[2]));
        let Some(reader) = reader else { return self.error(&format!("unsupported reader {}", words[2])) };
        let Ok(text) = self.host.read(words[3]) else { return self.error(&format!("can't open {}", words[3])) };
        match self.engine.jobs.get(&id).map(|job| job.hold) {
            None => return self.error(&format!("nonexistent job {id}")),
            Some(Hold::Reserved) => {
                return self.error("reservations not currently supported by partial cancel");
            }
            Some(Hold::Allocated) => {}
        }
        let release = reader.release(&mut self.engine.graph, &text).map_err(MatchError::from);
        match release.and_then(|release| self.engine.partial_cancel(id, &release)) {
            Ok(true) => self.cancelled(id),
            Ok(false) => {}
            Err(error) => _ = self.error(&format!("error encountered while removing job {id}: {error}"))?,
        }
        if words.get(4) == Some(&"stats") {
            // A partial cancel goes straight to the vertices: it walks nothing.
            self.say_counts("PARTIAL CANCEL", 0, 0)?;
        }
        Ok(true)
    }

    pub(super) fn find(&mut self, words: &[&str]) -> io::Result<bool> {
        let criteria = words[1..].join(" ");
        let mut writer = Writer::new(self.options.match_format);
        let found = Expression::parse(&criteria).and_then(|expression| self.engine.find(&expression, NOW, &mut writer));
        if let Err(error) = found {
            return self.error(&error.to_string());
        }
        match self.text_of(writer) {
            Ok(text) => self.streams.results.write_all(text.as_bytes())?,
            Err(error) => return self.error(&error),
        }
        self.rule()?;
        writeln!(self.streams.results, "INFO: EXPRESSION=\"{criteria}\"")?;
        self.rule()?;
        Ok(true)
    }

    fn say_job(&mut self, id: u64, info: &JobInfo) -> io::Result<()> {
        let JobInfo { state, at, jobspec, elapsed } = info;
        writeln!(self.streams.out, "INFO: {id}, {state}, {at}, {jobspec}, {elapsed:.6}")
    }

    pub(super) fn list(&mut self) -> io::Result<bool> {
        for (id, info) in self.jobs.clone() {
            self.say_job(id, &info)?;
        }
        Ok(true)
    }

    pub(super) fn info(&mut self, words: &[&str]) -> io::Result<bool> {
        let id = words[1].parse().unwrap_or(0);
        match self.jobs.get(&id).cloned() {
            Some(info) => self.say_job(id, &info).map(|()| true),
            None => self.error(&format!("nonexistent job {id}")),
        }
    }

    pub(super) fn stat(&mut self) -> io::Result<bool> {
        let count = self.jobs.len();
        let (least, most, sum) = self.elapsed;
        let (least, mean) = if count > 0 { (least, sum / count as f64) } else { (0.0, 0.0) };
        writeln!(self.streams.out, "INFO: Num. of Jobs Matched: {count}\nINFO: Min. Match Time: {least}")?;
        writeln!(self.streams.out, "INFO: Max. Match Time: {most}\nINFO: Avg. Match Time: {mean}")?;
        Ok(true)
    }

    pub(super) fn cat(&mut self, words: &[&str]) -> io::Result<bool> {
        let text = self.host.read(words[1]).unwrap_or_default();
        for line in text.lines() {
            writeln!(self.streams.out, "{line}")?;
        }
        writeln!(self.streams.out, "INFO: Jobspec in {}", words[1])?;
        Ok(true)
    }
}
