//! The plan of one shell: everything that can be known before the first task starts.

use std::collections::BTreeMap;

use flux_types::fileref::FileObject;
use flux_types::{Idset, Jobspec, Taskmap};
use serde_json::Value;

use crate::affinity::{self, Affinity, Manner};
use crate::bundle::{Allocation, Bundle, Node};
use crate::exits::{self, Doom};
use crate::helper::{self, Helper};
use crate::limits::LOCAL_TASKS_MAX;
use crate::output::{OutputPlan, Route, Sink};
use crate::storage::{self, Storage};
use crate::template::{Tags, render};
use crate::{ShellError, check, environment, layout};

/// One task of this shell.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// In the job.
    pub rank: u32,
    /// In this shell.
    pub local: u32,
    pub argv: Vec<String>,
    /// To add to the environment that all share.
    pub env: Vec<(&'static str, String)>,
    /// What scripts set, or with `None` take away.
    pub changes: BTreeMap<String, Option<String>>,
    /// Cores to bind to; `None`: wherever the shell itself may run.
    pub cores: Option<Idset>,
    /// It gets a pseudo-terminal, whose output counts as standard output.
    pub pty: bool,
}

/// Where standard input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Requests to this shell's service.
    Service,
    File(String),
}

/// The option `stage-in`: archives whose files are put where tasks find them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageIn {
    pub names: Vec<String>,
    /// Only files that match.
    pub pattern: Option<String>,
    /// Instead of the job's temporary directory.
    pub destination: Option<String>,
    /// All nodes see the destination: the first shell alone fills it.
    pub global: bool,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    pub map: Taskmap,
    pub node: Node,
    pub tasks: Vec<Task>,
    pub env: BTreeMap<String, String>,
    pub cwd: Option<String>,
    pub tmpdir: String,
    pub output: OutputPlan,
    pub input: Input,
    pub doom: Doom,
    pub warning: Option<(i32, f64)>,
    /// Seconds since the epoch.
    pub expiration: Option<f64>,
    pub rlimits: Vec<(String, i64)>,
    pub pmi: bool,
    pub own_groups: bool,
    pub oom_adjust: Option<i32>,
    /// `pmi-simple.nomap`: tasks are not told where tasks run.
    pub pmi_nomap: bool,
    pub verbose: u64,
    pub cpu_affinity: Affinity,
    pub manner: Manner,
    /// The topology goes to a file for the tasks: `Some(true)` if it is restricted to what the job has.
    pub topology: Option<bool>,
    pub stage_in: Option<StageIn>,
    /// For the job's temporary directory.
    pub files: Vec<FileObject>,
    /// What is brought in before tasks start and out after they have ended.
    pub storages: Vec<Storage>,
    /// What runs beside the tasks, and how many seconds it gets to end after them.
    pub helpers: Vec<Helper>,
    pub helper_kill_timeout: f64,
    /// Seconds between SIGTERM and SIGKILL for commands of `flux exec --jobid`, once the tasks have ended.
    pub rexec_timeout: f64,
}

