//! Properties that the ends tell each other at the end of the handshake.

use super::error::ZmtpError;
use crate::limits::ZMTP_PROPERTIES_MAX;

pub(super) fn put(out: &mut Vec<u8>, socket_type: &str) {
    for (name, value) in [("Socket-Type", socket_type), ("Identity", "")] {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&(value.len() as u32).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
}

/// Properties are well formed, and the socket type is one that a ROUTER or DEALER may talk to.
pub(super) fn check(mut bytes: &[u8]) -> Result<(), ZmtpError> {
    let broken = || ZmtpError::Unexpected { what: "metadata that is cut off".into() };
    for _ in 0..ZMTP_PROPERTIES_MAX {
        let Some((&len, rest)) = bytes.split_first() else { return Ok(()) };
        let (name, rest) = rest.split_at_checked(usize::from(len)).ok_or_else(broken)?;
        let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize).ok_or_else(broken)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") && !matches!(value, b"ROUTER" | b"DEALER" | b"REQ" | b"REP") {
            return Err(ZmtpError::Unexpected { what: format!("a {} socket", String::from_utf8_lossy(value)) });
        }
        bytes = rest;
    }
    if bytes.is_empty() { Ok(()) } else { Err(ZmtpError::Unexpected { what: "so much metadata".into() }) }
}
