//! Room `types`.
#![forbid(unsafe_code)]
