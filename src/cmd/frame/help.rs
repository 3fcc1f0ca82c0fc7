//! `flux help` and what `flux` alone prints.

use std::io::{self, Write};

use super::Group;
use crate::table;

const HEAD: &str = "\
Usage: flux [OPTIONS] COMMAND ARGS
  -h, --help             Display this message.
  -v, --verbose          Be verbose about environment and command search
  -V, --version          Display command and component versions
  -p, --parent           Set environment of parent instead of current instance
  -r, --root             Set environment of root instead of current instance
";

const GROUPS: &[(Group, &str)] = &[
    (Group::Submit, "run and submit jobs, allocate resources"),
    (Group::Jobs, "list and interact with jobs"),
    (Group::Resources, "get resource, queue and other instance information"),
    (Group::Other, "other useful commands"),
];

/// The commands, by group, in the order of the table.
pub(crate) fn overview(out: &mut impl Write, tools: &[crate::Tool]) -> io::Result<()> {
    out.write_all(HEAD.as_bytes())?;
    for (group, title) in GROUPS {
        let entries: Vec<_> = table::COMMANDS.iter().filter(|entry| entry.group == *group).collect();
        if entries.is_empty() {
            continue;
        }
        writeln!(out, "\n{title}")?;
        for entry in entries {
            writeln!(out, "   {:<18} {}", entry.name, entry.summary)?;
        }
    }
    if !tools.is_empty() {
        writeln!(out, "\nresource graphs and schedules, without an instance")?;
        for (name, summary, _) in tools {
            writeln!(out, "   {name:<18} {summary}")?;
        }
    }
    writeln!(out, "\nSee 'flux help COMMAND' for more information about a specific command.")
}
