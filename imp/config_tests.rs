use super::*;

#[test]
fn the_examples_of_flux_security_are_read() {
    let text = "[exec]\nallowed-users = [ \"flux\" ]\nallowed-shells = [ \"/usr/libexec/flux/flux-shell\" ]\n\n[run.prolog]\n\
                allowed-environment = [ \"FLUX_*\" ]\nallowed-users = [ \"flux\" ]\npath = \"/etc/flux/system/prolog\"\n";
    let config: ImpConfig = toml::from_str(text).expect("valid");
    assert_eq!(config.exec.allowed_users, ["flux"]);
    assert_eq!(config.run["prolog"].allowed_environment, Some(vec!["FLUX_*".to_string()]));
    let text = "[sign]\nmax-ttl = 1209600\ndefault-type = \"munge\"\nallowed-types = [ \"munge\" ]\n";
    let sign = toml::from_str::<SecurityConfig>(text).expect("valid").sign.expect("a table");
    assert_eq!((sign.max_ttl, sign.default_type.as_str()), (1_209_600, "munge"));
    assert_eq!(sign.curve.require_ca, None, "homes are asked only if the site says so");
}

#[test]
fn a_misspelled_rule_is_an_error() {
    for text in
        ["[exec]\nallowed-user = []", "[run.a]\nallow-users = []", "exce = 1", "[exec]\nallowed-users = \"flux\""]
    {
        assert!(toml::from_str::<ImpConfig>(text).is_err(), "{text}");
    }
    assert!(toml::from_str::<SecurityConfig>("[sign]\nmax-ttl = 1\nallowed-types = []").is_err());
}

#[test]
fn files_are_merged_but_never_contradict() {
    let table = |text: &str| text.parse::<toml::Table>().expect("valid");
    let mut all = table("[exec]\na = 1\n");
    assert_eq!(merge(&mut all, table("[exec]\nb = 2\n[run]\nc = 3\n")), Ok(()));
    assert_eq!(all, table("[exec]\na = 1\nb = 2\n[run]\nc = 3\n"));
    assert_eq!(merge(&mut all, table("[exec]\na = 2\n")), Err("a".into()));
    assert_eq!(merge(&mut all, table("exec = 2\n")), Err("exec".into()));
}

#[test]
fn only_what_root_alone_can_write_is_opened() {
    assert!(open_trusted(Path::new("/proc/self/exe")).is_err(), "a symbolic link");
    for path in ["relative", "/tmp", "/tmp/x", "/usr/../usr", "", "/dev/shm/x"] {
        assert!(open_trusted(Path::new(path)).is_err(), "{path}");
    }
    assert!(open_trusted(Path::new("/usr")).is_ok());
    assert!(read_small(open_trusted(Path::new("/usr")).expect("as before")).is_err(), "a directory");
}
