//! The local connector's socket: clients come in here.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use flux_wire::{Cred, Errno};
use mio::net::{UnixListener, UnixStream};

use crate::access::Access;

/// A listening socket that every user may connect to; [`Access`] decides who stays.
#[derive(Debug)]
pub struct Listener {
    path: PathBuf,
    pub(crate) socket: UnixListener,
}

impl Listener {
    /// Listens at `path`. A socket file that a dead broker left behind is replaced.
    ///
    /// # Errors
    /// EADDRINUSE: a living process listens there. Others of bind(2), such as a path over 107 bytes.
    pub fn bind(path: &Path) -> io::Result<Listener> {
        let socket = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path) => {
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            other => other?,
        };
        fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
        Ok(Listener { path: path.to_owned(), socket })
    }

    /// The next client, with what it may do; `None` when none is waiting. Who may not stay, or for whom there is no room,
    /// has been told so.
    pub(crate) fn accept(
        &self,
        access: &Access,
        has_room: impl Fn(Cred) -> bool,
    ) -> io::Result<Option<(UnixStream, Cred)>> {
        loop {
            let mut stream = match self.socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => continue,
                Err(error) => return Err(error),
            };
            let uid = match flux_sys::socket::peer(&stream) {
                Ok(peer) => peer.uid,
                Err(_) => continue, // Gone already.
            };
            let verdict = access.authenticate(uid);
            let verdict = verdict.and_then(|cred| if has_room(cred) { Ok(cred) } else { Err(Errno::EMFILE) });
            // The local connector's greeting: one byte, zero or the errno. A new socket has room for it; if the client
            // has gone, reading will tell.
            let byte = verdict.map_or_else(|errno| errno.0 as u8, |_| 0);
            let greeted = stream.write_all(&[byte]);
            if let (Ok(cred), Ok(())) = (verdict, greeted) {
                return Ok(Some((stream, cred)));
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Somebody may have removed the directory before us; a stale socket does no harm either.
        let _ = fs::remove_file(&self.path);
    }
}

/// Is this a socket that nobody listens on any more?
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    is_socket && BlockingStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}
