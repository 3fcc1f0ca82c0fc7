//! Addresses of brokers.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process::Command;

use crate::ClientError;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `local://PATH`: a unix socket. A query or fragment is no part of the path.
    Local(PathBuf),
    /// `fd://N`: an open descriptor that was inherited (RFC 5, modules in a process of their own).
    Inherited(RawFd),
    /// `ssh://[USER@]HOST[:PORT]/PATH`: a unix socket on another host.
    Remote(Remote),
}

/// A socket on another host, which `flux relay` there passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// With the user, if one is named.
    pub host: String,
    pub port: Option<u16>,
    pub path: String,
}

impl Remote {
    /// `rest` is what follows `ssh://`.
    fn parse(rest: &str) -> Option<Remote> {
        let (host, path) = rest.split_once('/')?;
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (host, None),
        };
        // A host that looks like an option would be one to ssh, and a shell on the other host reads the path: an address may be
        // what somebody else's job says of itself.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=@,:".contains(letter);
        let good = !host.is_empty() && !host.starts_with('-') && !path.is_empty() && path.chars().all(plain);
        good.then(|| Remote { host: host.to_owned(), port, path: format!("/{path}") })
    }

    /// The command that connects its standard input and output with the socket: that of `FLUX_SSH`, or ssh(1), which starts that of
    /// `FLUX_SSH_RCMD`, or the `flux` that is found on the other host as it is here.
    pub fn command(&self) -> Command {
        let mut command = Command::new(std::env::var_os("FLUX_SSH").unwrap_or_else(|| "ssh".into()));
        if let Some(port) = self.port {
            command.arg("-p").arg(port.to_string());
        }
        command.arg(&self.host);
        let (flux, libraries) = (std::env::var("FLUX_SSH_RCMD").ok(), std::env::var("LD_LIBRARY_PATH").ok());
        if flux.is_none() || libraries.is_some() {
            command.arg("env");
        }
        if flux.is_none() {
            let rundir = self.path.rsplit_once('/').map_or("", |(dir, _)| dir);
            let here = std::env::current_exe().ok();
            let here = here.as_deref().and_then(|path| path.parent()?.to_str()).unwrap_or("/usr/local/bin");
            command.arg(format!("PATH={rundir}/bin:{here}:/bin:/usr/bin"));
        }
        if let Some(libraries) = libraries {
            command.arg(format!("LD_LIBRARY_PATH={libraries}"));
        }
        command.arg(flux.as_deref().unwrap_or("flux")).args(["relay", &self.path]);
        command
    }
}

impl Address {
    /// # Errors
    /// [`ClientError::BadUri`]
    pub fn parse(uri: &str) -> Result<Address, ClientError> {
        let bad = |why| ClientError::BadUri { uri: uri.to_owned(), why };
        let Some((scheme, rest)) = uri.split_once("://") else {
            return Err(bad("an address looks like local:///path/of/socket"));
        };
        match scheme {
            "local" => {
                let path = rest.split(['?', '#']).next().unwrap_or("");
                if path.is_empty() { Err(bad("it names no socket")) } else { Ok(Address::Local(path.into())) }
            }
            "fd" => match rest.parse::<RawFd>() {
                Ok(fd) if fd > 2 => Ok(Address::Inherited(fd)),
                _ => Err(bad("fd:// is followed by the number of a descriptor above 2")),
            },
            "ssh" => {
                let wrong = || bad("an address of another host looks like ssh://[USER@]HOST[:PORT]/path/of/socket");
                Remote::parse(rest).map(Address::Remote).ok_or_else(wrong)
            }
            _ => Err(bad("the scheme is not one of local, ssh, fd")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: &str = "an address of another host looks like ssh://[USER@]HOST[:PORT]/path/of/socket";

    fn remote(host: &str, port: Option<u16>, path: &str) -> Address {
        Address::Remote(Remote { host: host.to_owned(), port, path: path.to_owned() })
    }

    #[test]
    fn addresses_are_read_or_refused_with_a_reason() {
        let rows = [
            ("local:///run/flux/local", Ok(Address::Local("/run/flux/local".into()))),
            ("local:///tmp/a b?x=1", Ok(Address::Local("/tmp/a b".into()))),
            ("fd://7", Ok(Address::Inherited(7))),
            ("fd://1", Err("fd:// is followed by the number of a descriptor above 2")),
            ("fd://x", Err("fd:// is followed by the number of a descriptor above 2")),
            ("local://", Err("it names no socket")),
            ("/run/flux/local", Err("an address looks like local:///path/of/socket")),
            ("ssh://host/path", Ok(remote("host", None, "/path"))),
            ("ssh://me@host:22/run/local", Ok(remote("me@host", Some(22), "/run/local"))),
            ("ssh://-oProxyCommand=x/path", Err(REMOTE)),
            ("ssh://host:x/path", Err(REMOTE)),
            ("ssh://host", Err(REMOTE)),
            ("ssh://host/run/x;touch$IFS/y", Err(REMOTE)),
            ("ssh://host/run/$(id)", Err(REMOTE)),
            ("ssh://host/run/a b", Err(REMOTE)),
            ("ssh:///path", Err(REMOTE)),
            ("tcp://host:1", Err("the scheme is not one of local, ssh, fd")),
        ];
        for (uri, want) in rows {
            let got = Address::parse(uri).map_err(|error| match error {
                ClientError::BadUri { why, .. } => why,
                other => panic!("{other}"),
            });
            assert_eq!(got, want, "{uri}");
        }
    }
}
