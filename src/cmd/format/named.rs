//! Named output formats: those built into a command, and those that users and sites configure.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::FormatError;
use crate::limits::CONFIG_MAX_BYTES;

/// A format that comes with the command.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub name: &'static str,
    pub description: &'static str,
    pub format: &'static str,
}

/// The named formats of one command.
///
/// Configuration is `flux-NAME.toml` or `.json` in the directories of XDG (`$XDG_CONFIG_HOME/flux`, `$XDG_CONFIG_DIRS/flux`), with
/// tables `formats.NAME` of `format` and `description`, under `SUBCOMMAND` if the command has several. YAML, which flux-core
/// reads too, is refused (doc/deviations.md).
#[derive(Clone, Copy, Debug)]
pub struct Formats {
    /// `flux-jobs`
    pub tool: &'static str,
    pub subcommand: Option<&'static str>,
    pub builtin: &'static [Named],
}

/// What `--format=TEXT` means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Chosen {
    Format(String),
    /// Something to print instead of a table.
    Message(String),
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    description: Option<String>,
    format: String,
}

impl Formats {
    /// Resolves `-o TEXT`: a format if it has a brace, else a name; `help` and `get-config=NAME` print and answer `None`.
    ///
    /// # Errors
    /// [`FormatError::NoSuchFormat`], [`FormatError::Config`]
    pub fn choose(
        &self,
        text: &str,
        var: impl Fn(&str) -> Option<String>,
        out: &mut impl Write,
    ) -> Result<Option<String>, FormatError> {
        match self.resolve(text, &var)? {
            Chosen::Format(format) => Ok(Some(format)),
            Chosen::Message(message) => {
                out.write_all(message.as_bytes()).map_err(|error| FormatError::Config(error.to_string()))?;
                Ok(None)
            }
        }
    }

    fn resolve(&self, text: &str, var: &impl Fn(&str) -> Option<String>) -> Result<Chosen, FormatError> {
        if text.contains('{') {
            return Ok(Chosen::Format(text.to_owned()));
        }
        let entries = self.entries(&config_dirs(var))?;
        let mut name = text.to_owned();
        if text == "help" {
            return Ok(Chosen::Message(self.list(&entries)));
        }
        if let Some(name) = text.strip_prefix("get-config=") {
            return self.show(&entries, name);
        }
        if text == "default"
            && let Some(other) = var(&self.default_variable())
        {
            if other.contains('{') {
                return Ok(Chosen::Format(other));
            }
            name = other;
        }
        match entries.into_iter().find(|entry| entry.name == name) {
            Some(entry) => Ok(Chosen::Format(entry.format)),
            None => Err(FormatError::NoSuchFormat(name)),
        }
    }

    /// `FLUX_JOBS_FORMAT_DEFAULT`
    fn default_variable(&self) -> String {
        let upper = |text: &str| text.to_uppercase().replace('-', "_");
        let sub = self.subcommand.map(|sub| format!("_{}", upper(sub))).unwrap_or_default();
        format!("{}{sub}_FORMAT_DEFAULT", upper(self.tool))
    }

    fn list(&self, entries: &[Entry]) -> String {
        let mut text = format!("\nConfigured {} output formats:\n\n", self.tool);
        for entry in entries {
            text.push_str(&format!("  {:<12}", entry.name));
            if let Some(description) = &entry.description {
                text.push_str(&format!(" {description}"));
            }
            text.push('\n');
        }
        text
    }

    fn show(&self, entries: &[Entry], name: &str) -> Result<Chosen, FormatError> {
        let entry = entries.iter().find(|entry| entry.name == name);
        let entry = entry.ok_or_else(|| FormatError::Config(format!("--format: No such format {name}")))?;
        let prefix = self.subcommand.map(|sub| format!("{sub}.")).unwrap_or_default();
        let mut text = format!("[{prefix}formats.{name}]\n");
        if let Some(description) = &entry.description {
            text.push_str(&format!("description = \"{description}\"\n"));
        }
        text.push_str(&format!("format = \"{}\"\n", entry.format));
        Ok(Chosen::Message(text))
    }

    /// The built-in formats, then the configured ones; later directories change the entries of earlier ones.
    fn entries(&self, dirs: &[PathBuf]) -> Result<Vec<Entry>, FormatError> {
        let mut entries: Vec<Entry> = self
            .builtin
            .iter()
            .map(|named| Entry {
                name: named.name.to_owned(),
                description: Some(named.description.to_owned()),
                format: named.format.to_owned(),
            })
            .collect();
        for dir in dirs {
            for extension in ["json", "toml"] {
                let path = dir.join(format!("{}.{extension}", self.tool));
                let Some(config) = read(&path, extension)? else { continue };
                let table = self.subcommand.map_or(Some(&config), |sub| config.get(sub));
                if let Some(formats) = table.and_then(|table| table.get("formats")) {
                    self.merge(&path, formats, &mut entries)?;
                }
            }
        }
        Ok(entries)
    }

