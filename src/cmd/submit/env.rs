//! The environment of a job: `--env`, `--env-file` and `--env-remove`, in the order they were given.

use serde_json::{Map, Value};

use super::pattern::Pattern;
use crate::limits::{ENV_FILE_BYTES_MAX, ENV_FILE_DEPTH_MAX};

/// What the rules give.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Environment {
    pub(crate) vars: Map<String, Value>,
    /// Values with `{{templates}}`, which the shell expands.
    pub(crate) expand: Map<String, Value>,
}

/// Applies `rules` to the caller's environment.
///
/// # Errors
/// The sentence for the user.
pub(crate) fn filtered(rules: &[String], caller: &[(String, String)]) -> Result<Environment, String> {
    let mut env = Environment::default();
    env.vars.extend(caller.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    env.apply(rules.iter().map(String::as_str), caller, 0)?;
    Ok(env)
}

impl Environment {
    fn apply<'r>(
        &mut self,
        rules: impl Iterator<Item = &'r str>,
        caller: &[(String, String)],
        depth: usize,
    ) -> Result<(), String> {
        for rule in rules {
            if let Some(pattern) = rule.strip_prefix('-') {
                let pattern = Pattern::parse(pattern)?;
                self.vars.retain(|name, _| !pattern.matches(name));
            } else if let Some(path) = rule.strip_prefix('^') {
                if depth == ENV_FILE_DEPTH_MAX {
                    return Err(format!("--env: files of rules nest deeper than {ENV_FILE_DEPTH_MAX}"));
                }
                let text = read_rules(path, caller)?;
                self.apply(text.lines().map(str::trim), caller, depth + 1)?;
            } else {
                self.set(rule, caller)?;
            }
        }
        Ok(())
    }

    /// `PATTERN` takes over variables of the caller's; `NAME=VALUE` sets one.
    fn set(&mut self, rule: &str, caller: &[(String, String)]) -> Result<(), String> {
        let Some((name, value)) = rule.split_once('=') else {
            let pattern = Pattern::parse(rule)?;
            for (name, value) in caller.iter().filter(|(name, _)| pattern.matches(name)) {
                self.vars.entry(name.as_str()).or_insert_with(|| value.as_str().into());
            }
            return Ok(());
        };
        if value.contains("{{") {
            self.expand.insert(name.to_owned(), value.into());
            return Ok(());
        }
        let lookup = |wanted: &str| match self.vars.get(wanted) {
            Some(value) => value.as_str().map(str::to_owned),
            None => caller.iter().find(|(known, _)| known == wanted).map(|(_, value)| value.clone()),
        };
        let value = substitute(value, lookup).map_err(|problem| match problem {
            Substitution::Malformed => format!("--env: Unable to substitute {rule}"),
            Substitution::Unknown(name) => format!("--env: Variable '{name}' not found in {rule}"),
        })?;
        self.vars.insert(name.to_owned(), value.into());
        Ok(())
    }
}

fn read_rules(path: &str, caller: &[(String, String)]) -> Result<String, String> {
    let home = caller.iter().find(|(name, _)| name == "HOME").map(|(_, home)| home.as_str());
    let path = match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => path.to_owned(),
    };
    super::files::read_text(&path, ENV_FILE_BYTES_MAX).map_err(|error| format!("--env: {error}"))
}

#[derive(Debug, PartialEq)]
enum Substitution {
    Malformed,
    Unknown(String),
}

/// Replaces `$NAME` and `${NAME}`; `$$` is a dollar sign.
fn substitute(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, Substitution> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (name, after) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or(Substitution::Malformed)?,
            None => after.split_at(identifier_len(after)),
        };
        if name.is_empty() || identifier_len(name) != name.len() {
            return Err(Substitution::Malformed);
        }
        out.push_str(&lookup(name).ok_or_else(|| Substitution::Unknown(name.to_owned()))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn identifier_len(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Result<(String, String), String> {
        let caller = [("HOME", "/h"), ("PATH", "/bin"), ("FOO_A", "1"), ("FOO_B", "2")];
        let caller: Vec<_> = caller.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let rules: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        let env = filtered(&rules, &caller)?;
        Ok((Value::Object(env.vars).to_string(), Value::Object(env.expand).to_string()))
    }

    #[test]
    fn rules_apply_in_order() {
        let rows: &[(&[&str], &str, &str)] = &[
            (&[], r#"{"HOME":"/h","PATH":"/bin","FOO_A":"1","FOO_B":"2"}"#, "{}"),
            (&["-*"], "{}", "{}"),
            (&["-*", "FOO_*"], r#"{"FOO_A":"1","FOO_B":"2"}"#, "{}"),
            (&["-/FOO_.*/", "-HOME"], r#"{"PATH":"/bin"}"#, "{}"),
            (&["-*", "PATH=/usr/bin:$PATH"], r#"{"PATH":"/usr/bin:/bin"}"#, "{}"),
            (&["-*", "PATH=/a", "PATH=$PATH:/b"], r#"{"PATH":"/a:/b"}"#, "{}"),
            (&["-*", "X=${HOME}y$$"], r#"{"X":"/hy$"}"#, "{}"),
            (&["-*", "X={{id}}"], "{}", r#"{"X":"{{id}}"}"#),
            (&["-*", "X="], r#"{"X":""}"#, "{}"),
        ];
        for (texts, vars, expand) in rows {
            assert_eq!(rules(texts), Ok(((*vars).to_owned(), (*expand).to_owned())), "{texts:?}");
        }
    }

    #[test]
    fn what_cannot_be_substituted_is_named() {
        let rows = [
            ("X=$NOPE", "--env: Variable 'NOPE' not found in X=$NOPE"),
            ("X=a$", "--env: Unable to substitute X=a$"),
            ("X=${HOME", "--env: Unable to substitute X=${HOME"),
            ("X=$1", "--env: Unable to substitute X=$1"),
            ("^/nosuch", "--env: [Errno 2] No such file or directory: '/nosuch'"),
        ];
        for (rule, want) in rows {
            assert_eq!(rules(&[rule]).unwrap_err(), want);
        }
    }
}
