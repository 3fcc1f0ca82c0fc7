//! Room `imp`.
