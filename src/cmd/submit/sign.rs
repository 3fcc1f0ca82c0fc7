//! J, the signed jobspec (RFC 39), with mechanism `none`: only the instance's owner may use it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// `HEADER.PAYLOAD.SIGNATURE`: the first two in base64, the header a list of NUL-terminated keys and values.
pub(crate) fn unsigned(userid: u32, jobspec: &str) -> String {
    let header = format!("version\0i1\0mechanism\0snone\0userid\0i{userid}\0");
    format!("{}.{}.none", STANDARD.encode(header), STANDARD.encode(jobspec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsigned_jobspec_has_three_parts() {
        let want = "dmVyc2lvbgBpMQBtZWNoYW5pc20Ac25vbmUAdXNlcmlkAGkwAA==.e30=.none";
        assert_eq!(unsigned(0, "{}"), want);
    }
}
