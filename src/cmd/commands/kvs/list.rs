//! `flux kvs dir` and `flux kvs ls`.

use std::io::Write;
use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::{ClientError, Handle};
use flux_types::Treeobj;

use super::{at_key, done, root, space};
use crate::frame::args::{text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::store::{self, Root, flag};

/// Columns between names.
const GAP: usize = 4;

/// The option, the terminal, `COLUMNS`, or 80. Zero is unlimited.
fn width(matches: &ArgMatches, cx: &Context) -> usize {
    if let Some(width) = matches.get_one::<u32>("width") {
        return *width as usize;
    }
    if let Ok(size) = flux_sys::terminal::size(std::io::stdout()) {
        return usize::from(size.columns);
    }
    cx.var("COLUMNS").and_then(|text| text.parse().ok()).unwrap_or(80)
}

fn is_dir(object: &Treeobj) -> bool {
    matches!(object, Treeobj::Dir(_) | Treeobj::Dirref(_))
}

struct Dir {
    root: Root,
    recursive: bool,
    keys_only: bool,
    width: usize,
}

pub(super) fn dir(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let dir = Dir {
        root: root(matches, cx)?,
        recursive: matches.get_flag("recursive"),
        keys_only: matches.get_flag("directory"),
        width: width(matches, cx),
    };
    let mut flux = cx.open()?;
    dir.show(&mut flux, text(matches, "KEY").unwrap_or("."), cx)?;
    done()
}

impl Dir {
    fn show(&self, flux: &mut Handle, dir: &str, cx: &mut Context) -> Result<(), CmdError> {
        for (name, object) in store::entries(flux, &self.root, dir).map_err(at_key(dir))? {
            let key = store::below(dir, &name);
            match object {
                Treeobj::Symlink { namespace: Some(space), target } => {
                    cx.line(format_args!("{key} -> {space}::{target}"))?;
                }
                Treeobj::Symlink { namespace: None, target } => cx.line(format_args!("{key} -> {target}"))?,
                object if is_dir(&object) => {
                    if !self.recursive || store::entries(flux, &self.root, &key).map_err(at_key(&key))?.is_empty() {
                        cx.line(format_args!("{key}."))?;
                    } else {
                        self.show(flux, &key, cx)?;
                    }
                }
                _ if self.keys_only => cx.line(key)?,
                _ => {
                    let value = store::value(flux, &self.root, &key).map_err(at_key(&key))?;
                    cx.line(clipped(&format!("{key} = {}", String::from_utf8_lossy(&value)), self.width))?;
                }
            }
        }
        Ok(())
    }
}

/// One line that fits; what is left out shows as `...`.
fn clipped(line: &str, width: usize) -> String {
    if width <= 3 {
        return line.to_owned();
    }
    let mut shown = line;
    let mut cut = false;
    if line.len() > width - 3 {
        shown = &line[..line.floor_char_boundary(width - 3)];
        cut = true;
    }
    if let Some((first, rest)) = shown.split_once('\n') {
        cut |= !rest.is_empty();
        shown = first;
    }
    format!("{shown}{}", if cut { "..." } else { "" })
}

struct Ls {
    root: Root,
    recursive: bool,
    directory: bool,
    classify: bool,
    width: usize,
    label: bool,
}

pub(super) fn ls(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut ls = Ls {
        root: Root::Namespace(space(matches, cx)),
        recursive: matches.get_flag("recursive"),
        directory: matches.get_flag("directory"),
        classify: matches.get_flag("classify"),
        width: if matches.get_flag("1") { 1 } else { width(matches, cx) },
        label: false,
    };
    let mut keys = texts(matches, "KEY");
    if keys.is_empty() {
        keys.push(".");
    }
    let mut flux = cx.open()?;
    let (mut dirs, mut singles, mut failed) = (Vec::new(), Vec::new(), false);
    for key in keys {
        match ls.sort_out(&mut flux, key) {
            Ok((true, key)) => dirs.push(key),
            Ok((false, key)) => singles.push(key),
            Err(ClientError::Answer(fault)) => {
                failed = true;
                cx.warn(format_args!("{}: {fault}", bare(key).0));
            }
            Err(error) => return Err(error.into()),
        }
    }
    dirs.sort();
    singles.sort();
    ls.columns(&singles, cx)?;
    ls.label = !singles.is_empty() || ls.recursive || dirs.len() > 1;
    let mut space = !singles.is_empty();
    for dir in dirs {
        ls.show(&mut flux, &dir, space, cx)?;
        space = true;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Without separators at its end; whether there were any.
fn bare(key: &str) -> (&str, bool) {
    let short = key.trim_end_matches('.');
    if short.is_empty() { (".", false) } else { (short, short.len() < key.len()) }
}

impl Ls {
    /// Is this a directory to be listed, or a name to be shown?
    fn sort_out(&self, flux: &mut Handle, key: &str) -> Result<(bool, String), ClientError> {
        let (key, must_be_dir) = bare(key);
        let object = store::lookup(flux, &self.root, key, flag::TREEOBJ)?;
        let mark = |mark: &str| if self.classify { format!("{key}{mark}") } else { key.to_owned() };
        if is_dir(&object) {
            return Ok(if self.directory { (false, mark(".")) } else { (true, key.to_owned()) });
        }
        if must_be_dir {
            return Err(ClientError::Answer(flux_client::Errno::ENOTDIR.into()));
        }
        if !matches!(object, Treeobj::Symlink { .. }) {
            return Ok((false, key.to_owned()));
        }
        if self.classify || self.directory {
            return Ok((false, mark("@")));
        }
        // A link to a directory is listed; any other, also one that leads nowhere, is a name.
        let leads_to_dir = store::entries(flux, &self.root, key).is_ok();
        Ok((leads_to_dir, key.to_owned()))
    }

    fn show(&self, flux: &mut Handle, dir: &str, space: bool, cx: &mut Context) -> Result<(), CmdError> {
        let entries = store::entries(flux, &self.root, dir).map_err(at_key(dir))?;
        if self.label {
            cx.line(format_args!("{}{dir}:", if space { "\n" } else { "" }))?;
        }
        let mark = |object: &Treeobj| match object {
            _ if !self.classify => "",
            Treeobj::Symlink { .. } => "@",
            object if is_dir(object) => ".",
            _ => "",
        };
        let longest = entries.keys().map(String::len).max().unwrap_or(0);
        let names: Vec<String> = entries.iter().map(|(name, object)| format!("{name}{}", mark(object))).collect();
        self.arrange(&names, longest, cx)?;
        if self.recursive {
            for name in entries.iter().filter(|(_, object)| is_dir(object)).map(|(name, _)| name) {
                self.show(flux, &store::below(dir, name), true, cx)?;
            }
        }
        Ok(())
    }

    fn columns(&self, names: &[String], cx: &mut Context) -> Result<(), CmdError> {
        self.arrange(names, names.iter().map(String::len).max().unwrap_or(0), cx)
    }

    /// Names in columns of one width, row by row.
    fn arrange(&self, names: &[String], longest: usize, cx: &mut Context) -> Result<(), CmdError> {
        let column = longest + GAP;
        let (mut used, mut last) = (0, 0);
        for name in names {
            if self.width != 0 && used > 0 && used + column > self.width {
                cx.out.write_all(b"\n")?;
                used = 0;
            } else if used > 0 {
                write!(cx.out, "{:1$}", "", column.saturating_sub(last))?;
            }
            cx.out.write_all(name.as_bytes())?;
            last = name.len();
            used += column;
        }
        if used > 0 {
            cx.out.write_all(b"\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_multiline_values_are_clipped() {
        let rows = [
            ("d = multi\nline", 80, "d = multi..."),
            ("d = multi\n", 80, "d = multi"),
            ("a.c = foo", 10, "a.c = f..."),
            ("a.b = 1", 10, "a.b = 1"),
            ("a = multi\nline", 0, "a = multi\nline"),
            ("ä = äääää", 8, "ä = ..."),
        ];
        for (line, width, want) in rows {
            assert_eq!(clipped(line, width), want);
        }
    }

    #[test]
    fn separators_at_the_end_ask_for_a_directory() {
        assert_eq!(bare("a.b."), ("a.b", true));
        assert_eq!(bare("a"), ("a", false));
        assert_eq!(bare("."), (".", false));
    }
}
