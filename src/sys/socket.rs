//! Local sockets: who is at the other end, pairs, and descriptors that travel with a message.

use crate::limits::PASSED_FDS_MAX;
use crate::process::Pid;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, getsockopt, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Who made the other end of a local socket, on the kernel's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub pid: Pid,
    pub uid: u32,
    pub gid: u32,
}

/// Asks who connected (`SO_PEERCRED`: the credentials at the time of connect).
///
/// # Errors
/// As getsockopt(2), for sockets that are not local.
pub fn peer(socket: impl AsFd) -> io::Result<Peer> {
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok(Peer { pid: Pid(credentials.pid()), uid: credentials.uid(), gid: credentials.gid() })
}

/// Two connected stream sockets, close-on-exec.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
    UnixStream::pair()
}

/// Two connected sockets that keep message boundaries, close-on-exec.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(nix::sys::socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?)
}

/// Sends bytes and descriptors together; answers how many bytes went.
///
/// # Errors
/// EAGAIN, EPIPE and others of sendmsg(2); EINVAL for more than [`PASSED_FDS_MAX`] descriptors.
pub fn send_with_fds(socket: impl AsFd, bytes: &[u8], fds: &[&dyn AsRawFd]) -> io::Result<usize> {
    if fds.len() > PASSED_FDS_MAX {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let raw: Vec<i32> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
    let control = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &control[..0] } else { &control[..] };
    let bytes = [IoSlice::new(bytes)];
    Ok(sendmsg::<()>(socket.as_fd().as_raw_fd(), &bytes, control, MsgFlags::MSG_NOSIGNAL, None)?)
}

/// Receives bytes into `buf` and whatever descriptors came with them, close-on-exec. 0 bytes: the other end is closed.
///
/// # Errors
/// EAGAIN, ECONNRESET and others of recvmsg(2).
pub fn receive_with_fds(socket: impl AsFd, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = nix::cmsg_space!([i32; PASSED_FDS_MAX]);
    let mut slices = [IoSliceMut::new(buf)];
    let message =
        recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for entry in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = entry {
            for fd in raw {
                // SAFETY: the kernel just made this descriptor for us; nobody else knows it.
                fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    Ok((message.bytes, fds))
}

/// How long sent bytes may stay without the peer's acknowledgement before the connection counts as broken (tcp(7),
/// TCP_USER_TIMEOUT); probes notice a silent peer within about the same time.
///
/// # Errors
/// As setsockopt(2).
pub fn set_user_timeout(socket: &impl AsFd, timeout: std::time::Duration) -> io::Result<()> {
    let ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    setsockopt(socket, sockopt::TcpUserTimeout, &ms)?;
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    let idle = u32::try_from(timeout.as_secs() / 2).unwrap_or(u32::MAX).clamp(1, 7200);
    setsockopt(socket, sockopt::TcpKeepIdle, &idle)?;
    setsockopt(socket, sockopt::TcpKeepInterval, &(idle / 4).max(1))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    fn the_peer_of_a_pair_is_this_process() {
        let (here, _there) = pair().unwrap();
        let peer = peer(&here).unwrap();
        assert_eq!(peer.pid, Pid::own());
        assert_eq!(peer.uid, crate::ids::Ids::current().euid);
    }

    #[test]
    fn a_descriptor_travels_with_its_message() {
        let (here, there) = pair().unwrap();
        let (reader, writer) = crate::fd::pipe().unwrap();
        assert_eq!(send_with_fds(&here, b"pipe", &[&writer]).unwrap(), 4);
        drop(writer);
        let mut buf = [0; 16];
        let (len, mut fds) = receive_with_fds(&there, &mut buf).unwrap();
        assert_eq!((&buf[..len], fds.len()), (&b"pipe"[..], 1));
        let mut passed = File::from(fds.remove(0));
        passed.write_all(b"through").unwrap();
        drop(passed);
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn a_closed_peer_is_zero_bytes_and_no_signal() {
        let (here, there) = pair().unwrap();
        drop(there);
        assert_eq!(receive_with_fds(&here, &mut [0; 4]).unwrap().0, 0);
        assert_eq!(send_with_fds(&here, b"x", &[]).unwrap_err().raw_os_error(), Some(libc::EPIPE));
    }
}
