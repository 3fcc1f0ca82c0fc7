//! `cargo xtask soak`: jobs of all kinds under random cancels, lost nodes and kills of rank 0, and an audit of each at the end.
//!
//! What a job must have come to follows from its kind, and from the nodes that were lost; the audit shares no code with the broker.
//! Every job that runs writes its number into one file, so that none runs twice and none is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::crash::Random;
use crate::run::target;
use crate::site::{Outage, Site};

const JOBS: u32 = 2_000;
const JOBS_PER_ROUND: u32 = 200;
const NODES: usize = 4;
const CORES: u32 = 8;
/// How long a broker may be away before the jobs of its node fail.
const GRACE: Duration = Duration::from_secs(3);
/// How long a node may take from its start until it is used again.
const COME_BACK: Duration = Duration::from_secs(30);
/// Eventlogs that are read one by one.
const LOGS_MAX: u64 = 1_000;

/// What a job does, and so what it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Good,
    /// Exits with its number modulo 3, plus 2: 1 is what a job has that lost its node before it ran.
    Bad,
    Slow,
    /// After the first good job of its round.
    Dependent,
    /// Let go at the end of its round.
    Held,
    /// Held, and cancelled.
    Canceled,
    /// Ended by a signal of its own.
    Signaled,
    TooLong,
    /// Two nodes.
    Wide,
    /// Cancelled at any time.
    Raced,
}

const KINDS: [Kind; 10] = [
    Kind::Good,
    Kind::Bad,
    Kind::Slow,
    Kind::Dependent,
    Kind::Held,
    Kind::Canceled,
    Kind::Signaled,
    Kind::TooLong,
    Kind::Wide,
    Kind::Raced,
];

impl Kind {
    fn script(self) -> &'static str {
        match self {
            Kind::Bad => "exit $((FLUX_JOB_CC % 3 + 2))",
            Kind::Slow | Kind::Raced => "sleep 0.$((FLUX_JOB_CC % 10))",
            Kind::Signaled => "kill -9 $$",
            Kind::TooLong => "sleep 300",
            Kind::Good | Kind::Dependent | Kind::Held | Kind::Canceled | Kind::Wide => "true",
        }
    }

    fn options(self, first: &str) -> Vec<String> {
        match self {
            Kind::Held | Kind::Canceled => vec!["--urgency=hold".to_owned()],
            Kind::Dependent if !first.is_empty() => vec![format!("--dependency=afterok:{first}")],
            Kind::TooLong => vec!["--time-limit=0.5s".to_owned()],
            Kind::Wide => vec!["-N2".to_owned(), "-n2".to_owned()],
            _ => Vec::new(),
        }
    }

    /// Result and exit code as `flux jobs` tells them.
    fn expected(self, number: u32) -> (&'static str, String) {
        match self {
            Kind::Good | Kind::Slow | Kind::Dependent | Kind::Held | Kind::Wide | Kind::Raced => {
                ("COMPLETED", "0".to_owned())
            }
            Kind::Bad => ("FAILED", (number % 3 + 2).to_string()),
            Kind::Signaled => ("FAILED", "137".to_owned()),
            Kind::Canceled => ("CANCELED", "-128".to_owned()),
            Kind::TooLong => ("TIMEOUT", String::new()),
        }
    }
}

struct Options {
    jobs: u32,
    per_round: u32,
    nodes: usize,
    /// After so long nothing more is submitted.
    limit: Duration,
    seed: u64,
    flux: PathBuf,
}

fn parse(args: &[String]) -> Result<Options, String> {
    let flux = target().join("dist/flux");
    let limit = Duration::MAX;
    let mut options = Options { jobs: JOBS, per_round: JOBS_PER_ROUND, nodes: NODES, limit, seed: 1, flux };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} wants a value"))?;
        let number = || value.parse().map_err(|_| format!("{arg} wants a number"));
        match arg.as_str() {
            "--jobs" => options.jobs = number()? as u32,
            "--round" => options.per_round = (number()? as u32).max(KINDS.len() as u32),
            "--nodes" => options.nodes = (number()? as usize).max(2),
            "--minutes" => options.limit = Duration::from_secs(number()? * 60),
            "--seed" => options.seed = number()?,
            "--flux" => options.flux = PathBuf::from(value),
            _ => {
                return Err(format!(
                    "{arg} is unknown: use --jobs N, --round N, --nodes N, --minutes N, --seed N, --flux PROGRAM"
                ));
            }
        }
    }
    Ok(options)
}

