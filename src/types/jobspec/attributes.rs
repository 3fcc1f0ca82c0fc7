//! Reading and setting attributes by name.

use serde_json::{Map, Value};

use super::{Jobspec, JobspecError};
use crate::limits::JOBSPEC_PATH_DEPTH_MAX;

impl Jobspec {
    /// `attributes.system`, if it is there.
    pub fn system(&self) -> Option<&Map<String, Value>> {
        self.attributes.get("system")?.as_object()
    }

    fn system_str(&self, key: &str) -> Option<&str> {
        self.system()?.get(key)?.as_str()
    }

    /// The time limit in seconds; 0 is unlimited.
    pub fn duration(&self) -> Option<f64> {
        self.system()?.get("duration")?.as_f64()
    }
    pub fn cwd(&self) -> Option<&str> {
        self.system_str("cwd")
    }
    pub fn queue(&self) -> Option<&str> {
        self.system_str("queue")
    }
    pub fn bank(&self) -> Option<&str> {
        self.system_str("bank")
    }
    pub fn project(&self) -> Option<&str> {
        self.system_str("project")
    }
    /// Variable names to strings, or to null for variables to unset.
    pub fn environment(&self) -> Option<&Map<String, Value>> {
        self.system()?.get("environment")?.as_object()
    }
    /// The RFC 31 constraint, as written.
    pub fn constraints(&self) -> Option<&Value> {
        self.system()?.get("constraints")
    }
    /// The RFC 26 dependency objects, as written; empty when none were asked for.
    pub fn dependencies(&self) -> &[Value] {
        let list = self.system().and_then(|system| system.get("dependencies")).and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }
    /// The RFC 37 files to unpack for the job.
    pub fn files(&self) -> Option<&Value> {
        self.system()?.get("files")
    }

    /// The job's name: `attributes.system.job.name`, or the last part of the command's path. A command that ends
    /// in a slash is its own name.
    pub fn name(&self) -> &str {
        let given = self.system().and_then(|system| system.get("job")?.get("name")?.as_str());
        let arg0 = self.command().first().map_or("", String::as_str);
        given.unwrap_or_else(|| arg0.rsplit('/').next().filter(|base| !base.is_empty()).unwrap_or(arg0))
    }

    /// All options for the job shell.
    pub fn shell_options(&self) -> Option<&Map<String, Value>> {
        self.system()?.get("shell")?.get("options")?.as_object()
    }

    /// One shell option by dotted name, such as `output.stdout.type`. A key that holds dots itself is found too
    /// when it stands directly under `options`.
    pub fn shell_option(&self, name: &str) -> Option<&Value> {
        let options = self.shell_options()?;
        if let Some(value) = options.get(name) {
            return Some(value);
        }
        let mut parts = name.split('.');
        let first = options.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    /// A value by dotted path from the top, such as `attributes.system.duration`.
    pub fn get_dotted(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        if parts.next() != Some("attributes") {
            return None;
        }
        let first = self.attributes.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    /// Sets a value by dotted path from the top, as `jobspec-update` events do (RFC 21): below `attributes.`, or the
    /// whole of `resources` or `tasks`. Levels that are missing are made.
    ///
    /// # Errors
    /// [`JobspecError`] if the path is none of these, leads through something that is no object, or the jobspec would
    /// no longer be valid; it is then unchanged.
    pub fn set_dotted(&mut self, path: &str, value: Value) -> Result<(), JobspecError> {
        let mut changed = match path {
            "resources" | "tasks" => {
                let mut top = self.to_value();
                top[path] = value;
                *self = Jobspec::from_value(top)?;
                return Ok(());
            }
            _ => self.attributes.clone(),
        };
        let Some(rest) = path.strip_prefix("attributes.") else {
            return Err(JobspecError::value(path, "a key under attributes, or resources, or tasks"));
        };
        insert_dotted(&mut changed, path, rest, value)?;
        super::shape::check_attributes(&changed)?;
        self.attributes = changed;
        Ok(())
    }

    /// Sets an attribute as `--setattr` names it: `user.x` and `system.x` stand under `attributes`, a full path is
    /// taken as it is, and anything else is a system attribute. Not validated: for building.
    ///
    /// # Errors
    /// As [`Jobspec::set_dotted`] for the path.
    pub fn set_attr(&mut self, name: &str, value: Value) -> Result<(), JobspecError> {
        let rest = match name.strip_prefix("attributes.") {
            Some(rest) => rest.to_owned(),
            None if name.starts_with("user.") || name.starts_with("system.") => name.to_owned(),
            None => format!("system.{name}"),
        };
        insert_dotted(&mut self.attributes, name, &rest, value)
    }

    /// Sets a shell option by dotted name.
    ///
    /// # Errors
    /// As [`Jobspec::set_dotted`] for the path.
    pub fn set_shell_option(&mut self, name: &str, value: Value) -> Result<(), JobspecError> {
        insert_dotted(&mut self.attributes, name, &format!("system.shell.options.{name}"), value)
    }
}

fn insert_dotted(root: &mut Map<String, Value>, full: &str, rest: &str, value: Value) -> Result<(), JobspecError> {
    if rest.split('.').any(str::is_empty) {
        return Err(JobspecError::value(full, "a path without empty parts"));
    }
    if rest.split('.').count() > JOBSPEC_PATH_DEPTH_MAX {
        return Err(JobspecError::TooLarge { what: "parts in an attribute path", max: JOBSPEC_PATH_DEPTH_MAX });
    }
    let (parents, leaf) = rest.rsplit_once('.').map_or((None, rest), |(parents, leaf)| (Some(parents), leaf));
    let mut map = root;
    for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
        let next = map.entry(part).or_insert_with(|| Value::Object(Map::new()));
        map = next.as_object_mut().ok_or_else(|| JobspecError::type_(full, "a path through objects only"))?;
    }
    map.insert(leaf.to_owned(), value);
    Ok(())
}
