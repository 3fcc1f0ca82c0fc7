//! What the tool says about itself.

use super::{Host, Session};
use std::io;

pub(super) const USAGE: &str = "\
usage: resource-query [OPTIONS...]

Matches jobspecs (RFC 14) against a resource graph (RFC 4) and keeps what is allocated or reserved.
Reads commands from standard input; type \"help\" for a list.

  -h, --help                    show this text
  -L, --load-file=FILE          resource graph to load (conf/default)
  -f, --load-format=FORMAT      grug|hwloc|jgf|jgf_shorthand|rv1exec|rv1exec_force (grug)
  -W, --load-allowlist=TYPES    load only these types, separated by commas (hwloc)
  -S, --match-subsystems=NAME   CA|IBA|IBBA|PFS1BA|PA|C+IBA|C+IBBA|C+PFS1BA|C+PA|IB+IBBA|C+P+IBA|VA|V+PFS1BA|ALL (CA)
  -P, --match-policy=POLICY     first|firstnodex|low|high|lonode|hinode|lonodex|hinodex|locality|variation, or
                                'policy=low|high [node_centric=true] [node_exclusive=true] [stop_on_1_matches=true]',
                                or FILE.lua, a script that scores resources
                                (first)
  -F, --match-format=FORMAT     simple|pretty_simple|jgf|jgf_shorthand|rlite|rv1|rv1_nosched|rv1_shorthand (simple)
  -T, --traverser-policy=NAME   simple|flexible (simple)
  -p, --prune-filters=FILTERS   HIGH:LOW[,HIGH:LOW...]: count LOW below every HIGH, ALL for all (ALL:core,ALL:node)
  -g, --graph-format=FORMAT     dot|graphml (dot)
  -o, --graph-output=BASENAME   draw the graph into BASENAME.dot or BASENAME.graphml at the end
  -r, --reserve-vtx-vec=SIZE    accepted and not needed
  -e, --elapse-time             show how long everything takes
  -d, --disable-prompt          show no prompt
  -t, --test-output=FILE        write results to FILE
";

/// Name, short name and what a command does.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    (
        "match",
        "m",
        "match allocate|allocate_with_satisfiability|allocate_orelse_reserve|satisfiability|without_allocating|without_allocating_future JOBSPEC: match a jobspec",
    ),
    ("multi-match", "M", "multi-match SUBCMD JOBSPEC JOBSPEC...: match several jobspecs"),
    (
        "update",
        "u",
        "update allocate|reserve jgf|jgf_shorthand|rv1exec FILE JOBID STARTTIME DURATION: put a job where a file says it is",
    ),
    ("attach", "j", "attach JGF_FILE: add a subgraph"),
    ("remove", "j", "remove PATH true | remove IDSET false: remove a subgraph by path or by ranks"),
    (
        "find",
        "f",
        "find EXPRESSION: find resources (status={up|down} sched-now={allocated|free} sched-future={reserved|free} agfilter={true|false} names=HOSTLIST jobid-alloc=ID jobid-span=ID jobid-tag=ID jobid-reserved=ID property=NAME, with and, or, parentheses)",
    ),
    ("cancel", "c", "cancel JOBID [stats]: give back what a job holds"),
    ("partial-cancel", "pc", "partial-cancel JOBID jgf|rv1exec FILE [stats]: give back a part of what a job holds"),
    ("set-property", "p", "set-property PATH NAME=VALUE: set a property of a resource"),
    ("get-property", "g", "get-property PATH: show the properties of a resource"),
    ("set-status", "t", "set-status PATH up|down: mark a resource up or down"),
    ("get-status", "e", "get-status PATH: show whether a resource is up"),
    ("list", "l", "list: show all jobs"),
    ("info", "i", "info JOBID: show a job"),
    ("stat", "s", "stat: show how long matches took"),
    ("cat", "a", "cat JOBSPEC: show a jobspec file"),
    ("help", "h", "help [COMMAND]: show this list"),
    ("quit", "q", "quit: end"),
];

impl<H: Host> Session<'_, H> {
    pub(super) fn help(&mut self, words: &[&str]) -> io::Result<bool> {
        let wanted = words.get(1).copied().filter(|_| words.len() == 2);
        let is_wanted = |name: &str, short: &str| wanted.is_none_or(|wanted| wanted == name || wanted == short);
        let mut is_found = false;
        for (name, short, text) in COMMANDS.iter().filter(|(name, short, _)| is_wanted(name, short)) {
            writeln!(self.streams.out, "INFO: {name} ({short}) -- {text}")?;
            is_found = true;
        }
        if !is_found {
            writeln!(self.streams.out, "ERROR: unknown command: {}", wanted.unwrap_or(""))?;
        }
        Ok(true)
    }
}
