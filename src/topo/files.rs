//! Small files of `/sys` and `/proc`. What cannot be read is not there: a container shows only a part of the machine.

use crate::limits::{DEVICES_MAX, FILE_BYTES_MAX, NAME_BYTES_MAX};
use flux_sys::affinity::CpuSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A whole file, without white space at its ends.
pub(crate) fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_string())
}

/// A decimal number, or a hexadecimal one that says so.
pub(crate) fn number(path: &Path) -> Option<u64> {
    let text = text(path)?;
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The kernel's `0-3,8`. An empty list is none.
pub(crate) fn cpu_list(path: &Path) -> Option<CpuSet> {
    parse_cpu_list(&text(path)?).filter(|cpus| !cpus.is_empty())
}

pub(crate) fn parse_cpu_list(text: &str) -> Option<CpuSet> {
    let mut cpus = CpuSet::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        for cpu in first..=last {
            if !cpus.insert(cpu) {
                return None; // No such machine.
            }
        }
    }
    Some(cpus)
}

/// The names in a directory, sorted; those that begin with `prefix` and a number come in the order of that number.
pub(crate) fn numbered(dir: &Path, prefix: &str) -> Vec<(u32, String)> {
    let mut found: Vec<(u32, String)> =
        names(dir).into_iter().filter_map(|name| Some((name.strip_prefix(prefix)?.parse().ok()?, name))).collect();
    found.sort_unstable();
    found
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.take(DEVICES_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// A name from the system, without control characters and of bounded length.
pub(crate) fn clean_name(text: &str) -> String {
    let mut name: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_read_as_the_kernel_writes_them() {
        let rows: [(&str, Option<&[u32]>); 8] = [
            ("0", Some(&[0])),
            ("0-3", Some(&[0, 1, 2, 3])),
            ("0,2-3,64", Some(&[0, 2, 3, 64])),
            ("", Some(&[])),
            ("3-1", Some(&[])),
            ("a", None),
            ("1-", None),
            ("0-4294967295", None),
        ];
        for (text, want) in rows {
            let got = parse_cpu_list(text).map(|cpus| cpus.iter().collect::<Vec<_>>());
            assert_eq!(got.as_deref(), want, "{text:?}");
        }
    }
}
