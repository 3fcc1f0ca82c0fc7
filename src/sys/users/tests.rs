use super::*;
use std::os::unix::fs::PermissionsExt;

struct Fixture {
    root: PathBuf,
}

impl Fixture {
    fn new(name: &str, getent_script: &str) -> Fixture {
        let root = std::env::temp_dir().join(format!("flux-sys-users-{name}-{}", std::process::id()));
        std::fs::create_dir_all(root.join("etc")).unwrap();
        let fixture = Fixture { root };
        fixture.put("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nlocal:x:500:50:L:/home/local:\n");
        fixture.put("etc/group", "root:x:0:\nstaff:x:50:\nwheel:x:10:local,root\nvideo:x:44:local\n");
        fixture.put("getent", getent_script);
        std::fs::set_permissions(fixture.root.join("getent"), PermissionsExt::from_mode(0o755)).unwrap();
        fixture
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.root.join(name), text).unwrap();
    }

    fn users(&self) -> Users {
        Users::with_sources(&self.root, Some(self.root.join("getent")))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// A directory server that knows one user, and counts how often it was asked.
const DIRECTORY: &str = r#"#!/bin/sh
echo asked >> "${0%getent}asked"
case "$1 $2" in
"passwd remote"|"passwd 7000") echo 'remote:*:7000:7000:R:/home/remote:/bin/zsh' ;;
"passwd 12") echo '12:*:7001:7001::/:/bin/sh' ;;
"group grid"|"group 9000") echo 'grid:*:9000:remote,local' ;;
"initgroups remote") echo 'remote  9000 7000 9000' ;;
"initgroups local") echo 'local  44 10 9000' ;;
*) exit 2 ;;
esac
"#;

#[test]
fn local_users_are_found_without_asking_anybody() {
    let fixture = Fixture::new("local", DIRECTORY);
    let mut users = fixture.users();
    assert_eq!(users.by_name("local").unwrap().unwrap().uid, 500);
    assert_eq!(users.by_uid(0).unwrap().unwrap().name, "root");
    assert_eq!(users.group_by_name("wheel").unwrap().unwrap().gid, 10);
    assert_eq!(users.group_by_gid(44).unwrap().unwrap().members, ["local"]);
    assert!(!fixture.root.join("asked").exists());
}

#[test]
fn users_that_only_getent_knows_are_found_and_remembered() {
    let fixture = Fixture::new("remote", DIRECTORY);
    let mut users = fixture.users();
    for _ in 0..3 {
        let user = users.by_name("remote").unwrap().unwrap();
        assert_eq!((user.uid, user.shell.to_str()), (7000, Some("/bin/zsh")));
        assert_eq!(users.by_name("nobody-here").unwrap(), None);
    }
    assert_eq!(users.by_uid(7000).unwrap().unwrap().name, "remote");
    assert_eq!(users.group_by_gid(9000).unwrap().unwrap().name, "grid");
    let asked = std::fs::read_to_string(fixture.root.join("asked")).unwrap();
    assert_eq!(asked.lines().count(), 4, "once per question");
}

#[test]
fn a_number_finds_no_user_who_has_it_for_a_name() {
    let fixture = Fixture::new("number", DIRECTORY);
    assert_eq!(fixture.users().by_uid(12).unwrap(), None);
    assert_eq!(fixture.users().by_name("12").unwrap().unwrap().uid, 7001);
}

#[test]
fn groups_come_from_all_sources_primary_first() {
    let fixture = Fixture::new("groups", DIRECTORY);
    let mut users = fixture.users();
    for (name, want) in [("remote", vec![7000, 9000]), ("local", vec![50, 10, 44, 9000])] {
        let user = users.by_name(name).unwrap().unwrap();
        assert_eq!(users.groups_of(&user).unwrap(), want, "{name}");
    }
    fixture.put("etc/nsswitch.conf", "passwd: files\ngroup: files\n");
    let mut users = fixture.users();
    let user = users.by_name("local").unwrap().unwrap();
    assert_eq!(users.groups_of(&user).unwrap(), [50, 10, 44], "files only: getent is not asked");
    assert_eq!(users.by_name("remote").unwrap(), None);
}

#[test]
fn a_failing_source_is_an_error_and_not_an_absent_user() {
    let rows = [
        ("fails", "#!/bin/sh\nexit 1\n", "exit code 1"),
        ("dies", "#!/bin/sh\nkill -9 $$\n", "ended by SIGKILL"),
        ("floods", "#!/bin/sh\nexec yes\n", "file too large"),
        ("binary", "#!/bin/sh\nprintf '\\377\\376'\n", "invalid data"),
    ];
    for (name, script, want) in rows {
        let error = Fixture::new(name, script).users().by_name("who").unwrap_err();
        assert!(error.to_string().ends_with(want), "{name}: {error}");
        assert_eq!(error.errno(), libc::EIO, "{name}");
    }
}

#[test]
fn a_bare_root_directory_has_no_users_and_no_errors() {
    let mut users = Users::with_sources("/nonexistent", None);
    assert_eq!(users.by_name("root").unwrap(), None);
    assert_eq!(users.by_uid(0).unwrap(), None);
}

#[test]
fn the_users_of_this_machine_include_root() {
    let mut users = Users::new();
    let root = users.by_uid(0).unwrap().unwrap();
    assert_eq!(root.name, "root");
    assert_eq!(users.groups_of(&root).unwrap()[0], 0);
    assert_eq!(users.by_name("no-such-user-at-all").unwrap(), None);
}
