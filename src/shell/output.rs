//! Standard output and error: where they go, how they are cut into events, and how events are written (RFC 24).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flux_types::At;
use flux_types::Jobspec;
use serde_json::{Value, json};

use crate::limits::OUTPUT_DATA_MAX;
use crate::{ShellError, entry};

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    pub const fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Where a stream goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// `guest.output`
    Kvs,
    /// A file; the path is a template.
    File { template: String, label: bool },
}

/// How one stream is handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub sink: Sink,
    /// Whole lines wait for their newline; otherwise bytes go on as they come.
    pub by_line: bool,
}

/// The options under `output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPlan {
    pub stdout: Route,
    pub stderr: Route,
    /// Files are added to, not emptied first.
    pub append: bool,
    /// Bytes of each stream that go to the KVS.
    pub limit_bytes: u64,
}

const LIMIT_OWNER: u64 = 1_000_000_000;
const LIMIT_GUEST: u64 = 10_000_000;

impl OutputPlan {
    /// # Errors
    /// [`ShellError::Option`]
    pub fn of(spec: &Jobspec, guest: bool) -> Result<OutputPlan, ShellError> {
        let stdout = route(spec, Stream::Stdout, None)?;
        let stderr = route(spec, Stream::Stderr, Some(&stdout.sink))?;
        let bad = |why: String| ShellError::Option { name: "output", why };
        let append = match spec.shell_option("output.mode").and_then(Value::as_str) {
            None | Some("truncate") => false,
            Some("append") => true,
            Some(other) => return Err(bad(format!("mode {other:?} is not one of truncate, append"))),
        };
        let limit_bytes = match spec.shell_option("output.limit") {
            None if guest => LIMIT_GUEST,
            None => LIMIT_OWNER,
            Some(value) => {
                let limit = value.as_u64().or_else(|| parse_size(value.as_str()?));
                let limit = limit.filter(|limit| (1..=LIMIT_OWNER).contains(limit));
                limit.ok_or_else(|| bad(format!("limit {value} is not between 1 and 1G")))?
            }
        };
        Ok(OutputPlan { stdout, stderr, append, limit_bytes })
    }

    pub fn route(&self, stream: Stream) -> &Route {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }
}

fn route(spec: &Jobspec, stream: Stream, stdout: Option<&Sink>) -> Result<Route, ShellError> {
    let name = stream.name();
    let option = |key: &str| spec.shell_option("output").and_then(|o| o.at(&format!("/{name}/{key}")));
    let text = |key: &str| option(key).and_then(Value::as_str);
    let by_line = match text("buffer/type") {
        None => stream == Stream::Stdout,
        Some(kind) => !kind.eq_ignore_ascii_case("none"),
    };
    let label = match option("label") {
        Some(value) => value.as_bool().unwrap_or(value != &json!(0)),
        None => matches!(stdout, Some(Sink::File { label: true, .. })),
    };
    let sink = match (text("type"), stdout) {
        (Some("kvs"), _) | (None, None) => Sink::Kvs,
        (None, Some(Sink::Kvs)) => Sink::Kvs,
        (None, Some(Sink::File { template, .. })) => Sink::File { template: template.clone(), label },
        (Some("file"), _) => {
            let same = stdout.and_then(|sink| match sink {
                Sink::File { template, .. } => Some(template.as_str()),
                Sink::Kvs => None,
            });
            let path = text("path").or(same);
            let missing = || ShellError::Option { name: "output", why: format!("{name}: type file needs a path") };
            Sink::File { template: path.ok_or_else(missing)?.to_owned(), label }
        }
        (Some(other), _) => {
            return Err(ShellError::Option { name: "output", why: format!("{name}: type {other:?} is not known") });
        }
    };
    Ok(Route { sink, by_line })
}

/// `10M`, `1k`, `1.5G`: SI suffixes count in thousands.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, factor) = match text.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G']) {
        None => (text, 1e0),
        Some(number) => match text.as_bytes()[text.len() - 1].to_ascii_lowercase() {
            b'k' => (number, 1e3),
            b'm' => (number, 1e6),
            _ => (number, 1e9),
        },
    };
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number * factor) as u64)
}