/// All that was submitted, and all that was done to the brokers.
#[derive(Default)]
struct Books {
    jobs: BTreeMap<String, (Kind, u32)>,
    /// Which job a dependent one waits for.
    first: BTreeMap<String, String>,
    kills: u32,
    /// How often the broker of each rank but 0 was killed.
    losses: BTreeMap<usize, u32>,
    /// Jobs that the loss of a node ended, as the audit finds them.
    lost_jobs: u32,
    /// Jobs that were not started a second time.
    unstored: u32,
}

pub(crate) fn main(args: &[String]) -> Outcome {
    let options = parse(args)?;
    let mut random = Random::new(options.seed);
    let grace = format!("[exec]\nnode-grace = \"{}s\"", GRACE.as_secs());
    let mut site = Site::with_nodes(&options.flux, options.nodes, CORES, &grace)?;
    let mut books = Books::default();
    site.start()?;
    let (mut from, begin) = (0, Instant::now());
    while from < options.jobs && begin.elapsed() < options.limit {
        site.wait_until_active(options.per_round as usize)?;
        let count = options.per_round.min(options.jobs - from).max(KINDS.len() as u32);
        round(&mut site, &mut random, &mut books, from, count)?;
        from += count;
        println!("soak: {from} of {} jobs, {}", options.jobs, books.told());
    }
    site.wait_until_idle()?;
    audit(&site, &mut random, &mut books, options.nodes).map_err(|why| format!("seed {}: {why}", options.seed))?;
    site.stop()?;
    println!("soak: {} jobs audited, {} (seed {})", books.jobs.len(), books.told(), options.seed);
    Ok(())
}

impl Books {
    fn told(&self) -> String {
        let losses: u32 = self.losses.values().sum();
        let (kills, lost, unstored) = (self.kills, self.lost_jobs, self.unstored);
        format!(
            "{kills} kills of rank 0, {losses} of other ranks, {lost} jobs lost with their node, {unstored} not begun again"
        )
    }
}

fn round(site: &mut Site, random: &mut Random, books: &mut Books, from: u32, count: u32) -> Outcome {
    let mut first = String::new();
    let mut by_kind: Vec<Vec<String>> = Vec::new();
    let share = (count / KINDS.len() as u32).max(1);
    for (nth, kind) in KINDS.into_iter().enumerate() {
        let begin = from + nth as u32 * share;
        let mut ids = submit(site, kind, begin, share, &first);
        if ids.is_err() && kind == Kind::Dependent && !may_come(site, &first)? {
            ids = submit(site, kind, begin, share, ""); // They wait for nothing.
        }
        let ids = ids?;
        first = if first.is_empty() { ids[0].clone() } else { first };
        if kind == Kind::Dependent {
            books.first.extend(ids.iter().map(|id| (id.clone(), first.clone())));
        }
        books.jobs.extend(ids.iter().cloned().zip((begin..).map(|number| (kind, number))));
        by_kind.push(ids);
        maybe_kill(site, random, books)?;
    }
    let of = |kind: Kind| &by_kind[KINDS.iter().position(|known| *known == kind).expect("all kinds are listed")];
    let cancel = |site: &Site, ids: &[String], note: &str| {
        let ids = ids.iter().map(String::as_str);
        said(site, &["cancel", note].into_iter().chain(ids).collect::<Vec<_>>())
    };
    let half = of(Kind::Raced).len() / 2;
    // Some of these have ended already: that is said, and no error of ours.
    let _ = cancel(site, &of(Kind::Raced)[..half], "--message=soak");
    cancel(site, of(Kind::Canceled), "--message=soak")?;
    maybe_kill(site, random, books)?;
    for id in of(Kind::Held) {
        said(site, &["job", "urgency", id, "default"])?;
    }
    maybe_kill(site, random, books)
}

fn said(site: &Site, args: &[&str]) -> Result<String, String> {
    match site.output(args)? {
        (0, text) => Ok(text),
        (code, _) => Err(format!("{args:?}: exit {code}: {}", site.complaints.borrow())),
    }
}

