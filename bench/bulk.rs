//! Many jobs at once: taken in, held, listed, canceled, and read again after a restart. All with a `statedir`.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::Instance;
use crate::measure::{Figure, Scratch, Unit, resident_mb};

/// How long the bytes of the environment are that each of the jobs of [`disk`] has.
const ENVIRONMENT_LEN: usize = 4096;
const DISK_JOBS: u32 = 2000;

fn seconds(run: impl FnOnce() -> Result<(), String>) -> Result<f64, String> {
    let begin = Instant::now();
    run()?;
    Ok(begin.elapsed().as_secs_f64())
}

fn succeed(mut command: Command) -> Result<(), String> {
    let status = command.status().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}

/// `jobs` of them; `None`: the rows stay empty.
pub(crate) fn all(flux: &Path, jobs: Option<u32>) -> Result<Vec<Figure>, String> {
    let values = match jobs {
        Some(jobs) => measure(flux, jobs)?.map(Some),
        None => [None; 6],
    };
    let count = jobs.map_or("many".to_owned(), |jobs| jobs.to_string());
    let rows = [
        (format!("{count} jobs taken in"), "20,000/s", Unit::PerSecond),
        (format!("broker with {count} pending jobs"), "200 MB", Unit::Megabytes),
        (format!("flux jobs of {count}"), "500 ms", Unit::Milliseconds),
        (format!("cancel of {count} pending jobs"), "2000 ms", Unit::Milliseconds),
        (format!("restart with {count} finished jobs, until listed"), "2000 ms", Unit::Milliseconds),
        ("disk of a finished job with 4 KB of environment".to_owned(), "6 KB", Unit::Kilobytes),
    ];
    let figure = |((what, target, unit), value)| Figure { what, target, unit, value };
    Ok(rows.into_iter().zip(values).map(figure).collect())
}

fn measure(flux: &Path, jobs: u32) -> Result<[f64; 6], String> {
    let scratch = Scratch::new("bulk")?;
    let statedir = scratch.0.join("state");
    let instance = Instance::start(flux, Some(&statedir))?;
    let pid = instance.broker_pid()?;
    succeed(instance.command(&["queue", "stop"]))?;
    let cc = format!("--cc=1-{jobs}");
    let taken = seconds(|| succeed(instance.command(&["submit", "--quiet", &cc, "true"])))?;
    let memory = resident_mb(pid).ok_or("the broker's memory cannot be read")?;
    let list = |instance: &Instance| seconds(|| succeed(instance.command(&["jobs", "-a", "-n", "--count=0"])));
    let listed = list(&instance)?;
    let canceled = seconds(|| succeed(instance.command(&["cancel", "--quiet", "--all"])))?;
    drop(instance);
    let restarted = seconds(|| {
        let instance = Instance::start(flux, Some(&statedir))?;
        let found = instance.output(&["jobs", "--stats-only"]).unwrap_or_default();
        let count = instance.output(&["jobs", "-a", "-n", "--count=1"])?.len();
        if count == 0 { Err(format!("no job is listed after the restart: {found}")) } else { Ok(()) }
    })?;
    Ok([f64::from(jobs) / taken, memory, listed * 1e3, canceled * 1e3, restarted * 1e3, disk(flux)?])
}

/// Kilobytes in the state directory for each finished job.
fn disk(flux: &Path) -> Result<f64, String> {
    let scratch = Scratch::new("disk")?;
    let statedir = scratch.0.join("state");
    let instance = Instance::start(flux, Some(&statedir))?;
    let before = kilobytes(&statedir)?;
    // Paths and the like, which differ from another, as in a user's environment.
    let text: String = (0..).map(|n: u64| format!("/opt/site/{:x}/lib:", n * n * 7919)).take(400).collect();
    let mut command = instance.command(&["submit", "--quiet", "--wait", "--env=-*", "--env=PATH"]);
    command.arg(format!("--env=SITE={}", &text[..ENVIRONMENT_LEN])).arg(format!("--cc=1-{DISK_JOBS}")).arg("true");
    succeed(command)?;
    drop(instance);
    Ok((kilobytes(&statedir)? - before) / f64::from(DISK_JOBS))
}

fn kilobytes(dir: &Path) -> Result<f64, String> {
    let output = Command::new("du").arg("-sk").arg(dir).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().next().and_then(|word| word.parse().ok()).ok_or_else(|| "du(1) says nothing".to_owned())
}
