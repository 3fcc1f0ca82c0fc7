//! Resource limits, by the names the job shell's `rlimit` option uses.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;

/// "No limit", as the kernel writes it.
pub const INFINITY: u64 = libc::RLIM_INFINITY;

/// Every limit Linux has, by its lower-case name.
pub const NAMES: &[(&str, Resource)] = &[
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("rttime", Resource::RLIMIT_RTTIME),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

/// The limit called `name`, in lower case and without `RLIMIT_`.
pub fn by_name(name: &str) -> Option<Resource> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, resource)| *resource)
}

/// The soft and the hard limit of this process.
///
/// # Errors
/// As getrlimit(2); it does not fail for known limits.
pub fn get(resource: Resource) -> io::Result<(u64, u64)> {
    Ok(getrlimit(resource)?)
}

/// Sets the soft and the hard limit of this process.
///
/// # Errors
/// EPERM when the hard limit would rise without the right to raise it, EINVAL when soft exceeds hard.
pub fn set(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    Ok(setrlimit(resource, soft, hard)?)
}

/// Raises the soft limit of open files to the hard one: a broker has one socket per client.
///
/// # Errors
/// As [`set`].
pub fn raise_open_files() -> io::Result<u64> {
    let (soft, hard) = get(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        set(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_limit_can_be_read_and_set_to_itself() {
        for (name, resource) in NAMES {
            let (soft, hard) = get(*resource).unwrap_or_else(|error| panic!("{name}: {error}"));
            set(*resource, soft, hard).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(by_name(name), Some(*resource));
        }
        assert_eq!(by_name("NOFILE"), None);
    }
}
