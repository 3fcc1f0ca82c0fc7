//! `start.*`: a session's brokers are looked at, killed and started again over the socket `start` in its directory, by
//! whoever tests how an instance bears it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use flux_client::Errno;
use flux_wire::{Cred, FrameReader, Message, Payload, decode, encode_into, role, write_frame};
use serde::Deserialize;
use serde_json::Value;

use crate::limits::START_CLIENTS_MAX;

/// What is asked of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Status,
    Kill {
        rank: usize,
        signum: i32,
    },
    /// Answered when the broker has ended.
    Wait {
        rank: usize,
    },
    Run {
        rank: usize,
    },
}

struct Client {
    id: u64,
    stream: UnixStream,
    reader: FrameReader,
}

/// The socket and who is connected to it.
pub(super) struct Control {
    path: PathBuf,
    listener: UnixListener,
    clients: Vec<Client>,
    last: u64,
}

/// A request, and who made it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    client: u64,
    request: Message,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    rank: Option<u32>,
    #[serde(default)]
    signum: i32,
}

fn order(request: &Message) -> Result<Order, Errno> {
    let rank = || {
        let body = request.decode::<Body>().map_err(|_| Errno::EPROTO)?;
        Ok((body.rank.ok_or(Errno::EPROTO)? as usize, body.signum))
    };
    match request.topic() {
        "start.status" => Ok(Order::Status),
        "start.kill" => rank().map(|(rank, signum)| Order::Kill { rank, signum }),
        "start.wait" => rank().map(|(rank, _)| Order::Wait { rank }),
        "start.run" => rank().map(|(rank, _)| Order::Run { rank }),
        _ => Err(Errno::ENOSYS),
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // A directory that stays is used again.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Control {
    pub(super) fn new(dir: &Path) -> io::Result<Control> {
        let path = dir.join("start");
        let listener = match UnixListener::bind(&path) {
            // One that was killed leaves its socket.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && UnixStream::connect(&path).is_err() => {
                std::fs::remove_file(&path)?;
                UnixListener::bind(&path)?
            }
            other => other?,
        };
        listener.set_nonblocking(true)?;
        Ok(Control { path, listener, clients: Vec::new(), last: 0 })
    }

    /// The listener, then each client.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.listener.as_fd()).chain(self.clients.iter().map(|client| client.stream.as_fd()))
    }

    /// Somebody connects.
    pub(super) fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let uid = flux_sys::socket::peer(&stream).map(|peer| peer.uid);
            let ours = uid.is_ok_and(|uid| uid == flux_sys::ids::Ids::current().euid);
            let errno = match (ours, self.clients.len() < START_CLIENTS_MAX) {
                (true, true) => 0,
                (true, false) => Errno::EMFILE.0,
                (false, _) => Errno::EPERM.0,
            };
            // The greeting of the local connector: zero or an errno.
            let greeted = stream.write_all(&[errno as u8]);
            if errno == 0 && greeted.is_ok() {
                self.last += 1;
                self.clients.push(Client { id: self.last, stream, reader: FrameReader::default() });
            }
        }
    }

    /// Reads what the client at this place asks; one that has gone, or that speaks nonsense, is forgotten.
    pub(super) fn read(&mut self, at: usize) -> Vec<(Asked, Result<Order, Errno>)> {
        let Some(client) = self.clients.get_mut(at) else { return Vec::new() };
        let mut asked = Vec::new();
        let mut chunk = [0; 4096];
        let mut gone = true;
        if let Ok(got @ 1..) = client.stream.read(&mut chunk) {
            client.reader.push(&chunk[..got]);
            gone = loop {
                match client.reader.next_frame() {
                    Ok(None) => break false,
                    Ok(Some(frame)) => match decode(frame) {
                        Ok(request) => asked.push(Asked { client: client.id, request }),
                        Err(_) => break true,
                    },
                    Err(_) => break true,
                }
            };
        }
        if gone {
            self.clients.remove(at);
        }
        let orders = |asked: Asked| {
            let order = order(&asked.request);
            (asked, order)
        };
        asked.into_iter().map(orders).collect()
    }

    pub(super) fn answer(&mut self, asked: &Asked, outcome: Result<Option<Value>, Errno>) {
        if !asked.request.wants_response() {
            return;
        }
        let mut response = match outcome {
            Ok(body) => asked.request.response(body.map_or(Payload::None, Payload::from)),
            Err(errno) => asked.request.error_response(errno, ""),
        };
        response.cred = Cred { userid: flux_sys::ids::Ids::current().euid, rolemask: role::OWNER };
        let Some(client) = self.clients.iter_mut().find(|client| client.id == asked.client) else { return };
        let mut frame = Vec::new();
        write_frame(&mut frame, |out| encode_into(&response, out));
        // One that does not listen any more is noticed when it is read from.
        let _ = client.stream.write_all(&frame);
    }
}
