//! `cargo xtask crash`: kills the broker, with SIGKILL and at random moments, and proves that nothing was lost.
//!
//! Each run has two parts. *Running*: jobs are at work when the broker dies; some end while it is away. After the
//! restart every one of them has its whole output, once, and its exit code. *Submitting*: the broker dies while a client
//! submits. After the restart every id that was printed is known. The oracle is arithmetic on the jobs' numbers; it
//! shares no code with the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::Outcome;
use crate::run::target;
use crate::site::Site;

const RUNS: u32 = 10;
const JOBS: u32 = 200;

pub(crate) struct Options {
    pub(crate) runs: u32,
    pub(crate) seed: u64,
    pub(crate) flux: PathBuf,
}

impl Options {
    pub(crate) fn parse(args: &[String], runs: u32) -> Result<Options, String> {
        let seed =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
        let mut options = Options { runs, seed, flux: target().join("dist/flux") };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--runs" => options.runs = value()?.parse().map_err(|_| "--runs wants a number".to_owned())?,
                "--seed" => options.seed = value()?.parse().map_err(|_| "--seed wants a number".to_owned())?,
                "--flux" => options.flux = PathBuf::from(value()?),
                _ => return Err(format!("{arg} is unknown: use --power, --runs N, --seed N, --flux PROGRAM")),
            }
        }
        if !options.flux.exists() {
            return Err(format!("{} is not there: run `cargo xtask dist` first", options.flux.display()));
        }
        Ok(options)
    }
}

pub(crate) fn main(args: &[String]) -> Outcome {
    if let Some(at) = args.iter().position(|arg| arg == "--power") {
        return crate::power::main(&[&args[..at], &args[at + 1..]].concat());
    }
    let options = Options::parse(args, RUNS)?;
    for run in 0..options.runs {
        let seed = options.seed.wrapping_add(u64::from(run));
        one_run(&options.flux, seed).map_err(|why| format!("run {run}, seed {seed}: {why}"))?;
        println!("crash: run {} of {} kept everything (seed {seed})", run + 1, options.runs);
    }
    Ok(())
}

/// Xorshift: which moment, which job.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}

fn one_run(flux: &Path, seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let mut site = Site::new(flux, JOBS)?;
    site.start()?;
    let ids = site.submit_running(&mut random)?;
    std::thread::sleep(random.millis(1500));
    site.kill();
    std::thread::sleep(random.millis(1500));
    site.start()?;
    site.wait_until_idle()?;
    site.check_results(&ids)?;
    for _ in 0..3 {
        let printed = site.kill_during_submits(&mut random)?;
        site.start()?;
        site.check_known(&printed)?;
    }
    site.wait_until_idle()?;
    site.stop()
}

impl Site {
    /// Jobs that each print where they begin and end, and exit with their number modulo 3. They end at different times.
    fn submit_running(&self, random: &mut Random) -> Result<BTreeMap<String, u32>, String> {
        // No braces: `flux submit --cc` takes them for its own.
        let script = format!(
            "n=$((FLUX_JOB_CC * {} % 3000)); echo begin $FLUX_JOB_CC; sleep $((n / 1000)).$(printf %03d $((n % 1000))); \
             echo end $FLUX_JOB_CC; exit $((FLUX_JOB_CC % 3))",
            1 + random.below(997)
        );
        let cc = format!("--cc=1-{JOBS}");
        let (code, text) = self.output(&["submit", &cc, "sh", "-c", &script])?;
        let ids: BTreeMap<String, u32> = text.lines().map(str::to_owned).zip(1..).collect();
        if code != 0 || ids.len() != JOBS as usize {
            let said = self.complaints.borrow();
            return Err(format!("submit answered {code} and printed {} ids of {JOBS}: {said}", ids.len()));
        }
        Ok(ids)
    }

    /// Every job ran once, to its end, and its output and code are there.
    fn check_results(&self, ids: &BTreeMap<String, u32>) -> Outcome {
        for (id, number) in ids {
            let (code, text) = self.output(&["job", "attach", id])?;
            let want = format!("begin {number}\nend {number}\n");
            if text != want || code != (number % 3) as i32 {
                let (_, log) = self.output(&["job", "eventlog", id])?;
                let broker = self.broker_log();
                return Err(format!("job {number} ({id}): exit {code}, output {text:?}\n{log}\n{broker}"));
            }
        }
        Ok(())
    }

    /// Ids that a client had printed when the broker died under it.
    fn kill_during_submits(&mut self, random: &mut Random) -> Result<Vec<String>, String> {
        let mut command = self.command(&["submit", "--cc=1-2000", "--urgency=0", "true"]);
        let mut client =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        let stdout = client.stdout.take().expect("stdout was piped");
        let reader = std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).collect());
        std::thread::sleep(random.millis(1500));
        self.kill();
        let _ = client.kill();
        let _ = client.wait();
        reader.join().map_err(|_| "the reader of ids panicked".to_owned())
    }

    fn check_known(&self, printed: &[String]) -> Outcome {
        let (code, text) = self.output(&["jobs", "-a", "-n", "-o", "{id}", "--count=0"])?;
        let known: BTreeSet<&str> = text.lines().map(str::trim).collect();
        let whole = printed.iter().filter(|id| !id.is_empty());
        if let Some(lost) = whole.clone().find(|id| !known.contains(id.as_str())) {
            return Err(format!("{lost} was printed and is not known (jobs: {code}, {} known)", known.len()));
        }
        println!("crash: {} ids printed before the kill, all known", whole.count());
        let (code, _) = self.output(&["cancel", "--all", "--quiet"])?;
        if code == 0 { Ok(()) } else { Err(format!("cancel --all: exit {code}")) }
    }
}
