//! `flux tree`: a tree of instances, whose leaves run a script as often as is asked for.
//!
//! Each level runs its children as jobs (`flux run ... flux start flux tree ...`), waits for all, and ends with the largest of their
//! exit codes. Nodes are shared out first; where there are more children than nodes, the cores of a node are.

use std::collections::VecDeque;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{ArgMatches, Command};
use flux_client::{Handle, Payload, Target};
use flux_types::resource_set::ResourceSet;
use serde_json::{Value, json};

use crate::frame::args::{command_line, flag, option, text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// Children of one instance, and levels of a tree.
const CHILDREN_MAX: u32 = 4096;
const LEVELS_MAX: usize = 8;

/// The topology of an instance that runs the script itself.
const LEAF: &str = "leaf";

const ABOUT: &str = "\
TOPOLOGY is the number of children at each level, as in 2x4: two instances of four each. The script runs in the instances at the \
leaves, JOBS times in all, with FLUX_TREE_ID (as in 2.1.4), FLUX_TREE_JOBSCRIPT_INDEX (from 1), FLUX_TREE_NNODES, \
FLUX_TREE_NCORES_PER_NODE and FLUX_TREE_NGPUS_PER_NODE in its environment.";

pub fn command() -> Command {
    Command::new("tree")
        .after_help(ABOUT)
        .args([
            option("topology", Some('T'), "TOPOLOGY", "Children at each level, as in 2x4 [default: 1]"),
            option("nnodes", Some('N'), "N", "Nodes for the tree [default: all of this instance]"),
            option("ntasks", Some('n'), "N", "Brokers of the tree, if more than one on each node"),
            option("cores-per-node", Some('c'), "N", "Cores of each node [default: all]"),
            option("gpus-per-node", Some('g'), "N", "GPUs of each node [default: all]"),
            option("njobs", Some('J'), "JOBS", "How often the script runs [default: 1]"),
            option(
                "queue-policy",
                Some('Q'),
                "POLICY",
                "Of the schedulers in the tree: fcfs, easy, hybrid or conservative",
            ),
            option("match-policy", Some('M'), "POLICY", "Of the schedulers in the tree, as in sched-fluxion-resource"),
            option("prefix", Some('X'), "ID", "The id of this instance in the tree"),
            option("first-job", None, "N", "The index of the first run of the script here").hide(true),
            option(
                "perf-out",
                Some('o'),
                "FILE",
                "Append a line of JSON for each instance of the tree: when it began and ended",
            ),
            flag("dry-run", None, "Show the jobs of this level instead of running them"),
        ])
        .arg(command_line("The script"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let plan = Plan::read(matches, cx)?;
    let begin = SystemTime::now();
    let code = match plan.levels.split_first() {
        Some((children, rest)) => plan.run_children(*children, rest, matches.get_flag("dry-run"), cx)?,
        None => plan.run_script(matches.get_flag("dry-run"), cx)?,
    };
    if let Some(file) = text(matches, "perf-out").filter(|_| !matches.get_flag("dry-run")) {
        plan.note(file, begin)?;
    }
    Ok(ExitCode::from(code))
}

/// What this instance of the tree is to do.
struct Plan<'a> {
    id: String,
    levels: Vec<u32>,
    own: Share,
    script: Vec<&'a str>,
    /// Options for all below.
    common: Vec<String>,
}

/// What an instance of the tree is given.
#[derive(Debug, PartialEq, Eq)]
struct Share {
    nodes: u32,
    brokers: u32,
    /// Of each node.
    cores: u32,
    gpus: u32,
    jobs: u32,
    first_job: u32,
}

fn number(matches: &ArgMatches, name: &str) -> Result<Option<u32>, CmdError> {
    let parse = |given: &str| given.parse::<u32>().ok().filter(|number| *number > 0);
    let refused = |given: &str| CmdError::usage(format!("--{name}={given}: give a number from 1"));
    text(matches, name).map(|given| parse(given).ok_or_else(|| refused(given))).transpose()
}

/// `2x4`: the number of children at each level.
fn topology(given: &str) -> Result<Vec<u32>, CmdError> {
    if given == LEAF {
        return Ok(Vec::new());
    }
    let refused = || {
        let most = format!("at most {LEVELS_MAX} levels of {CHILDREN_MAX} children");
        CmdError::usage(format!("--topology={given}: give numbers of children such as 2x4, {most}"))
    };
    let parse = |part: &str| part.parse().ok().filter(|children| (1..=CHILDREN_MAX).contains(children));
    let levels: Option<Vec<u32>> = given.split('x').map(parse).collect();
    levels.filter(|levels| levels.len() <= LEVELS_MAX).ok_or_else(refused)
}

/// The nth of `count` parts of `whole`, as equal as they can be.
fn part(whole: u32, count: u32, nth: u32) -> u32 {
    whole / count + u32::from(nth < whole % count)
}

/// Nodes, cores and GPUs of the smallest node of this instance.
fn size_of_instance(flux: &mut Handle) -> Result<(u32, u32, u32), CmdError> {
    let answer = flux.call("resource.sched-status", Target::Any, Payload::None);
    let answer = answer.map_err(CmdError::calling("resource.sched-status"))?;
    let all = answer.get("all").map(Value::to_string).unwrap_or_default();
    let set = ResourceSet::parse(&all).map_err(|error| CmdError::new(format!("resource.sched-status: {error}")))?;
    let least =
        |kind: &str| set.iter().map(|(_, node)| node.child(kind).map_or(0, |ids| ids.count())).min().unwrap_or(0);
    Ok((set.nnodes() as u32, least("core") as u32, least("gpu") as u32))
}

/// Waits for all; answers the largest exit code.
fn wait(running: impl IntoIterator<Item = Child>) -> Result<u8, CmdError> {
    let mut code = 0;
    for mut child in running {
        let status = child.wait()?;
        let own = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
        code = code.max(u8::try_from(own).unwrap_or(1));
    }
    Ok(code)
}

impl<'a> Plan<'a> {
    fn read(matches: &'a ArgMatches, cx: &Context) -> Result<Plan<'a>, CmdError> {
        let script = texts(matches, "COMMAND");
        if script.is_empty() {
            return Err(CmdError::usage("give a script to run at the leaves"));
        }
        let (nodes, cores, gpus) = size_of_instance(&mut cx.open()?)?;
        let wanted = number(matches, "nnodes")?.unwrap_or(nodes);
        let mut common = Vec::new();
        for name in ["queue-policy", "match-policy", "perf-out"] {
            if let Some(given) = text(matches, name) {
                common.push(format!("--{name}={given}"));
            }
        }
        Ok(Plan {
            id: text(matches, "prefix").unwrap_or("tree").to_owned(),
            levels: topology(text(matches, "topology").unwrap_or("1"))?,
            own: Share {
                nodes: wanted,
                brokers: number(matches, "ntasks")?.unwrap_or(wanted).max(wanted),
                cores: number(matches, "cores-per-node")?.unwrap_or(cores),
                gpus: match text(matches, "gpus-per-node") {
                    Some("0") => 0,
                    _ => number(matches, "gpus-per-node")?.unwrap_or(gpus),
                },
                jobs: number(matches, "njobs")?.unwrap_or(1),
                first_job: number(matches, "first-job")?.unwrap_or(1),
            },
            script,
            common,
        })
    }

    /// What the children get; those for whom no run of the script is left are not made.
    fn shares(&self, children: u32) -> Result<Vec<Share>, CmdError> {
        let children = children.min(self.own.jobs);
        let per_node = children.div_ceil(self.own.nodes.max(1));
        if per_node > self.own.cores {
            let have = format!("{} nodes of {} cores", self.own.nodes, self.own.cores);
            return Err(CmdError::new(format!("{}: {have} are not enough for {children} instances", self.id)));
        }
        let mut first_job = self.own.first_job;
        let share = |nth| {
            let (nodes, split) = if per_node > 1 { (1, per_node) } else { (part(self.own.nodes, children, nth), 1) };
            let jobs = part(self.own.jobs, children, nth);
            let brokers = part(self.own.brokers, children, nth).max(nodes);
            let share =
                Share { nodes, brokers, cores: self.own.cores / split, gpus: self.own.gpus / split, jobs, first_job };
            first_job += jobs;
            share
        };
        Ok((0..children).map(share).collect())
    }

    /// The job that is a child.
    fn child(&self, nth: usize, share: &Share, rest: &[u32]) -> Vec<String> {
        let mut words: Vec<String> = vec!["run".into()];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        option("-N", share.nodes.to_string());
        option("-n", share.brokers.to_string());
        // A broker has at least a core of its own.
        option("-c", (share.cores * share.nodes / share.brokers).max(1).to_string());
        if share.gpus > 0 {
            option("-g", (share.gpus * share.nodes / share.brokers).to_string());
        }
        words.extend(["flux".into(), "start".into()]);
        for (name, table) in [("queue-policy", "sched-fluxion-qmanager"), ("match-policy", "sched-fluxion-resource")] {
            let given = self.common.iter().find_map(|word| word.strip_prefix(&format!("--{name}=")));
            words.extend(given.map(|given| format!("--conf={table}.{name}={given}")));
        }
        words.extend(["flux".into(), "tree".into()]);
        let levels: Vec<String> = rest.iter().map(u32::to_string).collect();
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        option("--prefix", format!("{}.{}", self.id, nth + 1));
        option("-T", if rest.is_empty() { LEAF.to_owned() } else { levels.join("x") });
        option("-N", share.nodes.to_string());
        option("-n", share.brokers.to_string());
        option("-c", share.cores.to_string());
        option("-g", share.gpus.to_string());
        option("-J", share.jobs.to_string());
        option("--first-job", share.first_job.to_string());
        words.extend(self.common.iter().cloned());
        words.push("--".into());
        words.extend(self.script.iter().map(|word| (*word).to_owned()));
        words
    }

    fn run_children(&self, children: u32, rest: &[u32], dry: bool, cx: &mut Context) -> Result<u8, CmdError> {
        let mut running = Vec::new();
        for (nth, share) in self.shares(children)?.iter().enumerate() {
            let words = self.child(nth, share, rest);
            if dry {
                cx.line(format_args!("flux {}", words.join(" ")))?;
                continue;
            }
            let mut child = std::process::Command::new(std::env::current_exe()?);
            cx.dress(&mut child);
            running.push(child.arg0("flux").args(words).spawn()?);
        }
        wait(running)
    }

    /// As many at once as there are cores.
    fn run_script(&self, dry: bool, cx: &mut Context) -> Result<u8, CmdError> {
        let (mut running, mut code) = (VecDeque::new(), 0);
        let at_once = (self.own.nodes * self.own.cores).max(1) as usize;
        for index in self.own.first_job..self.own.first_job + self.own.jobs {
            if dry {
                cx.line(format_args!("{}: run {index} of {}", self.id, self.script.join(" ")))?;
                continue;
            }
            let mut script = std::process::Command::new(self.script[0]);
            cx.dress(&mut script);
            script.args(&self.script[1..]).env("FLUX_TREE_ID", &self.id);
            for (name, number) in [
                ("FLUX_TREE_JOBSCRIPT_INDEX", index),
                ("FLUX_TREE_NNODES", self.own.nodes),
                ("FLUX_TREE_NCORES_PER_NODE", self.own.cores),
                ("FLUX_TREE_NGPUS_PER_NODE", self.own.gpus),
            ] {
                script.env(name, number.to_string());
            }
            if running.len() >= at_once {
                code = code.max(wait(running.pop_front())?);
            }
            running.push_back(script.spawn().map_err(|error| CmdError::about(self.script[0], error))?);
        }
        Ok(code.max(wait(running)?))
    }

    fn note(&self, file: &str, begin: SystemTime) -> Result<(), CmdError> {
        use std::io::Write;
        let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let (begin, end) = (seconds(begin), seconds(SystemTime::now()));
        let line = json!({"TreeID": self.id, "Elapsed": end - begin, "Begin": begin, "End": end, "NJobs": self.own.jobs,
            "NNodes": self.own.nodes, "CPN": self.own.cores, "GPN": self.own.gpus});
        let about = |error| CmdError::about(file, error);
        let mut out = std::fs::OpenOptions::new().create(true).append(true).open(file).map_err(about)?;
        out.write_all(format!("{line}\n").as_bytes()).map_err(about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(nodes: u32, cores: u32, jobs: u32) -> Plan<'static> {
        Plan {
            id: "tree".into(),
            levels: vec![],
            own: Share { nodes, brokers: nodes, cores, gpus: 0, jobs, first_job: 1 },
            script: vec!["./script.sh", "x y"],
            common: vec!["--queue-policy=easy".into()],
        }
    }

    #[test]
    fn a_topology_is_numbers_of_children() {
        for (given, want) in [("2", vec![2]), ("2x3x4", vec![2, 3, 4]), (LEAF, vec![])] {
            assert_eq!(topology(given).unwrap(), want);
        }
        for given in ["", "x", "2x", "0", "-1", "2x0", "5000", "1x1x1x1x1x1x1x1x1", "2 x 2", "99999999999"] {
            assert!(topology(given).unwrap_err().to_string().contains("give numbers of children"), "{given}");
        }
    }

    #[test]
    fn nodes_are_shared_out_and_then_the_cores_of_a_node() {
        let rows = [
            ((4, 8, 4), 2, vec![(2, 8, 2, 1), (2, 8, 2, 3)]),
            ((5, 8, 5), 2, vec![(3, 8, 3, 1), (2, 8, 2, 4)]),
            ((1, 8, 4), 2, vec![(1, 4, 2, 1), (1, 4, 2, 3)]),
            ((2, 8, 3), 3, vec![(1, 4, 1, 1), (1, 4, 1, 2), (1, 4, 1, 3)]),
            ((4, 8, 1), 2, vec![(4, 8, 1, 1)]),
        ];
        for ((nodes, cores, jobs), children, want) in rows {
            let shares = plan(nodes, cores, jobs).shares(children).unwrap();
            let got: Vec<_> = shares.iter().map(|one| (one.nodes, one.cores, one.jobs, one.first_job)).collect();
            assert_eq!(got, want, "{nodes} nodes of {cores} cores, {jobs} jobs, {children} children");
        }
        assert!(plan(1, 2, 9).shares(3).unwrap_err().to_string().contains("are not enough for 3 instances"));
    }

    #[test]
    fn a_child_is_a_job_that_goes_on_with_the_tree() {
        let plan = plan(4, 8, 4);
        let words = plan.child(1, &plan.shares(2).unwrap()[1], &[2, 3]);
        let want = "run -N 2 -n 2 -c 8 flux start --conf=sched-fluxion-qmanager.queue-policy=easy flux tree --prefix tree.2 -T 2x3 \
                    -N 2 -n 2 -c 8 -g 0 -J 2 --first-job 3 --queue-policy=easy -- ./script.sh x y";
        assert_eq!(words.join(" "), want);
        assert_eq!(words.last().unwrap(), "x y");
    }
}
