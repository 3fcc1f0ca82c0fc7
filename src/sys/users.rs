//! Users and groups by name and by id, without glibc's name service switch.
//!
//! A static program must not call `getpwnam`, `getgrouplist` or `getaddrinfo`: they load shared objects of another libc and
//! crash. So we read `/etc/passwd` and `/etc/group` ourselves, and ask `/usr/bin/getent`, a process of the system's own, for
//! what is not there (LDAP, SSSD, systemd). See doc/adr/0005-user-lookup.md.

pub(crate) mod getent;
mod parse;

use crate::clock;
use crate::limits::{CONTROL_FILE_BYTES_MAX, USER_CACHE_ENTRIES_MAX, USER_CACHE_TTL_MS, USER_FILE_BYTES_MAX};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub gecos: String,
    pub home: PathBuf,
    pub shell: PathBuf,
}

/// A line of group(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// Why a lookup has no answer, other than that there is no such user.
#[derive(Debug)]
pub enum LookupError {
    /// A file of users could not be read, or is over the limit.
    File { path: PathBuf, error: io::Error },
    /// `getent` could not be run, took too long, failed, or answered nonsense.
    Getent { what: String },
}

impl LookupError {
    /// The Linux errno of the failure.
    pub fn errno(&self) -> i32 {
        match self {
            LookupError::File { error, .. } => error.raw_os_error().unwrap_or(libc::EIO),
            LookupError::Getent { .. } => libc::EIO,
        }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::File { path, error } => write!(f, "{}: {error}", path.display()),
            LookupError::Getent { what } => write!(f, "looking up a user or group: {what}"),
        }
    }
}

impl std::error::Error for LookupError {}

/// What a lookup asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Query {
    UserName(String),
    UserId(u32),
    GroupName(String),
    GroupId(u32),
    GroupsOf(String),
}

#[derive(Clone, Debug)]
enum Answer {
    User(Option<User>),
    Group(Option<Group>),
    Groups(Vec<u32>),
}

/// Looks users and groups up, and remembers the answers for a while.
#[derive(Debug)]
pub struct Users {
    root: PathBuf,
    getent: Option<PathBuf>,
    cache: BTreeMap<Query, (Duration, Answer)>,
}

impl Default for Users {
    fn default() -> Users {
        Users::new()
    }
}

impl Users {
    /// The users of this machine.
    pub fn new() -> Users {
        Users::with_sources("/", Some(PathBuf::from(getent::PROGRAM)))
    }

    /// Users from `etc/passwd` and `etc/group` under `root`, and from this program in place of `getent`, for tests.
    pub fn with_sources(root: impl Into<PathBuf>, getent: Option<PathBuf>) -> Users {
        Users { root: root.into(), getent, cache: BTreeMap::new() }
    }

    /// The user of this name. `None`: there is none.
    ///
    /// # Errors
    /// When a source failed: then nobody may conclude that the user does not exist.
    pub fn by_name(&mut self, name: &str) -> Result<Option<User>, LookupError> {
        match self.answer(Query::UserName(name.to_string()))? {
            Answer::User(user) => Ok(user),
            _ => unreachable!("a question about a user is answered with one"),
        }
    }

    /// The user of this id, otherwise as [`Users::by_name`].
    ///
    /// # Errors
    /// As [`Users::by_name`].
    pub fn by_uid(&mut self, uid: u32) -> Result<Option<User>, LookupError> {
        match self.answer(Query::UserId(uid))? {
            Answer::User(user) => Ok(user),
            _ => unreachable!("a question about a user is answered with one"),
        }
    }

    /// The group of this name. `None`: there is none.
    ///
    /// # Errors
    /// As [`Users::by_name`].
    pub fn group_by_name(&mut self, name: &str) -> Result<Option<Group>, LookupError> {
        match self.answer(Query::GroupName(name.to_string()))? {
            Answer::Group(group) => Ok(group),
            _ => unreachable!("a question about a group is answered with one"),
        }
    }

    /// The group of this id, otherwise as [`Users::group_by_name`].
    ///
    /// # Errors
    /// As [`Users::by_name`].
    pub fn group_by_gid(&mut self, gid: u32) -> Result<Option<Group>, LookupError> {
        match self.answer(Query::GroupId(gid))? {
            Answer::Group(group) => Ok(group),
            _ => unreachable!("a question about a group is answered with one"),
        }
    }

    /// All groups of a user, the primary one first, the others in rising order.
    ///
    /// # Errors
    /// As [`Users::by_name`].
    pub fn groups_of(&mut self, user: &User) -> Result<Vec<u32>, LookupError> {
        let Answer::Groups(more) = self.answer(Query::GroupsOf(user.name.clone()))? else {
            unreachable!("a question about groups is answered with groups")
        };
        let others = more.into_iter().filter(|gid| *gid != user.gid);
        Ok(std::iter::once(user.gid).chain(others).collect())
    }

