//! Network interfaces.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

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

/// The first IPv4 address of this host in a network, given as `ADDRESS/PREFIX`.
///
/// # Errors
/// As getifaddrs(3). What is no network, or one that this host is not in, is `None`.
pub fn address_in(network: &str) -> io::Result<Option<IpAddr>> {
    let Some((address, prefix)) = network.split_once('/') else { return Ok(None) };
    let (Ok(address), Ok(prefix @ 0..=32)) = (address.parse::<Ipv4Addr>(), prefix.parse::<u32>()) else {
        return Ok(None);
    };
    let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    let is_in = |ip: &Ipv4Addr| u32::from(*ip) & mask == u32::from(address) & mask;
    let mut own = nix::ifaddrs::getifaddrs()?.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()));
    Ok(own.find(is_in).map(IpAddr::V4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_has_its_address_and_what_is_not_there_has_none() {
        assert_eq!(address_of("lo", false).unwrap(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(address_of("no-such-interface", false).unwrap(), None);
        assert_eq!(address_in("127.0.0.0/8").unwrap(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        for nowhere in ["203.0.113.0/24", "127.0.0.0", "x/8", "127.0.0.0/33", ""] {
            assert_eq!(address_in(nowhere).unwrap(), None, "{nowhere}");
        }
    }
}
