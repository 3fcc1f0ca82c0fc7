//! The system calls a broker, a job shell or a client needs, each behind a safe function.
//!
//! This is one of three places where `unsafe` is allowed (with `flux-topo` and the IMP): one call per block, each with the
//! reason it is sound. Where nix has a safe wrapper we use it. Nothing here loads shared objects: in particular no function
//! of glibc's name service switch is ever called (doc/adr/0005-user-lookup.md).
//!
//! Failures of plain system calls are `std::io::Error` with the errno inside; the boundaries that add meaning
//! ([`spawn::SpawnError`], [`users::LookupError`]) have an enum of their own.
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]

pub mod affinity;
pub mod alloc;
pub mod cgroup;
pub mod clock;
pub mod fd;
pub mod fork;
pub mod hosts;
pub mod ids;
pub mod interface;
pub mod limits;
pub mod lock;
pub mod mpir;
pub mod namespace;
pub mod process;
pub mod random;
pub mod rlimit;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod terminal;
pub mod text;
pub mod users;

use std::io;

/// Turns the `-1 and errno` of a C function into an `io::Error`.
fn checked(ret: libc::c_int) -> io::Result<libc::c_int> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// As [`checked`], for calls that return a `long` (raw `syscall`s).
fn checked_long(ret: libc::c_long) -> io::Result<libc::c_long> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}