    fn merge(&self, path: &Path, formats: &Json, entries: &mut Vec<Entry>) -> Result<(), FormatError> {
        let wrong = |why: String| FormatError::Config(format!("{}: {why}", path.display()));
        let formats = formats.as_object().ok_or_else(|| wrong("the 'formats' key must be a mapping".to_owned()))?;
        for (name, entry) in formats {
            if self.builtin.iter().any(|named| named.name == name) {
                return Err(wrong(format!("override of builtin format '{name}' not permitted")));
            }
            let format = entry["format"].as_str();
            let format = format.ok_or_else(|| wrong(format!("formats.{name}: 'format' key must be a string")))?;
            let description = entry["description"].as_str().map(str::to_owned);
            entries.retain(|known| known.name != *name);
            entries.push(Entry { name: name.clone(), description, format: format.to_owned() });
        }
        Ok(())
    }
}

/// From the least to the most important.
fn config_dirs(var: &impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let home = var("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = home.or_else(|| var("HOME").map(|home| Path::new(&home).join(".config")));
    let system = var("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&system).map(|dir| dir.join("flux")).collect();
    dirs.reverse();
    dirs.extend(home.map(|home| home.join("flux")));
    dirs
}

fn read(path: &Path, extension: &str) -> Result<Option<Json>, FormatError> {
    let wrong = |why: String| FormatError::Config(format!("{}: {why}", path.display()));
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(wrong(error.to_string())),
    };
    let mut text = String::new();
    file.take(CONFIG_MAX_BYTES).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    match extension {
        "toml" => toml::from_str::<Json>(&text).map(Some).map_err(|error| wrong(error.to_string())),
        _ => serde_json::from_str(&text).map(Some).map_err(|error| wrong(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: Formats = Formats {
        tool: "flux-test",
        subcommand: None,
        builtin: &[Named { name: "default", description: "Default format", format: "{a}" }],
    };

    #[test]
    fn names_configuration_and_environment_choose_a_format() {
        let dir = std::env::temp_dir().join(format!("flux-formats-{}", std::process::id()));
        fs::create_dir_all(dir.join("flux")).unwrap();
        fs::write(dir.join("flux/flux-test.toml"), "[formats.mine]\nformat = \"{b}\"\ndescription = \"My own\"\n")
            .unwrap();
        let home = dir.to_str().unwrap().to_owned();
        let env = |default: &'static str| {
            let home = home.clone();
            move |name: &str| match name {
                "XDG_CONFIG_HOME" => Some(home.clone()),
                "XDG_CONFIG_DIRS" => Some("/nonexistent".to_owned()),
                "FLUX_TEST_FORMAT_DEFAULT" if !default.is_empty() => Some(default.to_owned()),
                _ => None,
            }
        };
        let format = |text: &str| Ok(Chosen::Format(text.to_owned()));
        assert_eq!(FORMATS.resolve("{x}", &env("")), format("{x}"));
        assert_eq!(FORMATS.resolve("default", &env("")), format("{a}"));
        assert_eq!(FORMATS.resolve("mine", &env("")), format("{b}"));
        assert_eq!(FORMATS.resolve("default", &env("mine")), format("{b}"));
        assert_eq!(FORMATS.resolve("default", &env("{c}")), format("{c}"));
        assert_eq!(FORMATS.resolve("none", &env("")), Err(FormatError::NoSuchFormat("none".to_owned())));
        let list = "\nConfigured flux-test output formats:\n\n  default      Default format\n  mine         My own\n";
        assert_eq!(FORMATS.resolve("help", &env("")), Ok(Chosen::Message(list.to_owned())));
        let shown = "[formats.mine]\ndescription = \"My own\"\nformat = \"{b}\"\n";
        assert_eq!(FORMATS.resolve("get-config=mine", &env("")), Ok(Chosen::Message(shown.to_owned())));
        fs::write(dir.join("flux/flux-test.toml"), "[formats.default]\nformat = \"{b}\"\n").unwrap();
        assert!(matches!(FORMATS.resolve("default", &env("")), Err(FormatError::Config(_))));
        fs::remove_dir_all(&dir).unwrap();
    }
}
