//! An instance of the program under measurement, running beside us.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Instance {
    flux: PathBuf,
    child: Child,
    pub(crate) uri: String,
}

impl Instance {
    /// Starts one broker whose program waits for us; with `statedir`, it keeps its state there.
    pub(crate) fn start(flux: &Path, statedir: Option<&Path>) -> Result<Instance, String> {
        let statedir = statedir.map(|dir| format!("-Sstatedir={}", dir.display()));
        Instance::of(flux, &statedir.as_deref().into_iter().collect::<Vec<_>>())
    }

    /// Starts an instance with these options of `flux start`.
    pub(crate) fn of(flux: &Path, options: &[&str]) -> Result<Instance, String> {
        let mut command = Command::new(flux);
        command.arg("start").args(options);
        command.args(["sh", "-c", "echo $FLUX_URI; exec cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", flux.display()))?;
        let stdout = child.stdout.take().expect("stdout was piped");
        let mut uri = String::new();
        BufReader::new(stdout).read_line(&mut uri).map_err(|error| error.to_string())?;
        if uri.trim().is_empty() {
            return Err(format!("{} start: the instance did not say its URI", flux.display()));
        }
        Ok(Instance { flux: flux.to_owned(), child, uri: uri.trim().to_owned() })
    }

    /// A flux command inside the instance, its output thrown away.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.flux);
        command.args(args).env("FLUX_URI", &self.uri).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    pub(crate) fn output(&self, args: &[&str]) -> Result<String, String> {
        let output = self.command(args).stdout(Stdio::piped()).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("flux {}: {}", args.join(" "), output.status));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    pub(crate) fn broker_pid(&self) -> Result<u32, String> {
        let pid = self.output(&["getattr", "broker.pid"])?;
        pid.parse().map_err(|_| format!("broker.pid is {pid:?}"))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The exit code of an instance that is only measured tells nothing.
        let _ = self.child.wait();
    }
}
