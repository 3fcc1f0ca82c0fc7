//! The shape of the tree: who is whose parent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use flux_types::Idset;

use crate::limits::{FANOUT_WANTED, SIZE_MAX};

/// Why there is no tree.
#[derive(Debug, PartialEq, Eq)]
pub enum TreeError {
    BadTopology {
        text: String,
    },
    BadSize {
        size: u32,
    },
    /// This rank's parent is no rank, or its ancestors run in a circle.
    BadParent {
        rank: u32,
    },
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadTopology { text } => {
                write!(f, "tbon.topo={text}: use kary:N, mincrit, mincrit:N, binomial or custom")
            }
            Self::BadSize { size } => write!(f, "an instance of {size} brokers cannot be: 1 to {SIZE_MAX} can"),
            Self::BadParent { rank } => write!(f, "rank {rank} has no way to rank 0"),
        }
    }
}

impl std::error::Error for TreeError {}

/// Parents in a tree of `routers` below rank 0 and all others spread over them.
fn under_routers(routers: u32) -> Box<dyn Fn(u32) -> u32> {
    Box::new(
        move |rank| if rank <= routers { 0 } else { (rank - routers - 1) % routers.max(1) + u32::from(routers > 0) },
    )
}

/// As few routers as keep them at [`FANOUT_WANTED`] children; an instance of that size needs none.
fn routers_for(size: u32) -> u32 {
    if size <= FANOUT_WANTED + 1 {
        return 0;
    }
    (2..size).find(|routers| (size - 1 - routers).div_ceil(*routers) <= FANOUT_WANTED).unwrap_or(0)
}

/// A tree of ranks `0..size`, with rank 0 at its root. Copies share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree(Arc<Shape>);

#[derive(Debug, PartialEq, Eq)]
struct Shape {
    parents: Vec<u32>,
    children: Vec<Vec<u32>>,
    level_max: u32,
}

impl Tree {
    /// A tree by its name: `kary:N` (`kary:0`: all below rank 0), `mincrit`, `mincrit:N` (N routers below rank 0, and the
    /// others below these) or `binomial`.
    ///
    /// # Errors
    /// A name or size that means nothing.
    pub fn named(topology: &str, size: u32) -> Result<Tree, TreeError> {
        if size == 0 || size > SIZE_MAX {
            return Err(TreeError::BadSize { size });
        }
        let bad = || TreeError::BadTopology { text: topology.to_owned() };
        let parent: Box<dyn Fn(u32) -> u32> = match topology.split_once(':') {
            Some(("kary", fanout)) => match fanout.parse::<u32>().map_err(|_| bad())? {
                0 => Box::new(|_| 0),
                fanout => Box::new(move |rank| (rank - 1) / fanout),
            },
            Some(("mincrit", routers)) => under_routers(routers.parse().map_err(|_| bad())?),
            None if topology == "mincrit" => under_routers(routers_for(size)),
            None if topology == "binomial" => Box::new(|rank| rank & (rank - 1)),
            _ => return Err(bad()),
        };
        Tree::from_parents((1..size).map(parent))
    }

    /// A tree from the parents of ranks 1, 2 ...
    ///
    /// # Errors
    /// A rank that has no way to rank 0.
    pub fn from_parents(parents: impl IntoIterator<Item = u32>) -> Result<Tree, TreeError> {
        let parents: Vec<u32> = std::iter::once(0).chain(parents).collect();
        let size = u32::try_from(parents.len()).ok().filter(|size| *size <= SIZE_MAX);
        let size = size.ok_or(TreeError::BadSize { size: u32::MAX })?;
        let mut children = vec![Vec::new(); parents.len()];
        for rank in 1..size {
            let parent = parents[rank as usize];
            children.get_mut(parent as usize).ok_or(TreeError::BadParent { rank })?.push(rank);
        }
        // Level by level from the root: what is never met has no way to it.
        let (mut met, mut level_max, mut level) = (vec![false; parents.len()], 0, vec![0]);
        met[0] = true;
        loop {
            let below: Vec<u32> = level.iter().flat_map(|rank| children[*rank as usize].iter().copied()).collect();
            if below.is_empty() {
                break;
            }
            below.iter().for_each(|rank| met[*rank as usize] = true);
            level_max += 1;
            level = below;
        }
        match met.iter().position(|met| !met) {
            Some(rank) => Err(TreeError::BadParent { rank: rank as u32 }),
            None => Ok(Tree(Arc::new(Shape { parents, children, level_max }))),
        }
    }

    pub fn size(&self) -> u32 {
        self.0.parents.len() as u32
    }

    /// `None` for rank 0, and for what is no rank.
    pub fn parent(&self, rank: u32) -> Option<u32> {
        if rank == 0 { None } else { self.0.parents.get(rank as usize).copied() }
    }

