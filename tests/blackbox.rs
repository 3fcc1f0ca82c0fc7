//! Black-box tests: scripts that a user could type, run inside an instance of the built program.
//!
//! A case is `tests/cases/NAME.sh` with its expected standard output `NAME.out`; `# exit: N` on its first line names an exit code other than 0.
//! What differs from run to run (job ids, host and user name, times, directories) is replaced before the comparison. With
//! `FLUX_UNDER_TEST=/path/to/flux` the same cases run on that program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The program under test, as `flux` in a directory of its own for `PATH`.
struct Program {
    dir: PathBuf,
    flux: PathBuf,
}

impl Program {
    fn new() -> Program {
        let flux = match std::env::var_os("FLUX_UNDER_TEST") {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(env!("CARGO_BIN_EXE_flux")),
        };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed); // Tests run side by side, and each removes its own.
        let dir = std::env::temp_dir().join(format!("flux-cases-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).expect("a scratch directory");
        let link = dir.join("flux");
        if !link.exists() {
            std::os::unix::fs::symlink(&flux, &link).expect("a link to the program");
        }
        Program { dir, flux }
    }

    /// Runs a script inside an instance of its own: standard output, standard error, exit code.
    fn run(&self, script: &Path) -> (String, String, i32) {
        let path = std::env::var("PATH").unwrap_or_default();
        let work = self.dir.join(format!("work-{}", script.file_stem().unwrap_or_default().to_string_lossy()));
        fs::create_dir_all(&work).expect("a working directory");
        let output = Command::new(&self.flux)
            .args(["start", "sh"])
            .arg(script)
            .env("PATH", format!("{}:{path}", self.dir.display()))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("FLUX_URI")
            .current_dir(&work)
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Replaces what no two runs have in common.
fn normal(text: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<String> = line.split(' ').map(|word| normal_word(word, host.trim())).collect();
        out.push_str(words.join(" ").trim_end());
        out.push('\n');
    }
    out
}

fn normal_word(word: &str, host: &str) -> String {
    let is_id = |text: &str| {
        text.strip_prefix('ƒ').is_some_and(|rest| !rest.is_empty() && rest.chars().all(char::is_alphanumeric))
    };
    let is_time = |text: &str| {
        text.split_once('.').is_some_and(|(secs, rest)| {
            secs.len() >= 10 && secs.bytes().all(|b| b.is_ascii_digit()) && rest.bytes().all(|b| b.is_ascii_digit())
        })
    };
    match word {
        _ if word == host => "HOST".into(),
        _ if is_id(word) => "ID".into(),
        _ if is_time(word) => "TIME".into(),
        _ => word.into(),
    }
}

fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(&dir)
        .expect("the cases")
        .map(|entry| entry.expect("a case").path())
        .filter(|path| path.extension().is_some_and(|e| e == "sh"))
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_case_prints_what_is_expected() {
    let program = Program::new();
    let mut wrong = Vec::new();
    for case in cases() {
        let name = case.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let script = fs::read_to_string(&case).expect("the script");
        let first = script.lines().next().unwrap_or("");
        let want_code: i32 =
            first.strip_prefix("# exit: ").map_or(0, |code| code.trim().parse().expect("an exit code"));
        let want = fs::read_to_string(case.with_extension("out")).unwrap_or_default();
        let (stdout, stderr, code) = program.run(&case);
        let got = normal(&stdout);
        if got != want || code != want_code {
            wrong.push(format!("-- {name}: exit {code}, not {want_code}\n{got}-- not\n{want}-- stderr\n{stderr}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_instance_exits_as_its_program_does() {
    let program = Program::new();
    for (script, want) in [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("no-such-command", 127)] {
        let status = Command::new(&program.flux)
            .args(["start", "sh", "-c", script])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the program runs");
        assert_eq!(status.code(), Some(want), "{script}");
    }
}
