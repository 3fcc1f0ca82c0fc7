//! What a job that prints a great deal costs the others. With a `statedir`.

use std::path::Path;
use std::time::Instant;

use crate::Instance;
use crate::measure::{Figure, Scratch, Unit, resident_mb};

/// A program that prints a gigabyte, the longest that the broker takes of one job.
const GIGABYTE: &str = "yes 'a line of output, as long as programs print them' | head -c 1000000000";
/// One that prints 100,000 lines a second, a line at a time.
const LINES: &str =
    "awk 'BEGIN { for (;;) { for (i = 0; i < 1000; i++) { print \"line\", i; fflush() } system(\"sleep 0.01\") } }'";

/// Alone, and beside each of the two: jobs taken in, jobs run; in percent of alone.
pub(crate) fn all(flux: &Path, jobs: u32) -> Result<Vec<Figure>, String> {
    let scratch = Scratch::new("noisy")?;
    let instance = Instance::start(flux, Some(&scratch.0.join("state")))?;
    let pid = instance.broker_pid()?;
    let memory = || resident_mb(pid).ok_or("the broker's memory cannot be read".to_owned());
    rates(&instance, jobs)?;
    let begin = memory()?;
    let mut figures = Vec::new();
    for (what, program) in [("prints 1 GB", GIGABYTE), ("prints 100,000 lines a second", LINES)] {
        let before = rates(&instance, jobs)?;
        let id = instance.output(&["submit", "-n1", "sh", "-c", program])?;
        instance.output(&["job", "wait-event", "-t60", &id, "start"])?;
        let beside = rates(&instance, jobs)?;
        let still = instance.output(&["jobs", "-no", "{state}", &id])? == "RUN";
        let grown = memory()? - begin;
        instance.output(&["cancel", "-q", &id]).ok();
        instance.output(&["job", "wait-event", "-t60", &id, "clean"])?;
        let after = rates(&instance, jobs)?;
        let ended = if still { "" } else { ", which ended meanwhile" };
        for (at, kind) in ["jobs taken in", "jobs run"].into_iter().enumerate() {
            let alone = (before[at] + after[at]) / 2.0;
            let what = format!("{kind} beside one that {what}{ended}, of {alone:.0}/s alone");
            figures.push(Figure { what, target: "50 %", unit: Unit::Percent, value: Some(100.0 * beside[at] / alone) });
        }
        let what = format!("growth of the broker by a job that {what}");
        figures.push(Figure { what, target: "-", unit: Unit::Megabytes, value: Some(grown) });
    }
    Ok(figures)
}

/// Jobs taken in a second, and jobs run a second.
fn rates(instance: &Instance, jobs: u32) -> Result<[f64; 2], String> {
    let submit = |count: u32, more: &[&str]| {
        let cc = format!("--cc=1-{count}");
        let begin = Instant::now();
        let mut args = vec!["submit", "--quiet", &cc];
        args.extend(more);
        args.push("true");
        instance.output(&args)?;
        Ok::<f64, String>(f64::from(count) / begin.elapsed().as_secs_f64())
    };
    let run = submit(jobs, &["--wait"])?;
    let taken = submit(jobs * 5, &["--urgency=hold"])?;
    instance.output(&["cancel", "--quiet", "--states=PENDING", "--all"])?;
    Ok([taken, run])
}
