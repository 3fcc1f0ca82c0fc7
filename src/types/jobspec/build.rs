//! Building a version 1 jobspec from command-line options, key for key as flux-core's tools do.

use serde_json::{Map, Value, json};

use super::{Count, Jobspec, JobspecError, Task, TaskCount, Vertex};

/// The resource options of `flux submit`, `flux run` and `flux bulksubmit`. Absent is not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmitShape {
    /// `-n`
    pub ntasks: Option<u32>,
    /// `-N`
    pub nodes: Option<u32>,
    /// `-c`
    pub cores_per_task: Option<u32>,
    /// `-g`
    pub gpus_per_task: Option<u32>,
    /// `-x`
    pub exclusive: bool,
    /// `--cores`
    pub cores: Option<u32>,
    /// `--tasks-per-node`
    pub tasks_per_node: Option<u32>,
    /// `--tasks-per-core`
    pub tasks_per_core: Option<u32>,
    /// `--gpus-per-node`
    pub gpus_per_node: Option<u32>,
}

/// The resource options of `flux alloc` and `flux batch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NestShape {
    /// `-n`; when absent, `-N` gives one slot per node, all of it.
    pub nslots: Option<u32>,
    pub cores_per_slot: Option<u32>,
    pub gpus_per_slot: Option<u32>,
    pub nodes: Option<u32>,
    pub exclusive: bool,
}

/// Everything else that a submission says. [`Jobspec::apply`] writes it in flux-core's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubmitOptions {
    /// Seconds.
    pub duration: Option<f64>,
    pub environment: Map<String, Value>,
    pub cwd: Option<String>,
    pub name: Option<String>,
    /// A file for standard input.
    pub input: Option<String>,
    pub output: Option<String>,
    pub error: Option<String>,
    pub label_io: bool,
    pub unbuffered: bool,
    pub queue: Option<String>,
    pub bank: Option<String>,
    /// Variables with templates for the shell to expand.
    pub env_expand: Map<String, Value>,
    pub rlimits: Map<String, Value>,
    /// `{"signum": .., "timeleft": ..}`
    pub signal: Option<Value>,
    /// `{"scheme": .., "value": ..}`
    pub taskmap: Option<Value>,
    pub dependencies: Vec<Value>,
    pub constraints: Option<Value>,
    /// `-o`: dotted names under `shell.options`.
    pub shell_options: Vec<(String, Value)>,
    /// `--setattr`: see [`Jobspec::set_attr`].
    pub attributes: Vec<(String, Value)>,
    /// RFC 37 files by name, from `--add-file`.
    pub files: Vec<(String, Value)>,
    /// The files of a nested instance: `conf.json`, then `script`.
    pub nest_files: Vec<(String, Value)>,
}

impl Jobspec {
    /// The request of `flux submit`: per-task options, or per-resource options, never both.
    ///
    /// # Errors
    /// `Options` with the sentence for the user.
    pub fn from_command(command: Vec<String>, shape: &SubmitShape) -> Result<Jobspec, JobspecError> {
        if command.is_empty() {
            return Err(JobspecError::options("job command and arguments are missing"));
        }
        let per_resource = match (shape.tasks_per_node, shape.tasks_per_core) {
            (Some(_), Some(_)) => {
                return Err(JobspecError::options("Do not specify both the number of tasks per node and per core"));
            }
            (Some(0), None) => return Err(JobspecError::options("--tasks-per-node must be >= 1")),
            (None, Some(0)) => return Err(JobspecError::options("--tasks-per-core must be >= 1")),
            (Some(count), None) => Some(("node", count)),
            (None, Some(count)) => Some(("core", count)),
            (None, None) => None,
        };
        if shape.gpus_per_node.is_some_and(|gpus| gpus > 0) && shape.nodes.is_none() {
            return Err(JobspecError::options("--gpus-per-node requires --nodes"));
        }
        if per_resource.is_some() || shape.gpus_per_node.is_some() || shape.cores.is_some() {
            return from_resources(command, shape, per_resource);
        }
        let (ntasks, exclusive) = match (shape.ntasks.filter(|n| *n > 0), shape.nodes) {
            (Some(ntasks), _) => (ntasks, shape.exclusive),
            (None, Some(nodes)) if nodes > 0 => (nodes, true),
            (None, _) => (1, shape.exclusive),
        };
        let cores = shape.cores_per_task.filter(|n| *n > 0).unwrap_or(1);
        from_tasks(command, ntasks, cores, shape.gpus_per_task.unwrap_or(0), shape.nodes, exclusive)
    }

