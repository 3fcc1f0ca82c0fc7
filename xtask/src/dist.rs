//! The program as it is installed: one static file and the names it is also known by.

use crate::run::{cargo, root, run, target};
use crate::{Outcome, statics};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names under which the same file plays another role (src/main.rs).
pub(crate) const NAMES: &[&str] = &["flux-broker", "flux-shell", "flux-imp", "resource-query", "grug2dot"];

pub(crate) fn main(args: &[String]) -> Outcome {
    let program = build()?;
    println!("{}", program.display());
    statics::is_static(&program)?;
    if args.iter().any(|arg| arg == "--check") { statics::check(&program) } else { Ok(()) }
}

/// Builds `target/dist/flux` and its links; answers its path.
pub(crate) fn build() -> Result<PathBuf, String> {
    // For this one program only: in RUSTFLAGS the flag would break proc macros (doc/adr/0003).
    let flags = ["rustc", "--release", "--locked", "--bin", "flux", "--", "-C", "target-feature=+crt-static"];
    run(cargo().args(flags))?;
    let dist = target().join("dist");
    fs::create_dir_all(&dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    let program = dist.join("flux");
    // A new file in place of the old one: a running broker keeps the one it was started from.
    let fresh = dist.join("flux.new");
    fs::copy(target().join("release/flux"), &fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    fs::rename(&fresh, &program).map_err(|error| format!("{}: {error}", program.display()))?;
    for name in NAMES {
        let link = dist.join(name);
        let _ = fs::remove_file(&link); // It may not exist yet.
        // Scripts that replay command files resolve the path they are given: a name that is a link must stay what it is.
        let made = match *name {
            "resource-query" | "grug2dot" => fs::hard_link(&program, &link),
            _ => symlink("flux", &link),
        };
        made.map_err(|error| format!("{}: {error}", link.display()))?;
    }
    documents(&program)?;
    Ok(program.strip_prefix(root()).map(|path| root().join(path)).unwrap_or(program))
}

/// Manual pages in `man/man1` and completions in `completions`, which the program makes of its own definitions.
fn documents(program: &Path) -> Outcome {
    let dist = target().join("dist");
    run(Command::new(program).args(["help", "--man-pages"]).arg(dist.join("man/man1")))?;
    let dir = dist.join("completions");
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    for (shell, file) in [("bash", "flux"), ("zsh", "_flux"), ("fish", "flux.fish")] {
        let script = Command::new(program).args(["help", "--completion", shell]).output();
        let script = script.map_err(|error| format!("{}: {error}", program.display()))?;
        fs::write(dir.join(file), script.stdout).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}