impl Plan {
    /// `hostfile` reads the file that the task map scheme of that name names.
    ///
    /// # Errors
    /// [`ShellError`]
    pub fn of(bundle: &Bundle, hostfile: &mut dyn FnMut(&str) -> Result<String, String>) -> Result<Plan, ShellError> {
        let spec = bundle.jobspec()?;
        check::check(&spec)?;
        let allocation = Allocation::parse(&bundle.resources)?;
        if allocation.nodes.len() != bundle.shell_count as usize {
            let (nodes, shells) = (allocation.nodes.len(), bundle.shell_count);
            return Err(ShellError::Resources(format!("{nodes} nodes for {shells} shells")));
        }
        let block = layout::block(&spec, &allocation)?;
        let map = layout::remap(&spec, &allocation, block, hostfile)?;
        let node = allocation.nodes[bundle.shell_rank as usize].clone();
        let ranks = map.taskids(bundle.shell_rank);
        if ranks.count() > LOCAL_TASKS_MAX as usize {
            return Err(ShellError::TooMany { what: "tasks on one node", max: LOCAL_TASKS_MAX.into() });
        }
        let tmpdir = bundle.tmpdir();
        let tags = tags(bundle, &spec, &map, &node, &tmpdir);
        let mut env = environment::common(bundle, &spec, &tags);
        let storages = storage::storages(bundle, &tmpdir)?;
        env.extend(storages.iter().map(|storage| (storage.variable(), storage.dir.clone())));
        let cpu_affinity = affinity::parse("cpu-affinity", spec.shell_option("cpu-affinity").and_then(Value::as_str))?;
        let tasks = tasks(&spec, &tags, &ranks, &cpu_affinity)?;
        Ok(Plan {
            name: spec.name().to_owned(),
            tasks,
            env,
            cwd: spec.cwd().map(str::to_owned),
            output: OutputPlan::of(&spec, bundle.options.guest)?,
            input: input(&spec, &tags)?,
            doom: Doom::of(&spec)?,
            warning: exits::warning_signal(&spec)?,
            expiration: allocation.expiration,
            rlimits: rlimits(&spec),
            pmi: wants_pmi(&spec),
            own_groups: !is_set(&spec, "nosetpgrp"),
            pmi_nomap: spec.shell_option("pmi-simple.nomap").is_some_and(|value| value.as_i64() != Some(0)),
            oom_adjust: spec.shell_option("oom.adjust").and_then(Value::as_i64).map(|n| n.clamp(-1000, 1000) as i32),
            verbose: spec.shell_option("verbose").and_then(Value::as_u64).unwrap_or(0),
            cpu_affinity,
            manner: affinity::manner(spec.shell_option("cpu-affinity").and_then(Value::as_str)),
            topology: is_set(&spec, "hwloc.xmlfile").then(|| is_set(&spec, "hwloc.restrict")),
            stage_in: stage_in(&spec, &tags)?,
            files: files(&spec)?,
            storages,
            helpers: helper::helpers(&spec, &tags)?,
            helper_kill_timeout: helper::kill_timeout(&spec),
            rexec_timeout: helper::rexec_timeout(&spec),
            map,
            node,
            tmpdir,
        })
    }

    /// The plan of a shell that cannot run its job: no tasks, everything as usual.
    pub fn empty(bundle: &Bundle) -> Plan {
        let node = Node { rank: bundle.rank, host: String::new(), cores: Idset::new(), gpus: Idset::new() };
        let usual = Route { sink: Sink::Kvs, by_line: true };
        Plan {
            name: String::new(),
            map: Taskmap::new(),
            node,
            tasks: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            tmpdir: bundle.tmpdir(),
            output: OutputPlan { stdout: usual.clone(), stderr: usual, append: false, limit_bytes: 0 },
            input: Input::Service,
            doom: Doom { timeout: None, timeout_text: String::new(), on_error: false },
            warning: None,
            expiration: None,
            rlimits: Vec::new(),
            pmi: false,
            own_groups: true,
            oom_adjust: None,
            pmi_nomap: false,
            verbose: 0,
            cpu_affinity: Affinity::Off,
            manner: Manner::default(),
            topology: None,
            stage_in: None,
            files: Vec::new(),
            storages: Vec::new(),
            helpers: Vec::new(),
            helper_kill_timeout: 0.0,
            rexec_timeout: 0.0,
        }
    }

    /// The tags for path templates, of one task or of the node.
    pub fn tags<'a>(&'a self, bundle: &Bundle, task: Option<(u32, u32)>) -> Tags<'a> {
        Tags {
            id: bundle.id,
            name: &self.name,
            ntasks: self.map.ntasks(),
            nnodes: bundle.shell_count as usize,
            tmpdir: &self.tmpdir,
            shell_rank: bundle.shell_rank,
            node: &self.node,
            task,
        }
    }

    /// The ranks of this shell's tasks.
    pub fn ranks(&self) -> Idset {
        self.tasks.iter().map(|task| task.rank).collect()
    }
}

fn tags<'a>(bundle: &Bundle, spec: &'a Jobspec, map: &Taskmap, node: &'a Node, tmpdir: &'a str) -> Tags<'a> {
    Tags {
        id: bundle.id,
        name: spec.name(),
        ntasks: map.ntasks(),
        nnodes: bundle.shell_count as usize,
        tmpdir,
        shell_rank: bundle.shell_rank,
        node,
        task: None,
    }
}

