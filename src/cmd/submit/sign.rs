//! J, the signed jobspec (RFC 39).
//!
//! Where the site configures no signing (`/etc/flux/security/conf.d`), or wants it with a key that this user does not have, the
//! mechanism is `none`, which only the instance's owner may use.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flux_sign::{KeyError, KeyPair, TTL_DEFAULT};

use crate::frame::CmdError;

/// How this process signs.
#[derive(Debug)]
enum Signer {
    None,
    Munge { socket: String },
    Curve { keys: Box<KeyPair>, ttl: i64 },
}

/// Signs as the site wants it.
pub(crate) fn wrap(userid: u32, jobspec: &str) -> Result<String, CmdError> {
    static SIGNER: OnceLock<Result<Signer, String>> = OnceLock::new();
    match SIGNER.get_or_init(|| Signer::of_site(userid)) {
        Ok(signer) => signer.wrap(userid, jobspec),
        Err(why) => Err(CmdError::new(why.clone())),
    }
}

/// Signs with the mechanism of that name, if one is given.
pub(crate) fn wrap_as(kind: Option<&str>, userid: u32, jobspec: &str) -> Result<String, CmdError> {
    let signer = match kind {
        None => return wrap(userid, jobspec),
        Some("none") => Signer::None,
        Some("munge") => Signer::munge().map_err(CmdError::new)?,
        Some("curve") => Signer::curve(userid).map_err(CmdError::new)?,
        Some(kind) => {
            return Err(CmdError::new(format!(
                "cannot sign with mechanism '{kind}': there are 'none', 'curve' and 'munge'"
            )));
        }
    };
    signer.wrap(userid, jobspec)
}

impl Signer {
    fn of_site(userid: u32) -> Result<Signer, String> {
        match flux_sign::site()? {
            Some(site)
                if site.default_type == "curve" && key_file(userid, site.curve.cert_path.as_deref())?.exists() =>
            {
                Signer::curve(userid)
            }
            Some(site) if site.default_type == "munge" => Signer::munge(),
            _ => Ok(Signer::None),
        }
    }

    fn munge() -> Result<Signer, String> {
        let socket = flux_sign::site()?.and_then(|site| site.munge.socket_path);
        Ok(Signer::Munge { socket: socket.unwrap_or_else(|| flux_sign::MUNGE_SOCKET.to_owned()) })
    }

    fn curve(userid: u32) -> Result<Signer, String> {
        let site = flux_sign::site()?;
        let path = key_file(userid, site.as_ref().and_then(|site| site.curve.cert_path.as_deref()))?;
        let keys = KeyPair::load(&path).map_err(|error| error.to_string())?;
        Ok(Signer::Curve { keys: Box::new(keys), ttl: site.map_or(TTL_DEFAULT, |site| site.max_ttl) })
    }

    fn wrap(&self, userid: u32, jobspec: &str) -> Result<String, CmdError> {
        match self {
            Signer::None => Ok(flux_sign::wrap_none(userid, jobspec.as_bytes())),
            Signer::Munge { socket } => {
                flux_sign::wrap_munge(userid, jobspec.as_bytes(), socket).map_err(CmdError::new)
            }
            Signer::Curve { keys, ttl } => {
                let now = i64::try_from(flux_sys::clock::wall().as_secs()).unwrap_or(i64::MAX);
                let signed = keys.wrap(userid, jobspec.as_bytes(), now, *ttl);
                signed.map_err(|error: KeyError| CmdError::new(error.to_string()))
            }
        }
    }
}

/// Where the secret key is: where the site says, or in the home directory that the user database says.
pub(crate) fn key_file(userid: u32, configured: Option<&str>) -> Result<PathBuf, String> {
    if let Some(path) = configured {
        return Ok(path.into());
    }
    let user = flux_sys::users::Users::new().by_uid(userid).map_err(|error| error.to_string())?;
    let user = user.ok_or_else(|| format!("user id {userid} is not in the user database"))?;
    Ok(flux_sign::key_path(Path::new(&user.home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsigned_jobspec_has_three_parts() {
        let want = "dmVyc2lvbgBpMQBtZWNoYW5pc20Ac25vbmUAdXNlcmlkAGkwAA==.e30=.none";
        assert_eq!(wrap_as(Some("none"), 0, "{}").ok().as_deref(), Some(want));
    }
}
