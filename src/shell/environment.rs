//! The environment of tasks (flux-environment(7), "JOB ENVIRONMENT").

use std::collections::BTreeMap;

use flux_types::{JobIdForm, Jobspec};
use serde_json::Value;

use crate::bundle::Bundle;
use crate::template::{Tags, render};

/// Variables of the broker or of an enclosing job that would mislead a task.
const NOT_INHERITED: &[&str] = &["FLUX_PROXY_REMOTE", "PMI_FD", "PMI_RANK", "PMI_SIZE", "PMI_SPAWNED", "NOTIFY_SOCKET"];

/// What all tasks of the job have in common on this node.
pub fn common(bundle: &Bundle, spec: &Jobspec, tags: &Tags<'_>) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = match spec.environment() {
        Some(asked) => asked.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.into()))).collect(),
        None => bundle.env.clone(),
    };
    for name in NOT_INHERITED {
        env.remove(*name);
    }
    let f58 = bundle.id.encode(JobIdForm::F58);
    let above = bundle.options.jobid_path.trim_end_matches('/');
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    set("FLUX_JOB_ID_PATH", format!("{above}/{f58}"));
    set("FLUX_JOB_ID", f58);
    set("FLUX_JOB_NNODES", bundle.shell_count.to_string());
    set("FLUX_JOB_SIZE", tags.ntasks.to_string());
    set("FLUX_JOB_TMPDIR", tags.tmpdir.to_owned());
    set("FLUX_KVS_NAMESPACE", format!("job-{}", bundle.id.0));
    set("FLUX_URI", bundle.uri.clone());
    // Open MPI names the files of its shared memory by host and local rank, which another job or broker of the host has, too.
    if spec.shell_option("mpi").and_then(Value::as_str) != Some("none") {
        set("OMPI_MCA_btl_vader_backing_directory", tags.tmpdir.to_owned());
    }
    // `flux submit --env=VAR={{tag}}` leaves the expansion to us.
    if let Some(templates) = spec.shell_option("env-expand").and_then(Value::as_object) {
        for (name, template) in templates.iter().filter_map(|(name, value)| Some((name, value.as_str()?))) {
            env.insert(name.clone(), render(template, tags));
        }
    }
    env
}

/// What is the task's own.
pub fn of_task(rank: u32, local: u32) -> [(&'static str, String); 2] {
    [("FLUX_TASK_RANK", rank.to_string()), ("FLUX_TASK_LOCAL_ID", local.to_string())]
}

/// What tells a task where its PMI server is (RFC 13).
pub fn pmi(fd: i32, rank: u32, size: usize) -> [(&'static str, String); 3] {
    [("PMI_FD", fd.to_string()), ("PMI_RANK", rank.to_string()), ("PMI_SIZE", size.to_string())]
}
