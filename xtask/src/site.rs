//! A broker with a state directory that may be killed and started again.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// How long anything may take before the run counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A site of one node with so many cores: a directory with a configuration, a state directory and a run directory, and the broker that uses them.
pub(crate) struct Site {
    flux: PathBuf,
    pub(crate) dir: PathBuf,
    broker: Option<Child>,
    /// What commands that failed said, for the report.
    pub(crate) complaints: RefCell<String>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            return;
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Site {
    pub(crate) fn new(flux: &Path, cores: u32) -> Result<Site, String> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("flux-crash-{}-{count}", std::process::id()));
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(|error| error.to_string())?;
        let config = format!(
            "[resource]\nnoverify = true\n[[resource.config]]\nhosts = \"{}\"\ncores = \"0-{}\"\n",
            host.trim(),
            cores - 1
        );
        std::fs::create_dir(&dir)
            .and_then(|()| std::fs::write(dir.join("flux.toml"), config))
            .map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(Site { flux: flux.to_owned(), dir, broker: None, complaints: RefCell::new(String::new()) })
    }

    fn uri(&self) -> String {
        format!("local://{}/run/local-0", self.dir.display())
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.flux);
        command.args(args).env("FLUX_URI", self.uri()).stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, args: &[&str]) -> Result<(i32, String), String> {
        let output = self.command(args).output().map_err(|error| error.to_string())?;
        if !output.status.success() && !output.stderr.is_empty() {
            self.complaints.borrow_mut().push_str(&String::from_utf8_lossy(&output.stderr));
        }
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Starts the broker and waits until it serves.
    pub(crate) fn start(&mut self) -> Outcome {
        let dir = self.dir.display();
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("broker.log"));
        let child = Command::new(&self.flux)
            .arg("broker")
            .arg(format!("-c{dir}/flux.toml"))
            .arg(format!("-Sstatedir={dir}/state"))
            .arg(format!("-Srundir={dir}/run"))
            .arg("-Sbroker.rc2_none=1")
            .stdin(Stdio::null())
            .stderr(log.map_err(|error| error.to_string())?)
            .spawn()
            .map_err(|error| error.to_string())?;
        self.broker = Some(child);
        self.complaints.borrow_mut().clear();
        let begin = Instant::now();
        while self.output(&["uptime"])?.0 != 0 {
            if begin.elapsed() > PATIENCE {
                return Err(format!("the broker does not answer:\n{}", self.broker_log()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub(crate) fn broker_log(&self) -> String {
        std::fs::read_to_string(self.dir.join("broker.log")).unwrap_or_default()
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut broker) = self.broker.take() {
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }

    pub(crate) fn stop(&mut self) -> Outcome {
        let (code, _) = self.output(&["shutdown", "--quiet"])?;
        if code != 0 {
            return Err(format!("shutdown: exit {code}: {}", self.complaints.borrow()));
        }
        let Some(mut broker) = self.broker.take() else { return Ok(()) };
        let status = broker.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the broker ended with {status}:\n{}", self.broker_log())) }
    }

    pub(crate) fn wait_until_idle(&self) -> Outcome {
        let begin = Instant::now();
        loop {
            let (code, active) = self.output(&["jobs", "-n", "-o", "{id}", "--count=0"])?;
            if code == 0 && active.trim().is_empty() {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("jobs are still active:\n{active}\n{}", self.broker_log()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
