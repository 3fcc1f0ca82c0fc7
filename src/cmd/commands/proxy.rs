//! `flux proxy`: a command with the way to another instance.
//!
//! An instance on this host is reached by its own socket; one on another host by a socket that `ssh` forwards. What `FLUX_SSH`
//! names instead need not know how to do that: it is started for each connection, and `flux relay` by it.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::{ArgMatches, Command};
use flux_client::{Address, Handle, Remote};

use super::uri;
use crate::frame::args::{command_line, flag, text, texts, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// How long ssh may take to forward the socket.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(60);
const FORWARD_PAUSE: Duration = Duration::from_millis(50);

pub fn command() -> Command {
    Command::new("proxy")
        .args([
            flag("force", Some('f'), "Skip checks when connecting to Flux broker"),
            flag("nohup", Some('n'), "Leave the command alone when the connection is lost"),
            flag("reconnect", None, "If the connection is lost, try to reconnect"),
            word("JOBID|URI", "The instance"),
        ])
        .arg(command_line("The command; default: a shell"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let target = text(matches, "JOBID|URI").unwrap_or_default();
    let uri = uri::resolve(target, false, cx)?;
    let near = uri::reachable(&uri)?;
    let forward = match Address::parse(&near)? {
        Address::Remote(remote) => Some(Forward::open(remote)?),
        _ => None,
    };
    let local = forward.as_ref().map_or(near, |forward| format!("local://{}", forward.socket.display()));
    // Says at once what is wrong, rather than through the command.
    Handle::open_uri(&local)?.attr("rank").map_err(CmdError::calling(target))?;
    let words = texts(matches, "COMMAND");
    let shell = cx.var("SHELL").unwrap_or_else(|| "/bin/sh".to_owned());
    let (program, args) = words.split_first().map_or((shell.as_str(), &[][..]), |(first, rest)| (*first, rest));
    cx.set_var("FLUX_URI", Some(local));
    cx.set_var("FLUX_KVS_NAMESPACE", None);
    if forward.is_some() {
        cx.set_var("FLUX_PROXY_REMOTE", uri.strip_prefix("ssh://").map(|rest| host_of(rest).to_owned()));
    }
    cx.out.flush()?;
    let mut child = std::process::Command::new(program);
    cx.dress(&mut child);
    let status = child.args(args).status().map_err(|error| CmdError::Failed {
        text: format!("{program}: {error}"),
        code: if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 },
    })?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(code as u8))
}

fn host_of(rest: &str) -> &str {
    rest.split_once('/').map_or(rest, |(host, _)| host)
}

/// A socket here that leads to one of another host. Ended when dropped.
struct Forward {
    ssh: Option<Child>,
    dir: PathBuf,
    socket: PathBuf,
}

impl Forward {
    fn open(remote: Remote) -> Result<Forward, CmdError> {
        let base = std::env::temp_dir();
        let dir = base.join(format!("flux-proxy-{:016x}", flux_sys::random::u64()?));
        std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
        let socket = dir.join("local");
        let mut forward = Forward { ssh: None, dir, socket };
        if std::env::var_os("FLUX_SSH").is_some() {
            let listener = UnixListener::bind(&forward.socket)?;
            std::thread::spawn(move || carry_all(&listener, &remote));
            return Ok(forward);
        }
        let mut ssh = std::process::Command::new("ssh");
        let tunnel = format!("{}:{}", forward.socket.display(), remote.path);
        ssh.args(["-N", "-o", "ExitOnForwardFailure=yes", "-L", &tunnel]);
        if let Some(port) = remote.port {
            ssh.arg("-p").arg(port.to_string());
        }
        ssh.arg(&remote.host);
        let ssh = ssh.stdin(Stdio::null()).spawn().map_err(|error| CmdError::about("ssh", error))?;
        forward.ssh = Some(ssh);
        forward.wait()?;
        Ok(forward)
    }

    fn wait(&mut self) -> Result<(), CmdError> {
        let deadline = Instant::now() + FORWARD_TIMEOUT;
        while !Path::exists(&self.socket) {
            if let Some(status) = self.ssh.as_mut().map_or(Ok(None), Child::try_wait)? {
                return Err(CmdError::new(format!("ssh ended before the instance was reached: {status}")));
            }
            if Instant::now() > deadline {
                return Err(CmdError::new("ssh did not reach the instance in time"));
            }
            std::thread::sleep(FORWARD_PAUSE);
        }
        Ok(())
    }
}

/// Starts a command for each connection, which ends with it.
fn carry_all(listener: &UnixListener, remote: &Remote) {
    let mut carriers: Vec<Child> = Vec::new();
    for stream in listener.incoming().flatten() {
        carriers.retain_mut(|carrier| !matches!(carrier.try_wait(), Ok(Some(_))));
        let near = OwnedFd::from(stream);
        let Ok(other) = near.try_clone() else { continue };
        let mut command = remote.command();
        // A connection that nobody serves is closed, which its client sees.
        carriers.extend(command.stdin(Stdio::from(other)).stdout(Stdio::from(near)).spawn());
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // Nothing can be done about an ssh that has ended already.
        if let Some(ssh) = &mut self.ssh {
            let _ = ssh.kill();
            let _ = ssh.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
