//! Where log lines go besides standard error, and what systemd is told.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

const SYSLOG: &str = "/dev/log";
/// syslog(3): daemons.
const FACILITY: u8 = 3 << 3;

/// Made when the first line is for it, but for the file.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    file: Option<File>,
    syslog: Option<UnixDatagram>,
    /// `NOTIFY_SOCKET`.
    systemd: Option<String>,
}

impl Outlets {
    /// `file` is appended to.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(file: Option<&str>, systemd: Option<&str>) -> io::Result<Outlets> {
        let open = |path: &str| OpenOptions::new().append(true).create(true).open(path);
        Ok(Outlets { file: file.map(open).transpose()?, syslog: None, systemd: systemd.map(str::to_owned) })
    }

    /// A line of the log. A full disk has been told of on standard error.
    pub(crate) fn file(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }

    pub(crate) fn syslog(&mut self, level: u8, line: &str) {
        if self.syslog.is_none() {
            self.syslog = UnixDatagram::unbound().ok().filter(|socket| socket.set_nonblocking(true).is_ok());
        }
        let text = format!("<{}>flux-broker[{}]: {line}", FACILITY | level, std::process::id());
        if let Some(socket) = &self.syslog {
            let _ = socket.send_to(text.as_bytes(), SYSLOG);
        }
    }

    /// sd_notify(3).
    pub(crate) fn notify(&self, text: &str) {
        let Some(name) = &self.systemd else { return };
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(name),
        };
        if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
            let _ = socket.send_to_addr(text.as_bytes(), &address);
        }
    }
}
