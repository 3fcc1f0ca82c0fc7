//! Whether the rate of jobs falls as their number grows, with a `statedir`; and what the machine does that only makes processes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::Instance;
use crate::measure::Scratch;
use crate::plot::Plot;

/// Jobs in a step.
const STEP: u32 = 1000;
/// Every how many steps the bare processes are measured again: other work on the machine comes and goes.
const BARE_EVERY: usize = 10;

/// A point of the plot: jobs that were over before the step, jobs a second in it, and pairs of bare processes a second.
struct Point {
    done: u32,
    rate: f64,
    bare: f64,
}

/// Runs `jobs` jobs of one task in steps, prints the rate of each, and draws them.
pub(crate) fn all(flux: &Path, jobs: u32, svg: &str) -> Result<(), String> {
    let scratch = Scratch::new("ramp")?;
    let instance = Instance::start(flux, Some(&scratch.0.join("state")))?;
    step(&instance, 100)?;
    let mut points: Vec<Point> = Vec::new();
    let mut pairs = 0.0;
    println!("| jobs before | jobs | two bare processes |\n| ---: | ---: | ---: |");
    for done in (0..jobs).step_by(STEP as usize) {
        if points.len().is_multiple_of(BARE_EVERY) {
            pairs = bare()?;
        }
        let rate = step(&instance, STEP.min(jobs - done))?;
        println!("| {done} | {rate:.0}/s | {pairs:.0}/s |");
        points.push(Point { done, rate, bare: pairs });
    }
    let mean = |points: &[Point]| points.iter().map(|point| point.rate).sum::<f64>() / points.len().max(1) as f64;
    let tenth = points.len().div_ceil(10);
    let (first, last) = (mean(&points[..tenth]), mean(&points[points.len() - tenth..]));
    let bare = points.iter().map(|point| point.bare).sum::<f64>() / points.len().max(1) as f64;
    println!("first tenth {first:.0}/s, last tenth {last:.0}/s ({:.0} %)", 100.0 * last / first);
    println!("of two bare processes a job ({bare:.0}/s): {:.0} %", 100.0 * mean(&points) / bare);
    fs::write(svg, draw(&points)).map_err(|error| format!("{svg}: {error}"))
}

/// Jobs a second.
fn step(instance: &Instance, jobs: u32) -> Result<f64, String> {
    let cc = format!("--cc=1-{jobs}");
    let begin = Instant::now();
    let status = instance.command(&["submit", "--quiet", &cc, "--wait", "true"]).status();
    let status = status.map_err(|error| error.to_string())?;
    let rate = f64::from(jobs) / begin.elapsed().as_secs_f64();
    if status.success() { Ok(rate) } else { Err(format!("flux submit: {status}")) }
}

/// Pairs of processes a second that as many threads as there are cores start and reap: what a job's shell and task are, if nothing
/// else is done.
fn bare() -> Result<f64, String> {
    const PAIRS: u32 = 400;
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let one = || Command::new("/bin/true").stdin(Stdio::null()).status().map_err(|error| format!("/bin/true: {error}"));
    let begin = Instant::now();
    let work = || (0..2 * PAIRS / cores).try_for_each(|_| one().map(drop));
    let done: Result<Vec<()>, String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread ended early".to_owned())?).collect()
    });
    done.map(|_| f64::from(PAIRS) / begin.elapsed().as_secs_f64())
}

/// Jobs a second over jobs done, and the bare processes.
fn draw(points: &[Point]) -> String {
    let most = points.iter().map(|point| point.rate.max(point.bare)).fold(1.0, f64::max);
    let jobs = points.last().map_or(1.0, |point| f64::from(point.done + STEP));
    let line = |name: &str, rate: fn(&Point) -> f64| {
        let places = points.iter().map(|point| (f64::from(point.done) / jobs, rate(point) / most));
        (name.to_owned(), places.collect())
    };
    let plot = Plot {
        x_marks: [0.0, 0.5, 1.0].map(|part| (part, format!("{:.0} jobs over", jobs * part))).into(),
        y_marks: [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| (part, format!("{:.0}/s", most * part))).into(),
        lines: vec![
            line("jobs, with a statedir", |point| point.rate),
            line("pairs of bare processes", |point| point.bare),
        ],
    };
    plot.svg()
}
