//! Network interfaces.

use std::io;
use std::net::IpAddr;

/// The first address of the interface of this name; IPv6 only where it has no IPv4 address or `ipv6` is set.
///
/// # Errors
/// As getifaddrs(3). An interface that does not exist, or has no address, is `None`.
pub fn address_of(name: &str, ipv6: bool) -> io::Result<Option<IpAddr>> {
    let found: Vec<IpAddr> = nix::ifaddrs::getifaddrs()?
        .filter(|interface| interface.interface_name == name)
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .collect();
    let first = found.iter().find(|address| address.is_ipv6() == ipv6);
    Ok(first.or(found.first()).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_loopback_has_its_address_and_what_is_not_there_has_none() {
        assert_eq!(address_of("lo", false).unwrap(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(address_of("no-such-interface", false).unwrap(), None);
    }
}