fn submit(site: &Site, kind: Kind, begin: u32, count: u32, first: &str) -> Result<Vec<String>, String> {
    let script = format!("echo $FLUX_JOB_CC >>{}/ran; {}", site.dir.display(), kind.script());
    let mut args = vec!["submit".to_owned(), format!("--cc={begin}-{}", begin + count - 1)];
    args.extend(kind.options(first));
    args.extend(["sh".to_owned(), "-c".to_owned(), script]);
    let text = said(site, &args.iter().map(String::as_str).collect::<Vec<_>>())?;
    let ids: Vec<String> = text.lines().map(str::to_owned).collect();
    if ids.len() == count as usize { Ok(ids) } else { Err(format!("{} ids for {count} jobs", ids.len())) }
}

/// Whether a job may still be a success.
fn may_come(site: &Site, id: &str) -> Result<bool, String> {
    let told = said(site, &["jobs", "-n", "-o", "{result}", id])?;
    Ok(matches!(told.trim(), "" | "COMPLETED"))
}

/// One time in six rank 0 dies, after a while, and comes back, after a while; one time in six another rank does, and stays
/// away for a moment or for longer than its jobs live.
fn maybe_kill(site: &mut Site, random: &mut Random, books: &mut Books) -> Outcome {
    let which = random.below(6);
    if which > 1 {
        return site.revive(None);
    }
    std::thread::sleep(random.millis(600));
    let ranks = site.nodes() as u64 - 1;
    let rank = if which == 0 { 0 } else { 1 + random.below(ranks) as usize };
    site.kill_rank(rank);
    if rank == 0 {
        books.kills += 1;
        std::thread::sleep(random.millis(600));
    } else {
        *books.losses.entry(rank).or_default() += 1;
        let long = random.below(3) == 0;
        std::thread::sleep(if long { GRACE + random.millis(2_000) } else { random.millis(600) });
    }
    site.start()
}

fn audit(site: &Site, random: &mut Random, books: &mut Books, nodes: usize) -> Outcome {
    let listed = said(site, &["jobs", "-a", "-n", "--count=0", "-o", "{id} {state} {result} {returncode}"])?;
    let mut results = BTreeMap::new();
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let id = words.next().unwrap_or("").to_owned();
        results.insert(id, words.map(str::to_owned).collect::<Vec<_>>());
    }
    for (id, (kind, number)) in &books.jobs {
        let (result, code) = kind.expected(*number);
        let got = results.get(id).ok_or_else(|| format!("{id} ({kind:?} {number}) is lost"))?;
        if got.first().is_none_or(|state| state != "INACTIVE") {
            return Err(format!("{id} ({kind:?} {number}) is {got:?}"));
        }
        if got.get(1).is_some_and(|got| got == result) && (code.is_empty() || got.get(2) == Some(&code)) {
            continue;
        }
        let log = said(site, &["job", "eventlog", id])?;
        let first = results.get(books.first.get(id).unwrap_or(id));
        if !excused(*kind, &log, books, &site.outages, first) {
            let outages = &site.outages;
            return Err(format!("{id} ({kind:?} {number}) came to {got:?}, not to {result} {code}\n{log}{outages:?}"));
        }
        books.lost_jobs += u32::from(log.contains("node failure on"));
        books.unstored += u32::from(log.contains("before it could store"));
    }
    if results.len() != books.jobs.len() {
        return Err(format!("{} jobs are known, {} were submitted", results.len(), books.jobs.len()));
    }
    audit_runs(site, books, &results)?;
    let ids: Vec<&String> = books.jobs.keys().collect();
    for _ in 0..LOGS_MAX.min(ids.len() as u64) {
        audit_log(site, ids[random.below(ids.len() as u64) as usize])?;
    }
    audit_cores(site, nodes as u32 * CORES)
}