/// Cuts a stream into pieces: whole lines, and what is left when nothing more comes or lines are not waited for.
#[derive(Debug)]
pub struct Cutter {
    by_line: bool,
    held: Vec<u8>,
}

impl Cutter {
    pub fn new(by_line: bool) -> Cutter {
        Cutter { by_line, held: Vec::new() }
    }

    /// Takes bytes and gives each piece that is ready to `take`.
    pub fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8])) {
        let mut rest = bytes;
        if !self.held.is_empty() {
            let len = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
            let room = OUTPUT_DATA_MAX - self.held.len();
            self.held.extend_from_slice(&rest[..len.min(room)]);
            rest = &rest[len.min(room)..];
            if self.held.ends_with(b"\n") || self.held.len() >= OUTPUT_DATA_MAX {
                take(&self.held);
                self.held.clear();
            }
        }
        while !rest.is_empty() {
            let line = rest.iter().take(OUTPUT_DATA_MAX).position(|b| *b == b'\n').map(|at| at + 1);
            let len = match line {
                Some(len) => len,
                None if rest.len() >= OUTPUT_DATA_MAX => OUTPUT_DATA_MAX,
                None if self.by_line => break,
                None => rest.len(),
            };
            take(&rest[..len]);
            rest = &rest[len..];
        }
        // Not empty only where a line goes on from the bytes held, or begins.
        self.held.extend_from_slice(rest);
    }

    /// The stream has ended: what is held goes out.
    pub fn finish(&mut self, take: &mut dyn FnMut(&[u8])) {
        if !self.held.is_empty() {
            take(&self.held);
            self.held.clear();
        }
    }
}

/// The same bytes in fewer pieces, as large as an event may be: of a task that prints more than somebody reads.
pub fn together(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for piece in pieces {
        match out.last_mut() {
            Some(last) if last.len() + piece.len() <= OUTPUT_DATA_MAX => last.extend_from_slice(piece),
            _ => out.push(piece.clone()),
        }
    }
    out
}

/// The first entry of `guest.output`.
pub fn header(timestamp: f64, ntasks: usize) -> String {
    let context = json!({
        "version": 1,
        "encoding": {"stdout": "UTF-8", "stderr": "UTF-8"},
        "count": {"stdout": ntasks, "stderr": ntasks},
        "options": {},
    });
    entry(timestamp, "header", Some(&context))
}

/// A piece of output. `rank` is the task's. Bytes that are no UTF-8 text go as base64.
pub fn data(timestamp: f64, stream: &str, rank: &str, bytes: &[u8]) -> String {
    let context = match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => json!({"stream": stream, "rank": rank, "data": text}),
        _ => json!({"stream": stream, "rank": rank, "encoding": "base64", "data": STANDARD.encode(bytes)}),
    };
    entry(timestamp, "data", Some(&context))
}

pub fn end(timestamp: f64, stream: &str, rank: &str) -> String {
    entry(timestamp, "data", Some(&json!({"stream": stream, "rank": rank, "eof": true})))
}

/// The stream of these tasks goes elsewhere.
pub fn redirect(timestamp: f64, stream: &str, ranks: &str, path: &str) -> String {
    entry(timestamp, "redirect", Some(&json!({"stream": stream, "rank": ranks, "path": path})))
}

/// Something the shell itself has to say; `level` as in RFC 5424.
pub fn log(timestamp: f64, shell_rank: u32, level: u8, message: &str) -> String {
    entry(timestamp, "log", Some(&json!({"rank": shell_rank, "level": level, "message": message})))
}

/// The bytes of a data object (RFC 24): as `stdin` requests carry them. `None` if it is malformed.
pub fn decode(object: &Value) -> Option<(Vec<u8>, bool)> {
    let eof = object.get("eof").and_then(Value::as_bool).unwrap_or(false);
    let Some(data) = object.get("data") else { return Some((Vec::new(), eof)) };
    let data = data.as_str()?;
    match object.get("encoding").and_then(Value::as_str) {
        Some("base64") => Some((STANDARD.decode(data).ok()?, eof)),
        _ => Some((data.as_bytes().to_vec(), eof)),
    }
}
