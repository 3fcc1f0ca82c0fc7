//! `libpmi.so`: the C interface of PMI-1 (RFC 13) for programs that load a PMI library, such as those built with Open MPI. Under the
//! name `libpmi2.so` the same file serves those that ask for PMI-2.
//!
//! It speaks the wire protocol that tasks of Flux jobs are given (`PMI_FD`, `PMI_RANK`, `PMI_SIZE`). A process that has none of these
//! is alone. What the functions are given by their callers must be what the C interface asks for: texts that end with a zero,
//! buffers of the length that is told.

mod abi;
mod abi2;
pub mod limits;
mod session;
