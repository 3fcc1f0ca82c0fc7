//! The lines of passwd(5), group(5), nsswitch.conf(5), and of `getent initgroups`.

use super::{Group, User};
use crate::limits::USER_NAME_BYTES_MAX;
use std::path::PathBuf;

/// `None` for comments, NIS markers (`+...`) and lines that are not whole.
pub(super) fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let mut next = || fields.next();
    let (name, _password, uid, gid) = (next()?, next()?, next()?, next()?);
    let (gecos, home, shell) = (next()?, next()?, next()?);
    plain_name(name)?;
    Some(User {
        name: name.to_string(),
        uid: id(uid)?,
        gid: id(gid)?,
        gecos: gecos.to_string(),
        home: PathBuf::from(home),
        shell: PathBuf::from(if shell.is_empty() { "/bin/sh" } else { shell }),
    })
}

/// As [`user`].
pub(super) fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let (name, _password, gid) = (fields.next()?, fields.next()?, fields.next()?);
    plain_name(name)?;
    let members = fields.next()?.split(',').filter(|member| !member.is_empty()).map(str::to_string);
    Some(Group { name: name.to_string(), gid: id(gid)?, members: members.collect() })
}

/// `name   4 24 27`: the name, then the group ids.
pub(super) fn initgroups(line: &str) -> Vec<u32> {
    line.split_ascii_whitespace().skip(1).filter_map(id).collect()
}

/// Whether the line for `database` names "files" and nothing else.
pub(super) fn nsswitch_only_files(text: &str, database: &str) -> Option<bool> {
    let sources = text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let (name, sources) = line.split_once(':')?;
        (name.trim() == database).then_some(sources)
    })?;
    // A missing word would mean no source at all; actions such as [NOTFOUND=return] are no sources.
    let mut names = sources.split_ascii_whitespace().filter(|word| !word.starts_with('['));
    Some(names.all(|name| name == "files"))
}

/// What can be given to `getent` as one key: no option, no control characters, no separators.
pub(super) fn plausible_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= USER_NAME_BYTES_MAX
        && !key.starts_with('-')
        && !key.chars().any(|c| c.is_control() || c.is_whitespace() || c == ':' || c == ',')
}

fn plain_name(name: &str) -> Option<()> {
    (!name.is_empty() && !name.starts_with(['#', '+', '-'])).then_some(())
}

/// Digits only: `u32::parse` would also take a plus sign. The highest number means "no id" to the kernel.
fn id(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_lines_are_whole_or_ignored() {
        let rows = [
            ("a:x:1000:100:A,,,:/home/a:/bin/bash", Some((1000, 100, "/bin/bash"))),
            ("b:*:0:0::/:", Some((0, 0, "/bin/sh"))),
            ("", None),
            ("#a:x:1:1::/:/bin/sh", None),
            ("+::::::", None),
            ("a:x:1:1::/", None),
            ("a:x:-1:1::/:/bin/sh", None),
            ("a:x:+1:1::/:/bin/sh", None),
            ("a:x:4294967295:1::/:/bin/sh", None),
            ("a:x:99999999999:1::/:/bin/sh", None),
            (":x:1:1::/:/bin/sh", None),
        ];
        for (line, want) in rows {
            let got = user(line).map(|user| (user.uid, user.gid, user.shell.display().to_string()));
            assert_eq!(got, want.map(|(uid, gid, shell)| (uid, gid, shell.to_string())), "line {line:?}");
        }
    }

    #[test]
    fn group_lines_are_whole_or_ignored() {
        assert_eq!(group("g:x:5:a,b").unwrap().members, ["a", "b"]);
        assert_eq!(group("g:x:5:").unwrap().members, [""; 0]);
        assert_eq!(group("g:x:5"), None);
        assert_eq!(group("g:x:five:a"), None);
    }

    #[test]
    fn initgroups_lines_are_ids_after_a_name() {
        assert_eq!(initgroups("a                    4 24 1000"), [4, 24, 1000]);
        assert_eq!(initgroups("a"), [0; 0]);
        assert_eq!(initgroups(""), [0; 0]);
    }

    #[test]
    fn nsswitch_tells_whether_files_are_all_there_is() {
        let text = "# passwd: x\npasswd: files systemd # more\ngroup:\tfiles [SUCCESS=merge] files\nhosts: files dns\n";
        let rows = [("passwd", Some(false)), ("group", Some(true)), ("hosts", Some(false)), ("shadow", None)];
        for (database, want) in rows {
            assert_eq!(nsswitch_only_files(text, database), want, "{database}");
        }
    }

    #[test]
    fn keys_cannot_be_options_or_several_words() {
        for (key, want) in [("a", true), ("1000", true), ("-s", false), ("a b", false), ("a:b", false), ("", false)] {
            assert_eq!(plausible_key(key), want, "{key:?}");
        }
        assert!(!plausible_key(&"x".repeat(300)));
    }
}
