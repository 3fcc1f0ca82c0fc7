//! What the set-id program does, case by case (`behaviour.toml`), also when a system call fails: the tracer makes it fail.

use crate::site::Site;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    run: String,
    /// What is in what the script prints.
    says: Vec<String>,
    /// What is not.
    #[serde(default)]
    never: Vec<String>,
    /// What is in the system's log.
    #[serde(default)]
    log: Vec<String>,
}

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

#[test]
fn each_case_ends_as_the_table_says() {
    let table: Table = toml::from_str(include_str!("behaviour.toml")).expect("a well-formed table");
    let Some(site) = Site::new() else { return };
    let (mut failures, cgroups) = (String::new(), Site::has_cgroups());
    for case in table.case.iter().filter(|case| cgroups || !case.run.contains("with_cgroup")) {
        let (out, log) = site.run(&case.run, "");
        let said = case.says.iter().all(|text| out.contains(text.as_str()));
        let silent = !case.never.iter().any(|text| out.contains(text.as_str()));
        let logged = case.log.iter().all(|text| log.contains(text.as_str()));
        if !(said && silent && logged) {
            failures.push_str(&format!("\n== {}: {:?}:\n{out}\n-- log: {log}", case.name, case.says));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
