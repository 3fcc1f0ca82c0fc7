//! `flux relay`: a broker's local connector on standard input and output, for who reaches this node by ssh(1).

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use clap::{ArgMatches, Command};

use crate::frame::args::{text, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    Command::new("relay").arg(word("PATH", "The broker's socket, or its run directory"))
}

/// The bytes are those of the socket, the greeting among them; who we are the broker sees by itself.
pub fn run(matches: &ArgMatches, _cx: &mut Context) -> CmdResult {
    let given = text(matches, "PATH").unwrap_or_default();
    let path = given.strip_prefix("local://").unwrap_or(given);
    let wrong = |error: io::Error| CmdError::about(path, error);
    let socket = UnixStream::connect(path).map_err(wrong)?;
    let (mut from, mut to) = (socket.try_clone().map_err(wrong)?, socket);
    let upward = std::thread::spawn(move || {
        // Either end's going is the end of both; there is nobody to tell.
        let _ = pass(&mut io::stdin().lock(), &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let outcome = pass(&mut from, &mut io::stdout().lock());
    drop(upward); // It may wait for input for ever.
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(wrong(error)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn pass(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut chunk = vec![0; 1 << 16];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                to.write_all(&chunk[..count])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
