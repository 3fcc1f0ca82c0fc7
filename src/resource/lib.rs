//! Room `resource`.
#![forbid(unsafe_code)]
