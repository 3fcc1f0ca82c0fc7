//! Room `wire`.
#![forbid(unsafe_code)]
