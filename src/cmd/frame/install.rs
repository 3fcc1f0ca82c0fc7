//! Where this executable lives, what is installed beside it, and the environment that its children get.

use std::path::{Path, PathBuf};

/// The executable itself.
pub fn executable() -> Option<PathBuf> {
    flux_sys::process::own_program()
}

/// `PREFIX` of `PREFIX/bin/flux`.
pub fn prefix() -> Option<PathBuf> {
    Some(executable()?.parent()?.parent()?.to_owned())
}

/// The directories that hold external commands, in the order they are searched, before `PATH`.
pub fn exec_path(var: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> =
        var("FLUX_EXEC_PATH").map(|text| std::env::split_paths(&text).collect()).unwrap_or_default();
    if let Some(prefix) = prefix() {
        dirs.push(prefix.join("libexec/flux/cmd"));
    }
    dirs
}

/// The directory of the Python package `flux`, if one is installed beside this executable.
pub fn python_dir() -> Option<PathBuf> {
    let prefix = prefix()?;
    ["lib/flux/python", "python"].iter().map(|dir| prefix.join(dir)).find(|dir| dir.join("flux/__init__.py").exists())
}

/// Variables that children get so that `flux`, its manuals and its Python package are found.
pub fn environment(var: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let mut changes = Vec::new();
    let bin = executable().and_then(|exe| exe.parent().map(Path::to_owned));
    if let Some(path) = bin.and_then(|dir| prepended(var("PATH").as_deref(), &dir)) {
        changes.push(("PATH", path));
    }
    if let Some(path) = python_dir().and_then(|dir| prepended(var("PYTHONPATH").as_deref(), &dir)) {
        changes.push(("PYTHONPATH", path));
    }
    let man = prefix().map(|prefix| prefix.join("share/man")).filter(|dir| dir.is_dir());
    if let Some(path) = man.and_then(|dir| prepended(Some(var("MANPATH").as_deref().unwrap_or(":")), &dir)) {
        changes.push(("MANPATH", path));
    }
    changes
}

/// `dir` in front of a search path; `None` if it is in there already, or is no text.
fn prepended(path: Option<&str>, dir: &Path) -> Option<String> {
    let dir = dir.to_str()?;
    match path {
        Some(path) if path.split(':').any(|known| known == dir) => None,
        Some("") | None => Some(dir.to_owned()),
        Some(path) => Some(format!("{dir}:{path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_put_in_front_once() {
        let rows = [
            (None, Some("/x")),
            (Some(""), Some("/x")),
            (Some("/a:/b"), Some("/x:/a:/b")),
            (Some("/a:/x"), None),
            (Some(":"), Some("/x::")),
        ];
        for (path, want) in rows {
            assert_eq!(prepended(path, Path::new("/x")).as_deref(), want, "{path:?}");
        }
    }
}
