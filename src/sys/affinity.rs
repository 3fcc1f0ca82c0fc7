//! On which processors a process may run.

use crate::limits::CPUS_MAX;
use std::io;

const WORD_BITS: u32 = u64::BITS;

/// A set of processors, numbered as the kernel does (hwloc's "OS index").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuSet {
    words: Vec<u64>,
}

impl CpuSet {
    pub fn new() -> CpuSet {
        CpuSet::default()
    }

    /// Adds a processor. Numbers from [`CPUS_MAX`] on are refused with `false`.
    pub fn insert(&mut self, cpu: u32) -> bool {
        if cpu >= CPUS_MAX {
            return false;
        }
        let word = (cpu / WORD_BITS) as usize;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (cpu % WORD_BITS);
        true
    }

    pub fn contains(&self, cpu: u32) -> bool {
        self.words.get((cpu / WORD_BITS) as usize).is_some_and(|word| word & (1 << (cpu % WORD_BITS)) != 0)
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The processors in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.words.len() as u32 * WORD_BITS).filter(|cpu| self.contains(*cpu))
    }

    /// The bits as the kernel takes them.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }
}

impl FromIterator<u32> for CpuSet {
    /// Collects processors; numbers from [`CPUS_MAX`] on are left out.
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> CpuSet {
        let mut set = CpuSet::new();
        for cpu in cpus {
            set.insert(cpu);
        }
        set
    }
}

/// The processors process `pid` may run on (0: the calling thread).
///
/// # Errors
/// ESRCH when there is no such process.
pub fn get(pid: i32) -> io::Result<CpuSet> {
    let mut words = vec![0u64; (CPUS_MAX / WORD_BITS) as usize];
    // SAFETY: pointer and length describe one live buffer that the kernel fills; the raw call answers the bytes written.
    let written =
        unsafe { libc::syscall(libc::SYS_sched_getaffinity, pid, size_of_val(&words[..]), words.as_mut_ptr()) };
    let written = crate::checked_long(written)?;
    words.truncate(written as usize / size_of::<u64>());
    while words.last() == Some(&0) {
        words.pop();
    }
    Ok(CpuSet { words })
}

/// Binds process `pid` (0: the calling thread) to `cpus`.
///
/// # Errors
/// EINVAL when none of them exists or is allowed, ESRCH when there is no such process.
pub fn set(pid: i32, cpus: &CpuSet) -> io::Result<()> {
    let words = cpus.words();
    // SAFETY: pointer and length describe one live slice, which the kernel only reads.
    let ret = unsafe { libc::sched_setaffinity(pid, size_of_val(words), words.as_ptr().cast()) };
    crate::checked(ret).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: CpuSet = [0, 3, 64, 200].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3, 64, 200]);
        assert_eq!(set.len(), 4);
        assert!(!set.contains(1) && !set.contains(100_000));
    }

    #[test]
    fn absurd_processor_numbers_are_refused_without_memory() {
        let mut set = CpuSet::new();
        assert!(!set.insert(u32::MAX));
        assert!(set.is_empty());
    }

    #[test]
    fn our_own_set_can_be_read_and_set_again() {
        let own = get(0).unwrap();
        assert!(!own.is_empty());
        set(0, &own).unwrap();
        assert_eq!(get(0).unwrap(), own);
    }
}