    pub fn children(&self, rank: u32) -> &[u32] {
        self.0.children.get(rank as usize).map_or(&[], Vec::as_slice)
    }

    /// The child of `from` that is `to` or above it; `None` if `to` is not below `from`.
    pub fn child_towards(&self, from: u32, to: u32) -> Option<u32> {
        let mut at = to;
        loop {
            match self.parent(at)? {
                parent if parent == from => return Some(at),
                parent => at = parent,
            }
        }
    }

    /// The rank and all below it.
    pub fn subtree(&self, rank: u32) -> Idset {
        let mut all = Idset::new();
        let mut open = vec![rank];
        while let Some(rank) = open.pop() {
            if all.insert(rank) {
                open.extend_from_slice(self.children(rank));
            }
        }
        all
    }

    /// All ranks below this one, each with the child of this one that leads there.
    pub fn below(&self, rank: u32) -> BTreeMap<u32, u32> {
        let mut below = BTreeMap::new();
        let mut open: Vec<(u32, u32)> = self.children(rank).iter().map(|child| (*child, *child)).collect();
        while let Some((rank, child)) = open.pop() {
            if below.insert(rank, child).is_none() {
                open.extend(self.children(rank).iter().map(|rank| (*rank, child)));
            }
        }
        below
    }

    /// Edges between rank 0 and this one.
    pub fn level(&self, rank: u32) -> u32 {
        std::iter::successors(self.parent(rank), |rank| self.parent(*rank)).count() as u32
    }

    /// Ranks that others depend on: rank 0, and all that have children.
    pub fn critical(&self) -> Idset {
        (0..self.size()).filter(|rank| *rank == 0 || !self.children(*rank).is_empty()).collect()
    }

    /// The level of the ranks that are furthest from rank 0.
    pub fn level_max(&self) -> u32 {
        self.0.level_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_trees_have_the_shapes_of_their_names() {
        let rows: &[(&str, u32, u32, &[u32])] = &[
            ("kary:2", 7, 1, &[3, 4]),
            ("kary:2", 7, 0, &[1, 2]),
            ("kary:32", 4, 0, &[1, 2, 3]),
            ("kary:1", 3, 1, &[2]),
            ("kary:0", 4, 0, &[1, 2, 3]),
            ("binomial", 8, 0, &[1, 2, 4]),
            ("binomial", 8, 4, &[5, 6]),
            ("kary:2", 1, 0, &[]),
            ("mincrit", 8, 0, &[1, 2, 3, 4, 5, 6, 7]),
            ("mincrit:2", 7, 0, &[1, 2]),
            ("mincrit:2", 7, 2, &[4, 6]),
            ("mincrit:0", 3, 0, &[1, 2]),
        ];
        for (name, size, rank, children) in rows {
            let tree = Tree::named(name, *size).unwrap();
            assert_eq!(tree.children(*rank), *children, "{name} {size} {rank}");
            for child in *children {
                assert_eq!(tree.parent(*child), Some(*rank));
            }
        }
        for bad in ["", "mincrit:", "kary", "kary:x", "kary:-1", "binomial:2", "ring"] {
            assert!(Tree::named(bad, 4).is_err(), "{bad}");
        }
        assert!(Tree::named("binomial", 0).is_err());
    }

    #[test]
    fn every_rank_is_reached_over_the_right_child() {
        for name in ["kary:1", "kary:2", "kary:3", "kary:0", "mincrit", "mincrit:1", "mincrit:3", "binomial"] {
            for size in 1..40 {
                let tree = Tree::named(name, size).unwrap();
                assert_eq!(tree.subtree(0).count(), size as usize);
                for from in 0..size {
                    for to in 0..size {
                        let child = tree.child_towards(from, to);
                        let below = from != to && tree.subtree(from).contains(to);
                        assert_eq!(child.is_some(), below, "{name} {size}: {from} to {to}");
                        assert_eq!(tree.below(from).get(&to).copied(), child);
                        assert!(child.is_none_or(|child| tree.subtree(child).contains(to)));
                    }
                }
            }
        }
    }

    #[test]
    fn a_custom_tree_has_one_root_and_no_circle() {
        let tree = Tree::from_parents([0, 1, 1]).unwrap();
        assert_eq!(tree.critical().to_string(), "0-1");
        assert_eq!((tree.level(3), tree.level_max(), tree.children(1)), (2, 2, &[2, 3][..]));
        assert_eq!(Tree::from_parents([2, 1]), Err(TreeError::BadParent { rank: 1 }));
        assert_eq!(Tree::from_parents([9]), Err(TreeError::BadParent { rank: 1 }));
    }
}
