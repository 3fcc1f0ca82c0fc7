//! Addresses of brokers.

use std::os::fd::RawFd;
use std::path::PathBuf;

use crate::ClientError;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `local://PATH`: a unix socket. A query or fragment is no part of the path.
    Local(PathBuf),
    /// `fd://N`: an open descriptor that was inherited (RFC 5, modules in a process of their own).
    Inherited(RawFd),
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
            "ssh" => Err(bad("ssh addresses are reached through `flux proxy`, not directly")),
            _ => Err(bad("the scheme is not one of local, fd")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("ssh://host/path", Err("ssh addresses are reached through `flux proxy`, not directly")),
            ("tcp://host:1", Err("the scheme is not one of local, fd")),
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
