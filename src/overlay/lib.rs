//! Room `overlay`.
#![forbid(unsafe_code)]
