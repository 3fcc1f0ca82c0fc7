//! The KVS as its clients see it: registers that behave as if there were one copy, and forget nothing acknowledged.
//!
//! Each write has a value of its own, so a value names its write. A write that was not acknowledged may have happened or
//! not, and what it did may be taken back when rank 0 dies or its disk is full. One that was acknowledged stays.

use std::collections::BTreeMap;
use std::time::Duration;

use flux_broker::ConnId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Pending,
    Acked { at: Duration, seq: i64 },
    Failed,
    Unknown,
}

#[derive(Debug)]
struct Write {
    key: String,
    value: String,
    began: Duration,
    outcome: Outcome,
}

#[derive(Debug)]
struct Read {
    key: String,
    began: Duration,
    /// When it was answered, and with what.
    answer: Option<(Duration, Option<String>)>,
}

#[derive(Debug)]
struct Watched {
    /// Connection and matchtag.
    stream: (ConnId, u32),
    key: String,
    values: Vec<(Duration, String)>,
    gone: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Register {
    writes: Vec<Write>,
    by_value: BTreeMap<String, usize>,
    reads: Vec<Read>,
    watched: Vec<Watched>,
    /// Versions that writers were told, in the order in which they heard.
    acked: Vec<(Duration, i64, usize)>,
    final_values: BTreeMap<String, Option<String>>,
    audits: BTreeMap<String, Duration>,
}

/// The key whose value is appended to.
const LOG: &str = "log";

impl Register {
    pub(crate) fn begin_write(&mut self, key: &str, client: usize, now: Duration) -> (usize, String) {
        let at = self.writes.len();
        // Every fifth is too long to be kept inline.
        let filler = if at.is_multiple_of(5) && key != LOG { ".".repeat(120) } else { String::new() };
        let value = format!("c{client}-{at}{filler}");
        self.writes.push(Write { key: key.to_owned(), value: value.clone(), began: now, outcome: Outcome::Pending });
        self.by_value.insert(value.clone(), at);
        (at, value)
    }

    pub(crate) fn written(&mut self, write: usize, now: Duration, seq: Option<i64>) {
        self.writes[write].outcome = match seq {
            Some(seq) => {
                self.acked.push((now, seq, write));
                Outcome::Acked { at: now, seq }
            }
            None => Outcome::Failed,
        };
    }

    /// A write in another namespace, which counts its versions by itself.
    pub(crate) fn written_elsewhere(&mut self, write: usize, now: Duration, acked: bool) {
        self.writes[write].outcome = if acked { Outcome::Acked { at: now, seq: 0 } } else { Outcome::Failed };
    }

    pub(crate) fn unknown(&mut self, write: usize) {
        self.writes[write].outcome = Outcome::Unknown;
    }

    pub(crate) fn begin_read(&mut self, key: &str, now: Duration) -> usize {
        self.reads.push(Read { key: key.to_owned(), began: now, answer: None });
        self.reads.len() - 1
    }

    pub(crate) fn read(&mut self, read: usize, now: Duration, value: Option<String>) {
        self.reads[read].answer = Some((now, value));
    }

    pub(crate) fn watched(&mut self, stream: (ConnId, u32), key: &str, value: String, now: Duration) {
        let known = self.watched.iter_mut().find(|watched| watched.stream == stream);
        match known {
            Some(watched) => watched.values.push((now, value)),
            None => {
                let values = vec![(now, value)];
                self.watched.push(Watched { stream, key: key.to_owned(), values, gone: false });
            }
        }
    }

    pub(crate) fn watcher_gone(&mut self, conn: ConnId) {
        self.watched.iter_mut().filter(|watched| watched.stream.0 == conn).for_each(|watched| watched.gone = true);
    }

    pub(crate) fn watch_ended(&mut self, stream: (ConnId, u32)) {
        self.watched.iter_mut().filter(|watched| watched.stream == stream).for_each(|watched| watched.gone = true);
    }

    pub(crate) fn begin_audit(&mut self, key: &str, now: Duration) {
        self.audits.insert(key.to_owned(), now);
    }

    pub(crate) fn audited(&mut self, key: &str, value: Option<String>, now: Duration) -> Result<(), String> {
        let began = self.audits[key];
        self.final_values.insert(key.to_owned(), value.clone());
        let read = Read { key: key.to_owned(), began, answer: Some((now, value)) };
        self.judge_read(&read)
    }

    pub(crate) fn judge(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.reads.iter().filter_map(|read| self.judge_read(read).err()).collect();
        wrong.extend(self.judge_versions());
        wrong.extend(self.watched.iter().filter_map(|watched| self.judge_watched(watched).err()));
        wrong
    }

