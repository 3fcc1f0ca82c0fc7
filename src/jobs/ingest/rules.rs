//! The `[ingest]` table: which steps a request goes through, and those that are built in.

use flux_service::Fault;
use flux_types::constraint::Constraint;
use flux_types::jobspec::Summary;
use flux_types::{At, Hostlist, Jobspec};
use flux_wire::Errno;
use serde_json::{Map, Value};

use crate::limits::INGEST_STEPS_MAX;

/// One step of the pipeline.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// `policy.jobspec.defaults`.
    Defaults,
    /// What queues require.
    Constraints,
    /// `policy.access`.
    Access,
    /// RFC 14, and RFC 25 if this version is required.
    Jobspec {
        version: Option<u32>,
    },
    RequireInstance(MinSize),
    /// The scheduler's word on whether the job could ever run.
    Feasibility,
    /// A program of the site, that changes requests or refuses them.
    Program {
        argv: Vec<String>,
        changes: bool,
    },
}

impl Step {
    fn is_check(&self) -> bool {
        !matches!(self, Step::Defaults | Step::Constraints | Step::Program { changes: true, .. })
    }
}

/// Jobs below both sizes may be plain ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MinSize {
    nodes: u64,
    cores: u64,
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

/// A table of `[ingest]`.
struct Table<'a> {
    name: &'static str,
    table: Option<&'a Map<String, Value>>,
}

impl<'a> Table<'a> {
    fn of(config: &'a Value, name: &'static str) -> Result<Table<'a>, Fault> {
        let table = config.at(&format!("/ingest/{name}"));
        let bad = || invalid(format!("ingest.{name} must be a table"));
        let table = table.map(|table| table.as_object().ok_or_else(bad)).transpose()?;
        Ok(Table { name, table })
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.table?.get(key)
    }

    fn disabled(&self) -> Result<bool, Fault> {
        let bad = || invalid(format!("ingest.{}.disable must be a boolean", self.name));
        self.get("disable").map_or(Ok(false), |value| value.as_bool().ok_or_else(bad))
    }

    fn words(&self, key: &str, default: &[&str]) -> Result<Vec<String>, Fault> {
        let Some(value) = self.get(key) else { return Ok(default.iter().map(|word| (*word).to_owned()).collect()) };
        let bad = || invalid(format!("ingest.{}.{key} must be an array of strings", self.name));
        let words = value.as_array().ok_or_else(bad)?.iter().map(|word| word.as_str().map(str::to_owned));
        words.collect::<Option<Vec<String>>>().ok_or_else(bad)
    }

    fn number(&self, plugin: &str, key: &str) -> Result<u64, Fault> {
        let bad = || invalid(format!("ingest.{}.{plugin}.{key} must be >= 0", self.name));
        let value = self.get(plugin).and_then(|table| table.get(key));
        value.map_or(Ok(0), |value| value.as_u64().ok_or_else(bad))
    }
}

/// `--name=value` or `--name value` among the arguments.
fn argument<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let at =
        args.iter().position(|arg| arg == name || arg.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))?;
    args[at].split_once('=').map(|(_, value)| value).or_else(|| args.get(at + 1).map(String::as_str))
}

/// All steps, in order: first those that change a request, then those that check it.
///
/// # Errors
/// EINVAL and the key that makes no sense: the configuration is refused.
pub(super) fn steps(config: &Value) -> Result<Vec<Step>, Fault> {
    check_sizes(config)?;
    let mut steps = Vec::new();
    let frobnicator = Table::of(config, "frobnicator")?;
    if !frobnicator.disabled()? {
        let args = frobnicator.words("args", &[])?;
        for name in frobnicator.words("plugins", &["defaults", "constraints"])? {
            steps.push(match name.as_str() {
                "defaults" => Step::Defaults,
                "constraints" => Step::Constraints,
                _ => program(&frobnicator, &name, &args, true)?,
            });
        }
    }
    // Not a plugin, as nobody leaves it out; the queue is known from here on.
    steps.push(Step::Access);
    let validator = Table::of(config, "validator")?;
    if !validator.disabled()? {
        let args = validator.words("args", &[])?;
        for name in validator.words("plugins", &["jobspec"])? {
            steps.push(match name.as_str() {
                "jobspec" => Step::Jobspec { version: version(&args)? },
                "require-instance" => Step::RequireInstance(min_size(&validator, &args)?),
                "feasibility" => Step::Feasibility,
                _ => program(&validator, &name, &args, false)?,
            });
        }
    }
    if steps.len() > INGEST_STEPS_MAX {
        return Err(invalid(format!("ingest: more than {INGEST_STEPS_MAX} plugins")));
    }
    Ok(steps)
}

/// `batch-count` and `buffer-size` are read as flux-core reads them; batches and buffers here follow from what comes in.
fn check_sizes(config: &Value) -> Result<(), Fault> {
    let Some(table) = config.get("ingest") else { return Ok(()) };
    if !table.is_object() {
        return Err(invalid("ingest must be a table"));
    }
    if table.get("batch-count").is_some_and(|count| count.as_u64().is_none()) {
        return Err(invalid("ingest.batch-count must be an integer >= 0"));
    }
    match table.get("buffer-size") {
        None => Ok(()),
        Some(Value::String(text)) => {
            let number = text.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G']).unwrap_or(text);
            let is_size = number.parse::<f64>().is_ok_and(|size| size.is_finite() && size >= 0.0);
            if is_size { Ok(()) } else { Err(invalid(format!("ingest.buffer-size: Invalid buffer-size: '{text}'"))) }
        }
        Some(_) => Err(invalid("ingest.buffer-size must be a string such as \"10M\"")),
    }
}

