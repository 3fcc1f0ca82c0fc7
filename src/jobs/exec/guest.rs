//! Jobs of others than the instance's owner: their shells are started by the IMP (RFC 15), which reads the user's signed request.

use std::collections::BTreeSet;

use flux_service::{Completion, Cx, Fault, FileOp, Mono, ProcessOp, SpawnSpec};
use flux_types::{Idset, JobId, JobIdForm, ResourceSet};
use flux_wire::{Errno, Message};
use serde_json::{Value, json};

use super::node::Launch;
use super::recover::Step;
use super::{JobExec, Pending};
use crate::kvs;
use crate::limits::{LEAVINGS_MAX, SHELL_SAID_LEN_MAX};

/// How long a guest's shell waits for a lost broker once its tasks are done, in milliseconds: it may write nothing where a
/// restarted broker would look.
pub(super) const BROKER_ABSENT_MS: u64 = 24 * 3_600_000;

/// What the IMP writes last, when the cgroup of the job is empty; the shell's exit code follows.
const EXIT_RECORD: &str = "flux-imp: exit record: ";

const SIGKILL: i32 = 9;
const SIGUSR1: i32 = 10;

/// The signal that has the IMP do what `signum` would do to the shell: SIGKILL would end the IMP alone (RFC 15).
pub(super) fn surrogate(signum: i32) -> i32 {
    if signum == SIGKILL { SIGUSR1 } else { signum }
}

