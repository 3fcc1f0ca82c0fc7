//! Room `cmd`.
