//! Completions and manual pages, from the same definitions as the parser.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Entry, Group};
use crate::table;

fn shown() -> impl Iterator<Item = &'static Entry> {
    table::COMMANDS.iter().filter(|entry| entry.group != Group::Hidden)
}

/// `flux` with all its commands below it. Only made for completions: it is large.
fn whole() -> Command {
    let flux = Command::new("flux").about("A resource manager, in one program").disable_help_subcommand(true);
    shown().fold(flux, |flux, entry| {
        flux.subcommand(entry.definition().name(entry.name).bin_name(format!("flux {}", entry.name)))
    })
}

/// The completion script of one shell.
pub(crate) fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut whole(), "flux", &mut script);
    script
}

/// Writes `flux-NAME.1` for every command, and `flux.1`.
pub(crate) fn man_pages(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for entry in shown() {
        let name = format!("flux-{}", entry.name);
        let definition = entry.definition().name(name.clone());
        write_page(dir, &name, definition)?;
    }
    let names: Vec<String> = shown().map(|entry| format!("flux-{}(1): {}", entry.name, entry.summary)).collect();
    let flux = Command::new("flux").about("A resource manager, in one program").after_help(names.join("\n"));
    write_page(dir, "flux", flux)
}

fn write_page(dir: &Path, name: &str, definition: Command) -> io::Result<()> {
    let mut page = Vec::new();
    let version = concat!("flux ", env!("CARGO_PKG_VERSION"));
    let mut built = definition.display_name(name.to_owned()).bin_name(name.replacen('-', " ", 1));
    built.build();
    let has_children = built.get_subcommands().next().is_some();
    let man = Man::new(built.clone()).source(version);
    man.render(&mut page)?;
    if has_children {
        render_children(&built, &mut page)?;
    }
    fs::write(dir.join(format!("{name}.1")), page)
}

/// The options of subcommands, one heading each: users look for them on the command's own page.
fn render_children(parent: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    use io::Write;
    for child in parent.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help") {
        let title = child.get_bin_name().unwrap_or(child.get_name()).to_uppercase();
        writeln!(page, ".SH \"{title}\"")?;
        let man = Man::new(child.clone());
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        if child.get_arguments().next().is_some() {
            man.render_options_section(page)?;
        }
        render_children(child, page)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_sound() {
        for entry in table::COMMANDS {
            entry.definition().debug_assert();
        }
    }

    #[test]
    fn every_command_has_a_page_and_a_completion() {
        let dir = std::env::temp_dir().join(format!("flux-man-{}", std::process::id()));
        man_pages(&dir).unwrap();
        let script = String::from_utf8(completion(Shell::Bash)).unwrap();
        for entry in shown() {
            let page = fs::read_to_string(dir.join(format!("flux-{}.1", entry.name))).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{}", entry.name);
            assert!(script.contains(entry.name), "{}", entry.name);
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
