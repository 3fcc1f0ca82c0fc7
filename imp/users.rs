//! Users and their groups. A user is looked up in the local file where the site asks that first: it is checked like configuration, and
//! says who is root anyway. Else the system's own `getent` is asked, as a static program must not load the name service's objects, and
//! root should not. That runs as nobody with an empty environment, and its answer is bounded. Each answer is checked in the same way.

use crate::child::collect;
use crate::config::read_trusted;
use crate::limits::{GETENT_LEN_MAX, GETENT_MS_MAX};
use crate::policy::User;
use crate::privileged::become_user;
use crate::reader;
use std::path::Path;

pub(crate) const SWITCH: &str = "/etc/nsswitch.conf";

/// nobody, nogroup: the kernel's overflow ids.
pub(crate) const NOBODY: u32 = 65_534;

/// The user of that id, with all groups if they are wanted.
///
/// # Errors
/// A text; also if the answer is of another user or malformed.
pub(crate) fn look_up(uid: u32, groups: bool) -> Result<User, String> {
    let id = uid.to_string();
    let local = local_user(&id, |path| read_trusted(Path::new(path)).ok());
    let mut answer = local.map_or_else(|| ask("passwd", &id), Ok)?;
    if let Some((name, _)) = answer.split_once(':').filter(|_| groups) {
        answer += &ask("initgroups", name)?;
    }
    parse(&answer, uid).ok_or_else(|| format!("there is no good entry for user id {uid}"))
}

/// What `getent` prints, or would.
fn ask(database: &str, key: &str) -> Result<String, String> {
    let ask = |out| reader::look_up(database, key, out);
    let bytes = collect(|| become_user(NOBODY, NOBODY, &[]), GETENT_LEN_MAX, GETENT_MS_MAX, ask);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    text.map_err(|error| format!("getent {database} {key}: {error}"))
}

/// Where the name service looks for entries of a database, in its order.
pub(crate) fn sources_of<'a>(switch: &'a str, database: &str) -> Option<Vec<&'a str>> {
    let rest = switch.lines().find_map(|line| line.trim_start().strip_prefix(database)?.strip_prefix(':'))?;
    Some(rest.split('#').next()?.split_ascii_whitespace().collect())
}

/// What `getent passwd` would print, if the local file is asked first and has it. `None`: ask the name service.
fn local_user(id: &str, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let first = sources_of(&read(SWITCH)?, "passwd")?.first() == Some(&"files");
    let table = first.then(|| read("/etc/passwd")).flatten()?;
    table.lines().find(|line| line.split(':').nth(2) == Some(id)).map(|line| format!("{line}\n"))
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
