use super::*;

const GROUP: &str =
    "root:x:0:\nalice:x:4002:\nextra:x:4010:bob,alice\nmore:x:4011:alicex,alic\nodd\n+\nlast:x:4012:alice";

#[test]
fn the_local_file_is_read_where_no_other_source_has_groups() {
    let groups = Some("alice 4010 4012\n");
    let rows = [
        ("group: files\n", "alice", "", groups),
        ("group: files\n", "nobody", "", Some("nobody\n")),
        ("group: files systemd\n", "alice", "", groups),
        ("group: files systemd\n", "alice", "/etc/userdb", None),
        ("group: files systemd\n", "alice", "/run/systemd/userdb/io.systemd.Home", None),
        ("group: files systemd sss\n", "alice", "", None),
        ("group: files [SUCCESS=merge] sss\n", "alice", "", None),
        ("group: files\ninitgroups: sss\n", "alice", "", None),
        ("", "alice", "", None),
    ];
    for (switch, name, there, want) in rows {
        let got =
            groups_of(name, |path| Some(if path == SWITCH { switch } else { GROUP }.to_string()), |path| path == there);
        assert_eq!(got.as_deref(), want, "{switch:?} {name} {there}");
    }
}