    /// The request of `flux alloc` and `flux batch`: a broker per node runs `command` as its initial program.
    /// A configuration for it goes to [`SubmitOptions::nest_files`] as `conf.json`, and `with_conf` says so.
    ///
    /// # Errors
    /// `Options` with the sentence for the user.
    pub fn from_nest(
        broker_opts: &[String],
        command: &[String],
        shape: &NestShape,
        with_conf: bool,
    ) -> Result<Jobspec, JobspecError> {
        let mut argv = vec!["flux".to_owned(), "broker".to_owned()];
        argv.extend_from_slice(broker_opts);
        if with_conf {
            argv.push("-c{{tmpdir}}/conf.json".to_owned());
        }
        argv.extend_from_slice(command);
        let (nslots, exclusive) = match (shape.nslots.unwrap_or(0), shape.nodes.unwrap_or(0)) {
            (nslots @ 1.., _) => (nslots, shape.exclusive),
            (0, nodes @ 1..) => (nodes, true),
            (0, 0) => return Err(JobspecError::options("Number of slots to allocate must be specified")),
        };
        let cores = shape.cores_per_slot.unwrap_or(1);
        from_tasks(argv, nslots, cores, shape.gpus_per_slot.unwrap_or(0), shape.nodes, exclusive)
    }

    /// Writes the shell options that every nested instance runs with; between [`SubmitOptions`]' own parts and the
    /// user's `-o`, which may override them.
    fn set_nest_options(&mut self) -> Result<(), JobspecError> {
        self.set_shell_option("per-resource.type", "node".into())?;
        self.set_shell_option("mpi", "none".into())?;
        self.set_shell_option("exit-timeout", "none".into())
    }

    /// Writes `options` into the attributes of a `flux submit` or `flux run` job.
    ///
    /// # Errors
    /// [`JobspecError`] if a dotted name does not fit. Whether the values are valid is for the service to say.
    pub fn apply(&mut self, options: &SubmitOptions) -> Result<(), JobspecError> {
        self.apply_basics(options)?;
        self.apply_rest(options)
    }

    /// Writes `options` into the attributes of a `flux alloc` or `flux batch` job.
    ///
    /// # Errors
    /// As [`Jobspec::apply`].
    pub fn apply_nest(&mut self, options: &SubmitOptions) -> Result<(), JobspecError> {
        self.apply_basics(options)?;
        self.set_nest_options()?;
        for (name, file) in &options.nest_files {
            self.add_file(name, file.clone())?;
        }
        self.apply_rest(options)
    }

    fn apply_basics(&mut self, options: &SubmitOptions) -> Result<(), JobspecError> {
        if let Some(seconds) = options.duration {
            if !seconds.is_finite() {
                return Err(JobspecError::options("duration must be a normal, finite value"));
            }
            if seconds < 0.0 {
                return Err(JobspecError::options("duration must not be negative"));
            }
            self.set_attr("system.duration", seconds.into())?;
        }
        self.set_attr("system.environment", Value::Object(options.environment.clone()))?;
        self.set_text("system.cwd", &options.cwd)?;
        self.set_text("system.job.name", &options.name)?;
        if let Some(path) = &options.input {
            self.set_shell_option("input.stdin.type", "file".into())?;
            self.set_shell_option("input.stdin.path", path.as_str().into())?;
        }
        for (stream, path) in [("stdout", &options.output), ("stderr", &options.error)] {
            let Some(path) = path.as_deref().filter(|path| !matches!(*path, "none" | "kvs")) else { continue };
            self.set_shell_option(&format!("output.{stream}.type"), "file".into())?;
            self.set_shell_option(&format!("output.{stream}.path"), path.into())?;
            if options.label_io {
                self.set_shell_option(&format!("output.{stream}.label"), true.into())?;
            }
        }
        if options.unbuffered {
            self.set_shell_option("output.stdout.buffer.type", "none".into())?;
            self.set_shell_option("output.stderr.buffer.type", "none".into())?;
            self.set_shell_option("output.batch-timeout", 0.05.into())?;
            self.set_shell_option("input.batch-timeout", 0.0.into())?;
        }
        self.set_text("system.queue", &options.queue)?;
        self.set_text("system.bank", &options.bank)
    }

    fn apply_rest(&mut self, options: &SubmitOptions) -> Result<(), JobspecError> {
        for (name, map) in [("env-expand", &options.env_expand), ("rlimit", &options.rlimits)] {
            if !map.is_empty() {
                self.set_shell_option(name, Value::Object(map.clone()))?;
            }
        }
        for (name, value) in [("signal", &options.signal), ("taskmap", &options.taskmap)] {
            if let Some(value) = value {
                self.set_shell_option(name, value.clone())?;
            }
        }
        if !options.dependencies.is_empty() {
            self.set_attr("system.dependencies", Value::Array(options.dependencies.clone()))?;
        }
        if let Some(constraints) = &options.constraints {
            self.set_attr("system.constraints", constraints.clone())?;
        }
        for (name, value) in &options.shell_options {
            self.set_shell_option(name, value.clone())?;
        }
        for (name, value) in &options.attributes {
            self.set_attr(name, value.clone())?;
        }
        for (name, file) in &options.files {
            self.add_file(name, file.clone())?;
        }
        Ok(())
    }

