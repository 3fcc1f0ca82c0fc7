//! Reading the scripts themselves.

use std::path::{Path, PathBuf};

use flux_types::glob;
use mlua::Lua;

use super::Shared;
use crate::limits::{RC_FILE_BYTES_MAX, RC_FILES_MAX};

/// In the registry: the paths that were read.
const READ: &str = "flux.read";

/// What Lua says of an error, in one line.
pub(super) fn told(error: &mlua::Error) -> String {
    let text = match error {
        mlua::Error::CallbackError { cause, traceback } => {
            let text = told(cause);
            // Where the script called what failed.
            let place = traceback.lines().map(str::trim).find(|line| line.contains(".lua:") && !line.starts_with('['));
            let place = place.and_then(|line| line.split(" in ").next());
            return if text.contains(".lua:") { text } else { format!("{} {text}", place.unwrap_or_default()) };
        }
        mlua::Error::RuntimeError(text) | mlua::Error::SyntaxError { message: text, .. } => text.clone(),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}

pub(super) fn was_read(lua: &Lua, state: &Shared, path: &str) -> bool {
    let path = Path::new(&state.borrow().cwd).join(path).to_string_lossy().into_owned();
    lua.named_registry_value::<String>(READ).is_ok_and(|all| all.lines().any(|known| known == path))
}

/// Runs a script. `shell.rcpath` is its directory meanwhile.
pub(super) fn read(lua: &Lua, state: &Shared, path: &str) -> mlua::Result<()> {
    let path = &Path::new(&state.borrow().cwd).join(path).to_string_lossy().into_owned();
    let failed = |error: std::io::Error| {
        let why = flux_wire::Errno(error.raw_os_error().unwrap_or(5));
        mlua::Error::runtime(format!("{path}: {why}"))
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > RC_FILE_BYTES_MAX {
        return Err(mlua::Error::runtime(format!("{path}: larger than {RC_FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read(path).map_err(failed)?;
    let mut all = lua.named_registry_value::<String>(READ).unwrap_or_default();
    if all.lines().count() >= RC_FILES_MAX {
        return Err(mlua::Error::runtime(format!("more than {RC_FILES_MAX} files are read")));
    }
    all.push_str(path);
    all.push('\n');
    lua.set_named_registry_value(READ, all)?;
    let dir = Path::new(path).parent().map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default();
    let dir = if dir.is_empty() { ".".to_owned() } else { dir };
    let outer = std::mem::replace(&mut state.borrow_mut().rcpath, dir);
    let outcome = lua.load(text).set_name(format!("@{path}")).set_mode(mlua::chunk::ChunkMode::Text).exec();
    state.borrow_mut().rcpath = outer;
    outcome
}

/// Runs what a path or a pattern names. What is no pattern must be there, unless it `may_lack`.
pub(super) fn source(lua: &Lua, state: &Shared, path: &str, may_lack: bool) -> mlua::Result<()> {
    let path = match (path.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{home}/{rest}"),
        _ => Path::new(&state.borrow().cwd).join(path).to_string_lossy().into_owned(),
    };
    if !glob::is_pattern(&path) {
        return match may_lack && !Path::new(&path).exists() {
            true => Ok(()),
            false => read(lua, state, &path),
        };
    }
    matching(&path).iter().try_for_each(|file| read(lua, state, &file.to_string_lossy()))
}

/// The files that fit a pattern in its last part, by name.
pub(super) fn matching(pattern: &str) -> Vec<PathBuf> {
    let (dir, last) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    let dir = if dir.is_empty() { "/" } else { dir };
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let fitting = |name: &str| glob::matches(last, name) && (last.starts_with('.') || !name.starts_with('.'));
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| fitting(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .take(RC_FILES_MAX)
        .collect();
    found.sort();
    found
}
