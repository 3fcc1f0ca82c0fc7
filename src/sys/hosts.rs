//! Addresses of hosts without the name service switch: numbers, then `/etc/hosts`, then the system's own `getent`.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::limits::HOSTS_BYTES_MAX;
use crate::users::getent;

/// The address behind `host:port`; an IPv6 number stands in brackets.
///
/// # Errors
/// `InvalidInput` without a port, `NotFound` for a host nobody knows, or what getent failed with. It may take as long as getent may.
pub fn resolve(address: &str) -> io::Result<SocketAddr> {
    if let Ok(number) = address.parse() {
        return Ok(number);
    }
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("{address} is not HOST:PORT"));
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if let Some(ip) = in_hosts(&hosts_file(), host) {
        return Ok(SocketAddr::new(ip, port));
    }
    let answer = getent::ask(Path::new(getent::PROGRAM), "ahosts", host).map_err(io::Error::other)?;
    let ip = answer.as_deref().and_then(|line| line.split_whitespace().next()?.parse().ok());
    let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("the host {host} is unknown"));
    Ok(SocketAddr::new(ip.ok_or_else(unknown)?, port))
}

/// `/etc/hosts`, or nothing where it is absent or larger than a sane one.
fn hosts_file() -> String {
    match fs::metadata("/etc/hosts") {
        Ok(found) if found.len() <= HOSTS_BYTES_MAX => fs::read_to_string("/etc/hosts").unwrap_or_default(),
        _ => String::new(),
    }
}

/// hosts(5): an address, its name, further names; `#` begins a comment. IPv4 comes before IPv6.
fn in_hosts(text: &str, host: &str) -> Option<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or(""));
    let mut found = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let ip: IpAddr = words.next()?.parse().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(ip)
    });
    let first = found.next()?;
    Some(if first.is_ipv4() { first } else { found.find(IpAddr::is_ipv4).unwrap_or(first) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_hosts_entries_are_found_without_asking_anybody() {
        let text = "::1 localhost ip6 # six\n127.0.0.1 localhost\nnonsense host\n10.0.0.7\tn7.cluster n7 #n8\n";
        let rows = [
            ("localhost", Some("127.0.0.1")),
            ("ip6", Some("::1")),
            ("N7", Some("10.0.0.7")),
            ("n8", None),
            ("host", None),
        ];
        for (host, want) in rows {
            assert_eq!(in_hosts(text, host), want.map(|ip| ip.parse().unwrap()), "{host}");
        }
        assert_eq!(resolve("10.1.2.3:8050").unwrap(), "10.1.2.3:8050".parse().unwrap());
        assert_eq!(resolve("[::1]:8050").unwrap(), "[::1]:8050".parse().unwrap());
    }

    #[test]
    fn what_is_no_address_is_an_error() {
        for address in ["", "host", "host:", "host:70000"] {
            assert_eq!(resolve(address).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{address:?}");
        }
    }
}
