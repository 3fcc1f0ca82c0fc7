//! Users and their groups, as the system's own `getent` says: a static program must not load the name service's objects, and root
//! should not. It runs as nobody with an empty environment, its answer is bounded, and checked here.

use crate::child::collect;
use crate::limits::{GETENT_LEN_MAX, GETENT_MS_MAX};
use crate::policy::User;
use crate::privileged::become_user;
use crate::reader;

/// nobody, nogroup: the kernel's overflow ids.
pub(crate) const NOBODY: u32 = 65_534;

/// The user of that id, with all groups if they are wanted.
///
/// # Errors
/// A text; also if the answer is of another user or malformed.
pub(crate) fn look_up(uid: u32, groups: bool) -> Result<User, String> {
    let id = uid.to_string();
    let mut answer = ask("passwd", &id)?;
    if let Some((name, _)) = answer.split_once(':').filter(|_| groups) {
        answer += &ask("initgroups", name)?;
    }
    parse(&answer, uid).ok_or_else(|| format!("there is no good entry for user id {uid}"))
}

/// What `getent` prints.
fn ask(database: &str, key: &str) -> Result<String, String> {
    let ask = |out| reader::look_up(database, key, out);
    let bytes = collect(|| become_user(NOBODY, NOBODY, &[]), GETENT_LEN_MAX, GETENT_MS_MAX, ask);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    text.map_err(|error| format!("getent {database} {key}: {error}"))
}

/// Reads the line of `getent passwd UID`, and that of `getent initgroups NAME` if there is one; the user's own group is always among
/// the groups.
fn parse(answer: &str, uid: u32) -> Option<User> {
    let (line, rest) = answer.strip_suffix('\n')?.split_once('\n').unwrap_or((answer.trim_end(), ""));
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, id, gid, _, home, shell] = fields[..] else { return None };
    let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id != u32::MAX && id.to_string() == text);
    let plain_name = !name.is_empty() && !name.starts_with('-') && !name.contains([' ', '/']);
    let gid = number(gid)?;
    let good = number(id)? == uid && plain_name && home.starts_with('/') && !line.contains(|c: char| c.is_control());
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let same = words.next().unwrap_or(name) == name && !rest.contains('\n');
    let mut groups = words.map(number).collect::<Option<Vec<u32>>>()?;
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    (good && same).then(|| User { name: name.into(), uid, gid, home: home.into(), shell: shell.into(), groups })
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
