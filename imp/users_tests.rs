use super::*;

fn user(groups: &[u32]) -> User {
    let (name, home, shell) = ("alice".into(), "/home/alice".into(), "/bin/bash".into());
    User { name, uid: 1000, gid: 100, home, shell, groups: groups.to_vec() }
}

const GOOD: &str = "alice:x:1000:100:Alice:/home/alice:/bin/bash\n";

#[test]
fn an_entry_of_the_user_asked_for_is_read_and_no_other() {
    assert_eq!(parse(GOOD, &[1000], false), Some(vec![user(&[100])]));
    let two = "flux:x:900:900::/:/bin/sh\n".to_string() + GOOD;
    assert_eq!(parse(&two, &[900, 1000], false).map(|mut users| users.pop()), Some(Some(user(&[100]))));
    assert_eq!(parse(&two, &[1000, 900], false), None);
    assert_eq!(parse(GOOD, &[900, 1000], false), None);
    assert_eq!(parse(GOOD, &[1000], true), None, "the groups are missing");
    let rows = [
        "",
        "alice:x:1000:100:Alice:/home/alice:/bin/bash",
        "alice:x:1001:100::/home/alice:/bin/bash\n",
        "alice:x:01000:100::/home/alice:/bin/bash\n",
        "alice:x:1000:4294967295::/home/alice:/bin/bash\n",
        "alice:x:1000:-1::/home/alice:/bin/bash\n",
        "alice:x:1000:100::home/alice:/bin/bash\n",
        "alice:x:1000:100:::/bin/bash\n",
        ":x:1000:100::/home/alice:/bin/bash\n",
        "-alice:x:1000:100::/home/alice:/bin/bash\n",
        "a/b:x:1000:100::/home/alice:/bin/bash\n",
        "a b:x:1000:100::/home/alice:/bin/bash\n",
        "alice:x:1000:100::/home/alice\r:/bin/bash\n",
        "al\u{1b}ice:x:1000:100::/home/alice:/bin/bash\n",
        "alice:x:+1000:100::/home/alice:/bin/bash\n",
        "\n",
        "alice:x:1000:100::/home/alice:/bin/bash:more\n",
        "alice:x:1000:100::/home/alice:/bin/bash\nroot:x:0:0::/root:/bin/sh\n",
    ];
    for answer in rows {
        assert_eq!(parse(answer, &[1000], false), None, "{answer:?}");
    }
}

#[test]
fn groups_are_read_with_the_users_own() {
    let rows = [
        ("alice 20 30 20\n", Some(vec![20, 30, 100])),
        ("alice\n", Some(vec![100])),
        ("alice 0 100\n", Some(vec![0, 100])),
        ("bob 20\n", None),
        ("alice -1\n", None),
        ("alice 4294967295\n", None),
        ("alice 20\nbob 30\n", None),
        ("alice x\n", None),
        ("alice 7", None),
        ("alice                 7 7\t3\n", Some(vec![3, 7, 100])),
    ];
    for (answer, groups) in rows {
        let want = groups.map(|groups| vec![user(&groups)]);
        assert_eq!(parse(&format!("{GOOD}{answer}"), &[1000], true), want, "{answer:?}");
    }
}
