//! A submission as it was typed, and the jobspec it means.

use std::collections::{BTreeMap, BTreeSet};

use flux_types::constraint::query;
use flux_types::jobspec::{NestShape, SubmitOptions, SubmitShape};
use flux_types::{Dependency, Idset, Jobspec, parse_fsd};
use serde_json::{Value, json};

use super::{env, files, rlimit, shape};
use crate::limits::JOB_FILE_BYTES_MAX;

type Result<T> = std::result::Result<T, String>;

/// Options whose values add up.
const LISTS: &[&str] =
    &["setopt", "setattr", "add-file", "dependency", "requires", "env", "rlimit", "flags", "conf", "broker-opts"];

/// What the caller's process brings to a submission.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(crate) environ: Vec<(String, String)>,
    pub(crate) cwd: String,
    pub(crate) limits: Vec<(&'static str, u64)>,
    /// Seconds since the epoch.
    pub(crate) now: f64,
}

impl Caller {
    /// This process.
    pub(crate) fn own(environ: Vec<(String, String)>) -> Result<Caller> {
        let cwd = std::env::current_dir().map_err(|error| format!("cannot tell the working directory: {error}"))?;
        let now = flux_sys::clock::wall().as_secs_f64();
        Ok(Caller { environ, cwd: cwd.to_string_lossy().into_owned(), limits: rlimit::own(), now })
    }
}

/// The options by name, as texts: bulk submissions replace parts of them before they are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    texts: BTreeMap<&'static str, Vec<String>>,
    pub(crate) switches: BTreeSet<&'static str>,
    pub(crate) command: Vec<String>,
}

/// What is said of counts below zero.
const NEGATIVE: &[(&str, &str)] = &[
    ("ntasks", "task count must be a integer >= 1"),
    ("nodes", "node count must be an integer >= 1 (if set)"),
    ("cores-per-task", "cores per task must be an integer >= 1"),
    ("gpus-per-task", "gpus per task must be an integer >= 0"),
    ("cores", "ncores must be an integer >= 1"),
    ("nslots", "task count must be a integer >= 1"),
    ("cores-per-slot", "cores per task must be an integer >= 1"),
    ("gpus-per-node", "gpus_per_node must be an integer >= 0"),
    ("gpus-per-slot", "gpus per task must be an integer >= 0"),
];

impl Request {
    pub(crate) fn set(&mut self, name: &'static str, values: Vec<String>) {
        if values.is_empty() {
            self.texts.remove(name)
        } else {
            self.texts.insert(name, values)
        };
    }

    /// Adds a value to those of an option.
    pub(crate) fn push(&mut self, name: &'static str, value: &str) {
        self.texts.entry(name).or_default().push(value.to_owned());
    }

    /// As if an option had not been typed.
    pub(crate) fn forget(&mut self, name: &str) {
        self.texts.remove(name);
    }

    /// As [`Request::push`], before what was typed.
    pub(crate) fn push_first(&mut self, name: &'static str, value: &str) {
        self.texts.entry(name).or_default().insert(0, value.to_owned());
    }

    /// Applies what was said later: its single values replace ours, its lists come after ours.
    pub(crate) fn merge(&mut self, later: Request) {
        for (name, values) in later.texts {
            match LISTS.contains(&name) {
                true => self.texts.entry(name).or_default().extend(values),
                false => drop(self.texts.insert(name, values)),
            }
        }
        self.switches.extend(later.switches);
        self.command = later.command;
    }

