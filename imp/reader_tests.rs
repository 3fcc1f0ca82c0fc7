use super::*;

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nalice:x:4002:4002::/home/alice:/bin/sh\n";
const GROUP: &str =
    "root:x:0:\nalice:x:4002:\nextra:x:4010:bob,alice\nmore:x:4011:alicex,alic\nodd\n+\nlast:x:4012:alice";

fn ask(sources: &str, database: &str, key: &str) -> Option<String> {
    in_files(sources, database, key, |path| match path {
        "/etc/passwd" => Some(PASSWD.to_string()),
        "/etc/group" => Some(GROUP.to_string()),
        other => panic!("{other} is not asked for"),
    })
}

#[test]
fn local_files_are_read_where_nothing_comes_before_them_and_else_the_name_service() {
    let alice = Some("alice:x:4002:4002::/home/alice:/bin/sh\n");
    let groups = Some("alice 4010 4012\n");
    let rows = [
        ("passwd: files\n", "passwd", "4002", alice),
        ("# passwd: sss\n passwd:\tfiles sss # local\n", "passwd", "4002", alice),
        ("passwd: sss files\n", "passwd", "4002", None),
        ("passwd: files\n", "passwd", "4003", None),
        ("passwd:\n", "passwd", "4002", None),
        ("", "passwd", "4002", None),
        ("group: files\n", "initgroups", "alice", groups),
        ("group: files\n", "initgroups", "nobody", Some("nobody\n")),
        ("group: files sss\n", "initgroups", "alice", None),
        ("group: files [SUCCESS=merge] sss\n", "initgroups", "alice", None),
        ("group: files\ninitgroups: sss\n", "initgroups", "alice", None),
        ("", "initgroups", "alice", None),
    ];
    for (sources, database, key, want) in rows {
        assert_eq!(ask(sources, database, key).as_deref(), want, "{sources:?} {database} {key}");
    }
}
