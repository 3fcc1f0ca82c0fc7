//! Asking the system's own `getent`: a fixed path, an empty environment, a bounded answer, a deadline.

use super::LookupError;
use crate::limits::{GETENT_BYTES_MAX, GETENT_TIMEOUT_MS};
use crate::process::Child;
use crate::spawn::{Session, Spawn};
use crate::{clock, fd};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

pub(crate) const PROGRAM: &str = "/usr/bin/getent";

/// getent(1): "One or more supplied key could not be found in the database."
const EXIT_NOT_FOUND: i32 = 2;

/// The first line getent prints for `key`, or `None` if it knows no such key.
pub(crate) fn ask(program: &Path, database: &str, key: &str) -> Result<Option<String>, LookupError> {
    let fail = |what: String| LookupError::Getent { what: format!("{} {database}: {what}", program.display()) };
    let (reader, child) = start(program, database, key).map_err(|error| fail(error.to_string()))?;
    let text = match read_until_end(reader) {
        Ok(text) => text,
        Err(error) => {
            stop(&child);
            return Err(fail(error.to_string()));
        }
    };
    let (status, _) = child.wait().map_err(|error| fail(error.to_string()))?;
    match status.exit_code() {
        Some(0) => Ok(text.lines().next().map(str::to_string)),
        Some(EXIT_NOT_FOUND) => Ok(None),
        Some(code) => Err(fail(format!("exit code {code}"))),
        None => Err(fail(format!("ended by {}", crate::signal::name(status.signal().unwrap_or(0))))),
    }
}

fn start(program: &Path, database: &str, key: &str) -> io::Result<(File, Child)> {
    let (reader, writer) = fd::pipe()?;
    let null = fd::dev_null()?;
    let child = Spawn::new(["getent", database, key])
        .program(program)
        .cwd("/")
        .stdio(null.as_fd(), writer.as_fd(), null.as_fd())
        .session(Session::NewGroup)
        .start()?;
    Ok((File::from(reader), child))
}

fn read_until_end(mut reader: File) -> io::Result<String> {
    let deadline = clock::monotonic() + Duration::from_millis(GETENT_TIMEOUT_MS);
    let mut bytes = Vec::new();
    let mut buf = [0; 4096];
    loop {
        let left_ms = deadline.saturating_sub(clock::monotonic()).as_millis() as u32;
        match fd::poll(&[(reader.as_fd(), false)], Some(left_ms)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
            Ok(ready) if ready[0] == fd::Ready::default() => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => (),
        }
        let len = reader.read(&mut buf)?;
        if len == 0 {
            return String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into());
        }
        bytes.extend_from_slice(&buf[..len]);
        if bytes.len() > GETENT_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

fn stop(child: &Child) {
    let _ = crate::process::kill_group(child.pid(), libc::SIGKILL); // It may have ended meanwhile.
    let _ = child.wait();
}