impl JobExec {
    /// Whether the start must wait for J, which is then asked for.
    pub(super) fn needs_signed(&mut self, cx: &mut Cx<'_>, id: JobId) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        if job.userid == cx.node.owner || job.signed.is_some() {
            return false;
        }
        let tag = kvs::lookup(cx, &kvs::job_key(id, "J"), 0);
        self.pending.insert(tag, Pending::Signed(id));
        true
    }

    pub(super) fn on_signed(&mut self, cx: &mut Cx<'_>, id: JobId, reply: &Message) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match kvs::text(reply) {
            Ok(signed) => {
                job.signed = Some(signed.into());
                self.launch_parts(cx, id);
            }
            Err(fault) => {
                self.raise(cx, id, 0, "exec", &format!("the signed request cannot be read: {fault}"), None);
                let shells = self.jobs.get(&id).map_or(0, |job| job.parts.len());
                (0..shells).for_each(|shell| self.shell_ended(cx, id, shell, 1 << 8));
            }
        }
    }

    /// The IMP, told to start the job's shell. Standard error of both goes to `lock`, which they hold locked: that tells a
    /// restarted broker that they live (ADR 1).
    pub(super) fn guest_shell(
        &self,
        cx: &Cx<'_>,
        launch: &Launch,
        bundle: &str,
        dir: &str,
    ) -> Result<SpawnSpec, Fault> {
        let text = "this node is not configured to run jobs of guests: exec.imp is not set";
        let imp = self.config.imp.as_ref().ok_or_else(|| Fault::new(Errno::EPERM, text))?;
        let signed = launch.signed.as_ref().ok_or_else(|| Fault::new(Errno::EPROTO, "a guest's job without its J"))?;
        let id = launch.id.id();
        let shell = launch.job_shell.clone().or_else(|| self.config.job_shell.clone());
        let shell = shell.unwrap_or_else(|| beside(imp));
        let mut input = json!({"J": signed, "shell-input": bundle});
        if let Some(options) = self.device_options(cx, launch)? {
            input["options"] = options;
        }
        let mut variables = vec![("FLUX_JOB_ID", id.0.to_string()), ("FLUX_BROKER_RANK", cx.node.rank.0.to_string())];
        variables.push(("FLUX_IMP_EXIT_RECORD", "1".to_owned()));
        Ok(SpawnSpec {
            argv: vec![imp.clone(), "exec".to_owned(), shell, id.encode(JobIdForm::F58Plain)],
            env: Some(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            stdin: Some(input.to_string().into_bytes().into()),
            errors: Some(format!("{dir}/lock")),
            detached: true,
            job_cgroup: true,
            // The IMP knows by the name that all in it is the job's (RFC 15).
            own_cgroup: Some(group_name(cx, id)),
            ..SpawnSpec::default()
        })
    }

    /// Which devices the IMP is to leave the job: what the site says, and the GPUs that it was given on this node (RFC 15).
    fn device_options(&self, cx: &Cx<'_>, launch: &Launch) -> Result<Option<Value>, Fault> {
        let Some(devices) = &self.config.devices else { return Ok(None) };
        let job: Value = serde_json::from_str(&format!("{{{}}}", launch.job))
            .map_err(|error| Fault::new(Errno::EPROTO, format!("what all nodes have in their bundles: {error}")))?;
        let set =
            ResourceSet::from_value(&job["R"]).map_err(|error| Fault::new(Errno::EPROTO, format!("R: {error}")))?;
        let own = set.get(cx.node.rank.0).and_then(|node| node.child("gpu")).into_iter().flat_map(Idset::iter);
        let paths: BTreeSet<&String> = own.filter_map(|id| self.gpu_devices.get(id as usize)).flatten().collect();
        let gpus = paths.into_iter().map(|path| json!([path, "rw"]));
        let site = devices.allow.iter().map(|(name, access)| json!([name, access]));
        Ok(Some(json!({"DevicePolicy": devices.policy, "DeviceAllow": site.chain(gpus).collect::<Vec<_>>()})))
    }

    /// A guest's job is over, and its resources are free: what has left its tasks' process groups must not go on with them. The
    /// shell has a while for its own end.
    pub(super) fn time_leavings(&mut self, cx: &mut Cx<'_>, id: JobId) {
        if self.leavings.len() >= LEAVINGS_MAX
            && let Some((_, name)) = self.leavings.pop_front()
        {
            cx.process(ProcessOp::KillGroup { name });
        }
        self.leavings.push_back((cx.now.mono.after(self.config.kill_timeout), group_name(cx, id)));
    }

    /// Kills what is left of the jobs whose time `is_due`.
    pub(super) fn kill_leavings(&mut self, cx: &mut Cx<'_>, is_due: impl Fn(Mono) -> bool) {
        while let Some((_, name)) = self.leavings.pop_front_if(|(at, _)| is_due(*at)) {
            cx.process(ProcessOp::KillGroup { name });
        }
    }

    /// The IMP ended before the shell's last event came: it may have said why. `status` is its own, where this broker was its
    /// parent; else its exit record may tell.
    pub(super) fn ask_what_was_said(&mut self, cx: &mut Cx<'_>, id: JobId, status: Option<i32>) {
        let Some(dir) = self.home_of(id) else { return };
        self.step(cx, FileOp::Read { path: format!("{dir}/lock") }, Step::Said(id, status));
    }

    pub(super) fn on_said(&mut self, cx: &mut Cx<'_>, id: JobId, status: Option<i32>, said: Completion) {
        let mut record = None;
        if let (Some(shell), Completion::File(bytes)) = (self.shells.get_mut(&id), said) {
            let text = String::from_utf8_lossy(&bytes);
            record = text.lines().rev().find_map(|line| line.strip_prefix(EXIT_RECORD)?.trim().parse().ok());
            let lines =
                text.split('\n').map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(EXIT_RECORD));
            let lines = lines.collect::<Vec<_>>().join("; ");
            shell.said = lines.chars().filter(|c| !c.is_control()).take(SHELL_SAID_LEN_MAX).collect();
        }
        self.read_remains(cx, id, status.or(record.map(wait_status)));
    }
}

/// The group of a guest's job on this node.
fn group_name(cx: &Cx<'_>, id: JobId) -> String {
    format!("imp-shell-{}-{}", id.encode(JobIdForm::F58Plain), cx.node.rank.0)
}

/// The status that waitpid(2) would have had for an exit code: 128 and the signal are that signal.
fn wait_status(code: u8) -> i32 {
    if code > 128 { i32::from(code) - 128 } else { i32::from(code) << 8 }
}

/// `flux-shell` in the directory of the IMP.
fn beside(imp: &str) -> String {
    let (directory, _) = imp.rsplit_once('/').unwrap_or_default();
    format!("{directory}/flux-shell")
}
