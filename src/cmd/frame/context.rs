//! What a running command has at hand: its output, its environment, a connection.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::process::Command;

use flux_client::{ClientError, Handle};

use super::{CmdError, install};
use crate::Programs;
use crate::limits::STDIN_MAX_BYTES;

/// Where the system instance listens.
const SYSTEM_SOCKET: &str = "/run/flux/local";

/// Given to every command.
pub struct Context {
    /// The command's name as errors show it: `flux-NAME`.
    pub name: String,
    pub programs: Programs,
    pub verbose: bool,
    /// Standard output. Flushed when the command ends; commands that stream flush after each batch.
    pub out: Output,
    changes: Vec<(String, Option<String>)>,
}

/// Buffered standard output.
pub type Output = BufWriter<Box<dyn Write>>;

fn output() -> Output {
    let stdout = io::stdout();
    // Standard output itself breaks lines, and with them writes; a closed one is noticed at the first write.
    match stdout.as_fd().try_clone_to_owned() {
        Ok(fd) => BufWriter::new(Box::new(File::from(fd))),
        Err(_) => BufWriter::new(Box::new(stdout)),
    }
}

impl Context {
    pub fn new(name: &str, programs: Programs) -> Context {
        Context { name: format!("flux-{name}"), programs, verbose: false, out: output(), changes: Vec::new() }
    }

    /// An environment variable, as changed by global options; an empty one counts as none.
    pub fn var(&self, name: &str) -> Option<String> {
        match self.changes.iter().rev().find(|(known, _)| known == name) {
            Some((_, value)) => value.clone(),
            None => std::env::var(name).ok(),
        }
        .filter(|value| !value.is_empty())
    }

    /// Changes (or with `None` removes) a variable for this command and those it starts.
    pub fn set_var(&mut self, name: &str, value: Option<String>) {
        self.changes.push((name.to_owned(), value));
    }

    /// Applies the changes to a child's environment, on top of what every child of `flux` gets.
    pub fn dress(&self, child: &mut Command) {
        for (name, value) in install::environment(|name| self.var(name)) {
            child.env(name, value);
        }
        for (name, value) in &self.changes {
            match value {
                Some(value) => child.env(name, value),
                None => child.env_remove(name),
            };
        }
    }

    /// Connects to the instance this command is about.
    ///
    /// # Errors
    /// [`ClientError::NoInstance`] and those of the connection.
    pub fn open(&self) -> Result<Handle, ClientError> {
        match self.var("FLUX_URI") {
            Some(uri) => Handle::open_uri(&uri),
            None if std::path::Path::new(SYSTEM_SOCKET).exists() => {
                Handle::open_uri(&format!("local://{SYSTEM_SOCKET}"))
            }
            None => Err(ClientError::NoInstance),
        }
    }

    /// Points this command at the instance's parent (`-p`), or at the outermost instance (`-r`).
    ///
    /// # Errors
    /// Those of the connection. An instance without a parent stays what it is.
    pub fn ascend(&mut self, to_root: bool) -> Result<(), CmdError> {
        loop {
            let mut flux = self.open()?;
            let Ok(parent) = flux.attr("parent-uri") else { return Ok(()) };
            let namespace = flux.attr("parent-kvs-namespace").ok();
            self.set_var("FLUX_URI", Some(parent));
            self.set_var("FLUX_KVS_NAMESPACE", namespace);
            if !to_root {
                return Ok(());
            }
        }
    }

    /// One line of output.
    ///
    /// # Errors
    /// Those of writing.
    pub fn line(&mut self, text: impl std::fmt::Display) -> Result<(), CmdError> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Something the user should know, on standard error.
    pub fn warn(&mut self, text: impl std::fmt::Display) {
        let _ = self.out.flush(); // In the order in which it was said; a broken pipe shows with the next write.
        // One write: lines of several processes do not mix.
        let _ = io::stderr().write_all(format!("{}: {text}\n", self.name).as_bytes());
    }

    /// Is standard output a terminal?
    pub fn on_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// All of standard input, within [`STDIN_MAX_BYTES`].
    ///
    /// # Errors
    /// Those of reading; EFBIG.
    pub fn read_stdin(&mut self) -> Result<Vec<u8>, CmdError> {
        let mut bytes = Vec::new();
        io::stdin().lock().take(STDIN_MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > STDIN_MAX_BYTES {
            return Err(CmdError::new(format!("standard input is larger than {STDIN_MAX_BYTES} bytes")));
        }
        Ok(bytes)
    }
}
