//! That the program is static, and stays so when it runs.

use crate::Outcome;
use crate::run::{have, output, run, target};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// What is run under strace and in the empty root: it must end by itself, with any exit code but a signal.
const TRIALS: &[&[&str]] = &[&["version"], &["--help"], &["start", "true"], &["R", "encode", "--local"]];

/// All examinations.
pub(crate) fn check(program: &Path) -> Outcome {
    is_static(program)?;
    calls_no_name_service(program)?;
    opens_no_objects(program)?;
    runs_in_an_empty_root(program)
}

/// Neither an interpreter nor a needed library, by the file's own tables.
pub(crate) fn is_static(program: &Path) -> Outcome {
    let bytes = fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    let kinds = segment_kinds(&bytes).ok_or_else(|| format!("{}: not a 64-bit ELF program", program.display()))?;
    const PT_INTERP: u32 = 3;
    if kinds.contains(&PT_INTERP) {
        return Err(format!("{}: not static: it names a dynamic loader", program.display()));
    }
    if have("ldd") {
        let (_, text) = output(Command::new("ldd").arg(program))?;
        if !text.contains("statically linked") && !text.contains("not a dynamic executable") {
            return Err(format!("{}: not static: ldd says {text}", program.display()));
        }
    }
    println!("static: {} bytes", bytes.len());
    Ok(())
}

/// Functions of the C library that would load shared objects (doc/adr/0005).
const NAME_SERVICE: &[&str] = &[
    "getpwnam",
    "getpwnam_r",
    "getpwuid",
    "getpwuid_r",
    "getpwent",
    "getgrnam",
    "getgrnam_r",
    "getgrgid",
    "getgrgid_r",
    "getgrent",
    "getgrouplist",
    "initgroups",
    "getaddrinfo",
    "gethostbyname",
    "gethostbyname_r",
    "getservbyname",
];

/// None of them is linked in: by the symbol table, which release builds keep.
fn calls_no_name_service(program: &Path) -> Outcome {
    let (ok, text) = output(Command::new("nm").arg(program))?;
    if !ok {
        return Err(text);
    }
    let symbols = text.lines().filter_map(|line| line.rsplit(' ').next());
    let found: Vec<&str> = symbols.filter(|symbol| NAME_SERVICE.contains(symbol)).collect();
    if !found.is_empty() {
        return Err(format!("{}: links {found:?}, which load shared objects (doc/adr/0005)", program.display()));
    }
    println!("symbols: no name service switch");
    Ok(())
}

/// The types of an ELF file's program headers.
fn segment_kinds(bytes: &[u8]) -> Option<Vec<u32>> {
    let word = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let offset = u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?) as usize;
    let (size, count) = (word(54)? as usize, word(56)? as usize);
    if bytes.get(..5)? != b"\x7fELF\x02" {
        return None;
    }
    let kind = |index: usize| {
        let at = offset.checked_add(index * size)?;
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    (0..count).map(kind).collect()
}

/// Under strace no file that looks like a shared object is opened, by any thread of the program itself.
fn opens_no_objects(program: &Path) -> Outcome {
    if !have("strace") {
        return Err("strace is not installed (apt install strace)".to_string());
    }
    let trace = target().join("strace.out");
    for trial in TRIALS {
        let mut command = Command::new("timeout"); // A trial that hangs is examined as far as it came.
        command
            .args(["60", "strace", "-f", "-e", "trace=open,openat,execve", "-o"])
            .arg(&trace)
            .arg(program)
            .args(*trial);
        output(command.env("PATH", "/usr/bin:/bin"))?;
        let text = fs::read_to_string(&trace).map_err(|error| format!("{}: {error}", trace.display()))?;
        if let Some(line) = object_opened(&text) {
            return Err(format!("flux {} opens a shared object: {line}", trial.join(" ")));
        }
    }
    println!("strace: no shared object is opened");
    Ok(())
}

/// The first line of a trace in which a process that still runs flux opens a `.so`. Processes that executed something else
/// (a job's program) may load what they like.
fn object_opened(trace: &str) -> Option<&str> {
    let mut strangers = Vec::new();
    for line in trace.lines() {
        let pid = line.split_ascii_whitespace().next()?;
        if line.contains("execve(") && !line.contains("= -1") {
            let flux = line.split('"').nth(1).is_some_and(is_flux);
            strangers.retain(|known| *known != pid);
            if !flux {
                strangers.push(pid);
            }
        } else if line.contains("open")
            && (line.contains(".so\"") || line.contains(".so."))
            && !strangers.contains(&pid)
        {
            return Some(line);
        }
    }
    None
}

fn is_flux(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with("flux"))
}

/// A job's program that needs nothing but the kernel.
const JOB: &str = "#include <stdio.h>\nint main(void) { return puts(\"a job ran\") < 0; }\n";

fn failed(error: std::io::Error) -> String {
    format!("preparing the empty root: {error}")
}

/// In a root directory that holds nothing but this file and a job's program, it starts an instance and runs the job: no library,
/// no `/dev`, no `/proc`, no `/etc`.
fn runs_in_an_empty_root(program: &Path) -> Outcome {
    if !output(Command::new("id").arg("-u"))?.1.starts_with("0\n") {
        println!("empty root: left out, only root may change it");
        return Ok(());
    }
    let root = target().join("empty-root");
    let _ = fs::remove_dir_all(&root); // Of an earlier run.
    fs::create_dir_all(root.join("tmp")).map_err(failed)?;
    fs::copy(program, root.join("flux")).map_err(failed)?;
    for name in crate::dist::NAMES {
        symlink("flux", root.join(name)).map_err(failed)?;
    }
    let source = target().join("job.c");
    fs::write(&source, JOB).map_err(failed)?;
    run(Command::new("cc").args(["-static", "-o"]).arg(root.join("job")).arg(&source))?;
    let inside = |args: &[&str]| {
        let mut command = Command::new("timeout");
        command.args(["60", "chroot"]).arg(&root).args(args).env_clear();
        output(command.env("PATH", "/:/usr/sbin:/usr/bin:/sbin:/bin"))
    };
    let (ok, text) = inside(&["/flux", "version"])?;
    if !ok {
        return Err(format!("flux version in an empty root: {text}"));
    }
    let (ok, text) = inside(&["/flux", "start", "/flux", "run", "/job"])?;
    if !ok || !text.contains("a job ran") {
        return Err(format!("flux start flux run /job in an empty root: {text}"));
    }
    println!("empty root: an instance starts and runs a job");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_opened_by_flux_itself_count() {
        let flux = r#"7 execve("/x/flux", ["flux"], 0x0) = 0"#;
        let job = r#"8 execve("/bin/true", ["true"], 0x0) = 0"#;
        let opened = r#"openat(AT_FDCWD, "/lib/libc.so.6", O_RDONLY|O_CLOEXEC) = 3"#;
        let rows = [
            (format!("{flux}\n7 {opened}\n"), true),
            (format!("{flux}\n{job}\n8 {opened}\n"), false),
            (format!("{flux}\n{job}\n8 {opened}\n7 {opened}\n"), true),
            (format!("{flux}\n7 openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY) = 3\n"), false),
        ];
        for (trace, want) in rows {
            assert_eq!(object_opened(&trace).is_some(), want, "{trace}");
        }
    }

    #[test]
    fn files_that_are_no_programs_are_told_apart() {
        assert_eq!(segment_kinds(b""), None);
        assert_eq!(segment_kinds(&[0; 100]), None);
        let own = fs::read("/proc/self/exe").unwrap();
        assert!(segment_kinds(&own).unwrap().contains(&1), "every program has something to load");
    }
}
