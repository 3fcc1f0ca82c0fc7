//! The layout of the house: sizes, which room may depend on which, where `unsafe` may stand, words that must not.

mod code;
mod rooms;

use crate::Outcome;
use crate::run::{output, root};
use code::{blank, functions};
use std::fs;
use std::process::Command;

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
/// Files of the IMP that never run with privilege: programs that sign, and children that gave up root for good.
const IMP_NEVER_ROOT: &[&str] = &["imp/wrap.rs", "imp/reader.rs", "imp/json.rs", "imp/munge.rs"];
/// Lines of code of the IMP that run with privilege, without comments and tests.
const IMP_LINES_MAX: usize = 1500;

/// Files that are tables or recorded data: their length says nothing. Each with its reason.
const TABLES: &[(&str, &str)] = &[("third_party/", "the work of others, unchanged")];

/// Functions that are tables. Each with its reason: `file:function`.
const TABLE_FUNCTIONS: &[(&str, &str)] = &[];

/// Rooms where `unsafe` may stand: one call per block, each with its reason.
const UNSAFE_ROOMS: &[&str] = &["src/sys/", "src/topo/", "src/pmi/", "imp/"];

/// What may not be in any file; in two parts, so that this list does not find itself.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("../sha", "red", "a path outside the repository"),
    ("/wor", "k/main", "a path of one machine"),
    ("/wor", "k/.", "a path of one machine"),
    (".lib", "rary", "a path outside the repository"),
    ("todo", "!(", "unfinished code"),
    ("unimplemented", "!(", "unfinished code"),
    ("FIX", "ME", "unfinished code"),
];

/// Files that stand at the top: what else lies there was left behind.
const TOP: &[&str] = &[
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "NOTICE",
    "README.md",
    "deny.toml",
    "rustfmt.toml",
    "setup",
    "test",
];

pub(crate) fn main(_: &[String]) -> Outcome {
    let files = files()?;
    let mut complaints = rooms::check(&files)?;
    for file in &files {
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue }; // Not text, or deleted.
        check_file(file, &text, &mut complaints);
    }
    if !complaints.is_empty() {
        return Err(format!("{} complaints\n  {}", complaints.len(), complaints.join("\n  ")));
    }
    println!("tidy: {} files", files.len());
    Ok(())
}

/// Every file that is in the repository or about to be.
fn files() -> Result<Vec<String>, String> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let (ok, text) = output(Command::new("git").current_dir(root()).args(args))?;
    if ok { Ok(text.lines().map(str::to_string).collect()) } else { Err(text) }
}

fn check_file(file: &str, text: &str, complaints: &mut Vec<String>) {
    if TABLES.iter().any(|(prefix, _)| file.starts_with(prefix)) {
        return;
    }
    if !file.contains('/') && !TOP.contains(&file) {
        complaints.push(format!("{file}: a file at the top that is not in xtask/src/tidy.rs"));
    }
    for (number, line) in text.lines().enumerate() {
        for (first, second, what) in FORBIDDEN {
            if line.contains(&format!("{first}{second}")) {
                complaints.push(format!("{file}:{}: {first}{second}: {what}", number + 1));
            }
        }
    }
    let lines = text.lines().count();
    if (file.ends_with(".rs") || file.ends_with(".py")) && lines > FILE_LINES_MAX {
        complaints.push(format!("{file}: {lines} lines, over {FILE_LINES_MAX}: split it by noun"));
    }
    if file.ends_with(".rs") {
        check_rust(file, text, complaints);
    }
}

fn check_rust(file: &str, text: &str, complaints: &mut Vec<String>) {
    let blanked = blank(text);
    for function in functions(&blanked) {
        let name = format!("{file}:{}", function.name);
        let is_table = TABLE_FUNCTIONS.iter().any(|(known, _)| *known == name);
        if function.lines > FUNCTION_LINES_MAX && !is_table {
            complaints.push(format!(
                "{file}:{}: {} has {} lines, over {FUNCTION_LINES_MAX}",
                function.at, function.name, function.lines
            ));
        }
    }
    if !UNSAFE_ROOMS.iter().any(|room| file.starts_with(room)) && code::words(&blanked).any(|word| word == "unsafe") {
        complaints.push(format!("{file}: unsafe code outside src/sys, src/topo, src/pmi and imp"));
    }
}

/// The files whose code runs with privilege.
pub(crate) fn imp_files() -> Result<Vec<String>, String> {
    let mut files = files()?;
    files.retain(|file| file.starts_with("imp/") && file.ends_with(".rs") && !is_never_root(file));
    Ok(files)
}

fn is_never_root(file: &str) -> bool {
    file.contains("test") || IMP_NEVER_ROOT.contains(&file)
}

/// How much code runs with privilege: what a reader has to read in an afternoon.
pub(crate) fn imp_size(_: &[String]) -> Outcome {
    let (mut code_lines, mut test_lines) = (0, 0);
    for file in files()?.iter().filter(|file| file.starts_with("imp/") && file.ends_with(".rs")) {
        let text = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
        let is_test = is_never_root(file);
        let own = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let count = |text: &str| blank(text).lines().filter(|line| !line.trim().is_empty()).count();
        let (code, all) = (if is_test { 0 } else { count(own) }, count(&text));
        println!("{code:>6} {file}");
        code_lines += code;
        test_lines += all - code;
    }
    println!(
        "{code_lines:>6} lines of code, without comments and blank lines; {test_lines} of tests and code without privilege"
    );
    if code_lines > IMP_LINES_MAX { Err(format!("over {IMP_LINES_MAX}: too much to be read")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_offender() {
        let long_file = "//\n".repeat(801);
        let long_function = format!("fn long() {{\n{}}}\n", "    a();\n".repeat(70));
        let rows = [
            ("src/kvs/a.rs", long_file.as_str(), 1),
            ("src/kvs/a.rs", &long_function, 1),
            ("src/kvs/a.rs", "fn a() { unsafe { b() } }\n", 1),
            ("src/sys/a.rs", "fn a() { unsafe { b() } }\n", 0),
            ("src/kvs/a.rs", "// unsafe\n#![forbid(unsafe_code)]\nconst A: &str = \"unsafe\";\n", 0),
            ("doc/a.md", concat!("FIX", "ME\n"), 1),
            ("src/kvs/a.rs", concat!("fn a() { todo", "!() }\n"), 1),
            ("swf", "1 0 -1 60\n", 1),
            ("test", "#!/bin/sh\n", 0),
            ("third_party/a.c", concat!("FIX", "ME\n"), 0),
        ];
        for (file, text, want) in rows {
            let mut complaints = Vec::new();
            check_file(file, text, &mut complaints);
            assert_eq!(complaints.len(), want, "{file}: {complaints:?}");
        }
    }
}
