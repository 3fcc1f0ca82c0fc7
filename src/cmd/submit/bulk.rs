//! `flux bulksubmit`: one job for each combination of inputs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, ExitCode, Stdio};

use clap::{ArgMatches, Command};
use flux_types::Idset;
use serde_json::{Value, json};

use super::copies::{Copies, MUTABLE, replaced};
use super::engine::Engine;
use super::request::Request;
use super::single::manner;
use super::sinks::Sinks;
use super::template::{Field, Fields, path_part};
use super::{args, caller, refused};
use crate::frame::args::{flag, many, option, text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::limits::{BULK_JOBS_MAX, STDIN_MAX_BYTES};

pub(crate) fn command() -> Command {
    args::bulk(Command::new("bulksubmit"))
        .arg(flag("shuffle", None, "Shuffle list of commands before submission"))
        .arg(option("sep", None, "STRING", "Set the input argument separator. To split on whitespace, use --sep=none. The default is newline."))
        .arg(many("define", None, "NAME=CODE", "Define a named method for transforming any input, accessible via e.g. '{0.NAME}': a Python expression of x (needs python3)"))
}

/// Input lists: the free ones are combined, the linked ones go along.
#[derive(Debug, Default, PartialEq)]
struct Inputs {
    command: Vec<String>,
    free: Vec<Vec<String>>,
    /// Place among the inputs, and the values, used in turn.
    linked: Vec<(usize, Vec<String>)>,
}

/// Splits the words at `:::`, `::::` (from files) and their linked forms `:::+`, `::::+`.
fn split(words: Vec<String>, read: &mut dyn FnMut(&str) -> Result<Vec<String>, CmdError>) -> Result<Inputs, CmdError> {
    let mut inputs = Inputs::default();
    let mut lists: Vec<(String, Vec<String>)> = Vec::new();
    for word in words {
        match lists.last_mut() {
            _ if word.starts_with(":::") => lists.push((word, Vec::new())),
            Some((_, list)) => list.push(word),
            None => inputs.command.push(word),
        }
    }
    for (place, (mark, mut list)) in lists.into_iter().enumerate() {
        if mark.starts_with("::::") {
            match list.as_slice() {
                [path] => list = read(path)?,
                [] => return Err(refused(":::: needs the name of a file")),
                _ => return Err(refused("Multiple args not allowed after ::::")),
            }
        }
        match mark.as_str() {
            ":::" | "::::" => inputs.free.push(list),
            ":::+" | "::::+" => inputs.linked.push((place, list)),
            other => return Err(refused(format_args!("unknown separator '{other}'"))),
        }
    }
    // Inputs that are empty are none at all.
    inputs.free.retain(|list| !list.is_empty());
    inputs.linked.retain(|(_, list)| !list.is_empty());
    Ok(inputs)
}

impl Inputs {
    fn total(&self) -> usize {
        if self.free.is_empty() { 0 } else { self.free.iter().map(Vec::len).fold(1, usize::saturating_mul) }
    }

    /// One combination; the last list turns fastest.
    fn combination(&self, number: usize) -> Vec<&str> {
        let mut rest = number;
        let mut chosen = Vec::new();
        for list in self.free.iter().rev() {
            chosen.push(list[rest % list.len()].as_str());
            rest /= list.len();
        }
        chosen.reverse();
        for (place, list) in &self.linked {
            chosen.insert((*place).min(chosen.len()), list[number % list.len()].as_str());
        }
        chosen
    }
}

/// Evaluates `--define` expressions, in one Python process that is started when the first is needed.
struct Methods {
    code: BTreeMap<String, String>,
    python: RefCell<Option<Python>>,
}

struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

const PROGRAM: &str = "
import sys, json, os, re, math
code = {n: compile(c, n, 'eval') for n, c in json.loads(sys.stdin.readline()).items()}
for line in sys.stdin:
    name, x = json.loads(line)
    try:
        r = eval(code[name], globals(), dict(x=x))
        out = {'value': [str(i) for i in r] if isinstance(r, list) else str(r)}
    except Exception as e:
        out = {'error': str(e)}
    print(json.dumps(out), flush=True)
";

impl Python {
    fn start(code: &BTreeMap<String, String>) -> Result<Python, String> {
        let spawned =
            Process::new("python3").args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| format!("--define needs python3, which cannot be started: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("--define: python3 has no pipes".to_owned());
        };
        let mut python = Python { child, input, output: BufReader::new(output) };
        python.say(&json!(code))?;
        Ok(python)
    }

    fn say(&mut self, line: &Value) -> Result<(), String> {
        let gone = |error| format!("--define: python3 does not listen: {error}");
        writeln!(self.input, "{line}").and_then(|()| self.input.flush()).map_err(gone)
    }

    fn ask(&mut self, name: &str, x: &str) -> Result<Field, String> {
        self.say(&json!([name, x]))?;
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| format!("--define: {error}"))?;
        let answer: Value =
            serde_json::from_str(&line).map_err(|_| format!("--define {name}: python3 cannot evaluate it"))?;
        match (&answer["value"], answer["error"].as_str()) {
            (_, Some(error)) => Err(format!("--define {name}: {error}")),
            (Value::Array(list), None) => {
                Ok(Field::List(list.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
            }
            (value, None) => Ok(Field::Text(value.as_str().unwrap_or("").to_owned())),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Methods {
    fn call(&self, method: &str, text: &str) -> Result<Field, String> {
        if let Some(part) = path_part(method, text) {
            return Ok(Field::Text(part));
        }
        if !self.code.contains_key(method) {
            return Err(format!("Unknown input string method '.{method}'"));
        }
        let mut python = self.python.borrow_mut();
        if python.is_none() {
            *python = Some(Python::start(&self.code)?);
        }
        python.as_mut().map_or_else(|| Err("--define: no python3".to_owned()), |python| python.ask(method, text))
    }
}

/// One combination with its number.
struct Combination<'c> {
    inputs: Vec<&'c str>,
    number: usize,
    methods: &'c Methods,
}

impl Fields for Combination<'_> {
    fn input(&self, number: usize) -> Option<Field> {
        self.inputs.get(number).map(|text| Field::Text((*text).to_owned()))
    }

    fn named(&self, name: &str) -> Option<Field> {
        match name {
            "seq" => Some(Field::Number(self.number as u64)),
            "seq1" => Some(Field::Number(self.number as u64 + 1)),
            "cc" => Some(Field::Text("{cc}".to_owned())), // Replaced once the copies are made.
            _ => None,
        }
    }

    fn method(&self, method: &str, value: &Field) -> Result<Field, String> {
        match value {
            Field::Text(text) => self.methods.call(method, text),
            _ => Err(format!("'int' object has no attribute '{method}'")),
        }
    }
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut request = args::request(matches);
    let separator = separator(text(matches, "sep").unwrap_or("\\n"));
    let mut read = |path: &str| read_inputs(path, separator.as_deref());
    let mut inputs = split(std::mem::take(&mut request.command), &mut read)?;
    if inputs.free.is_empty() {
        inputs.free.push(read("-")?);
        inputs.free.retain(|list| !list.is_empty());
    }
    request.command =
        if inputs.command.is_empty() { vec!["{}".to_owned()] } else { std::mem::take(&mut inputs.command) };
    let total = inputs.total();
    if total == 0 {
        return Err(refused("no jobs provided for bulk submission"));
    }
    if total > BULK_JOBS_MAX {
        return Err(refused(format_args!("{total} combinations of inputs are more than {BULK_JOBS_MAX}")));
    }
    let defined = texts(matches, "define").into_iter().map(|pair| {
        let (name, code) = pair.split_once('=').ok_or_else(|| refused(format_args!("--define={pair}: no code")))?;
        Ok((name.to_owned(), code.to_owned()))
    });
    let methods = Methods { code: defined.collect::<Result<_, CmdError>>()?, python: RefCell::new(None) };
    let order = order(total, matches.get_flag("shuffle"))?;
    let commands = order.into_iter().map(|number| {
        let inputs = inputs.combination(number);
        replaced(&request, &Combination { inputs, number, methods: &methods })
    });
    if request.has("dry-run") {
        return show(commands, &request, total, cx);
    }
    let verbose = matches.get_count("verbose");
    let caller = caller(cx)?;
    let mut flux = cx.open()?;
    let mut engine = Engine::new(&mut flux, manner(&request, verbose), Sinks::new());
    for command in commands {
        let command = command?;
        if verbose > 0 {
            let line = format!("bulksubmit: submit {}\n", described(&command, &request));
            engine.sinks.write(super::sinks::STDOUT, line.as_bytes())?;
        }
        let mut copies = Copies::new(command, &caller)?;
        copies.check(&mut engine.sinks)?;
        while let Some(job) = copies.next(&mut engine.sinks)? {
            engine.submit(job)?;
        }
    }
    Ok(ExitCode::from(engine.finish()?))
}

fn show(
    commands: impl Iterator<Item = Result<Request, CmdError>>,
    request: &Request,
    total: usize,
    cx: &mut Context,
) -> CmdResult {
    let copies = |command: &Request| {
        let ids = command.get("cc").or(command.get("bcc")).and_then(|text| Idset::parse(text).ok());
        ids.map_or(1, |ids| ids.count())
    };
    if request.has("progress") {
        cx.line(format_args!("bulksubmit: submitting a total of {} jobs", total * copies(request)))?;
    }
    for command in commands {
        cx.line(format_args!("bulksubmit: submit {}", described(&command?, request)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The options that replacement changed, and the command.
fn described(command: &Request, original: &Request) -> String {
    const LISTS: &[&str] = &["env", "setopt", "setattr", "dependency", "requires", "flags"];
    let mut parts = Vec::new();
    for (name, shown) in MUTABLE {
        let values = command.all(name);
        if values.is_empty() || (values == original.all(name) && *name != "cc") {
            continue;
        }
        parts.push(match LISTS.contains(name) {
            true => {
                let list: Vec<_> = values.iter().map(|value| format!("'{value}'")).collect();
                format!("{shown}[{}]", list.join(", "))
            }
            false => format!("{shown}{}", command.get(name).unwrap_or("")),
        });
    }
    parts.extend(command.command.iter().cloned());
    parts.join(" ")
}

/// `None`: any white space.
fn separator(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("none") {
        return None;
    }
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (c, false) => out.push(c),
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('0') => out.push('\0'),
                Some('\\') | None => out.push('\\'),
                Some(other) => out.extend(['\\', other]),
            },
        }
    }
    Some(out)
}

fn read_inputs(path: &str, separator: Option<&str>) -> Result<Vec<String>, CmdError> {
    let mut bytes = Vec::new();
    let failed = |error: std::io::Error| refused(super::files::describe(&error, path));
    if path == "-" {
        std::io::stdin().lock().take(STDIN_MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        fs::File::open(path).and_then(|file| file.take(STDIN_MAX_BYTES).read_to_end(&mut bytes)).map_err(failed)?;
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(match separator {
        Some("") => return Err(refused("empty separator")),
        Some(separator) => text.split(separator).filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        None => text.split_whitespace().map(str::to_owned).collect(),
    })
}

fn order(total: usize, shuffle: bool) -> Result<Vec<usize>, CmdError> {
    let mut order: Vec<usize> = (0..total).collect();
    if shuffle {
        for at in (1..total).rev() {
            let other = (flux_sys::random::u64()? % (at as u64 + 1)) as usize;
            order.swap(at, other);
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(words: &[&str]) -> Result<Inputs, CmdError> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        split(words, &mut |path| Ok(vec![format!("{path}1"), format!("{path}2")]))
    }

    #[test]
    fn inputs_are_combined_and_linked_ones_go_along() {
        let rows: &[(&[&str], &[&[&str]])] = &[
            (&["echo", ":::", "a", "b"], &[&["a"], &["b"]]),
            (&["echo", ":::", "a", "b", ":::", "1", "2"], &[&["a", "1"], &["a", "2"], &["b", "1"], &["b", "2"]]),
            (&["echo", ":::", "a", "b", "c", ":::+", "1", "2"], &[&["a", "1"], &["b", "2"], &["c", "1"]]),
            (&["echo", "::::", "f"], &[&["f1"], &["f2"]]),
            (&["echo", ":::", "a", "b", "::::+", "f"], &[&["a", "f1"], &["b", "f2"]]),
            (&["echo", ":::"], &[]),
        ];
        for (words, want) in rows {
            let inputs = inputs(words).unwrap();
            assert_eq!(inputs.command, ["echo"]);
            let got: Vec<_> = (0..inputs.total()).map(|number| inputs.combination(number)).collect();
            assert_eq!(got, *want, "{words:?}");
        }
        assert!(inputs(&["echo", "::::", "a", "b"]).is_err());
    }

    #[test]
    fn separators_are_read_with_escapes() {
        let rows =
            [("\\n", Some("\n")), (",", Some(",")), ("none", None), ("a\\tb", Some("a\tb")), ("\\x", Some("\\x"))];
        for (text, want) in rows {
            assert_eq!(separator(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn every_order_has_every_job_once() {
        let mut shuffled = order(100, true).unwrap();
        shuffled.sort_unstable();
        assert_eq!(shuffled, order(100, false).unwrap());
    }
}
