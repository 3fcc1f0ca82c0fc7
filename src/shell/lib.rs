//! Room `shell`.
#![forbid(unsafe_code)]
