use super::*;

fn user(name: &str, id: u32) -> User {
    let home = format!("/home/{name}");
    User { name: name.into(), uid: id, gid: id, home, shell: "/bin/sh".into(), groups: vec![id] }
}

fn config() -> ImpConfig {
    let exec = ExecConfig {
        allowed_users: vec!["flux".into()],
        allowed_shells: vec!["/usr/libexec/flux-shell".into()],
        ..ExecConfig::default()
    };
    let prolog =
        RunConfig { path: "/etc/flux/prolog".into(), allowed_users: vec!["flux".into()], allowed_environment: None };
    ImpConfig { exec, run: [("prolog".to_string(), prolog)].into(), ..ImpConfig::default() }
}

fn args(shell: &str) -> Vec<String> {
    vec![shell.into(), "123".into()]
}

fn variables(text: &str) -> Vec<(String, String)> {
    text.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

const SHELL: &str = "/usr/libexec/flux-shell";

#[test]
fn exec_follows_every_rule() {
    type Change = fn(&mut ImpConfig, &mut User, &mut User, &mut Vec<String>);
    let rows: &[(&str, Change, Option<&str>)] = &[
        ("all is as it should be", |_, _, _, _| (), None),
        (
            "nobody is allowed by default",
            |c, _, _, _| c.exec.allowed_users.clear(),
            Some("user flux is not in allowed-users"),
        ),
        ("caller", |_, caller, _, _| caller.name = "eve".into(), Some("user eve is not in allowed-users")),
        ("root", |_, _, user, _| user.uid = 0, Some(ROOT_JOB)),
        ("root's group", |_, _, user, _| user.gid = 0, Some("jobs of group id 0 are not run")),
        ("root's group among others", |_, _, user, _| user.groups = vec![1, 0], Some("jobs of group id 0 are not run")),
        (
            "groups",
            |_, _, user, _| user.groups = vec![1; GROUPS_MAX + 1],
            Some("65537 groups are over the limit of 65536"),
        ),
        ("shell", |_, _, _, args| args[0] = "/bin/sh".into(), Some("\"/bin/sh\" is not in allowed-shells")),
        ("relative", |_, _, _, args| args[0] = "flux-shell".into(), Some("\"flux-shell\" is not an absolute path")),
        ("no arguments", |_, _, _, args| args.clear(), Some("\"\" is not an absolute path")),
        (
            "not literally the same path",
            |_, _, _, args| args[0] = "/usr/libexec/../libexec/flux-shell".into(),
            Some("\"/usr/libexec/../libexec/flux-shell\" is not in allowed-shells"),
        ),
        (
            "unprivileged",
            |c, _, _, _| c.exec.allow_unprivileged_exec = true,
            Some("exec.allow-unprivileged-exec is configured, but this IMP has no support for it"),
        ),
    ];
    for (name, change, want) in rows {
        let (mut config, mut caller, mut job_user, mut args) =
            (config(), user("flux", 500), user("alice", 1000), args(SHELL));
        change(&mut config, &mut caller, &mut job_user, &mut args);
        let got = plan_exec(&config, &caller, &job_user, &args, &[]);
        assert_eq!(got.as_ref().err().map(String::as_str), *want, "{name}");
        if let Ok(plan) = got {
            assert_eq!((plan.become_user, plan.path.as_str(), plan.args), (Some(job_user), SHELL, args), "{name}");
        }
    }
}

#[test]
fn the_owner_does_not_steer_the_shell_by_its_environment() {
    let hostile = "FLUX_URI=local:///run/flux FLUX_JOB_ID=1 PATH=/tmp HOME=/tmp USER=root LD_PRELOAD=/tmp/x.so FLUX_EXEC_PATH=/tmp \
                   FLUX_SHELL_RC_PATH=/tmp BASH_ENV=/tmp/x IFS=/ MODULE_A=1 FLUX_URI=local:///second";
    let mut config = config();
    let plan = |config: &ImpConfig| {
        let plan = plan_exec(config, &user("flux", 500), &user("alice", 1000), &args(SHELL), &variables(hostile));
        let mut environment = plan.expect("allowed").environment;
        environment.sort();
        environment
    };
    let fixed = "FLUX_JOB_ID=1 FLUX_URI=local:///run/flux HOME=/home/alice LOGNAME=alice PATH=/usr/local/bin:/usr/bin:/bin \
                 SHELL=/bin/sh USER=alice";
    assert_eq!(plan(&config), variables(fixed));
    config.exec.allowed_environment = vec!["*".into()];
    let names: Vec<String> = plan(&config).into_iter().map(|(name, _)| name).collect();
    let want = "FLUX_EXEC_PATH FLUX_JOB_ID FLUX_SHELL_RC_PATH FLUX_URI HOME LOGNAME MODULE_A PATH SHELL USER";
    assert_eq!(names.join(" "), want, "even a careless pattern lets no loader variable through");
}

#[test]
fn run_follows_every_rule() {
    let flux = user("flux", 500);
    let environment = variables("FLUX_JOB_ID=1 FLUX_JOB_USERID=1000 FLUX_X=1 LD_PRELOAD=x PATH=/tmp SECRET=1");
    let plan = plan_run(&config(), &flux, "prolog", &environment).expect("allowed");
    let want = "FLUX_JOB_ID=1 FLUX_JOB_USERID=1000 FLUX_OWNER_USERID=500 HOME=/root USER=root LOGNAME=root \
                PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(plan.environment, variables(want));
    assert_eq!(
        (plan.path.as_str(), plan.args.as_slice(), plan.become_user),
        ("/etc/flux/prolog", &["/etc/flux/prolog".to_string()][..], None)
    );
    let denied = |config: &ImpConfig, caller: &User, name| plan_run(config, caller, name, &[]).expect_err("refused");
    assert_eq!(denied(&config(), &user("eve", 501), "prolog"), "user eve is not in allowed-users");
    assert_eq!(denied(&config(), &flux, "epilog"), "no command \"epilog\" is configured");
    let mut relative = config();
    relative.run.entry("prolog".into()).and_modify(|run| run.path = "prolog".into());
    assert_eq!(denied(&relative, &flux, "prolog"), "\"prolog\" is not an absolute path");
    let mut wide = config();
    wide.run
        .entry("prolog".into())
        .and_modify(|run| run.allowed_environment = Some(vec!["FLUX_?".into(), "LD_*".into()]));
    let plan = plan_run(&wide, &flux, "prolog", &environment).expect("allowed");
    assert_eq!(plan.environment[0], ("FLUX_X".into(), "1".into()));
    assert!(plan.environment.iter().all(|(name, _)| name != "LD_PRELOAD" && name != "FLUX_JOB_ID"));
}

#[test]
fn an_exported_shell_function_never_passes() {
    let environment = vec![("FLUX_X".to_string(), "() { :; }; id".to_string())];
    assert_eq!(chosen(&environment, &[], &["*".into()]), vec![]);
}

#[test]
fn patterns_match_whole_names() {
    let rows = [
        ("FLUX_*", "FLUX_JOB_ID", true),
        ("FLUX_*", "XFLUX_A", false),
        ("*", "", true),
        ("", "", true),
        ("", "A", false),
        ("A?C", "ABC", true),
        ("A?C", "AC", false),
        ("*A*B*", "xAyBz", true),
        ("*A*B", "xAyBz", false),
        ("A", "AB", false),
        ("a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
    ];
    for (pattern, text, want) in rows {
        assert_eq!(matches(pattern, text), want, "{pattern} {text}");
    }
}
