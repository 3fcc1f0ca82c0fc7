//! A broker with a state directory that may be killed and started again.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// How long anything may take before the run counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// So much of the brokers' log is in a report.
const LOG_LINES: usize = 200;

/// A site on this machine: a directory with a configuration, state and run directories, and the brokers that use them.
///
/// Several brokers know one another from a `[bootstrap]` table, as a service manager's would. `revive` plays that manager.
pub(crate) struct Site {
    flux: PathBuf,
    pub(crate) dir: PathBuf,
    brokers: Vec<Option<Child>>,
    /// When brokers were killed, and started again.
    pub(crate) outages: Vec<Outage>,
    /// What commands that failed said, for the report.
    pub(crate) complaints: RefCell<String>,
}

/// A broker was killed, and is not there until it is started again. Seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outage {
    pub(crate) rank: usize,
    pub(crate) from: f64,
    pub(crate) until: Option<f64>,
}

fn epoch() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |span| span.as_secs_f64())
}

impl Drop for Site {
    fn drop(&mut self) {
        (0..self.brokers.len()).for_each(|rank| self.kill_rank(rank));
        if std::thread::panicking() || std::env::var_os("KEEP_SITE").is_some() {
            return;
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Site {
    /// One node with so many cores.
    pub(crate) fn new(flux: &Path, cores: u32) -> Result<Site, String> {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(|error| error.to_string())?;
        Site::with_config(flux, 1, &resources(host.trim(), cores))
    }

    /// `nodes` brokers in a binary tree, named `h0`, `h1` and so on, each with so many cores.
    pub(crate) fn with_nodes(flux: &Path, nodes: usize, cores: u32, more: &str) -> Result<Site, String> {
        let config = resources(&format!("h[0-{}]", nodes - 1), cores);
        let site = Site::with_config(flux, nodes, "")?;
        let cert = site.dir.join("cert").display().to_string();
        let (code, _) = site.output(&["keygen", "--name=soak", &cert])?;
        if code != 0 {
            return Err(format!("keygen: exit {code}: {}", site.complaints.borrow()));
        }
        let sockets: Vec<_> = (0..nodes).map(|_| std::net::TcpListener::bind("127.0.0.1:0")).collect();
        let mut hosts = String::new();
        for (rank, socket) in sockets.into_iter().enumerate() {
            let at = socket.and_then(|socket| socket.local_addr()).map_err(|error| error.to_string())?;
            let parent = if rank == 0 { String::new() } else { format!(", parent = \"h{}\"", (rank - 1) / 2) };
            hosts += &format!("{{ host = \"h{rank}\", bind = \"tcp://{at}\", connect = \"tcp://{at}\"{parent} }},\n");
        }
        let config = format!("[bootstrap]\ncurve_cert = \"{cert}\"\nhosts = [\n{hosts}]\n{more}\n{config}");
        std::fs::write(site.dir.join("flux.toml"), config).map_err(|error| error.to_string())?;
        Ok(site)
    }

    fn with_config(flux: &Path, nodes: usize, config: &str) -> Result<Site, String> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("flux-crash-{}-{count}", std::process::id()));
        std::fs::create_dir(&dir)
            .and_then(|()| std::fs::write(dir.join("flux.toml"), config))
            .map_err(|error| format!("{}: {error}", dir.display()))?;
        let brokers = (0..nodes).map(|_| None).collect();
        Ok(Site { flux: flux.to_owned(), dir, brokers, outages: Vec::new(), complaints: RefCell::new(String::new()) })
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

    fn start_rank(&mut self, rank: usize) -> Outcome {
        let dir = self.dir.display();
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("broker.log"));
        let of_rank = if rank == 0 { String::new() } else { rank.to_string() };
        let mut command = Command::new(&self.flux);
        command.arg("broker").arg(format!("-c{dir}/flux.toml"));
        command.args([format!("-Sstatedir={dir}/state{of_rank}"), format!("-Srundir={dir}/run{of_rank}")]);
        command.arg("-Sbroker.rc2_none=1").env_remove("FLUX_URI");
        if self.brokers.len() > 1 {
            command.args([format!("-Shostname=h{rank}"), "-Sbroker.quorum=1".to_owned()]);
        }
        let log = log.map_err(|error| error.to_string())?;
        let child = command.stdin(Stdio::null()).stderr(log).spawn().map_err(|error| error.to_string())?;
        self.brokers[rank] = Some(child);
        let open = |outage: &&mut Outage| outage.rank == rank && outage.until.is_none();
        if let Some(outage) = self.outages.iter_mut().rev().find(open) {
            outage.until = Some(epoch());
        }
        Ok(())
    }

    /// Starts the brokers that do not run, but for one rank.
    pub(crate) fn revive(&mut self, but: Option<usize>) -> Outcome {
        for rank in 0..self.brokers.len() {
            let runs = self.brokers[rank].as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
            if !runs && but != Some(rank) {
                self.start_rank(rank)?;
            }
        }
        Ok(())
    }

    /// Starts the brokers that do not run, and waits until rank 0 serves.
    pub(crate) fn start(&mut self) -> Outcome {
        self.revive(None)?;
        self.complaints.borrow_mut().clear();
        let begin = Instant::now();
        while self.output(&["uptime"])?.0 != 0 {
            if begin.elapsed() > PATIENCE {
                return Err(format!("the broker does not answer:\n{}", self.broker_log()));
            }
            std::thread::sleep(Duration::from_millis(20));
            self.revive(None)?;
        }
        Ok(())
    }

    /// The last lines of what the brokers logged.
    pub(crate) fn broker_log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("broker.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    pub(crate) fn nodes(&self) -> usize {
        self.brokers.len()
    }

    /// Kills the broker of rank 0.
    pub(crate) fn kill(&mut self) {
        self.kill_rank(0);
    }

    pub(crate) fn kill_rank(&mut self, rank: usize) {
        if let Some(mut broker) = self.brokers[rank].take() {
            self.outages.push(Outage { rank, from: epoch(), until: None });
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }

    pub(crate) fn stop(&mut self) -> Outcome {
        let (code, _) = self.output(&["shutdown", "--quiet"])?;
        if code != 0 {
            return Err(format!("shutdown: exit {code}: {}", self.complaints.borrow()));
        }
        for rank in 0..self.brokers.len() {
            let Some(mut broker) = self.brokers[rank].take() else { continue };
            let status = broker.wait().map_err(|error| error.to_string())?;
            if rank == 0 && !status.success() {
                return Err(format!("the broker ended with {status}:\n{}", self.broker_log()));
            }
        }
        Ok(())
    }

    /// Waits until no job is active.
    pub(crate) fn wait_until_idle(&mut self) -> Outcome {
        self.wait_until_active(0)
    }

    /// Waits until not more than `few` jobs are active. Fails when their number has not changed for long.
    pub(crate) fn wait_until_active(&mut self, few: usize) -> Outcome {
        let (mut begin, mut before) = (Instant::now(), usize::MAX);
        loop {
            let (code, active) = self.output(&["jobs", "-n", "-o", "{id} {state}", "--count=0"])?;
            let count = active.lines().count();
            if code == 0 && count <= few {
                return Ok(());
            }
            if count != before {
                (begin, before) = (Instant::now(), count);
            }
            if begin.elapsed() > PATIENCE {
                let (_, nodes) = self.output(&["resource", "status"])?;
                let first = active.split_whitespace().next().unwrap_or("");
                let (_, why) = self.output(&["explain", first])?;
                return Err(format!("jobs are still active:\n{active}\n{why}\n{nodes}\n{}", self.broker_log()));
            }
            std::thread::sleep(Duration::from_millis(50));
            self.revive(None)?;
        }
    }
}

fn resources(hosts: &str, cores: u32) -> String {
    let cores = cores - 1;
    format!("[resource]\nnoverify = true\n[[resource.config]]\nhosts = \"{hosts}\"\ncores = \"0-{cores}\"\n")
}
