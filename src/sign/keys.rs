//! The user's signing keys: `~/.flux/curve/sig` (secret) and `sig.pub`.

use flux_imp::casign::{metadata, uuid};
use flux_imp::cert::{Cert, is_pair, secret_from_toml};
use flux_imp::config::CaConfig;
use flux_imp::limits::FILE_LEN_MAX;
use flux_imp::wrap::{secret_to_toml, wrap_curve};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// `openat(2)`'s O_NOFOLLOW, and O_NONBLOCK so that a FIFO cannot hold us up.
const OPEN_FLAGS: i32 = 0o400_000 | 0o4000;

/// Why keys could not be made, stored or read.
#[derive(Debug)]
pub enum KeyError {
    File {
        path: PathBuf,
        error: io::Error,
    },
    /// Others can read the secret key, or it is not a plain file.
    Exposed {
        path: PathBuf,
    },
    Malformed {
        path: PathBuf,
    },
    /// The secret key and the certificate are of different keys.
    Strangers {
        path: PathBuf,
    },
    /// The certificate is too long to go into a request.
    TooLong,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Exposed { path } => write!(f, "{}: must be a plain file with mode 0600", path.display()),
            Self::Malformed { path } => write!(f, "{}: not a key file", path.display()),
            Self::Strangers { path } => {
                write!(f, "{}: the secret and the public key do not belong together", path.display())
            }
            Self::TooLong => f.write_str("the certificate is too long"),
        }
    }
}

impl std::error::Error for KeyError {}

/// `~/.flux/curve/sig`.
pub fn key_path(home: &Path) -> PathBuf {
    home.join(".flux/curve/sig")
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// A secret key with its certificate.
#[derive(Clone, Debug)]
pub struct KeyPair {
    cert: Cert,
    secret: flux_imp::cert::SecretKey,
}

impl KeyPair {
    /// Makes new keys.
    pub fn generate() -> KeyPair {
        let (cert, secret) = Cert::generate();
        KeyPair { cert, secret }
    }

    /// Makes the keys of a site's certificate authority, which certifies itself from `now` (seconds since 1970) on.
    ///
    /// # Errors
    /// [`KeyError::TooLong`], if the configuration has values that no certificate can have.
    pub fn generate_ca(site: &CaConfig, now: i64) -> Result<KeyPair, KeyError> {
        let (mut cert, secret) = Cert::generate();
        let uuid = uuid();
        cert.meta = metadata(site, (&uuid, &uuid), 0, now, true).ok_or(KeyError::TooLong)?;
        cert.sign_by(&secret).ok_or(KeyError::TooLong)?;
        Ok(KeyPair { cert, secret })
    }

    /// Has somebody certify the public key, who gets the file's text and answers with a new one.
    ///
    /// # Errors
    /// That of `certify`; [`KeyError::Malformed`], if what comes back is no certificate of this key.
    pub fn certified<E: From<KeyError>>(self, certify: impl FnOnce(&str) -> Result<String, E>) -> Result<KeyPair, E> {
        let cert = Cert::from_toml(&certify(&self.cert.to_toml())?).filter(|cert| is_pair(cert, &self.secret));
        let cert = cert.ok_or(KeyError::Malformed { path: "the certificate".into() })?;
        Ok(KeyPair { cert, ..self })
    }

    /// Reads `path` and `path.pub`.
    ///
    /// # Errors
    /// Any [`KeyError`].
    pub fn load(path: &Path) -> Result<KeyPair, KeyError> {
        let public = public_path(path);
        let cert = Cert::from_toml(&read(&public, false)?).ok_or(KeyError::Malformed { path: public })?;
        let secret = secret_from_toml(&read(path, true)?).ok_or(KeyError::Malformed { path: path.into() })?;
        if !is_pair(&cert, &secret) {
            return Err(KeyError::Strangers { path: path.into() });
        }
        Ok(KeyPair { cert, secret })
    }

    /// Writes both files; those that are there are replaced only if `replace`. A crash between the two leaves strangers, which
    /// [`KeyPair::load`] refuses.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn store(&self, path: &Path, replace: bool) -> Result<(), KeyError> {
        let fail = |path: &Path| {
            let path = path.to_path_buf();
            move |error| KeyError::File { path, error }
        };
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(fail(directory))?;
        }
        let public = public_path(path);
        if !replace {
            for path in [path, &public] {
                if fs::symlink_metadata(path).is_ok() {
                    return Err(fail(path)(io::ErrorKind::AlreadyExists.into()));
                }
            }
        }
        write(path, &secret_to_toml(&self.secret), 0o600).map_err(fail(path))?;
        write(&public, &self.cert.to_toml(), 0o644).map_err(fail(&public))
    }

    /// Signs a payload; good from `now` (seconds since 1970) for `ttl` seconds.
    ///
    /// # Errors
    /// [`KeyError::TooLong`].
    pub fn wrap(&self, userid: u32, payload: &[u8], now: i64, ttl: i64) -> Result<String, KeyError> {
        wrap_curve((&self.cert, &self.secret), userid, payload, crate::encode, [now, ttl]).ok_or(KeyError::TooLong)
    }
}

fn read(path: &Path, secret: bool) -> Result<String, KeyError> {
    let fail = |error| KeyError::File { path: path.into(), error };
    let file = OpenOptions::new().read(true).custom_flags(OPEN_FLAGS).open(path).map_err(fail)?;
    let meta = file.metadata().map_err(fail)?;
    if !meta.is_file() || secret && meta.mode() & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.into() });
    }
    let mut text = String::new();
    file.take(FILE_LEN_MAX).read_to_string(&mut text).map_err(fail)?;
    Ok(text)
}

/// Writes a temporary file beside `path`, then renames it.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    let written =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary); // The first error is the one to tell.
    }
    written
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
