//! The dependencies: licences, sources, bans, duplicates, by the rules in `deny.toml`.
//!
//! cargo-deny reads the same file and does more (advisories); it takes minutes to build, so this check stands in for it
//! offline and cargo-deny runs only where it is installed.

use crate::Outcome;
use crate::run::{cargo, have, output, root, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

struct Rules {
    licenses: BTreeSet<String>,
    banned: BTreeSet<String>,
    doubles_allowed: BTreeSet<String>,
}

pub(crate) fn main(_: &[String]) -> Outcome {
    let text = std::fs::read_to_string(root().join("deny.toml")).map_err(|error| format!("deny.toml: {error}"))?;
    let rules = read_rules(&text)?;
    let (ok, json) = output(cargo().args(["metadata", "--format-version", "1", "--locked", "--quiet"]))?;
    if !ok {
        return Err(json);
    }
    let metadata: Value = serde_json::from_str(&json).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata: no packages")?;
    let complaints = judge(packages, &rules);
    if !complaints.is_empty() {
        return Err(format!("{} complaints\n  {}", complaints.len(), complaints.join("\n  ")));
    }
    println!("policy: {} packages are within the rules of deny.toml", packages.len());
    if have("cargo-deny") {
        run(cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]))?;
    }
    Ok(())
}

fn read_rules(text: &str) -> Result<Rules, String> {
    let rules: toml::Table = text.parse().map_err(|error| format!("deny.toml: {error}"))?;
    let list = |section: &str, key: &str| -> BTreeSet<String> {
        let items = rules.get(section).and_then(|table| table.get(key)).and_then(toml::Value::as_array);
        let name = |item: &toml::Value| {
            let name = item.as_str().or_else(|| item.get("crate").and_then(toml::Value::as_str))?;
            Some(name.to_string())
        };
        items.map(|items| items.iter().filter_map(name).collect()).unwrap_or_default()
    };
    Ok(Rules {
        licenses: list("licenses", "allow"),
        banned: list("bans", "deny"),
        doubles_allowed: list("bans", "skip"),
    })
}

fn judge(packages: &[Value], rules: &Rules) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let (name, version) = (text(package, "name"), text(package, "version"));
        versions.entry(name).or_default().insert(version);
        let license = text(package, "license");
        if !permitted(license, &rules.licenses) {
            complaints.push(format!("{name} {version}: licence {license:?} is not in the list"));
        }
        if package["source"].as_str().is_some_and(|source| source != CRATES_IO) {
            complaints.push(format!("{name} {version}: comes from {}", package["source"]));
        }
        if rules.banned.contains(name) {
            complaints.push(format!("{name} {version}: is banned"));
        }
    }
    for (name, versions) in versions {
        if versions.len() > 1 && !rules.doubles_allowed.contains(name) {
            complaints.push(format!("{name}: several versions: {versions:?}"));
        }
    }
    complaints
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// Whether an SPDX expression can be satisfied with the allowed licences. `AND` binds tighter than `OR`; the old `/` is `OR`.
fn permitted(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    let mut at = 0;
    let verdict = any_of(&words, &mut at, allowed);
    verdict && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut verdict = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        verdict |= all_of(words, at, allowed);
    }
    verdict
}

fn all_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut verdict = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        verdict &= one(words, at, allowed);
    }
    verdict
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let verdict = any_of(words, at, allowed);
        *at += 1; // The closing parenthesis; if it is missing, not all words are used up as they should be.
        return verdict;
    }
    let mut name = word.to_string();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_judged_as_spdx_reads_them() {
        let allowed: BTreeSet<String> = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_string).into();
        let rows = [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("MIT/GPL-2.0", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("GPL-3.0 OR MIT AND LGPL-2.1", false),
            ("Apache-2.0 WITH LLVM-exception", false),
            ("", false),
            ("(MIT", false),
            ("MIT)", false),
            ("MIT OR", true),
        ];
        for (expression, want) in rows {
            assert_eq!(permitted(expression, &allowed), want, "{expression:?}");
        }
    }

    #[test]
    fn each_rule_complains_by_name() {
        let rules = read_rules("[licenses]\nallow=['MIT']\n[bans]\ndeny=[{crate='evil'}]\nskip=['twice']").unwrap();
        let package = |name: &str, version: &str, license: &str, source: Value| serde_json::json!({ "name": name, "version": version, "license": license, "source": source });
        let packages = [
            package("good", "1.0.0", "MIT", Value::Null),
            package("evil", "1.0.0", "MIT", CRATES_IO.into()),
            package("copyleft", "1.0.0", "GPL-3.0", CRATES_IO.into()),
            package("forked", "1.0.0", "MIT", "git+https://example.invalid".into()),
            package("twice", "1.0.0", "MIT", CRATES_IO.into()),
            package("twice", "2.0.0", "MIT", CRATES_IO.into()),
            package("double", "1.0.0", "MIT", CRATES_IO.into()),
            package("double", "2.0.0", "MIT", CRATES_IO.into()),
        ];
        let named: Vec<String> =
            judge(&packages, &rules).iter().map(|line| line.split([' ', ':']).next().unwrap().to_string()).collect();
        assert_eq!(named, ["evil", "copyleft", "forked", "double"]);
    }
}
