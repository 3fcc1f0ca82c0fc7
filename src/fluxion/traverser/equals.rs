//! In which order equal candidates come.

use std::cmp::Ordering;

/// What decides between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Equals {
    /// Who is discovered first.
    #[default]
    Discovered,
    /// As flux-sched has them: it uses C++'s `std::sort`, which is not stable, as GNU's library does it. The same input has
    /// one answer there, too; command files and what is expected of them are made with it.
    AsFluxSched,
}

/// Below this many, GNU's sort keeps equals in order.
const INSERTION_COUNT_MAX: usize = 16;

impl Equals {
    pub(super) fn sort<T>(self, list: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
        if self == Self::AsFluxSched {
            let depth = 2 * list.len().checked_ilog2().unwrap_or(0);
            partition_all(list, depth, &|a, b| compare(a, b) == Ordering::Less);
        }
        list.sort_by(compare);
    }
}

/// Quicksort with the median of three, which leaves runs of up to sixteen as they are; they are sorted last, stably.
fn partition_all<T>(list: &mut [T], depth: u32, is_less: &impl Fn(&T, &T) -> bool) {
    let (mut end, mut depth) = (list.len(), depth);
    while end > INSERTION_COUNT_MAX && depth > 0 {
        depth -= 1;
        let cut = partition(&mut list[..end], is_less);
        partition_all(&mut list[cut..end], depth, is_less);
        end = cut;
    }
}

/// Puts the median of the second, the middle and the last element first and divides the others by it.
fn partition<T>(list: &mut [T], is_less: &impl Fn(&T, &T) -> bool) -> usize {
    let (middle, last) = (list.len() / 2, list.len() - 1);
    let median = match (is_less(&list[1], &list[middle]), is_less(&list[middle], &list[last])) {
        (true, true) => middle,
        (true, false) if is_less(&list[1], &list[last]) => last,
        (true, false) => 1,
        (false, _) if is_less(&list[1], &list[last]) => 1,
        (false, true) => last,
        (false, false) => middle,
    };
    list.swap(0, median);
    let (mut low, mut high) = (1, list.len());
    loop {
        while is_less(&list[low], &list[0]) {
            low += 1;
        }
        high -= 1;
        while is_less(&list[0], &list[high]) {
            high -= 1;
        }
        if low >= high {
            return low;
        }
        list.swap(low, high);
        low += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the order is that of GNU's `std::sort`. Method: what a C++ program printed for the same lists.
    #[test]
    fn equals_come_as_gnus_sort_leaves_them() {
        let rows: &[(usize, u32, &[u32])] = &[
            (16, 1, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
            (18, 1, &[9, 17, 16, 15, 14, 13, 12, 11, 10, 0, 8, 7, 6, 5, 4, 3, 2, 1]),
            (24, 3, &[0, 3, 21, 6, 18, 9, 15, 12, 1, 22, 19, 16, 13, 10, 7, 4, 11, 14, 8, 17, 5, 20, 2, 23]),
            (
                40,
                2,
                &[
                    0, 26, 24, 28, 22, 20, 30, 18, 16, 32, 14, 12, 34, 10, 8, 36, 6, 4, 38, 2, 33, 35, 31, 37, 29, 27,
                    39, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1,
                ],
            ),
        ];
        for (count, classes, want) in rows {
            let mut list: Vec<u32> = (0..*count as u32).collect();
            Equals::AsFluxSched.sort(&mut list, |a, b| (a % classes).cmp(&(b % classes)));
            assert_eq!(&list, want, "{count} of {classes} classes");
        }
    }

    #[test]
    fn whatever_the_order_of_equals_the_list_is_sorted() {
        for seed in 1..200u64 {
            let mut rng = crate::invariant::Rng::new(seed);
            let mut list: Vec<u64> = (0..rng.below(200)).map(|_| rng.below(1 + seed % 40)).collect();
            let mut sorted = list.clone();
            sorted.sort_unstable();
            Equals::AsFluxSched.sort(&mut list, Ord::cmp);
            assert_eq!(list, sorted, "seed {seed}");
        }
    }
}
