//! Room `kvs`.
#![forbid(unsafe_code)]
