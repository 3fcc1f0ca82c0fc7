//! Which lines of the IMP that run with privilege the tests run: all of them, without exclusions.
//!
//! The compiler counts (`-C instrument-coverage`), in a file that the program and all that it forks share, so that also those count
//! that end by a signal, by `_exit`, or by becoming another program.

use crate::run::{cargo, output, root, run, target};
use crate::{Outcome, tidy};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Counters that are mapped and not written at the end of the process.
const FLAGS: &str = "-C instrument-coverage -C llvm-args=-runtime-counter-relocation";

/// Runs the tests of the IMP and prints what they have not run. The report is `target/imp-coverage.txt`.
pub(crate) fn main(_: &[String]) -> Outcome {
    let directory = target().join("coverage");
    let _ = fs::remove_dir_all(&directory); // Of an earlier run.
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let wrapper = directory.join("rustc"); // Bash, as dash loses variables with a minus in their names.
    let script = format!("#!/bin/bash\nexec \"$@\" {FLAGS}\n");
    fs::write(&wrapper, script)
        .and_then(|()| fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)))
        .map_err(|error| error.to_string())?;
    let test = |more: &[&str]| {
        let mut command = cargo();
        command.args(["test", "--locked", "-p", "flux-imp"]).args(more);
        command.env("RUSTC_WORKSPACE_WRAPPER", &wrapper).env("RUSTC_WRAPPER", "");
        command
    };
    let mut objects = objects(&mut test(&["--no-run", "--message-format=json"]))?;
    objects.insert(target().join("debug/flux-imp-pam").display().to_string()); // The tests build it.
    run(test(&["--quiet"]).env("LLVM_PROFILE_FILE", directory.join("%c%m.profraw")))?;
    let merged = directory.join("all.profdata");
    let mut merge = Command::new(tool("llvm-profdata")?);
    run(merge.args(["merge", "-sparse", "-o"]).arg(&merged).args(profiles(&directory)?))?;
    let mut export = Command::new(tool("llvm-cov")?);
    export.args(["export", "-format=lcov", "-instr-profile"]).arg(&merged);
    for object in &objects {
        export.arg("-object").arg(object);
    }
    let (ok, text) = output(&mut export)?;
    if !ok {
        return Err(text);
    }
    report(&counts(&text))
}

/// The programs that cargo built, as its messages tell.
fn objects(command: &mut Command) -> Result<BTreeSet<String>, String> {
    let (ok, text) = output(command)?;
    if !ok {
        return Err(text);
    }
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    Ok(messages.filter_map(|message| message["executable"].as_str().map(str::to_string)).collect())
}

fn profiles(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory).map_err(|error| error.to_string())?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|ending| ending == "profraw")).collect())
}

/// One of LLVM's tools: rustup's, as old as the compiler, or Debian's newest.
fn tool(name: &str) -> Result<PathBuf, String> {
    let (_, text) = output(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let own = Path::new(text.trim()).parent().map(|path| path.join("bin").join(name));
    let debian = PathBuf::from(format!("/usr/lib/llvm-22/bin/{name}"));
    let found = own.into_iter().chain([debian]).find(|path| path.is_file());
    found.ok_or_else(|| format!("{name} is not there: rustup component add llvm-tools, or apt-get install llvm-22"))
}

/// How often each line of each file ran.
type Counts = BTreeMap<String, BTreeMap<usize, u64>>;

/// Reads lcov's format: `SF:` names a file, `DA:LINE,COUNT` follow.
fn counts(lcov: &str) -> Counts {
    let mut all = Counts::new();
    let mut file = String::new();
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = path.strip_prefix(&format!("{}/", root().display())).unwrap_or(path).to_string();
        } else if let Some((number, count)) = line.strip_prefix("DA:").and_then(|rest| rest.split_once(',')) {
            let (Ok(number), Ok(count)) = (number.parse(), count.parse::<u64>()) else { continue };
            *all.entry(file.clone()).or_default().entry(number).or_default() += count;
        }
    }
    all
}

/// Writes the report and says which lines are missing.
fn report(counts: &Counts) -> Outcome {
    let (mut text, mut all, mut missing) = (String::new(), 0, Vec::new());
    for file in tidy::imp_files()? {
        let Some(lines) = counts.get(&file) else { continue }; // Constants and macros alone.
        let ran = lines.values().filter(|count| **count > 0).count();
        text.push_str(&format!("{ran:>5} of {:>5} lines  {file}\n", lines.len()));
        all += lines.len();
        let source = fs::read_to_string(root().join(&file)).unwrap_or_default();
        for (number, _) in lines.iter().filter(|(_, count)| **count == 0) {
            let line = source.lines().nth(number - 1).unwrap_or_default();
            missing.push(format!("{file}:{number}: {line}"));
        }
    }
    let verdict = format!("imp-coverage: {} of {all} lines ran\n", all - missing.len());
    text.push_str(&verdict);
    missing.iter().for_each(|line| text.push_str(&format!("did not run: {line}\n")));
    print!("{text}");
    fs::write(target().join("imp-coverage.txt"), text).map_err(|error| error.to_string())?;
    match missing.len() {
        0 if all > 500 => Ok(()),
        0 => Err("the counts are not there".into()),
        count => Err(format!("{count} lines did not run")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_of_the_same_line_in_many_programs_are_added_up() {
        let counts = super::counts("SF:/a.rs\nDA:1,0\nDA:2,3\nend_of_record\nSF:/a.rs\nDA:1,2\n");
        assert_eq!(counts["/a.rs"].iter().map(|(line, count)| (*line, *count)).collect::<Vec<_>>(), [(1, 2), (2, 3)]);
    }
}
