//! Room `fluxion`.
#![forbid(unsafe_code)]
