//! The site's configuration. It is read only from files and directories that nobody but root can have written: each step of a
//! path is opened from the one before and checked by its descriptor, so that nothing can be exchanged in between.

use crate::limits::{CONFIG_FILES_MAX, FILE_LEN_MAX};
use nix::dir::Dir;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

pub const IMP_CONFIG_DIR: &str = "/etc/flux/imp/conf.d";
pub const SIGN_CONFIG_DIR: &str = "/etc/flux/security/conf.d";

/// `[exec]`, `[run.NAME]` and the rest of flux-config-security-imp(5). Unknown keys are refused: a rule that is
/// misspelled must not be a rule that is not there.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImpConfig {
    /// For tests of flux-security; this IMP works for no caller but a set-id start's, and ignores it.
    pub allow_sudo: bool,
    pub log_level: Option<String>,
    pub exec: ExecConfig,
    pub run: BTreeMap<String, RunConfig>,
    /// For `casign`: where the CA's keys are.
    pub ca: Option<CaConfig>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExecConfig {
    pub allowed_users: Vec<String>,
    pub allowed_shells: Vec<String>,
    /// Patterns of variables of the caller that the job shell gets, beside those it always gets.
    pub allowed_environment: Vec<String>,
    /// For tests of flux-security; this IMP has no such mode and refuses it.
    pub allow_unprivileged_exec: bool,
    /// Whether a session of PAM is opened, by the program named or the one of the package.
    pub pam_support: bool,
    pub pam_opener: Option<String>,
    /// Where it is recorded which request started which job; without it, nothing refuses a replay.
    pub state_dir: Option<String>,
    /// Whether a request must have a nonce, which makes it differ from all others: those of flux-security have none.
    pub require_nonce: bool,
    /// Whether set-id programs are without effect in jobs.
    pub no_new_privs: bool,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunConfig {
    pub path: String,
    pub allowed_users: Vec<String>,
    pub allowed_environment: Option<Vec<String>>,
}

/// `[sign]` and `[ca]` of flux-config-security-sign(5).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityConfig {
    pub sign: Option<SignConfig>,
    pub ca: Option<CaConfig>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SignConfig {
    /// Seconds.
    pub max_ttl: i64,
    pub default_type: String,
    pub allowed_types: Vec<String>,
    #[serde(default)]
    pub curve: CurveConfig,
    #[serde(default)]
    pub munge: MungeConfig,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CurveConfig {
    /// On unless switched off: only then are keys looked up in home directories.
    pub require_ca: Option<bool>,
    pub cert_path: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MungeConfig {
    pub socket_path: Option<String>,
}

/// Times are seconds.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CaConfig {
    pub max_cert_ttl: i64,
    pub max_sign_ttl: i64,
    pub cert_path: String,
    pub revoke_dir: String,
    #[serde(default)]
    pub revoke_allow: bool,
    pub domain: String,
}

/// Whether nobody but root can have written this.
fn trusted(stat: &FileStat) -> bool {
    let foreign = stat.st_uid != 0 && enforced!("config-owner");
    let open = stat.st_mode & 0o022 != 0 && enforced!("config-mode");
    !foreign && !open
}

/// Opens an absolute path of which every step belongs to root, is writable for no one else, and is no symbolic link.
///
/// # Errors
/// A text that names the step.
pub fn open_trusted(path: &Path) -> Result<OwnedFd, String> {
    let fail = |at: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", at.display());
    let follow = if enforced!("config-link") { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    let flags = OFlag::O_CLOEXEC | follow | OFlag::O_NONBLOCK | OFlag::O_RDONLY;
    let mut at = std::path::PathBuf::from("/");
    let root = nix::fcntl::open("/", flags | OFlag::O_DIRECTORY, Mode::empty());
    let mut fd = root.map_err(|error| fail(&at, &error))?;
    let mut steps = path.components();
    refuse!(steps.next() != Some(Component::RootDir), fail(path, &"not an absolute path"));
    loop {
        let stat = fstat(&fd).map_err(|error| fail(&at, &error))?;
        refuse!(!trusted(&stat), fail(&at, &"not owned by root, or writable for others"));
        let name = match steps.next() {
            None => return Ok(fd),
            Some(Component::Normal(name)) => name,
            Some(_) => return Err(fail(path, &"has . or .. in it")),
        };
        at.push(name);
        fd = openat(&fd, name, flags, Mode::empty()).map_err(|error| fail(&at, &error))?;
    }
}

/// Reads a small regular file whose descriptor is given.
///
/// # Errors
/// A text without the path.
pub fn read_small(fd: OwnedFd) -> Result<String, String> {
    let stat = fstat(&fd).map_err(|error| error.to_string())?;
    refuse!(SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG, "not a regular file");
    let mut text = String::new();
    File::from(fd).take(FILE_LEN_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let long = text.len() as u64 > FILE_LEN_MAX && enforced!("config-size");
    if long { Err(format!("longer than {FILE_LEN_MAX} bytes")) } else { Ok(text) }
}

/// Reads a small file that nobody but root can have written.
///
/// # Errors
/// A text with the path.
pub fn read_trusted(path: &Path) -> Result<String, String> {
    read_small(open_trusted(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads `*.toml` of a directory as one document, in the order of their names; the same key in two files is an error.
///
/// # Errors
/// A text that names the file, or the directory if that is not there or not root's.
pub fn load<T: DeserializeOwned>(directory: &str) -> Result<T, String> {
    let mut handle =
        Dir::from_fd(open_trusted(Path::new(directory))?).map_err(|error| format!("{directory}: {error}"))?;
    let mut names = Vec::new();
    for entry in handle.iter() {
        let entry = entry.map_err(|error| format!("{directory}: {error}"))?;
        let name = String::from_utf8_lossy(entry.file_name().to_bytes()).into_owned();
        if name.ends_with(".toml") && !name.starts_with('.') {
            names.push(name);
        }
        refuse!(names.len() > CONFIG_FILES_MAX, format!("{directory}: more than {CONFIG_FILES_MAX} files"));
    }
    names.sort();
    let mut all = toml::Table::new();
    for name in names {
        let path = format!("{directory}/{name}");
        let table = read_trusted(Path::new(&path))?.parse().map_err(|error| format!("{path}: {error}"))?;
        merge(&mut all, table).map_err(|key| format!("{path}: {key} is in another file, too"))?;
    }
    all.try_into().map_err(|error| format!("{directory}: {error}"))
}

fn merge(all: &mut toml::Table, more: toml::Table) -> Result<(), String> {
    for (key, value) in more {
        match (all.get_mut(&key), value) {
            (None, value) => drop(all.insert(key, value)),
            (Some(toml::Value::Table(known)), toml::Value::Table(more)) => merge(known, more)?,
            _ => refuse!(enforced!("config-twice"), key),
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
