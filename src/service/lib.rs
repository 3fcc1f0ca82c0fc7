//! Room `service`.
#![forbid(unsafe_code)]
