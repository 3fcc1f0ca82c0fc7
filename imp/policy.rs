//! What may be done, decided without doing anything: pure, and answered as steps that the privileged half performs.

use crate::config::{ExecConfig, ImpConfig, RunConfig};
use crate::limits::GROUPS_MAX;
use std::fmt;

/// A user as the system's user database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    pub shell: String,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    Caller { name: String },
    RootJob,
    RootGroup,
    Groups { count: usize },
    Shell { path: String },
    Command { name: String },
    Path { path: String },
    Unsupported { key: &'static str },
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller { name } => write!(f, "user {name} is not in allowed-users"),
            Self::RootJob => f.write_str("jobs of user id 0 are not run"),
            Self::RootGroup => f.write_str("jobs of group id 0 are not run"),
            Self::Groups { count } => write!(f, "{count} groups are over the limit of {GROUPS_MAX}"),
            Self::Shell { path } => write!(f, "{path:?} is not in allowed-shells"),
            Self::Command { name } => write!(f, "no command {name:?} is configured"),
            Self::Path { path } => write!(f, "{path:?} is not an absolute path"),
            Self::Unsupported { key } => {
                write!(f, "{key} is configured or asked for, but this IMP has no support for it")
            }
        }
    }
}

/// A process to start: the order is that of the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Whom to become, for good; `None` stays root.
    pub become_user: Option<User>,
    pub no_new_privs: bool,
    pub path: String,
    pub args: Vec<String>,
    /// The whole environment.
    pub environment: Vec<(String, String)>,
}

/// What the job shell gets of the caller's environment without being told to: where its instance is, and which job it is. No
/// more: the instance's owner must not steer what runs as another user.
const SHELL_ENVIRONMENT: &[&str] = &["FLUX_URI", "FLUX_JOB_ID", "FLUX_KVS_NAMESPACE"];

/// What prologs get of it (RFC 15).
const RUN_ENVIRONMENT: &[&str] = &["FLUX_JOB_ID", "FLUX_JOB_USERID"];

/// No pattern lets these through: they change what the dynamic loader or a shell does before a program's first line.
const NEVER: &[&str] =
    &["LD_*", "GLIBC_TUNABLES", "BASH_ENV", "BASH_FUNC_*", "ENV", "SHELLOPTS", "BASHOPTS", "PS4", "IFS"];

const ROOT_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const USER_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Whether `caller` may have jobs run as `user`, who signed the request, by the shell `args[0]`. Spec: RFC 15.
///
/// # Errors
/// The first rule that forbids it.
pub fn plan_exec(
    config: &ImpConfig,
    caller: &User,
    user: &User,
    args: &[String],
    environment: &[(String, String)],
) -> Result<Plan, Denied> {
    let exec = &config.exec;
    may_exec(exec, caller)?;
    refuse!(user.uid == 0 && enforced!("root"), Denied::RootJob);
    refuse!((user.gid == 0 || user.groups.contains(&0)) && enforced!("root"), Denied::RootGroup);
    refuse!(user.groups.len() > GROUPS_MAX, Denied::Groups { count: user.groups.len() });
    let path = args.first().cloned().unwrap_or_default();
    refuse!(!path.starts_with('/') && enforced!("shell-absolute"), Denied::Path { path: path.clone() });
    refuse!(!exec.allowed_shells.contains(&path) && enforced!("allowed-shells"), Denied::Shell { path: path.clone() });
    let mut variables = chosen(environment, SHELL_ENVIRONMENT, &exec.allowed_environment);
    let own = [("HOME", &user.home), ("USER", &user.name), ("LOGNAME", &user.name), ("SHELL", &user.shell)];
    let own = own.map(|(name, value)| (name, value.as_str())).into_iter().chain([("PATH", USER_PATH)]);
    own.filter(|_| enforced!("own-variables")).for_each(|(name, value)| set(&mut variables, name, value));
    Ok(Plan {
        become_user: Some(user.clone()),
        no_new_privs: exec.no_new_privs,
        path,
        args: args.to_vec(),
        environment: variables,
    })
}

/// Whether `caller` may use `exec` at all: asked before anything is read.
///
/// # Errors
/// The rule that forbids it.
pub fn may_exec(exec: &ExecConfig, caller: &User) -> Result<(), Denied> {
    let unsupported =
        [("exec.pam-support", exec.pam_support), ("exec.allow-unprivileged-exec", exec.allow_unprivileged_exec)];
    if let Some((key, _)) = unsupported.into_iter().find(|(_, on)| *on && enforced!("unsupported")) {
        return Err(Denied::Unsupported { key });
    }
    allowed(&exec.allowed_users, caller)
}

/// Whether `caller` may have the command `name` run as root. Spec: RFC 15, "Privileged administrative actions".
///
/// # Errors
/// The first rule that forbids it.
pub fn plan_run(
    config: &ImpConfig,
    caller: &User,
    name: &str,
    environment: &[(String, String)],
) -> Result<Plan, Denied> {
    let RunConfig { path, allowed_users, allowed_environment } =
        config.run.get(name).ok_or_else(|| Denied::Command { name: name.into() })?;
    allowed(allowed_users, caller)?;
    refuse!(!path.starts_with('/'), Denied::Path { path: path.clone() });
    let mut variables = match allowed_environment {
        Some(patterns) => chosen(environment, &[], patterns),
        None => chosen(environment, RUN_ENVIRONMENT, &[]),
    };
    let owner = [("FLUX_OWNER_USERID", caller.uid.to_string())].into_iter().filter(|_| enforced!("owner-variable"));
    owner.for_each(|(name, uid)| set(&mut variables, name, &uid));
    for (name, value) in [("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root"), ("PATH", ROOT_PATH)] {
        set(&mut variables, name, value);
    }
    let args = vec![path.clone()];
    Ok(Plan { become_user: None, no_new_privs: false, path: path.clone(), args, environment: variables })
}

fn allowed(users: &[String], caller: &User) -> Result<(), Denied> {
    let known = users.contains(&caller.name) || !enforced!("allowed-users");
    if known { Ok(()) } else { Err(Denied::Caller { name: caller.name.clone() }) }
}

fn set(variables: &mut Vec<(String, String)>, name: &str, value: &str) {
    variables.retain(|(known, _)| known != name);
    variables.push((name.into(), value.into()));
}

/// The variables with an allowed name; of two with the same name the first.
fn chosen(environment: &[(String, String)], names: &[&str], patterns: &[String]) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for (name, value) in environment {
        let listed = !enforced!("listed-variables")
            || names.contains(&name.as_str())
            || patterns.iter().any(|pattern| matches(pattern, name));
        let loader = NEVER.iter().any(|pattern| matches(pattern, name)) && enforced!("loader-variables");
        let never = loader || value.starts_with("() {") && enforced!("function-variables");
        if listed && !never && out.iter().all(|(known, _)| known != name) {
            out.push((name.clone(), value.clone()));
        }
    }
    out
}

/// Whether a glob(7) pattern of `*` and `?` matches the whole of `text`, in time of the product of their lengths at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
