//! Lines on standard error.

use std::io::Write;

/// Writes one line, whole. Where nobody listens there is nobody to tell.
pub(crate) fn line(text: &str) {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    let _ = std::io::stderr().lock().write_all(&bytes);
}
