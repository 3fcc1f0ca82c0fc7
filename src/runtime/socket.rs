//! The sockets of links: TCP, and `ipc://` for brokers on one host.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

/// What comes before the path of a local endpoint.
pub(crate) const LOCAL: &str = "ipc://";

/// Where children connect.
#[derive(Debug)]
pub enum Door {
    Tcp(std::net::TcpListener),
    Local(std::os::unix::net::UnixListener),
}

impl Door {
    /// Listens at a path. What a dead broker left there is replaced.
    ///
    /// # Errors
    /// Those of bind(2).
    pub fn local(path: &str) -> io::Result<Door> {
        let path = Path::new(path);
        let is_stale = std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if is_stale {
            std::fs::remove_file(path)?;
        }
        std::os::unix::net::UnixListener::bind(path).map(Door::Local)
    }
}

/// A door that is watched.
pub(crate) enum OpenDoor {
    Tcp(TcpListener),
    Local(UnixListener),
}

impl OpenDoor {
    pub(crate) fn new(door: Door, registry: &Registry, token: Token) -> io::Result<OpenDoor> {
        let mut open = match door {
            Door::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                OpenDoor::Tcp(TcpListener::from_std(socket))
            }
            Door::Local(socket) => {
                socket.set_nonblocking(true)?;
                OpenDoor::Local(UnixListener::from_std(socket))
            }
        };
        match &mut open {
            OpenDoor::Tcp(socket) => registry.register(socket, token, Interest::READABLE)?,
            OpenDoor::Local(socket) => registry.register(socket, token, Interest::READABLE)?,
        }
        Ok(open)
    }

    pub(crate) fn accept(&self) -> io::Result<Socket> {
        match self {
            OpenDoor::Tcp(door) => door.accept().map(|(stream, _)| Socket::Tcp(stream)),
            OpenDoor::Local(door) => door.accept().map(|(stream, _)| Socket::Local(stream)),
        }
    }
}

/// A connection to another broker.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Local(UnixStream),
}

impl Socket {
    /// `HOST:PORT`, or `ipc://PATH`.
    pub(crate) fn connect(address: &str) -> io::Result<Socket> {
        match address.strip_prefix(LOCAL) {
            Some(path) => UnixStream::connect(path).map(Socket::Local),
            None => flux_sys::hosts::resolve(address).and_then(TcpStream::connect).map(Socket::Tcp),
        }
    }

    /// What only TCP has.
    pub(crate) fn tune(&self, user_timeout: Option<Duration>) -> io::Result<()> {
        let Socket::Tcp(stream) = self else { return Ok(()) };
        // Fails on a socket that is not connected yet; then it is done when it is.
        let _ = stream.set_nodelay(true);
        user_timeout.map_or(Ok(()), |timeout| flux_sys::socket::set_user_timeout(stream, timeout))
    }

    /// The address of who is at the other end.
    pub(crate) fn peer(&self) -> Option<String> {
        match self {
            Socket::Tcp(stream) => stream.peer_addr().ok().map(|address| address.to_string()),
            Socket::Local(_) => None,
        }
    }

    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match self {
            Socket::Tcp(stream) => stream,
            Socket::Local(stream) => stream,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buf),
            Socket::Local(stream) => stream.read(buf),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(buf),
            Socket::Local(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
