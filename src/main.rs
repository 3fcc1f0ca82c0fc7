//! The one executable. Which role this process plays is decided here, once, before anything else runs.

use flux_sys::ids::{self, Ids};
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, PartialEq, Eq)]
enum Role {
    Broker,
    Imp,
    Shell,
    ResourceQuery,
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
        Role::Refuse(why) => {
            eprintln!("flux: {why}: refusing to run");
            ExitCode::from(126)
        }
        Role::Broker => ExitCode::from(flux_runtime::broker_main(arguments())),
        Role::Shell => flux_shellrun::main(&std::env::args_os().skip(1).collect::<Vec<_>>()),
        role => {
            eprintln!("flux: this build has no {role:?} in it");
            ExitCode::from(127)
        }
    }
}

/// The arguments after the program's name; what is not UTF-8 in them is replaced.
fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Ids = Ids { ruid: 0, euid: 0, suid: 0, rgid: 0, egid: 0, sgid: 0 };
    const USER: Ids = Ids { ruid: 9, euid: 9, suid: 9, rgid: 9, egid: 9, sgid: 9 };

    #[test]
    fn names_choose_the_role_of_plain_processes() {
        let rows = [
            (Some("flux"), Role::Cli),
            (Some("/usr/bin/flux-broker"), Role::Broker),
            (Some("./flux-shell"), Role::Shell),
            (Some("flux-imp"), Role::Imp),
            (Some("resource-query"), Role::ResourceQuery),
            (Some("-flux-broker"), Role::Cli),
            (Some(""), Role::Cli),
            (Some("/"), Role::Cli),
            (None, Role::Cli),
        ];
        for (name, want) in rows {
            for ids in [ROOT, USER] {
                assert_eq!(choose_role(name.map(OsStr::new), ids), want, "{name:?} {ids:?}");
            }
        }
    }

    #[test]
    fn raised_rights_outrank_the_name() {
        for name in ["flux", "flux-broker", "flux-shell", "flux-imp"] {
            let setuid_root = Ids { euid: 0, suid: 0, ..USER };
            assert_eq!(choose_role(Some(OsStr::new(name)), setuid_root), Role::Imp, "{name}");
            for ids in
                [Ids { euid: 7, ..USER }, Ids { egid: 0, ..USER }, Ids { suid: 0, ..USER }, Ids { euid: 5, ..ROOT }]
            {
                let role = choose_role(Some(OsStr::new(name)), ids);
                assert!(matches!(role, Role::Refuse(_)), "{name} {ids:?}: {role:?}");
            }
        }
    }
}
