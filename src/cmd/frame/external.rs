//! Commands that are other programs: `flux-NAME` in `FLUX_EXEC_PATH` or `PATH`.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::context::Context;
use super::{CmdError, CmdResult, install};
use crate::limits::SLIP_EDITS_MAX;
use crate::table;

/// Replaces this process by the external command.
pub(crate) fn run(name: &OsStr, args: &[OsString], cx: &mut Context) -> CmdResult {
    let Some(path) = find(name, cx) else { return Err(unknown(name)) };
    let mut child = match path.extension() {
        Some(extension) if extension == "py" => {
            let mut python = Command::new("python3");
            python.arg(&path);
            python
        }
        _ => Command::new(&path),
    };
    cx.out.flush()?;
    cx.dress(&mut child);
    let error = child.args(args).exec();
    Err(CmdError::about(path.display(), error))
}

fn find(name: &OsStr, cx: &Context) -> Option<PathBuf> {
    let name = name.to_str().filter(|name| !name.is_empty() && !name.contains('/'))?;
    let mut dirs = install::exec_path(|name| cx.var(name));
    dirs.extend(cx.var("PATH").iter().flat_map(std::env::split_paths));
    let own = install::executable();
    for dir in dirs {
        for file in [format!("flux-{name}"), format!("flux-{name}.py")] {
            let path = dir.join(&file);
            if cx.verbose {
                say!("flux: trying {}", path.display());
            }
            let python = file.ends_with(".py") && path.is_file();
            // A link to this executable is one of its roles, or nothing; never a command of its own.
            if (python || executable(&path)) && path.canonicalize().ok() != own {
                return Some(path);
            }
        }
    }
    None
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// What old instructions name, and what to write instead.
const FORMER: &[(&str, &str)] = &[
    ("wreckrun", "run"),
    ("wreck", "jobs"),
    ("bootstrap", "start"),
    ("capacitor", "bulksubmit"),
    ("jstat", "watch"),
    ("hwloc", "resource"),
    ("comms", "overlay"),
];

fn unknown(name: &OsStr) -> CmdError {
    let shown = name.to_string_lossy();
    if let Some((_, now)) = FORMER.iter().find(|(former, _)| *former == shown) {
        return CmdError::new(format!("'{shown}' was a command of earlier versions of Flux: use 'flux {now}'."));
    }
    let near = table::COMMANDS
        .iter()
        .map(|entry| (strsim::damerau_levenshtein(&shown, entry.name), entry.name))
        .filter(|(edits, _)| *edits <= SLIP_EDITS_MAX && *edits < shown.chars().count())
        .min();
    let hint = near.map(|(_, near)| format!(" Did you mean '{near}'?")).unwrap_or_default();
    CmdError::new(format!("'{shown}' is not a flux command.{hint} See 'flux help'."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_gets_a_suggestion() {
        let rows = [
            ("getatr", "'getatr' is not a flux command. Did you mean 'getattr'? See 'flux help'."),
            ("nosuchthing", "'nosuchthing' is not a flux command. See 'flux help'."),
            ("wreckrun", "'wreckrun' was a command of earlier versions of Flux: use 'flux run'."),
            ("x", "'x' is not a flux command. See 'flux help'."),
        ];
        for (name, want) in rows {
            assert_eq!(unknown(OsStr::new(name)).to_string(), want);
        }
    }
}
