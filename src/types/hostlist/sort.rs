//! Ordering a hostlist without writing its names out.

use super::{Hostlist, Run};

/// Names that sort together: same prefix, same length of number text. Single names come before numbered ones.
type Key = (Box<str>, Option<usize>);

/// The list in order; with `unique`, each name once.
pub(super) fn sorted(list: &Hostlist, unique: bool) -> Hostlist {
    let mut pieces: Vec<(Key, u64, u64)> = Vec::with_capacity(list.runs.len());
    for run in &list.runs {
        match run.numbers {
            None => pieces.push(((run.prefix.clone(), None), 0, 0)),
            Some(n) => pieces.extend(n.by_length().map(|(len, lo, hi)| ((run.prefix.clone(), Some(len)), lo, hi))),
        }
    }
    pieces.sort_unstable();
    let mut out = Hostlist::new();
    for group in pieces.chunk_by(|a, b| a.0 == b.0) {
        sweep(&mut out, group, unique);
    }
    out
}

/// Puts one group's names in order: between two edges of its ranges every name stands as often as ranges cover it.
fn sweep(out: &mut Hostlist, group: &[(Key, u64, u64)], unique: bool) {
    let (prefix, len) = &group[0].0;
    let mut edges: Vec<(u64, bool)> = Vec::with_capacity(group.len() * 2);
    for (_, lo, hi) in group {
        edges.push((*lo, true));
        edges.push((hi + 1, false));
    }
    edges.sort_unstable();
    let (mut depth, mut from) = (0u64, 0);
    for (at, opens) in edges {
        if depth > 0 && from < at {
            let times = if unique { 1 } else { depth };
            match len {
                None => (0..times).for_each(|_| out.put(Run::single(prefix))),
                Some(len) if times == 1 => out.put(Run::counting(prefix, from, at - 1, *len)),
                Some(len) => {
                    for number in from..at {
                        (0..times).for_each(|_| out.put(Run::counting(prefix, number, number, *len)));
                    }
                }
            }
        }
        from = at;
        depth = if opens { depth + 1 } else { depth - 1 };
    }
}