    /// A commit that began after another was acknowledged has a higher version.
    fn judge_versions(&self) -> Option<String> {
        let mut highest = (0, 0);
        let mut acked = self.acked.iter().peekable();
        let mut by_start: Vec<usize> = self.acked.iter().map(|(_, _, write)| *write).collect();
        by_start.sort_by_key(|write| self.writes[*write].began);
        for write in by_start {
            let Outcome::Acked { seq, .. } = self.writes[write].outcome else { continue };
            while let Some((at, known, by)) = acked.peek()
                && *at < self.writes[write].began
            {
                highest = highest.max((*known, *by));
                acked.next();
            }
            if seq <= highest.0 {
                let (mine, theirs) = (&self.writes[write].value, &self.writes[highest.1].value);
                return Some(format!("{mine} got version {seq}, but {theirs} had got {} before", highest.0));
            }
        }
        None
    }

    /// Must `later` have replaced `earlier`?
    fn replaces(&self, later: &Write, earlier: &Write) -> bool {
        match (later.outcome, earlier.outcome) {
            (Outcome::Acked { seq, .. }, Outcome::Acked { at, seq: before }) => later.began > at || seq > before,
            _ => false,
        }
    }

    fn judge_read(&self, read: &Read) -> Result<(), String> {
        let Some((at, value)) = &read.answer else { return Ok(()) };
        let told = format!("a read of {} at {:.6} s", read.key, at.as_secs_f64());
        let before = |write: &&Write| {
            write.key == read.key && matches!(write.outcome, Outcome::Acked { at, .. } if at < read.began)
        };
        let mut known = self.writes.iter().filter(before);
        if read.key == LOG {
            return self.judge_log(&told, *at, value.as_deref().unwrap_or(""), known);
        }
        let Some(value) = value else {
            return match known.next() {
                Some(write) => Err(format!("{told} found nothing, but {} was acknowledged before", write.value)),
                None => Ok(()),
            };
        };
        let Some(source) = self.by_value.get(value).map(|write| &self.writes[*write]) else {
            return Err(format!("{told} found {value}, which nobody wrote"));
        };
        if source.key != read.key || source.began > *at {
            return Err(format!("{told} found {value}, which was written later or to {}", source.key));
        }
        match known.find(|write| self.replaces(write, source)) {
            Some(write) => Err(format!("{told} found {value}, but {} had replaced it", write.value)),
            None => Ok(()),
        }
    }

    /// Lines that were appended: each once, all that were acknowledged there.
    fn judge_log<'a>(
        &self,
        told: &str,
        at: Duration,
        text: &str,
        known: impl Iterator<Item = &'a Write>,
    ) -> Result<(), String> {
        let mut seen = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let Some(write) = self.by_value.get(line).map(|write| &self.writes[*write]) else {
                return Err(format!("{told} found the line {line:?}, which nobody wrote"));
            };
            if write.key != LOG || write.began > at {
                return Err(format!("{told} found the line {line}, which was written later or elsewhere"));
            }
            if seen.insert(line, number).is_some() {
                return Err(format!("{told} found the line {line} twice"));
            }
        }
        for write in known {
            if !seen.contains_key(&*write.value) {
                return Err(format!("{told} lacks the line {}, which was acknowledged", write.value));
            }
        }
        Ok(())
    }

    /// A watcher never goes back behind what was acknowledged, and in the end has the value that stays.
    fn judge_watched(&self, watched: &Watched) -> Result<(), String> {
        let told = format!("a watcher of {} (connection {})", watched.key, watched.stream.0.0);
        for (at, value) in &watched.values {
            let source = self.by_value.get(value).map(|write| &self.writes[*write]);
            if !source.is_some_and(|write| write.key == watched.key && write.began <= *at) {
                return Err(format!("{told} saw {value}, which nobody had written"));
            }
        }
        for pair in watched.values.windows(2) {
            let [first, second] = [&pair[0].1, &pair[1].1].map(|value| &self.writes[self.by_value[value]]);
            if self.replaces(first, second) {
                return Err(format!("{told} saw {} after {}, which had replaced it", second.value, first.value));
            }
        }
        let last = watched.values.last().map(|(_, value)| value);
        let stays = self.final_values.get(&watched.key).and_then(Option::as_ref);
        if !watched.gone && stays.is_some() && last != stays {
            return Err(format!("{told} saw {last:?} last, but {stays:?} is what stays"));
        }
        Ok(())
    }
}
