//! The last look before R leaves a scheduler, and before the resource service lets a job run on it: is any of it in another
//! job? It shares no code with what decides.

use flux_types::{Idset, ResourceSet};
use std::collections::BTreeMap;

/// What is in use on one rank.
#[derive(Default)]
struct Used {
    cores: Idset,
    gpus: Idset,
}

/// Who has what, by the R that were given.
#[derive(Default)]
pub struct Claims {
    jobs: BTreeMap<u64, ResourceSet>,
    used: BTreeMap<u32, Used>,
}

impl Claims {
    /// Notes that a job has R.
    ///
    /// # Errors
    /// A sentence: another job has some of it. Nothing is noted then.
    pub fn take(&mut self, id: u64, set: ResourceSet) -> Result<(), String> {
        self.release(id, None);
        for (rank, node) in set.iter() {
            let Some(used) = self.used.get(&rank) else { continue };
            let (cores, gpus) = (used.cores.intersect(&node.cores), used.gpus.intersect(&node.gpus));
            for (kind, both) in [("core", cores), ("gpu", gpus)] {
                if !both.is_empty() {
                    return Err(format!("{kind} {both} of rank {rank} is in another job"));
                }
            }
        }
        for (rank, node) in set.iter() {
            let used = self.used.entry(rank).or_default();
            used.cores.extend_from(&node.cores);
            used.gpus.extend_from(&node.gpus);
        }
        self.jobs.insert(id, set);
        Ok(())
    }

    /// A job gives back these ranks, or all it has. Answers what that was.
    pub fn release(&mut self, id: u64, ranks: Option<&Idset>) -> ResourceSet {
        let Some(mut set) = self.jobs.remove(&id) else { return ResourceSet::new() };
        let freed = ranks.map_or_else(|| set.clone(), |ranks| set.copy_ranks(ranks));
        for (rank, node) in freed.iter() {
            if let Some(used) = self.used.get_mut(&rank) {
                used.cores.remove_all(&node.cores);
                used.gpus.remove_all(&node.gpus);
            }
        }
        if let Some(ranks) = ranks {
            set.remove_ranks(ranks);
            if !set.is_empty() {
                self.jobs.insert(id, set);
            }
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux_types::resource_set::Node;

    fn set(ranks: &[u32], cores: &str) -> ResourceSet {
        let mut set = ResourceSet::new();
        for rank in ranks {
            let node = Node::new(&format!("n{rank}"), Idset::parse(cores).unwrap(), Idset::new());
            set.insert(*rank, node).unwrap();
        }
        set
    }

    #[test]
    fn what_one_job_has_no_other_gets() {
        let mut claims = Claims::default();
        assert_eq!(claims.take(1, set(&[0, 1], "0-1")), Ok(()));
        assert_eq!(claims.take(2, set(&[1], "2-3")), Ok(()));
        let refused = claims.take(3, set(&[1, 2], "1-2"));
        assert_eq!(refused, Err("core 1-2 of rank 1 is in another job".into()));
        assert_eq!(claims.take(4, set(&[2], "1-2")), Ok(()), "a refused job has nothing");
        assert_eq!(claims.release(1, Some(&Idset::range(1, 1))), set(&[1], "0-1"));
        assert_eq!(claims.take(5, set(&[1], "0-1")), Ok(()));
        assert!(claims.take(6, set(&[0], "0")).is_err());
        assert_eq!(claims.release(1, None), set(&[0], "0-1"), "what is left");
        assert!(claims.release(1, None).is_empty(), "nothing twice");
        assert_eq!(claims.take(6, set(&[0], "0")), Ok(()));
        assert_eq!(claims.take(6, set(&[0], "0-1")), Ok(()), "a job may be told of again");
    }
}
