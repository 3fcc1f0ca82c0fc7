use super::*;

#[test]
fn an_entry_of_the_user_asked_for_is_read_and_no_other() {
    let user = parse_passwd("alice:x:1000:100:Alice,,:/home/alice:/bin/sh\n", 1000).expect("valid");
    assert_eq!(
        (user.name.as_str(), user.uid, user.gid, user.home.as_str(), user.shell.as_str()),
        ("alice", 1000, 100, "/home/alice", "/bin/sh")
    );
    let rows = [
        "",
        "\n",
        "alice:x:1000:100:Alice:/home/alice:/bin/sh",
        "alice:x:1001:100::/h:/bin/sh\n",
        "alice:x:1000:100::/h\n",
        "alice:x:1000:100::/h:/bin/sh:more\n",
        "alice:x:1000:100::/h:/bin/sh\nroot:x:0:0::/root:/bin/sh\n",
        "alice:x:+1000:100::/h:/s\n",
        "alice:x:1000:-1::/h:/s\n",
        "alice:x:1000:4294967295::/h:/s\n",
        "alice:x:1000:01::/h:/s\n",
        ":x:1000:100::/h:/s\n",
        "-v:x:1000:100::/h:/s\n",
        "a/b:x:1000:100::/h:/s\n",
        "alice:x:1000:100::home:/s\n",
        "al\u{1b}ice:x:1000:100::/h:/s\n",
    ];
    for answer in rows {
        assert!(parse_passwd(answer, 1000).is_err(), "{answer:?}");
    }
}

#[test]
fn groups_are_read_with_the_users_own() {
    let user = parse_passwd("alice:x:1000:100::/home/alice:/bin/sh\n", 1000).expect("valid");
    assert_eq!(parse_initgroups("alice                 7 7 3\n", &user), Ok(vec![3, 7, 100]));
    assert_eq!(parse_initgroups("alice\n", &user), Ok(vec![100]));
    for answer in ["", "bob 7\n", "alice 7", "alice x\n", "alice 4294967295\n", "alice -7\n"] {
        assert!(parse_initgroups(answer, &user).is_err(), "{answer:?}");
    }
}
