//! What may be done, decided without doing anything: pure, and answered as steps that the privileged half performs.

use crate::config::{ExecConfig, ImpConfig, RunConfig};
use crate::limits::GROUPS_MAX;

/// A user as the system's user database has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    pub shell: String,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// A process to start: the order is that of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Whom to become, for good; `None` stays root.
    pub become_user: Option<User>,
    pub no_new_privs: bool,
    pub path: String,
    pub args: Vec<String>,
    /// The whole environment.
    pub environment: Vec<(String, String)>,
    /// It is no shell, but what opens a session, starts the shell, and closes the session again (`flux-imp-pam`).
    pub opens_session: bool,
}

/// What the job shell gets of the caller's environment without being told to: where its instance is, and which job it is. No
/// more: the instance's owner must not steer what runs as another user.
const SHELL_ENVIRONMENT: &[&str] = &["FLUX_URI", "FLUX_JOB_ID", "FLUX_KVS_NAMESPACE"];

/// What prologs get of it (RFC 15).
const RUN_ENVIRONMENT: &[&str] = &["FLUX_JOB_ID", "FLUX_JOB_USERID"];

/// No pattern lets these through: they change what the dynamic loader or a shell does before a program's first line.
const NEVER: &[&str] =
    &["LD_*", "GLIBC_TUNABLES", "BASH_ENV", "BASH_FUNC_*", "ENV", "SHELLOPTS", "BASHOPTS", "PS4", "IFS"];

/// Where the package of PAM's part has its program.
const PAM_OPENER: &str = "/usr/libexec/flux/flux-imp-pam";

pub(crate) const ROOT_JOB: &str = "jobs of user id 0 are not run";
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
) -> Result<Plan, String> {
    let exec = &config.exec;
    may_exec(exec, caller)?;
    refuse!(user.uid == 0 && enforced!("root"), ROOT_JOB);
    refuse!((user.gid == 0 || user.groups.contains(&0)) && enforced!("root"), "jobs of group id 0 are not run");
    refuse!(user.groups.len() > GROUPS_MAX, format!("{} groups are over the limit of {GROUPS_MAX}", user.groups.len()));
    let path = args.first().cloned().unwrap_or_default();
    refuse!(!path.starts_with('/') && enforced!("shell-absolute"), format!("{path:?} is not an absolute path"));
    refuse!(
        !exec.allowed_shells.contains(&path) && enforced!("allowed-shells"),
        format!("{path:?} is not in allowed-shells")
    );
    let mut variables = chosen(environment, SHELL_ENVIRONMENT, &exec.allowed_environment);
    let own = [("HOME", &user.home), ("USER", &user.name), ("LOGNAME", &user.name), ("SHELL", &user.shell)];
    let own = own.map(|(name, value)| (name, value.as_str())).into_iter().chain([("PATH", USER_PATH)]);
    own.filter(|_| enforced!("own-variables")).for_each(|(name, value)| set(&mut variables, name, value));
    let (become_user, no_new_privs, args) = (Some(user.clone()), exec.no_new_privs, args.to_vec());
    let shell = Plan { become_user, no_new_privs, path, args, environment: variables, ..Plan::default() };
    let opener = exec.pam_opener.as_deref().unwrap_or(PAM_OPENER);
    Ok(if exec.pam_support && enforced!("pam") { in_session(shell, user, opener) } else { shell })
}

/// The plan to start the opener of sessions, which gets what it needs to know as arguments.
fn in_session(shell: Plan, user: &User, opener: &str) -> Plan {
    let groups: Vec<String> = user.groups.iter().map(u32::to_string).collect();
    let ids = format!("{}:{}:{}:{}", user.uid, user.gid, groups.join(","), u8::from(shell.no_new_privs));
    let args = [opener.into(), user.name.clone(), ids].into_iter().chain(shell.args).collect();
    Plan { become_user: None, no_new_privs: false, path: opener.into(), args, opens_session: true, ..shell }
}

/// In the opener: the user's name, and the plan to start the shell but for its environment. `None`: the arguments are not those.
pub fn session_plan(words: &[String]) -> Option<(&str, Plan)> {
    let [name, ids, args @ ..] = words else { return None };
    let numbers = ids.split([':', ',']).map(|number| number.parse().ok()).collect::<Option<Vec<u32>>>()?;
    let [uid, gid, groups @ .., new_privs] = &numbers[..] else { return None };
    let user = User { name: name.clone(), uid: *uid, gid: *gid, groups: groups.to_vec(), ..User::default() };
    let (become_user, no_new_privs, path) = (Some(user), *new_privs == 1, args.first()?.clone());
    Some((name, Plan { become_user, no_new_privs, path, args: args.to_vec(), ..Plan::default() }))
}

/// Whether `caller` may use `exec` at all: asked before anything is read.
///
/// # Errors
/// The rule that forbids it.
pub fn may_exec(exec: &ExecConfig, caller: &User) -> Result<(), String> {
    let unprivileged = exec.allow_unprivileged_exec && enforced!("unsupported");
    refuse!(unprivileged, "exec.allow-unprivileged-exec is configured, but this IMP has no support for it");
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
) -> Result<Plan, String> {
    let RunConfig { path, allowed_users, allowed_environment } =
        config.run.get(name).ok_or_else(|| format!("no command {name:?} is configured"))?;
    allowed(allowed_users, caller)?;
    refuse!(!path.starts_with('/'), format!("{path:?} is not an absolute path"));
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
    Ok(Plan { path: path.clone(), args, environment: variables, ..Plan::default() })
}

fn allowed(users: &[String], caller: &User) -> Result<(), String> {
    let known = users.contains(&caller.name) || !enforced!("allowed-users");
    if known { Ok(()) } else { Err(format!("user {} is not in allowed-users", caller.name)) }
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
