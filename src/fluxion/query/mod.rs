//! resource-query: a scheduler on a command line, for trying recipes, jobspecs and policies.

mod commands;
mod draw;
mod graph_commands;
mod help;
mod job_commands;
mod options;

pub use options::{Options, parse_options};

use crate::engine::{Engine, EngineConfig};
use crate::graph::Graph;
use crate::limits::{COMMAND_LINE_BYTES_MAX, REPLAY_VERTEX_COUNT_MAX};
use crate::matcher::{MatchPolicy, Script, is_script, parse_policy};
use crate::reader::Reader;
use crate::traverser::Equals;
use crate::writer::{Format, Writer};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

/// What the tool needs of the world.
pub trait Host {
    /// # Errors
    /// As the file system's.
    fn read(&mut self, path: &str) -> io::Result<String>;
    /// # Errors
    /// As the file system's.
    fn write(&mut self, path: &str, text: &str) -> io::Result<()>;
    /// Seconds since some moment.
    fn clock(&mut self) -> f64;
}

/// Where the tool writes.
pub struct Streams<'a> {
    /// Results: the file named with `-t`, or standard output.
    pub results: &'a mut dyn Write,
    pub out: &'a mut dyn Write,
    pub errors: &'a mut dyn Write,
}

/// What is remembered of a job.
#[derive(Clone, Debug)]
struct JobInfo {
    state: &'static str,
    at: i64,
    jobspec: String,
    elapsed: f64,
}

/// A running tool.
struct Session<'a, H: Host> {
    engine: Engine,
    options: &'a Options,
    host: &'a mut H,
    streams: Streams<'a>,
    next_job: u64,
    jobs: BTreeMap<u64, JobInfo>,
    /// Least, most and sum of the seconds matches took.
    elapsed: (f64, f64, f64),
    visits: u64,
    /// A graph in shorthand was written that is not complete.
    has_left_out: bool,
}

/// Loads the graph the options name, then runs commands until `quit` or the end of the input.
///
/// # Errors
/// What kept the graph from loading, for standard error; or a failure of the streams.
pub fn run<'a, H: Host>(
    options: &'a Options,
    host: &'a mut H,
    input: &mut dyn BufRead,
    streams: Streams<'a>,
) -> Result<(), String> {
    let started = host.clock();
    let engine = load(options, host)?;
    let elapsed = host.clock() - started;
    let mut session = Session {
        engine,
        options,
        host,
        streams,
        next_job: 1,
        jobs: BTreeMap::new(),
        elapsed: (f64::MAX, 0.0, 0.0),
        visits: 0,
        has_left_out: false,
    };
    let done = session.run(input, elapsed);
    done.map_err(|error| format!("resource-query: {error}"))
}

fn load<H: Host>(options: &Options, host: &mut H) -> Result<Engine, String> {
    let text = host.read(&options.load_file).map_err(|error| format!("can't read {}: {error}", options.load_file))?;
    let reader = Reader::from_name(&options.load_format).ok_or("can't create reader")?;
    let mut graph = Graph::default();
    let loaded = reader.load(&mut graph, &text, &options.load_allowlist);
    loaded.map_err(|error| format!("ERROR: {error}\nERROR: error generating resources"))?;
    let (policy, script) = match options.match_policy.as_str() {
        path if is_script(path) => {
            let text = host.read(path).map_err(|error| format!("can't read {path}: {error}"))?;
            (MatchPolicy::FIRST, Some(Arc::new(Script::load(path, &text)?)))
        }
        name => (parse_policy(name)?, None),
    };
    let config = EngineConfig {
        policy,
        script,
        matcher: options.match_subsystems.clone(),
        prune_filters: options.prune_filters.clone(),
        is_flexible: options.is_flexible,
    };
    let mut engine = Engine::new(graph, &config).map_err(|error| error.to_string())?;
    // Command files are replayed exactly where that is quick.
    if engine.graph.vertex_count() <= REPLAY_VERTEX_COUNT_MAX {
        engine.is_exhaustive = true;
        engine.equals = Equals::AsFluxSched;
    }
    Ok(engine)
}

impl<H: Host> Session<'_, H> {
    fn run(&mut self, input: &mut dyn BufRead, load_elapsed: f64) -> io::Result<()> {
        if self.options.shows_elapsed {
            let graph = &self.engine.graph;
            let (vertices, edges) = (graph.vertex_count(), graph.edge_count());
            writeln!(self.streams.out, "INFO: Graph Load Time: {load_elapsed}")?;
            writeln!(self.streams.out, "INFO: Vertex Count: {vertices}\nINFO: Edge Count: {edges}")?;
        }
        let mut line = Vec::new();
        loop {
            if !self.options.hides_prompt {
                write!(self.streams.out, "resource-query> ")?;
                self.streams.out.flush()?;
            }
            line.clear();
            let limit = COMMAND_LINE_BYTES_MAX as u64;
            if io::Read::take(&mut *input, limit).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            if !words.is_empty() && !self.execute(&words)? {
                break;
            }
        }
        self.streams.results.flush()?;
        self.draw()
    }

    fn text_of(&mut self, mut writer: Writer) -> Result<String, String> {
        self.has_left_out = writer.note_shorthand(self.has_left_out);
        writer.finish_text()
    }

    fn rule(&mut self) -> io::Result<()> {
        writeln!(self.streams.results, "INFO: =============================")
    }

    fn error(&mut self, text: &str) -> io::Result<bool> {
        writeln!(self.streams.errors, "ERROR: {text}")?;
        Ok(true)
    }
}

/// The format by name; known when options were parsed.
fn format_of(name: &str) -> Option<Format> {
    Format::from_name(name)
}