fn program(table: &Table<'_>, name: &str, args: &[String], changes: bool) -> Result<Step, Fault> {
    if !name.contains('/') {
        let text = format!("ingest.{}.plugins: '{name}' is not known; a program is named by its path", table.name);
        return Err(invalid(text));
    }
    let argv = std::iter::once(name.to_owned()).chain(args.iter().cloned()).collect();
    Ok(Step::Program { argv, changes })
}

fn version(args: &[String]) -> Result<Option<u32>, Fault> {
    match argument(args, "--require-version") {
        None | Some("1") => Ok(Some(1)),
        Some("any") => Ok(None),
        Some(other) => Err(invalid(format!("ingest.validator.args: --require-version={other}: it is 1 or any"))),
    }
}

fn min_size(table: &Table<'_>, args: &[String]) -> Result<MinSize, Fault> {
    let number = |option: &str, key: &str| match argument(args, option) {
        Some(text) => text.parse().map_err(|_| invalid(format!("ingest.validator.args: {option}={text}: no count"))),
        None => table.number("require-instance", key),
    };
    let nodes: u64 = number("--require-instance-minnodes", "minnodes")?;
    let cores: u64 = number("--require-instance-mincores", "mincores")?;
    // Else a job of many cores on no certain nodes would slip through.
    Ok(MinSize { nodes, cores: if nodes > 0 && cores == 0 { 16 * nodes } else { cores } })
}

/// Does this job skip what checks jobs (the owner asked for that)?
pub(super) fn is_skipped(step: &Step, novalidate: bool) -> bool {
    novalidate && step.is_check()
}

/// # Errors
/// EINVAL if the environment is no object.
pub(super) fn check_environment(text: Option<&str>) -> Result<(), Fault> {
    if text.is_none_or(|text| text.starts_with('{')) {
        return Ok(());
    }
    Err(invalid("attributes.system.environment must be a mapping"))
}

/// RFC 14, and what this program runs: version 1 (RFC 25), or any. Hosts that a constraint names are among `hosts`, those of
/// this instance.
///
/// # Errors
/// EPERM, as clients know it of flux-core's validator, and what is wrong.
pub(super) fn check_jobspec(jobspec: &Value, version: Option<u32>, hosts: Option<&str>) -> Result<(), Fault> {
    let refused = |text: String| Fault::new(Errno::EPERM, text);
    let parsed = Jobspec::from_value(jobspec.clone()).and_then(|jobspec| match version {
        Some(_) => jobspec.validate(),
        None => Ok(()),
    });
    parsed.map_err(|error| refused(error.to_string()))?;
    let constraint = jobspec.at("/attributes/system/constraints").and_then(|c| Constraint::from_value(c).ok());
    let (Some(constraint), Some(hosts)) = (constraint, hosts) else { return Ok(()) };
    let Ok(hosts) = Hostlist::parse(hosts) else { return Ok(()) };
    match unknown_host(&constraint, &hosts) {
        None => Ok(()),
        Some(name) => Err(refused(format!("host constraint contains invalid hosts: host '{name}' not found"))),
    }
}

/// The first host that a constraint names and `hosts` lacks.
fn unknown_host(constraint: &Constraint, hosts: &Hostlist) -> Option<String> {
    match constraint {
        Constraint::Hosts(named) => named.iter().find(|name| !hosts.contains(name)),
        Constraint::And(list) | Constraint::Or(list) | Constraint::Not(list) => {
            list.iter().find_map(|one| unknown_host(one, hosts))
        }
        Constraint::Any | Constraint::Properties(_) | Constraint::Ranks(_) => None,
    }
}

/// # Errors
/// EINVAL if the job is no instance of Flux, and large enough that it has to be one.
pub(super) fn check_instance(jobspec: &Value, min: MinSize) -> Result<(), Fault> {
    let parsed = Jobspec::from_value(jobspec.clone()).map_err(|error| invalid(error.to_string()))?;
    let size = parsed.summary().unwrap_or_default();
    let cores = |size: &Summary| u64::from(size.nslots) * u64::from(size.cores_per_slot);
    let large = size.nnodes.is_some_and(|nodes| u64::from(nodes) >= min.nodes) || cores(&size) >= min.cores;
    let batch = jobspec.at("/attributes/system/batch").is_some();
    let command: Vec<&str> = parsed.command().iter().map(String::as_str).take(2).collect();
    let name = command.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
    let instance = name == "flux" && matches!(command.get(1), Some(&"broker" | &"start"));
    if !large || batch || instance {
        return Ok(());
    }
    let scope = match (min.nodes, min.cores) {
        (0, 0) => " for all jobs in this instance".to_owned(),
        (0, cores) => format!(" for jobs >= {cores} cores"),
        (nodes, cores) => format!(" for jobs >= {nodes} nodes or {cores} cores"),
    };
    Err(invalid(format!("Direct job submission disabled{scope}. Please use flux-batch(1) or flux-alloc(1)")))
}
