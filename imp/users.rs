//! Users and their groups, as the system's own `getent` says: a static program must not load the name service's objects, and root
//! should not. It runs as nobody with an empty environment, its answer is bounded, and checked here.

use crate::child::collect;
use crate::limits::{GETENT_LEN_MAX, GETENT_MS_MAX};
use crate::policy::User;
use crate::privileged::become_user;
use crate::reader;

/// nobody, nogroup: the kernel's overflow ids.
pub(crate) const NOBODY: u32 = 65_534;

/// The users of these ids, in one question: starting `getent` is most of what a lookup costs. The last one has all groups, if they are
/// wanted.
///
/// # Errors
/// A text; also if the answer is of other users or malformed.
pub(crate) fn look_up(ids: &[u32], groups: bool) -> Result<Vec<User>, String> {
    let words: Vec<String> = ids.iter().map(u32::to_string).collect();
    let ask = |out| reader::look_up(&words, groups, out);
    let bytes = collect(|| become_user(NOBODY, NOBODY, &[]), GETENT_LEN_MAX, GETENT_MS_MAX, ask);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    let text = text.map_err(|error| format!("getent passwd {}: {error}", words.join(" ")))?;
    parse(&text, ids, groups).ok_or_else(|| format!("there is no good entry for user id {}", words.join(" or ")))
}

/// Reads the lines of `getent passwd UID...`, and that of `getent initgroups NAME` for the last one.
fn parse(answer: &str, ids: &[u32], groups: bool) -> Option<Vec<User>> {
    let mut lines = answer.strip_suffix('\n')?.split('\n');
    let mut users = ids.iter().map(|id| entry(lines.next()?, *id)).collect::<Option<Vec<User>>>()?;
    if groups {
        let (last, mut words) = (users.last_mut()?, lines.next()?.split([' ', '\t']).filter(|word| !word.is_empty()));
        (words.next()? == last.name).then_some(())?;
        last.groups.extend(words.map(number).collect::<Option<Vec<u32>>>()?);
        last.groups.sort_unstable();
        last.groups.dedup();
    }
    lines.next().is_none().then_some(users)
}

/// An id as the kernel knows it; the last number stands for none.
fn number(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().filter(|id| *id != u32::MAX && id.to_string() == text)
}

/// Reads one line of `getent passwd`. The user's own group is always among the groups.
fn entry(line: &str, uid: u32) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, id, gid, _, home, shell] = fields[..] else { return None };
    let plain_name = !name.is_empty() && !name.starts_with('-') && !name.contains([' ', '/']);
    let gid = number(gid)?;
    let good = number(id)? == uid && plain_name && home.starts_with('/') && !line.contains(|c: char| c.is_control());
    good.then(|| User { name: name.into(), uid, gid, home: home.into(), shell: shell.into(), groups: vec![gid] })
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
