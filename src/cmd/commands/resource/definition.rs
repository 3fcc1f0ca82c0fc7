//! What `flux resource` takes.

use clap::{Arg, ArgAction, Command};

use crate::frame::args::{flag, many, option, optional_word, word};
use crate::frame::color;

fn chosen() -> [Arg; 2] {
    [
        option("include", Some('i'), "TARGETS", "Only these ranks or hosts"),
        many("queue", Some('q'), "QUEUE,...", "Only these queues"),
    ]
}

/// What the instance would say comes from standard input, and its configuration from a file.
fn given() -> [Arg; 2] {
    [
        flag("from-stdin", None, "Read resources as JSON from standard input").hide(true),
        option("config-file", None, "PATH", "With --from-stdin, the configuration as JSON").hide(true),
    ]
}

fn states(help: &'static str) -> Arg {
    option("states", Some('s'), "STATE,...", help).alias("state")
}

fn table() -> [Arg; 2] {
    [
        option("format", Some('o'), "FORMAT", "Output format, or the name of one (`help` lists them)"),
        flag("no-header", Some('n'), "No line of headings"),
    ]
}

fn force(help: &'static str) -> Arg {
    Arg::new("force").long("force").short('f').action(ArgAction::Count).help(help)
}

fn reason() -> Arg {
    Arg::new("REASON").value_name("REASON").num_args(0..).trailing_var_arg(true).help("Why")
}

pub fn command() -> Command {
    let skip = || flag("skip-empty", None, "No lines of no nodes");
    Command::new("resource")
        .subcommand_required(true)
        .subcommand(
            Command::new("list")
                .about("List resources by the scheduler's view: free, allocated, down")
                .args(table())
                .arg(states("Only resources in these states: up, down, allocated, free, all"))
                .args(chosen())
                .args(given())
                .arg(skip())
                .arg(flag("no-skip-empty", None, "Lines of no nodes even with --include"))
                .arg(flag("json", None, "As JSON: an object of states, each with its R")),
        )
        .subcommand(
            Command::new("info")
                .about("Count nodes, cores and GPUs")
                .arg(states("Only resources in these states"))
                .args(chosen())
                .args(given()),
        )
        .subcommand(
            Command::new("R")
                .about("Print resources as RFC 20 R")
                .arg(states("Only resources in these states"))
                .args(chosen())
                .args(given()),
        )
        .subcommand(
            Command::new("status")
                .about("Show the state of nodes: avail, drained, offline")
                .args(table())
                .arg(states("Only nodes in these states (`help` lists them)"))
                .args(chosen())
                .args(given())
                .arg(color::arg())
                .arg(skip()),
        )
        .subcommand(
            Command::new("drain")
                .about("Keep nodes from getting new jobs; without targets, list those that are kept")
                .arg(force("Overwrite the reason of drained nodes; twice: the time too"))
                .arg(flag("update", Some('u'), "Skip nodes that are drained already"))
                .args(chosen())
                .args(table())
                .arg(color::arg())
                .args([optional_word("TARGETS", "Ranks or hosts"), reason()]),
        )
        .subcommand(
            Command::new("undrain")
                .about("Let nodes get jobs again")
                .arg(force("Overwrite reasons"))
                .arg(flag("update", Some('u'), "Skip nodes that are not drained"))
                .args([word("TARGETS", "Ranks or hosts"), reason()]),
        )
        .subcommand(eventlog())
        .subcommand(
            Command::new("reload")
                .about("Replace the inventory")
                .arg(flag("xml", Some('x'), "PATH is a directory of hwloc XML files"))
                .arg(flag("force", Some('f'), "Allow ranks that do not exist"))
                .arg(word("PATH", "A file of R")),
        )
        .subcommand(Command::new("acquire-mute").about("Stop telling the scheduler what goes down").hide(true))
}

fn eventlog() -> Command {
    Command::new("eventlog").about("Show what happened to resources").args([
        option("format", Some('f'), "FORMAT", "text or json").value_parser(["text", "json"]),
        option("time-format", Some('T'), "FORMAT", "raw, iso, offset or human")
            .value_parser(["raw", "iso", "offset", "human", "reltime"]),
        flag("human", Some('H'), "Show times for people"),
        color::arg(),
        flag("follow", Some('F'), "Show events as they come"),
        option("timeout", Some('t'), "TIME", "With --follow or --wait, give up after this time"),
        option("wait", Some('w'), "EVENT", "Show events until this one comes"),
        many("match-context", Some('m'), "KEY=VAL", "With --wait, only an event with this in its context"),
        option("include", Some('i'), "TARGETS", "Only events about these ranks or hosts"),
    ])
}
