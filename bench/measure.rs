//! The figures themselves.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Instance;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    PerSecond,
    Megabytes,
    Count,
    Percent,
    Kilobytes,
}

pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) target: &'static str,
    pub(crate) unit: Unit,
    /// `None`: could not be measured with this program or on this machine.
    pub(crate) value: Option<f64>,
}

impl Figure {
    pub(crate) fn text(&self) -> String {
        match (self.value, self.unit) {
            (None, _) => "-".to_owned(),
            (Some(value), Unit::Milliseconds) => format!("{value:.2} ms"),
            (Some(value), Unit::PerSecond) => format!("{value:.0}/s"),
            (Some(value), Unit::Megabytes) => format!("{value:.1} MB"),
            (Some(value), Unit::Count) => format!("{value}"),
            (Some(value), Unit::Percent) => format!("{value:.0} %"),
            (Some(value), Unit::Kilobytes) => format!("{value:.1} KB"),
        }
    }
}

/// Runs `command` `times` times; the median, in milliseconds.
pub(crate) fn median(times: usize, mut command: impl FnMut() -> Command) -> Result<f64, String> {
    let mut spans: Vec<Duration> = Vec::with_capacity(times);
    for _ in 0..times {
        let mut command = command();
        let begin = Instant::now();
        let status = command.status().map_err(|error| error.to_string())?;
        spans.push(begin.elapsed());
        if !status.success() {
            return Err(format!("{command:?}: {status}"));
        }
    }
    spans.sort();
    Ok(spans[times / 2].as_secs_f64() * 1e3)
}

/// A directory of our own that goes away with us.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Result<Scratch, String> {
        let dir = std::env::temp_dir().join(format!("flux-bench-{}-{name}", std::process::id()));
        std::fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(Scratch(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `bulk` jobs are taken in at once; another flux would need hours for as many, and is not asked.
pub(crate) fn all(flux: &Path, jobs: u32, bulk: Option<u32>) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    figures.push(Figure {
        what: "flux start true".into(),
        target: "30 ms",
        unit: Unit::Milliseconds,
        value: Some(median(11, || {
            let mut command = Command::new(flux);
            command.args(["start", "true"]).stdin(Stdio::null());
            command
        })?),
    });
    for with_state in [false, true] {
        let scratch = Scratch::new(if with_state { "state" } else { "plain" })?;
        let statedir = scratch.0.join("state");
        let instance = Instance::start(flux, with_state.then_some(statedir.as_path()))?;
        let suffix = if with_state { ", statedir" } else { "" };
        inside(&instance, jobs, with_state, suffix, &mut figures)?;
    }
    figures.extend(crate::many::all(flux, jobs)?);
    figures.extend(crate::bulk::all(flux, bulk)?);
    Ok(figures)
}

fn inside(instance: &Instance, jobs: u32, with_state: bool, suffix: &str, out: &mut Vec<Figure>) -> Result<(), String> {
    let pid = instance.broker_pid()?;
    if !with_state {
        let rss = resident_mb(pid);
        out.push(Figure {
            what: "broker at rest, resident".into(),
            target: "10 MB",
            unit: Unit::Megabytes,
            value: rss,
        });
        let value = Some(median(51, || instance.command(&["getattr", "rank"]))?);
        out.push(Figure { what: "flux getattr rank".into(), target: "3 ms", unit: Unit::Milliseconds, value });
    }
    let value = Some(median(21, || instance.command(&["run", "true"]))?);
    out.push(Figure { what: format!("flux run true{suffix}"), target: "15 ms", unit: Unit::Milliseconds, value });
    if with_state {
        let value = syncs(instance, pid).map(|n| n as f64);
        out.push(Figure { what: "fdatasync in flux run true".into(), target: "2", unit: Unit::Count, value });
    }
    let cc = format!("--cc=1-{jobs}");
    let begin = Instant::now();
    let command = &["submit", "--quiet", &cc, "--wait", "true"];
    let status = instance.command(command).status().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("flux {}: {status}", command.join(" ")));
    }
    let value = Some(f64::from(jobs) / begin.elapsed().as_secs_f64());
    out.push(Figure {
        what: format!("{jobs} jobs of one task{suffix}"),
        target: "500/s",
        unit: Unit::PerSecond,
        value,
    });
    let rss = resident_mb(pid);
    out.push(Figure { what: format!("broker after them{suffix}"), target: "", unit: Unit::Megabytes, value: rss });
    Ok(())
}

pub(crate) fn resident_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// How often the broker syncs while one job runs, as strace(1) sees it.
fn syncs(instance: &Instance, pid: u32) -> Option<usize> {
    let trace = std::env::temp_dir().join(format!("flux-bench-{}.strace", std::process::id()));
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fdatasync,fsync,sync_file_range,msync", "-o"])
        .arg(&trace)
        .args(["-p", &pid.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    // strace is attached when the kernel says so.
    let attached =
        || std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|s| !s.contains("TracerPid:\t0\n"));
    let begin = Instant::now();
    while !attached() && begin.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = instance.command(&["run", "true"]).status();
    let _ = Command::new("kill").args(["-INT", &strace.id().to_string()]).status();
    let _ = strace.wait();
    let text = std::fs::read_to_string(&trace).ok()?;
    let _ = std::fs::remove_file(&trace);
    ran.ok()?.success().then(|| text.lines().filter(|line| line.contains("sync") && !line.contains("resumed")).count())
}