fn tasks(spec: &Jobspec, tags: &Tags<'_>, ranks: &Idset, cpus: &Affinity) -> Result<Vec<Task>, ShellError> {
    let gpus = affinity::parse("gpu-affinity", spec.shell_option("gpu-affinity").and_then(Value::as_str))?;
    let ptys = pty_ranks(spec, tags.ntasks)?;
    let count = ranks.count() as u32;
    let mut tasks = Vec::with_capacity(count as usize);
    for (local, rank) in ranks.iter().enumerate() {
        let local = local as u32;
        let own = Tags { task: Some((rank, local)), ..*tags };
        let argv: Vec<String> = spec.command().iter().map(|arg| render(arg, &own)).collect();
        if argv.is_empty() {
            return Err(ShellError::Jobspec("it has no command".to_owned()));
        }
        let mut env = environment::of_task(rank, local).to_vec();
        if let Some(gpus) = affinity::of_task(&gpus, &tags.node.gpus, local, count) {
            env.push(("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()));
            env.push(("CUDA_VISIBLE_DEVICES", affinity::visible_devices(&gpus)));
        }
        let cores = affinity::of_task(cpus, &tags.node.cores, local, count).filter(|cores| !cores.is_empty());
        let pty = ptys.as_ref().is_some_and(|ranks| ranks.contains(rank));
        tasks.push(Task { rank, local, argv, env, changes: BTreeMap::new(), cores, pty });
    }
    Ok(tasks)
}

fn input(spec: &Jobspec, tags: &Tags<'_>) -> Result<Input, ShellError> {
    let text = |name: &str| spec.shell_option(name).and_then(Value::as_str);
    let bad = |why: String| ShellError::Option { name: "input", why };
    match text("input.stdin.type") {
        None | Some("service") => Ok(Input::Service),
        Some("file") => {
            let path = text("input.stdin.path").ok_or_else(|| bad("type file needs a path".to_owned()))?;
            Ok(Input::File(render(path, tags)))
        }
        Some(other) => Err(bad(format!("type {other:?} is not one of service, file"))),
    }
}

/// Soft limits by name; -1 is no limit.
fn rlimits(spec: &Jobspec) -> Vec<(String, i64)> {
    let limits = spec.shell_option("rlimit").and_then(Value::as_object);
    limits.into_iter().flatten().filter_map(|(name, value)| Some((name.to_lowercase(), value.as_i64()?))).collect()
}

/// The tasks that get a pseudo-terminal: all, those of `pty.ranks`, or with `pty.interactive` the first.
fn pty_ranks(spec: &Jobspec, ntasks: usize) -> Result<Option<Idset>, ShellError> {
    if !is_set(spec, "pty") {
        return Ok(None);
    }
    let bad = |why: &str| ShellError::Option { name: "pty", why: why.to_owned() };
    let ranks = match spec.shell_option("pty.ranks") {
        Some(Value::String(text)) if text != "all" => text.parse().map_err(|_| bad("ranks is no idset"))?,
        Some(Value::Number(rank)) => {
            let rank = rank.as_u64().and_then(|rank| u32::try_from(rank).ok()).ok_or_else(|| bad("a bad rank"))?;
            Idset::range(rank, rank)
        }
        None if is_set(spec, "pty.interactive") => Idset::range(0, 0),
        _ => Idset::below(ntasks as u32),
    };
    Ok(Some(ranks))
}

fn stage_in(spec: &Jobspec, tags: &Tags<'_>) -> Result<Option<StageIn>, ShellError> {
    if !is_set(spec, "stage-in") {
        return Ok(None);
    }
    let bad = |why: String| ShellError::Option { name: "stage-in", why };
    let text = |key: &str| match spec.shell_option(&format!("stage-in.{key}")) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(bad(format!("{key} must be text"))),
    };
    let names = text("names")?.unwrap_or("main").split(',').map(str::to_owned).collect();
    let destination = text("destination")?;
    let (global, path) = match destination {
        Some(text) if text.starts_with("global:") => (true, text.strip_prefix("global:")),
        Some(text) => (false, Some(text.strip_prefix("local:").unwrap_or(text))),
        None => (false, None),
    };
    let destination = path.map(|path| render(path, tags));
    Ok(Some(StageIn { names, pattern: text("pattern")?.map(str::to_owned), destination, global }))
}

fn files(spec: &Jobspec) -> Result<Vec<FileObject>, ShellError> {
    let Some(files) = spec.files() else { return Ok(Vec::new()) };
    FileObject::archive_from_value(files).map_err(|error| ShellError::Jobspec(format!("files: {error}")))
}

fn wants_pmi(spec: &Jobspec) -> bool {
    let list = spec.shell_option("pmi").and_then(Value::as_str).unwrap_or("simple");
    list.split(',').any(|name| matches!(name.trim(), "simple" | "pmi1" | "pmi2"))
}

fn is_set(spec: &Jobspec, name: &str) -> bool {
    match spec.shell_option(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(value) => value.as_i64() != Some(0),
    }
}
