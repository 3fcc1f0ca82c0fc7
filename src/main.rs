//! The one executable. Which role this process plays is decided here, once, before anything else runs.

use flux_sys::ids::{self, Ids};
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: flux_sys::alloc::Allocator = flux_sys::alloc::Allocator;

/// Small blocks that a command keeps for its next allocations.
const SPARE_MEMORY_BYTES: usize = 4 << 20;

#[derive(Debug, PartialEq, Eq)]
enum Role {
    Broker,
    Imp,
    Shell,
    ResourceQuery,
    Grug2dot,
    Cli,
    Refuse(&'static str),
}

/// Raised rights (euid 0, ruid not) make the IMP, whatever the name: `argv[0]` belongs to the caller. Rights that differ in any
/// other way are refused.
fn choose_role(argv0: Option<&OsStr>, ids: Ids) -> Role {
    if ids.euid == 0 && ids.ruid != 0 {
        return Role::Imp;
    }
    if !ids.plain() {
        return Role::Refuse("started with raised rights that it does not know");
    }
    match argv0.and_then(|name| Path::new(name).file_name()).and_then(OsStr::to_str) {
        Some("flux-imp") => Role::Imp, // As root: only if configuration has allow-sudo; unprivileged: `version`, `whoami`.
        Some("flux-broker") => Role::Broker,
        Some("flux-shell") => Role::Shell,
        Some("resource-query") => Role::ResourceQuery,
        Some("grug2dot") => Role::Grug2dot,
        _ => Role::Cli,
    }
}

fn main() -> ExitCode {
    let argv0 = std::env::args_os().next();
    let role = choose_role(argv0.as_deref(), Ids::current());
    if role != Role::Imp && ids::at_secure() {
        ids::distrust_environment(); // The IMP has stricter rules of its own.
    }
    match role {
        Role::Imp => flux_imp::main(std::env::args_os().collect()),
        Role::Refuse(why) => {
            eprintln!("flux: {why}: refusing to run");
            ExitCode::from(126)
        }
        Role::Broker => ExitCode::from(flux_runtime::broker_main(arguments())),
        Role::Shell => flux_shellrun::main(&std::env::args_os().skip(1).collect::<Vec<_>>()),
        Role::ResourceQuery => flux_ionquery::main(std::env::args_os().skip(1)),
        Role::Grug2dot => flux_ionquery::grug2dot(std::env::args_os().skip(1)),
        Role::Cli => {
            // Listings are as many small values as a broker's jobs.
            flux_sys::alloc::cache(SPARE_MEMORY_BYTES);
            let programs = flux_cmd::Programs { broker: |args| flux_runtime::broker_main(args), tools: TOOLS };
            flux_cmd::main(std::env::args_os().collect(), programs)
        }
    }
}

/// The tools around the resource graph.
const TOOLS: &[flux_cmd::Tool] = &[
    ("grug2dot", "draw a GRUG recipe", |args| flux_ionquery::grug2dot(args.into_iter())),
    ("jobspec-validate", "check jobspecs", |args| flux_ionquery::jobspec_validate(args.into_iter())),
    ("resource-query", "match jobspecs on a resource graph", |args| flux_ionquery::main(args.into_iter())),
];

/// The arguments after the program's name; what is not UTF-8 in them is replaced.
fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned())
}

#[cfg(test)]
#[path = "main_tests.rs"]
mod tests;