    /// Adds an RFC 37 file object. The name is one key, dots and all.
    ///
    /// # Errors
    /// `Type` if `attributes.system.files` is no object.
    pub fn add_file(&mut self, name: &str, file: Value) -> Result<(), JobspecError> {
        const AT: &str = "attributes.system.files";
        let mut files = self.files().cloned().unwrap_or_else(|| json!({}));
        let map = files.as_object_mut().ok_or_else(|| JobspecError::type_(AT, "a mapping"))?;
        map.insert(name.to_owned(), file);
        self.set_attr(AT, files)
    }

    fn set_text(&mut self, name: &str, text: &Option<String>) -> Result<(), JobspecError> {
        text.as_deref().map_or(Ok(()), |text| self.set_attr(name, text.into()))
    }
}

fn slot(count: u32, cores: u32, gpus: u32) -> Vertex {
    let mut with = vec![Vertex::new("core", cores)];
    if gpus > 0 {
        with.push(Vertex::new("gpu", gpus));
    }
    Vertex { with, label: Some("task".to_owned()), ..Vertex::new("slot", count) }
}

fn below_node(nodes: u32, slot: Vertex, exclusive: bool) -> Vertex {
    Vertex { with: vec![slot], exclusive: exclusive.then_some(true), ..Vertex::new("node", nodes) }
}

fn finish(command: Vec<String>, top: Vertex, count: TaskCount) -> Jobspec {
    assert!(top.count != Count::Fixed(0), "callers refuse empty requests");
    let task = Task { command, slot: "task".to_owned(), count, extra: Map::new() };
    let mut attributes = Map::new();
    attributes.insert("system".to_owned(), json!({ "duration": 0 }));
    Jobspec { resources: vec![top], tasks: vec![task], attributes, version: 1 }
}

fn from_tasks(
    command: Vec<String>,
    ntasks: u32,
    cores: u32,
    gpus: u32,
    nodes: Option<u32>,
    exclusive: bool,
) -> Result<Jobspec, JobspecError> {
    let error = |reason| Err(JobspecError::options(reason));
    if ntasks < 1 {
        return error("task count must be a integer >= 1");
    }
    if cores < 1 {
        return error("cores per task must be an integer >= 1");
    }
    let Some(nodes) = nodes else {
        if exclusive {
            return error("exclusive can only be set with a node count");
        }
        return Ok(finish(command, slot(ntasks, cores, gpus), TaskCount::PerSlot(1)));
    };
    if nodes < 1 {
        return error("node count must be an integer >= 1 (if set)");
    }
    if nodes > ntasks {
        return error("node count must not be greater than task count");
    }
    // An uneven spread leaves slots without a task: then the total says how many run.
    let count = if ntasks.is_multiple_of(nodes) { TaskCount::PerSlot(1) } else { TaskCount::Total(ntasks) };
    let slots = slot(ntasks.div_ceil(nodes), cores, gpus);
    Ok(finish(command, below_node(nodes, slots, exclusive), count))
}

fn from_resources(
    command: Vec<String>,
    shape: &SubmitShape,
    per_resource: Option<(&str, u32)>,
) -> Result<Jobspec, JobspecError> {
    let error = |reason| Err(JobspecError::options(reason));
    if shape.ntasks.is_some() || shape.cores_per_task.is_some() || shape.gpus_per_task.is_some_and(|gpus| gpus > 0) {
        return error("Per-resource options can't be used with per-task options. (See --help for details)");
    }
    if shape.cores == Some(0) {
        return error("ncores must be an integer >= 1");
    }
    if shape.nodes == Some(0) {
        return error("nnodes must be an integer >= 1");
    }
    if shape.gpus_per_node.is_some() && shape.nodes.is_none() {
        return error("gpus_per_node must be specified with nnodes");
    }
    let exclusive = shape.exclusive || (shape.nodes.is_some() && shape.cores.is_none());
    if exclusive && shape.nodes.is_none() {
        return error("exclusive can only be set with a node count");
    }
    let gpus = shape.gpus_per_node.unwrap_or(0);
    let top = match (shape.nodes, shape.cores) {
        (Some(nodes), Some(cores)) if cores < nodes => return error("number of cores cannot be less than nnodes"),
        (Some(nodes), Some(cores)) if cores % nodes != 0 => {
            return error("number of cores must be evenly divisible by node count");
        }
        (Some(nodes), Some(cores)) => below_node(nodes, slot(1, cores / nodes, gpus), exclusive),
        (None, Some(cores)) => slot(cores, 1, 0),
        (Some(nodes), None) => below_node(nodes, slot(1, 1, gpus), exclusive),
        (None, None) => return error("must specify node or core count with per_resource"),
    };
    let mut spec = finish(command, top, TaskCount::PerSlot(1));
    if let Some((kind, count)) = per_resource {
        spec.set_shell_option("per-resource", json!({ "type": kind, "count": count }))?;
    }
    Ok(spec)
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
