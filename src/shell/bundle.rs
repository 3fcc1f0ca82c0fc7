//! What a shell is given at its start (ADR 1), so that it asks nothing before it starts tasks.

use std::collections::BTreeMap;

use flux_types::{At, Idset, JobId, JobIdForm, Jobspec};
use serde::Deserialize;
use serde_json::Value;

use crate::ShellError;

/// The bundle on standard input.
#[derive(Clone, Debug, Deserialize)]
pub struct Bundle {
    pub id: JobId,
    pub userid: u32,
    /// The broker's rank.
    pub rank: u32,
    pub shell_rank: u32,
    pub shell_count: u32,
    /// The name under which this shell takes requests.
    pub service: String,
    pub uri: String,
    pub rundir: String,
    /// The job's directory for temporary files, where it was made already: a guest's shell makes it for itself.
    #[serde(skip)]
    pub tmpdir: Option<String>,
    /// The file that tells of this shell, held locked; its broker has made it. `None`: the instance cannot come back, and nothing
    /// is recorded.
    pub record: Option<String>,
    pub jobspec: Value,
    #[serde(rename = "R")]
    pub resources: Value,
    /// The broker's environment, for jobs whose jobspec has none.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub options: Options,
}

/// What the instance says about the shell, as against what the job says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Options {
    /// `/` or the enclosing jobs, for `FLUX_JOB_ID_PATH`.
    pub jobid_path: String,
    /// How deep this instance is nested, for PMI clients that are brokers.
    pub instance_level: u32,
    /// The user is not the instance owner: smaller default limits.
    pub guest: bool,
    /// Directories for storage by label, `*` for any (`[storage]`).
    pub storage: BTreeMap<String, String>,
    /// How long a shell waits for a lost broker once its tasks are done, in milliseconds.
    pub broker_absent_ms: Option<u64>,
}

impl Bundle {
    /// The job's directory for temporary files on this node.
    pub fn tmpdir(&self) -> String {
        let usual = || format!("{}/jobtmp-{}-{}", self.rundir, self.shell_rank, self.id.encode(JobIdForm::F58));
        self.tmpdir.clone().unwrap_or_else(usual)
    }

    /// # Errors
    /// [`ShellError::Bundle`]
    pub fn parse(text: &[u8]) -> Result<Bundle, ShellError> {
        let bundle: Bundle = serde_json::from_slice(text).map_err(|error| ShellError::Bundle(error.to_string()))?;
        if bundle.shell_rank >= bundle.shell_count {
            let why = format!("shell {} of {}", bundle.shell_rank, bundle.shell_count);
            return Err(ShellError::Bundle(why));
        }
        Ok(bundle)
    }

    /// # Errors
    /// [`ShellError::Jobspec`]
    pub fn jobspec(&self) -> Result<Jobspec, ShellError> {
        Jobspec::from_value(self.jobspec.clone()).map_err(|error| ShellError::Jobspec(error.to_string()))
    }
}

/// One node of the job's resource set.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The broker's rank.
    pub rank: u32,
    pub host: String,
    pub cores: Idset,
    pub gpus: Idset,
}

/// The nodes of R (RFC 20) in the order of their ranks: the index is the shell rank. Also the expiration, if there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    pub nodes: Vec<Node>,
    /// Seconds since the epoch.
    pub expiration: Option<f64>,
}

impl Allocation {
    /// # Errors
    /// [`ShellError::Resources`]
    pub fn parse(r: &Value) -> Result<Allocation, ShellError> {
        let bad = |why: &str| ShellError::Resources(why.to_owned());
        let execution = r.get("execution").ok_or_else(|| bad("it has no execution part"))?;
        let lite = execution.get("R_lite").and_then(Value::as_array).ok_or_else(|| bad("it has no R_lite"))?;
        let mut nodes = Vec::new();
        for entry in lite {
            let ranks = entry.get("rank").and_then(Value::as_str).unwrap_or("");
            let ranks: Idset = ranks.parse().map_err(|_| bad("a rank is no idset"))?;
            let child = |kind: &str| -> Result<Idset, ShellError> {
                let Some(ids) = entry.at(&format!("/children/{kind}")) else { return Ok(Idset::new()) };
                let text = ids.as_str().ok_or_else(|| bad("children are no idset"))?;
                text.parse().map_err(|_| bad("children are no idset"))
            };
            let (cores, gpus) = (child("core")?, child("gpu")?);
            for rank in ranks.iter() {
                if nodes.len() >= crate::limits::TASKS_MAX as usize {
                    return Err(ShellError::TooMany { what: "nodes", max: crate::limits::TASKS_MAX.into() });
                }
                nodes.push(Node { rank, host: String::new(), cores: cores.clone(), gpus: gpus.clone() });
            }
        }
        nodes.sort_by_key(|node| node.rank);
        if nodes.is_empty() {
            return Err(bad("it names no node"));
        }
        name_hosts(&mut nodes, execution);
        let expiration = execution.get("expiration").and_then(Value::as_f64).filter(|at| *at > 0.0);
        Ok(Allocation { nodes, expiration })
    }
}

/// `nodelist` holds one host per rank, in the order of the ranks.
fn name_hosts(nodes: &mut [Node], execution: &Value) {
    let lists = execution.get("nodelist").and_then(Value::as_array).into_iter().flatten();
    let mut names = Vec::new();
    for list in lists.filter_map(Value::as_str) {
        if let Ok(list) = list.parse::<flux_types::Hostlist>() {
            names.extend(list.iter());
        }
    }
    for (node, name) in nodes.iter_mut().zip(names) {
        node.host = name.to_string();
    }
}
