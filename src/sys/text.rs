//! The program's code in large pages, for a process of which many copies are made.
//!
//! A copy of a process (fork) has no table entries for what is mapped from files: it takes a page fault for every few pages of code
//! that it comes by, dozens in a life of a few milliseconds, and each entry is taken away again at its end. Code that lies in large
//! pages of the process's own memory is copied with one entry for 2 MiB, and never faults.

use std::ptr::null_mut;

const LARGE: usize = 2 << 20;

/// Moves this process's code, as far as it fills large pages, into such pages. `false`: there are none to be had, or not here; then
/// nothing has changed.
///
/// Costs a copy of the code, some milliseconds and its size in memory, which all later copies of this process share.
pub fn move_to_large_pages() -> bool {
    let Some((start, end)) = code() else { return false };
    let (start, end) = (start.next_multiple_of(LARGE), end / LARGE * LARGE);
    if start >= end {
        return false;
    }
    let len = end - start;
    let Some(copy) = LargePages::new(len) else { return false };
    // SAFETY: `len` bytes of code that stay mapped and readable; the copy is new memory of that size.
    unsafe { std::ptr::copy_nonoverlapping(std::ptr::with_exposed_provenance::<u8>(start), copy.at.cast(), len) };
    copy.is_large() && copy.replace(start)
}

/// New memory, given back unless it has gone to another place.
struct LargePages {
    at: *mut libc::c_void,
    len: usize,
}

impl LargePages {
    fn new(len: usize) -> Option<LargePages> {
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place of the kernel's choice.
        let room = unsafe { libc::mmap(null_mut(), len + LARGE, prot, flags, -1, 0) };
        if room == libc::MAP_FAILED {
            return None;
        }
        let before = room.addr().next_multiple_of(LARGE) - room.addr();
        // SAFETY: within the mapping, which is larger by `LARGE`.
        let pages = LargePages { at: unsafe { room.byte_add(before) }, len };
        if before > 0 {
            // SAFETY: the part of the mapping that is before what is used.
            unsafe { libc::munmap(room, before) };
        }
        // SAFETY: within the mapping still: `before` is less than `LARGE`.
        let behind = unsafe { pages.at.byte_add(len) };
        // SAFETY: the part of the mapping that is behind what is used.
        unsafe { libc::munmap(behind, LARGE - before) };
        // SAFETY: advice about memory of our own.
        let advised = unsafe { libc::madvise(pages.at, len, libc::MADV_HUGEPAGE) };
        (advised == 0).then_some(pages)
    }

    /// Whether the kernel had such pages for all of it.
    fn is_large(&self) -> bool {
        let Ok(all) = std::fs::read_to_string("/proc/self/smaps") else { return false };
        let head = format!("{:x}-", self.at.addr());
        let mut lines = all.lines().skip_while(|line| !line.starts_with(&head));
        let of = lines.find_map(|line| line.strip_prefix("AnonHugePages:"));
        let kib = of.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<usize>().ok());
        kib.is_some_and(|kib| kib << 10 >= self.len)
    }

    /// Puts it in the place of the code at `start`, of which it is a copy.
    fn replace(self, start: usize) -> bool {
        // SAFETY: memory of our own, which nobody uses.
        if unsafe { libc::mprotect(self.at, self.len, libc::PROT_READ | libc::PROT_EXEC) } != 0 {
            return false; // A policy of the site forbids it (SELinux: execmem).
        }
        let (flags, to) =
            (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, std::ptr::with_exposed_provenance_mut::<libc::c_void>(start));
        // SAFETY: the kernel exchanges the mappings in one step, and what is at `start` afterwards is what was there before, byte for
        // byte: also the code that is being executed.
        let moved = unsafe { libc::mremap(self.at, self.len, self.len, flags, to) };
        if moved == libc::MAP_FAILED {
            return false;
        }
        std::mem::forget(self);
        true
    }
}

impl Drop for LargePages {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` has kept; nobody has a pointer to it.
        unsafe { libc::munmap(self.at, self.len) };
    }
}

/// Where this program's code lies.
fn code() -> Option<(usize, usize)> {
    let here = code as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        (rest.starts_with("r-xp") && (start..end).contains(&here)).then_some((start, end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_goes_on_where_it_was_moved_to() {
        let sorted = |n: u64| {
            let mut all: Vec<u64> = (0..n).rev().collect();
            all.sort_unstable();
            all.iter().enumerate().all(|(at, value)| at as u64 == *value)
        };
        let (start, end) = code().expect("a program has code");
        assert!(sorted(1000));
        // Both answers are right: not every kernel has large pages, not every program fills one.
        let moved = move_to_large_pages();
        assert!(sorted(1001));
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let own = maps.lines().filter(|line| line.contains(" r-xp 00000000 00:00 0 ") && !line.contains('['));
        let at = |line: &str| usize::from_str_radix(line.split_once('-').unwrap().0, 16).unwrap();
        assert_eq!(moved, own.map(at).any(|at| (start..end).contains(&at)), "{maps}");
    }
}