/// Nothing is taken once all is over, and every node has come back: also one that was started again a moment ago.
fn audit_cores(site: &Site, all: u32) -> Outcome {
    let begin = Instant::now();
    loop {
        let free = said(site, &["resource", "list", "-s", "free", "-no", "{ncores}"])?;
        if free.trim() == all.to_string() {
            return Ok(());
        }
        if begin.elapsed() > COME_BACK {
            let (_, nodes) = site.output(&["resource", "status"])?;
            let (_, tree) = site.output(&["overlay", "status"])?;
            return Err(format!("{} of {all} cores are free\n{nodes}\n{tree}\n{}", free.trim(), site.broker_log()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a job may have ended otherwise than its kind says: cancelled when it could be, or on a node that was lost, or after one.
fn excused(kind: Kind, log: &str, books: &Books, outages: &[Outage], first: Option<&Vec<String>>) -> bool {
    let exception = |kind: &str| log.lines().any(|line| line.contains(" exception ") && line.contains(kind));
    match kind {
        Kind::Raced if exception("cancel") => true,
        Kind::Dependent if exception("dependency") => {
            first.is_some_and(|first| first.get(1).is_some_and(|result| result != "COMPLETED"))
        }
        Kind::Canceled => false,
        // Killed between the start of the shells and the write that says so (ADR 1): at most once is kept.
        _ if books.kills > 0 && exception("before it could store that the job was started") => true,
        _ => Loss::read(log).is_some_and(|loss| loss.is_true(outages)),
    }
}

/// What a job's log says of the loss of one of its nodes.
#[derive(Debug, PartialEq)]
struct Loss {
    rank: usize,
    /// When the job was given the node.
    alloc: f64,
    /// When the node was given up.
    given_up: f64,
}

impl Loss {
    fn read(log: &str) -> Option<Loss> {
        let time = |line: &str| line.split(' ').next()?.parse::<f64>().ok();
        let lost = log.lines().find(|line| line.contains(" exception ") && line.contains("node failure on"))?;
        let alloc = log.lines().find(|line| line.split(' ').nth(1) == Some("alloc"))?;
        let rank = lost.split_once("(rank ")?.1.split(')').next()?.parse().ok()?;
        Some(Loss { rank, alloc: time(alloc)?, given_up: time(lost)? })
    }

    /// The node's broker, or one between it and rank 0, was killed while the job had the node, or before and was not there yet.
    /// That rank 0 was killed is no reason.
    fn is_true(&self, outages: &[Outage]) -> bool {
        let path = std::iter::successors(Some(self.rank), |rank| Some((rank - 1) / 2).filter(|above| *above > 0));
        let path: Vec<usize> = path.collect();
        outages.iter().any(|outage| {
            let over = outage.until.is_some_and(|until| until < self.alloc);
            path.contains(&outage.rank) && outage.from <= self.given_up && !over
        })
    }
}

/// Each job that had to run did so once, on each of its nodes.
fn audit_runs(site: &Site, books: &Books, results: &BTreeMap<String, Vec<String>>) -> Outcome {
    let ran = fs::read_to_string(site.dir.join("ran")).map_err(|error| error.to_string())?;
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for number in ran.lines().filter_map(|line| line.parse().ok()) {
        *counts.entry(number).or_default() += 1;
    }
    for (id, (kind, number)) in &books.jobs {
        let max = u32::from(*kind != Kind::Canceled) + u32::from(*kind == Kind::Wide);
        // What came to its end as its kind says it must has run; what was cancelled or lost its node may not have got so far.
        let (result, code) = kind.expected(*number);
        // A time limit may pass before the task has come to its first line.
        let whole = !matches!(kind, Kind::Canceled | Kind::TooLong)
            && results[id].get(1).is_some_and(|got| got == result)
            && (code.is_empty() || results[id].get(2) == Some(&code));
        let got = counts.get(number).copied().unwrap_or(0);
        if got > max || (whole && got < max) {
            return Err(format!("{id} ({kind:?} {number}) ran {got} times, not {max}: {:?}", results[id]));
        }
    }
    Ok(())
}

/// RFC 21: from `submit` to `clean`, in the order of time, and what can be only once is.
fn audit_log(site: &Site, id: &str) -> Outcome {
    let log = said(site, &["job", "eventlog", "--format=json", id])?;
    let bad = |why: &str| Err(format!("{id}: {why}\n{log}"));
    let mut names = Vec::new();
    let mut last = 0.0;
    for line in log.lines() {
        let part = |key: &str| line.split_once(&format!("\"{key}\":")).map(|(_, rest)| rest);
        let time = part("timestamp").and_then(|rest| rest.split(',').next()?.parse::<f64>().ok()).unwrap_or(0.0);
        if time < last {
            return bad("its events are out of order");
        }
        last = time;
        names.push(part("name").and_then(|rest| rest.split('"').nth(1)).unwrap_or("").to_owned());
    }
    if names.first().is_none_or(|name| name != "submit") || names.last().is_none_or(|name| name != "clean") {
        return bad("its log is no whole life");
    }
    for once in ["submit", "validate", "depend", "alloc", "start", "finish", "free", "clean"] {
        if names.iter().filter(|name| *name == once).count() > 1 {
            return bad(&format!("{once} came twice"));
        }
    }
    Ok(())
}
