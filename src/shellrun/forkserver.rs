//! The fork server: a shell that stands ready, linked and with the processors known, of which a copy is made for each job.
//!
//! `flux-shell --fork-server` has a stream socket to its broker as descriptor 3. The broker writes bundles, each behind its length
//! (u32, little endian); for each the server answers, in order, with the id of the shell (i32, little endian), or with an errno below
//! zero. Shells are children of the broker, not of the server. The server ends when the broker does.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use flux_shell::limits::BUNDLE_LEN_MAX;
use flux_sys::fork::{self, Side, Title};

const SOCKET: i32 = 3;

/// What became of this process.
pub(crate) enum Now {
    /// It is the shell of this bundle.
    Shell(Vec<u8>, Option<Title>),
    /// It was the server, and nobody needs it any more.
    Done,
}

/// Serves until the broker closes the socket; returns in every shell.
///
/// # Errors
/// As text: the socket is absent or broken, or this process has threads.
pub(crate) fn serve() -> Result<Now, String> {
    if !fork::single_threaded() {
        return Err("a fork server must have one thread".to_owned());
    }
    let socket = flux_sys::fd::take_inherited(SOCKET);
    let mut socket: UnixStream = socket.map_err(|error| format!("descriptor {SOCKET}: {error}"))?.into();
    flux_sys::process::set_name("flux-shell");
    crate::cpus::prepare();
    crate::start::prepare();
    let title = Title::find();
    let mut is_first = true;
    while let Some(bundle) = next_bundle(&mut socket).map_err(|error| format!("reading a bundle: {error}"))? {
        let answer = match fork::sibling() {
            Ok((Side::Copy, _)) => {
                drop(socket);
                flux_sys::process::new_session().map_err(|error| format!("starting a session: {error}"))?;
                return Ok(Now::Shell(bundle, title));
            }
            Ok((Side::Original, pid)) => pid.0,
            Err(error) => -error.raw_os_error().unwrap_or(flux_wire::Errno::EAGAIN.0),
        };
        let is_first = std::mem::take(&mut is_first);
        if socket.write_all(&answer.to_le_bytes()).is_err() {
            break; // The broker is gone; the shell finds its own way.
        }
        if is_first {
            // Who starts one job starts more.
            flux_sys::text::move_to_large_pages();
        }
    }
    Ok(Now::Done)
}

/// `None` at the end of the stream.
fn next_bundle(socket: &mut UnixStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    if socket.read(&mut len[..1])? == 0 {
        return Ok(None);
    }
    socket.read_exact(&mut len[1..])?;
    let len = u32::from_le_bytes(len) as usize;
    if len > BUNDLE_LEN_MAX {
        return Err(std::io::Error::other(format!("it has {len} bytes, over {BUNDLE_LEN_MAX}")));
    }
    let mut bundle = vec![0; len];
    socket.read_exact(&mut bundle)?;
    Ok(Some(bundle))
}