    /// Forgets all answers: after a reload of the configuration.
    pub fn forget(&mut self) {
        self.cache.clear();
    }

    fn answer(&mut self, query: Query) -> Result<Answer, LookupError> {
        let now = clock::monotonic();
        if let Some((until, answer)) = self.cache.get(&query)
            && now < *until
        {
            return Ok(answer.clone());
        }
        let answer = self.look_up(&query)?;
        if self.cache.len() >= USER_CACHE_ENTRIES_MAX {
            self.cache.clear();
        }
        let until = now + Duration::from_millis(USER_CACHE_TTL_MS);
        self.cache.insert(query, (until, answer.clone()));
        Ok(answer)
    }

    fn look_up(&self, query: &Query) -> Result<Answer, LookupError> {
        match query {
            Query::UserName(name) => self.user(|user| user.name == *name, name),
            Query::UserId(uid) => self.user(|user| user.uid == *uid, &uid.to_string()),
            Query::GroupName(name) => self.group(|group| group.name == *name, name),
            Query::GroupId(gid) => self.group(|group| group.gid == *gid, &gid.to_string()),
            Query::GroupsOf(name) => self.groups(name),
        }
    }

    fn user(&self, wanted: impl Fn(&User) -> bool, key: &str) -> Result<Answer, LookupError> {
        let text = self.file("etc/passwd")?;
        if let Some(user) = text.lines().filter_map(parse::user).find(|user| wanted(user)) {
            return Ok(Answer::User(Some(user)));
        }
        let line = self.ask("passwd", key)?;
        // `getent passwd 12` also finds a user *named* 12: what comes back must be what was asked for.
        Ok(Answer::User(line.as_deref().and_then(parse::user).filter(|user| wanted(user))))
    }

    fn group(&self, wanted: impl Fn(&Group) -> bool, key: &str) -> Result<Answer, LookupError> {
        let text = self.file("etc/group")?;
        if let Some(group) = text.lines().filter_map(parse::group).find(|group| wanted(group)) {
            return Ok(Answer::Group(Some(group)));
        }
        let line = self.ask("group", key)?;
        Ok(Answer::Group(line.as_deref().and_then(parse::group).filter(|group| wanted(group))))
    }

    /// `getent initgroups` knows every source, the local file included; without it the local file must do if that is the
    /// only source there is.
    fn groups(&self, name: &str) -> Result<Answer, LookupError> {
        let mut gids: Vec<u32> = if self.only_files("initgroups").or(self.only_files("group")).unwrap_or(false) {
            self.local_groups(name)?
        } else {
            match self.ask("initgroups", name) {
                Ok(line) => line.as_deref().map(parse::initgroups).unwrap_or_default(),
                Err(_) if !self.getent_exists() => self.local_groups(name)?,
                Err(error) => return Err(error),
            }
        };
        gids.sort_unstable();
        gids.dedup();
        gids.truncate(crate::limits::GROUPS_MAX);
        Ok(Answer::Groups(gids))
    }

    fn local_groups(&self, name: &str) -> Result<Vec<u32>, LookupError> {
        let text = self.file("etc/group")?;
        let with_user = text.lines().filter_map(parse::group).filter(|group| group.members.iter().any(|it| it == name));
        Ok(with_user.map(|group| group.gid).collect())
    }

    /// A file of users; one that does not exist is empty (a bare root directory has none).
    fn file(&self, name: &str) -> Result<String, LookupError> {
        let path = self.root.join(name);
        read_bounded(&path, USER_FILE_BYTES_MAX).map_err(|error| LookupError::File { path, error })
    }

    /// Whether nsswitch.conf names no source but "files" for a database. `None`: it says nothing about it.
    fn only_files(&self, database: &str) -> Option<bool> {
        let text = read_bounded(&self.root.join("etc/nsswitch.conf"), CONTROL_FILE_BYTES_MAX).ok()?;
        parse::nsswitch_only_files(&text, database)
    }

    fn getent_exists(&self) -> bool {
        self.getent.as_ref().is_some_and(|program| program.exists())
    }

    /// One line of `getent`; `None` when it knows nothing, or when the machine has no other sources or no getent.
    fn ask(&self, database: &str, key: &str) -> Result<Option<String>, LookupError> {
        let Some(program) = self.getent.as_ref().filter(|program| program.exists()) else { return Ok(None) };
        if self.only_files(database) == Some(true) || !parse::plausible_key(key) {
            return Ok(None);
        }
        getent::ask(program, database, key)
    }
}

/// Reads a whole file. One that does not exist reads as empty.
fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<String> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        other => other?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned()) // A comment in another encoding must not hide all users.
}

#[cfg(test)]
#[path = "users/tests.rs"]
mod tests;