    /// The last value of an option.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.texts.get(name)?.last().map(String::as_str)
    }

    /// All values of an option.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.texts.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has(&self, switch: &str) -> bool {
        self.switches.contains(switch)
    }

    /// Every text, for substitution: options first, then the command.
    pub(crate) fn texts_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Vec<String>)> {
        self.texts.iter_mut().map(|(name, values)| (*name, values))
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        self.texts.iter().map(|(name, values)| (*name, values))
    }

    fn count(&self, name: &str) -> Result<Option<u32>> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let number: i64 = text.trim().parse().map_err(|_| format!("--{name}: invalid int value '{text}'"))?;
        u32::try_from(number).map(Some).map_err(|_| match NEGATIVE.iter().find(|(of, _)| *of == name) {
            Some((_, text)) => (*text).to_owned(),
            None => format!("--{name} must be >= 1"),
        })
    }

    /// The jobspec of `flux submit`, `flux run` or one line of `flux bulksubmit`.
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn jobspec(&self, caller: &Caller) -> Result<Jobspec> {
        if self.command.is_empty() {
            return Err("job command and arguments are missing".to_owned());
        }
        let shape = SubmitShape {
            ntasks: self.count("ntasks")?,
            nodes: self.count("nodes")?,
            cores_per_task: self.count("cores-per-task")?,
            gpus_per_task: self.count("gpus-per-task")?,
            exclusive: self.has("exclusive"),
            cores: self.count("cores")?,
            tasks_per_node: self.count("tasks-per-node")?,
            tasks_per_core: self.count("tasks-per-core")?,
            gpus_per_node: self.count("gpus-per-node")?,
        };
        let text = |error: flux_types::JobspecError| error.to_string();
        let mut spec = Jobspec::from_command(self.command.clone(), &shape).map_err(text)?;
        spec.apply(&self.options(caller)?).map_err(text)?;
        self.reshape(spec)
    }

    /// With the resources that `--resources-shape` or `--resources-json` says.
    fn reshape(&self, spec: Jobspec) -> Result<Jobspec> {
        let resources = match (self.get("resources-shape"), self.get("resources-json")) {
            (None, None) => return Ok(spec),
            (Some(text), None) => shape::parse(text)?,
            (None, Some(path)) => shape::read(path)?,
            (Some(_), Some(_)) => {
                let text = "`--resources-shape` and `--resources-json` are mutually exclusive arguments. Use only one.";
                return Err(text.to_owned());
            }
        };
        let mut value = spec.to_value();
        value["resources"] = resources;
        Jobspec::from_value(value).map_err(|error| error.to_string())
    }

    /// The jobspec of `flux alloc` or `flux batch`, whose broker runs `command`.
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn nest_jobspec(
        &self,
        caller: &Caller,
        command: &[String],
        conf: Option<Value>,
        script: Option<String>,
    ) -> Result<Jobspec> {
        let shape = NestShape {
            nslots: self.count("nslots")?,
            cores_per_slot: self.count("cores-per-slot")?,
            gpus_per_slot: self.count("gpus-per-slot")?,
            nodes: self.count("nodes")?,
            exclusive: self.has("exclusive"),
        };
        let text = |error: flux_types::JobspecError| error.to_string();
        let mut broker_opts: Vec<String> = Vec::new();
        for opts in self.all("broker-opts") {
            broker_opts.extend(opts.split(',').map(str::to_owned));
        }
        broker_opts.extend(self.get("dump").map(|file| format!("-Scontent.dump={file}")));
        let mut spec = Jobspec::from_nest(&broker_opts, command, &shape, conf.is_some()).map_err(text)?;
        let mut options = self.options(caller)?;
        options.nest_files.extend(conf.map(|conf| ("conf.json".to_owned(), files::json_object(&conf))));
        options.nest_files.extend(script.map(|text| ("script".to_owned(), files::text_object(&text, 0o700))));
        spec.apply_nest(&options).map_err(text)?;
        self.reshape(spec)
    }

    fn options(&self, caller: &Caller) -> Result<SubmitOptions> {
        let environment = env::filtered(self.all("env"), &caller.environ)?;
        let owned = |name: &str| self.get(name).map(str::to_owned);
        let taskmap = self.get("taskmap").map(|uri| uri_entry(uri, "taskmap")).transpose()?;
        let dependencies = self.all("dependency").iter().map(|uri| dependency(uri, caller.now));
        let added = self.all("add-file").iter().map(|arg| files::add_file(arg));
        Ok(SubmitOptions {
            duration: self.get("time-limit").map(time_limit).transpose()?,
            environment: environment.vars,
            cwd: Some(owned("cwd").unwrap_or_else(|| caller.cwd.clone())),
            name: owned("job-name"),
            input: owned("input").filter(|text| Idset::parse(text).is_err()),
            output: owned("output"),
            error: owned("error"),
            label_io: self.has("label-io"),
            unbuffered: self.has("unbuffered"),
            queue: owned("queue"),
            bank: owned("bank"),
            env_expand: environment.expand,
            rlimits: rlimit::filtered(self.all("rlimit"), &caller.limits)?,
            signal: self.get("signal").map(signal).transpose()?,
            taskmap,
            dependencies: dependencies.collect::<Result<_>>()?,
            constraints: constraints(self.all("requires"))?,
            shell_options: key_values("--setopt", self.all("setopt"))?,
            attributes: attributes(self.all("setattr"))?,
            files: added.collect::<Result<_>>()?,
            nest_files: Vec::new(),
        })
    }

    /// The task ranks that standard input goes to, when `--input` names ranks instead of a file.
    pub(crate) fn input_ranks(&self) -> Option<Idset> {
        self.get("input").and_then(|text| Idset::parse(text).ok())
    }

    /// The submission flags (RFC 21's numbers).
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn flags(&self) -> Result<u32> {
        let mut mask = 0;
        for name in self.all("flags").iter().flat_map(|list| list.split(',')) {
            mask |= match name {
                "debug" | "waitable" | "novalidate" => flux_types::jobstate::flags::from_name(name).unwrap_or(0),
                _ => return Err(format!("--flags: Unknown flag {name}")),
            };
        }
        Ok(mask)
    }

    /// The urgency as it is sent; the service judges its range.
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn urgency(&self) -> Result<i64> {
        match self.get("urgency") {
            None | Some("default") => Ok(16),
            Some("hold") => Ok(0),
            Some("expedite") => Ok(31),
            Some(text) => text.trim().parse().map_err(|_| format!("invalid literal for int() with base 10: '{text}'")),
        }
    }
}

