//! `flux-imp exec SHELL ARGS...`: runs the job shell as the user who signed the request, if all rules allow it (RFC 15).

use crate::cert::{Cert, decode64};
use crate::child::collect;
use crate::config::{self, IMP_CONFIG_DIR, ImpConfig, SIGN_CONFIG_DIR, SecurityConfig, read_trusted};
use crate::input::Request;
use crate::j::{self, Mechanism, SignError, Signed};
use crate::limits::{FILE_LEN_MAX, INPUT_LEN_MAX};
use crate::policy::{self, User};
use crate::privileged::{self, Ids, become_caller, become_user};
use crate::supervise::{Files, own_cgroup, supervise};
use crate::users::NOBODY;
use crate::verify::{Authority, Rules, verify_curve, verify_munge, verify_none};
use crate::{audit, devices, munge, reader, replay, users};
use std::io::Write;
use std::path::Path;

/// The descriptor (named by a variable, too) from which the job shell reads the jobspec that the user signed.
const SIGNED_JOBSPEC_FD: i32 = 3;

/// Runs the command; answers the exit code of the job shell.
///
/// # Errors
/// A text that says what was refused.
pub(crate) fn exec(ids: Ids, args: &[String], environment: &[(String, String)]) -> Result<u8, String> {
    let imp: ImpConfig = config::load(IMP_CONFIG_DIR)?;
    let security: SecurityConfig = config::load(SIGN_CONFIG_DIR)?;
    let helper = variable(environment, "FLUX_IMP_EXEC_HELPER");
    let max = INPUT_LEN_MAX as u64 + 1024; // The frame is no longer than the JSON but for a few names.
    let read = |out| reader::produce(helper, environment, out);
    let request = Request::from_frame(&collect(|| become_caller(ids), max, -1, read)?)?;
    // Nothing of the request but the number of a user is looked at before the caller may have one run.
    let claimed = request.userid.unwrap_or(ids.ruid);
    let users = users::look_up(&[ids.ruid, claimed], true)?;
    let [caller, user] = &users[..] else { return Err("a user is missing".into()) };
    policy::may_exec(&imp.exec, caller)?;
    let signed = j::parse(&request.j, decode64).map_err(|error| error.to_string())?;
    let bare = imp.exec.require_nonce && signed.header.text("nonce").is_none();
    refuse!(bare && enforced!("nonce"), "the request has no nonce, and exec.require-nonce is set");
    refuse!(signed.userid != claimed, "the unprivileged child named another user than the request");
    verify(&signed, &security, ids.ruid, user)?;
    let mut plan = policy::plan_exec(&imp, caller, user, args, environment)?;
    let cgroup = own_cgroup();
    let job = ["FLUX_JOB_ID", "FLUX_BROKER_RANK"].map(|name| variable(environment, name).unwrap_or("0"));
    let claim = |state: &String| replay::claim(Path::new(state), &request.j, job, cgroup.as_deref());
    let claim = imp.exec.state_dir.as_ref().map(claim).transpose()?;
    let devices = request.devices.as_ref().filter(|_| enforced!("devices"));
    devices.map(|devices| devices::contain(cgroup.as_deref(), devices)).transpose()?;
    plan.environment.push(("FLUX_IMP_JOBSPEC_FD".into(), SIGNED_JOBSPEC_FD.to_string()));
    let sealed = |content: &[u8]| privileged::sealed_file(content).map_err(|error| format!("sealed file: {error}"));
    let mut files: Files = vec![(sealed(&signed.payload)?, SIGNED_JOBSPEC_FD)];
    if let Some(input) = &request.shell_input {
        files.push((sealed(input.as_bytes())?, 0));
    }
    let (name, uid, [job, _]) = (&user.name, user.uid, job);
    let who = format!("user {} ({})", caller.name, caller.uid);
    audit(&format!("exec: {who} starts job {job} of {name} ({uid}) with {}", plan.path));
    let code = supervise(&plan, files, cgroup.as_deref(), true)?;
    audit(&format!("exec: job {job} of {name} ({uid}) ended with code {code}"));
    if variable(environment, "FLUX_IMP_EXIT_RECORD").is_some() {
        let _ = writeln!(std::io::stderr(), "flux-imp: exit record: {code}"); // For a broker that was away.
    }
    claim.map_or(Ok(()), |claim| claim.ended(code)).map(|()| code)
}

fn variable<'a>(environment: &'a [(String, String)], name: &str) -> Option<&'a str> {
    environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Whether the signature, its age, and the key of the user whom the request names are good.
fn verify(signed: &Signed<'_>, security: &SecurityConfig, caller: u32, user: &User) -> Result<(), String> {
    let sign = security.sign.as_ref().ok_or("[sign] is not configured")?;
    let rules = Rules { allowed: sign.allowed_types.clone(), max_ttl: sign.max_ttl };
    refuse!(user.uid == 0 && enforced!("root"), policy::ROOT_JOB); // Before anything of it is read.
    let refused = |error: SignError| format!("signature: {error}");
    let now = crate::now()?;
    match signed.mechanism {
        Mechanism::None => verify_none(signed, &rules, caller).map_err(refused),
        Mechanism::Munge => {
            let socket = sign.munge.socket_path.as_deref().unwrap_or(munge::SOCKET);
            let ask = |out| reader::ask_munged(socket, signed.signature, out);
            let vouched = collect(|| become_user(NOBODY, NOBODY, &[]), FILE_LEN_MAX, 10_000, ask)?;
            verify_munge(signed, &rules, now, &vouched).map_err(refused)
        }
        Mechanism::Curve if sign.curve.require_ca.unwrap_or(true) => {
            let ca = security.ca.as_ref().ok_or("[ca] is not configured")?;
            let cert = read_trusted(Path::new(&format!("{}.pub", ca.cert_path)))?;
            let cert = Cert::from_toml(&cert).ok_or_else(|| format!("{}.pub is no certificate", ca.cert_path))?;
            let revoked = |uuid: &str| is_revoked(&ca.revoke_dir, uuid);
            let authority = Authority::Ca { cert: &cert, domain: &ca.domain, revoked: &revoked };
            verify_curve(signed, &rules, now, &authority).map_err(refused)
        }
        Mechanism::Curve => {
            let cert = home_cert(user)?;
            verify_curve(signed, &rules, now, &Authority::Home(&cert)).map_err(refused)
        }
    }
}

/// A certificate is revoked by a file of its uuid; one that cannot be looked up is taken as revoked.
fn is_revoked(directory: &str, uuid: &str) -> bool {
    let plain = !uuid.is_empty() && uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let path = Path::new(directory).join(uuid);
    !plain || !matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Reads `~/.flux/curve/sig.pub` as its user, so that no path of theirs can show us what they may not read.
fn home_cert(user: &User) -> Result<Cert, String> {
    refuse!((user.uid == 0 || user.gid == 0) && enforced!("root"), policy::ROOT_JOB);
    let path = format!("{}/.flux/curve/sig.pub", user.home);
    let copy = |out| reader::copy_file(&path, out);
    let bytes = collect(|| become_user(user.uid, user.gid, &user.groups), FILE_LEN_MAX, 10_000, copy);
    let text = bytes.map_err(|error| format!("{path}: {error}"))?;
    let cert = std::str::from_utf8(&text).ok().and_then(Cert::from_toml);
    cert.ok_or_else(|| format!("{path} is no certificate"))
}
