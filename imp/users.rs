//! Users and their groups, from the system's own `getent`: a static program must not load the name service's objects, and root
//! should not. It runs as nobody with an empty environment, and its answer is bounded and checked.

use crate::child::collect;
use crate::limits::{GETENT_LEN_MAX, GETENT_MS_MAX};
use crate::policy::User;
use crate::privileged::become_user;
use crate::reader;
use std::path::Path;

const GETENT: &str = "/usr/bin/getent";
/// nobody, nogroup: the kernel's overflow ids.
pub(crate) const NOBODY: u32 = 65_534;

/// Asks for one entry of a database; `None` if there is none.
fn getent(database: &str, key: &str) -> Result<String, String> {
    crate::config::open_trusted(Path::new(GETENT))?;
    let args = [GETENT, database, "--", key].map(String::from);
    let bytes = collect(
        || become_user(NOBODY, NOBODY, &[]),
        GETENT_LEN_MAX,
        GETENT_MS_MAX,
        |out| reader::look_up(database, key, &args, out),
    )
    .map_err(|error| format!("getent {database} {key}: {error}"))?;
    String::from_utf8(bytes).map_err(|_| format!("getent {database} {key}: not UTF-8"))
}

/// The user of that id, without supplementary groups.
///
/// # Errors
/// As [`by_uid`].
pub(crate) fn caller(uid: u32) -> Result<User, String> {
    parse_passwd(&getent("passwd", &uid.to_string())?, uid)
}

/// The user of that id, with all groups.
///
/// # Errors
/// A text; also if the answer is of another user or malformed.
pub(crate) fn by_uid(uid: u32) -> Result<User, String> {
    let mut user = caller(uid)?;
    user.groups = parse_initgroups(&getent("initgroups", &user.name)?, &user)?;
    Ok(user)
}

/// Reads the one line of `getent passwd UID`.
fn parse_passwd(answer: &str, uid: u32) -> Result<User, String> {
    let bad = || format!("getent gave no good entry for user id {uid}");
    let line = answer.strip_suffix('\n').ok_or_else(bad)?;
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, id, gid, _, home, shell] = fields[..] else { return Err(bad()) };
    let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id != u32::MAX && id.to_string() == text);
    let (id, gid) = (number(id).ok_or_else(bad)?, number(gid).ok_or_else(bad)?);
    let plain_name =
        !name.is_empty() && !name.starts_with('-') && !name.contains(|c: char| c.is_control() || c == ' ' || c == '/');
    refuse!(id != uid || !plain_name || line.contains(|c: char| c.is_control()) || !home.starts_with('/'), bad());
    let groups = Vec::new();
    Ok(User { name: name.into(), uid, gid, home: home.into(), shell: shell.into(), groups })
}

/// Reads `NAME GID GID...` of `getent initgroups NAME`; the user's own group is always among them.
fn parse_initgroups(answer: &str, user: &User) -> Result<Vec<u32>, String> {
    let bad = || format!("getent gave no good list of groups for {}", user.name);
    let mut words = answer.strip_suffix('\n').ok_or_else(bad)?.split_ascii_whitespace();
    refuse!(words.next() != Some(&user.name), bad());
    let mut groups = vec![user.gid];
    for word in words {
        let gid = word.parse::<u32>().ok().filter(|gid| *gid != u32::MAX).ok_or_else(bad)?;
        groups.push(gid);
    }
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
