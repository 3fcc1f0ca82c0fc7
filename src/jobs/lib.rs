//! Room `jobs`.
#![forbid(unsafe_code)]