/// A bare number is minutes; anything else a Flux Standard Duration. Answers seconds.
fn time_limit(text: &str) -> Result<f64> {
    match text.trim().parse::<f64>() {
        Ok(minutes) => Ok(minutes * 60.0),
        Err(_) => parse_fsd(text).ok_or_else(|| "invalid Flux standard duration".to_owned()),
    }
}

fn uri_entry(uri: &str, what: &str) -> Result<Value> {
    let shown = if uri.contains(':') { uri.to_owned() } else { format!("{uri}:") };
    let parsed = Dependency::parse_uri(uri).map_err(|_| format!("Invalid {what} URI \"{shown}\""))?;
    Ok(parsed.to_value())
}

/// `begin-time=TIME` (from `--begin-time`) is read here, against the caller's clock.
fn dependency(uri: &str, now: f64) -> Result<Value> {
    match uri.strip_prefix("begin-time=") {
        Some(when) => {
            let at = crate::submit::times::parse(when, now).ok_or_else(|| format!("Invalid datetime: \"{when}\""))?;
            Ok(json!({"scheme": "begin-time", "value": format!("{at:?}")}))
        }
        None => {
            let entry = uri_entry(uri, "dependency")?;
            if entry["scheme"] == "after" {
                say!("dependency scheme 'after' is deprecated, use 'afterstart'");
            }
            Ok(entry)
        }
    }
}

fn constraints(queries: &[String]) -> Result<Option<Value>> {
    if queries.is_empty() {
        return Ok(None);
    }
    let text = queries.join(" ");
    query::parse(&text, &query::REQUIRES).map(Some).map_err(|error| format!("--requires='{text}': {error}"))
}

fn signal(text: &str) -> Result<Value> {
    let (name, time) = text.split_once('@').unwrap_or((text, ""));
    let known = |name: &str| flux_sys::signal::by_name(name).filter(|_| name == name.to_uppercase());
    let signum = match name {
        "" => 10,
        name => match name.parse::<i64>() {
            Ok(number) if number <= 0 => return Err(format!("--signal={text}: signal must be > 0")),
            Ok(number) => number,
            Err(_) => i64::from(known(name).ok_or_else(|| format!("--signal={text}: signal '{name}' is invalid"))?),
        },
    };
    let timeleft = match time {
        "" => json!(60),
        time => parse_fsd(time)
            .map(Value::from)
            .ok_or_else(|| format!("--signal={text}: invalid Flux standard duration"))?,
    };
    Ok(json!({"signum": signum, "timeleft": timeleft}))
}

fn attributes(texts: &[String]) -> Result<Vec<(String, Value)>> {
    let mut pairs = key_values("--setattr", texts)?;
    for (name, _) in &mut pairs {
        if name.starts_with('.') {
            name.insert_str(0, "attributes");
        }
    }
    Ok(pairs)
}

/// `KEY`, `KEY=VAL` (JSON, or else text), `^KEY=FILE` (a file of JSON).
pub(crate) fn key_values(option: &str, texts: &[String]) -> Result<Vec<(String, Value)>> {
    texts
        .iter()
        .map(|text| {
            let Some((key, value)) = text.split_once('=') else { return Ok((text.clone(), json!(1))) };
            if let Some(key) = key.strip_prefix('^') {
                let content = files::read_text(value, JOB_FILE_BYTES_MAX)?;
                let json = serde_json::from_str(&content).map_err(|error| format!("{option}: {value}: {error}"))?;
                return Ok((key.trim_start_matches('^').to_owned(), json));
            }
            Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
        })
        .collect()
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
