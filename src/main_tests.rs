use super::*;

const ROOT: Ids = Ids { ruid: 0, euid: 0, suid: 0, rgid: 0, egid: 0, sgid: 0 };
const USER: Ids = Ids { ruid: 9, euid: 9, suid: 9, rgid: 9, egid: 9, sgid: 9 };

#[test]
fn names_choose_the_role_of_plain_processes() {
    let rows = [
        (Some("flux"), Role::Cli),
        (Some("/usr/bin/flux-broker"), Role::Broker),
        (Some("./flux-shell"), Role::Shell),
        (Some("flux-imp"), Role::Imp),
        (Some("resource-query"), Role::ResourceQuery),
        (Some("grug2dot"), Role::Grug2dot),
        (Some("-flux-broker"), Role::Cli),
        (Some(""), Role::Cli),
        (Some("/"), Role::Cli),
        (None, Role::Cli),
    ];
    for (name, want) in rows {
        for ids in [ROOT, USER] {
            assert_eq!(choose_role(name.map(OsStr::new), ids), want, "{name:?} {ids:?}");
        }
    }
}

#[test]
fn raised_rights_outrank_the_name() {
    for name in ["flux", "flux-broker", "flux-shell", "flux-imp"] {
        let setuid_root = Ids { euid: 0, suid: 0, ..USER };
        assert_eq!(choose_role(Some(OsStr::new(name)), setuid_root), Role::Imp, "{name}");
        for ids in [Ids { euid: 7, ..USER }, Ids { egid: 0, ..USER }, Ids { suid: 0, ..USER }, Ids { euid: 5, ..ROOT }]
        {
            let role = choose_role(Some(OsStr::new(name)), ids);
            assert!(matches!(role, Role::Refuse(_)), "{name} {ids:?}: {role:?}");
        }
    }
}
