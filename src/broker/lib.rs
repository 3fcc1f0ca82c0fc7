//! Room `broker`.
#![forbid(unsafe_code)]
