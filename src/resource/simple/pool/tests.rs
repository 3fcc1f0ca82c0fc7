use super::*;

fn cluster(nodes: u32, cores: u32, gpus: u32) -> Pool {
    let mut set = ResourceSet::new();
    for rank in 0..nodes {
        let node = resource_set::Node::new(&format!("n{rank}"), Idset::below(cores), Idset::below(gpus));
        set.insert(rank, node).unwrap();
    }
    let ranks = set.ranks();
    Pool::new(set, ranks)
}

fn request(nnodes: Option<u32>, nslots: u32, cores: u32, gpus: u32) -> Request {
    Request { nnodes, nslots, cores, gpus, exclusive: false, duration: 0.0, constraint: None }
}

#[test]
fn each_mode_takes_the_node_it_is_named_after() {
    for (mode, want) in [(FitMode::First, 0), (FitMode::Best, 1), (FitMode::Worst, 2)] {
        let mut pool = cluster(3, 8, 0);
        for (rank, used) in [(0u32, 4u32), (1, 6)] {
            let mut taken = ResourceSet::new();
            taken.insert(rank, resource_set::Node::new("", Idset::below(used), Idset::new())).unwrap();
            pool.take(&taken).unwrap();
        }
        let got = pool.alloc(&request(None, 1, 2, 0), mode).unwrap();
        assert_eq!(got.ranks().first(), Some(want), "{mode:?}");
        pool.check();
    }
}

#[test]
fn what_can_never_fit_is_told_from_what_must_wait() {
    let mut pool = cluster(4, 2, 0);
    let never = |request: &Request, pool: &mut Pool| match pool.alloc(request, FitMode::Worst) {
        Err(NoFit::Never(why)) => why,
        other => panic!("{request:?}: {other:?}"),
    };
    let slots = "need 100 slot(s) of 1 core(s), only 8 such slot(s) available (total cores: 8)";
    assert_eq!(never(&request(None, 100, 1, 0), &mut pool), slots);
    let mut nodes = request(Some(9), 9, 1, 0);
    nodes.exclusive = true;
    assert_eq!(never(&nodes, &mut pool), "need 9 exclusive node(s), only 4 eligible");
    let gpu = "need 1 slot(s) with 1 GPU(s) each, only 0 available (total GPUs: 0)";
    assert_eq!(never(&request(None, 1, 1, 1), &mut pool), gpu);
    let all = pool.alloc(&request(None, 8, 1, 0), FitMode::Worst).unwrap();
    assert_eq!(pool.alloc(&request(None, 1, 1, 0), FitMode::Worst), Err(NoFit::Busy));
    pool.release(&all);
    assert!(pool.alloc(&request(None, 1, 1, 0), FitMode::Worst).is_ok());
}

#[test]
fn slots_spread_evenly_over_a_given_number_of_nodes() {
    let mut pool = cluster(4, 4, 1);
    let got = pool.alloc(&request(Some(2), 5, 1, 0), FitMode::First).unwrap();
    let by_node: Vec<usize> = got.iter().map(|(_, node)| node.cores.count()).collect();
    assert_eq!(by_node, [3, 2]);
    let mut whole = request(Some(2), 2, 1, 0);
    whole.exclusive = true;
    let got = pool.alloc(&whole, FitMode::First).unwrap();
    assert_eq!((got.ranks().to_string(), got.ncores(), got.ngpus()), ("2-3".to_owned(), 8, 2));
}

#[test]
fn a_down_node_is_not_used_and_makes_nothing_infeasible() {
    let mut pool = cluster(2, 2, 0);
    pool.mark(&Idset::below(1), false);
    assert_eq!(pool.alloc(&request(Some(2), 2, 1, 0), FitMode::First), Err(NoFit::Busy));
    assert_eq!(pool.alloc(&request(None, 1, 1, 0), FitMode::First).unwrap().ranks().first(), Some(1));
    pool.mark(&Idset::below(1), true);
    assert_eq!(pool.alloc(&request(Some(2), 2, 1, 0), FitMode::First).unwrap().nnodes(), 2);
    pool.check();
}

/// Goal: no core and no GPU is in two allocations. Method: random requests and releases; a plain table of owners decides.
#[test]
fn nothing_is_ever_given_out_twice() {
    for seed in 1..200u64 {
        let mut rng = flux_service::Rng::new(seed * 0x9e37_79b9);
        let mut pool = cluster(1 + rng.below(6) as u32, 1 + rng.below(8) as u32, rng.below(3) as u32);
        let mut held: Vec<ResourceSet> = Vec::new();
        let mut owned = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut wanted = request(None, 1 + rng.below(4) as u32, 1 + rng.below(3) as u32, rng.below(2) as u32);
            wanted.nnodes = (rng.below(2) == 0).then(|| 1 + rng.below(3) as u32);
            wanted.exclusive = rng.below(4) == 0;
            let mode = [FitMode::First, FitMode::Best, FitMode::Worst][rng.below(3) as usize];
            if rng.below(3) > 0
                && let Ok(set) = pool.alloc(&wanted, mode)
            {
                let ids = |set: &ResourceSet| -> Vec<(u32, &'static str, u32)> {
                    let node = |(rank, node): (u32, &resource_set::Node)| {
                        let cores = node.cores.iter().map(move |id| (rank, "core", id)).collect::<Vec<_>>();
                        cores.into_iter().chain(node.gpus.iter().map(move |id| (rank, "gpu", id)).collect::<Vec<_>>())
                    };
                    set.iter().flat_map(node).collect()
                };
                assert!(set.ncores() >= wanted.nslots as usize * wanted.cores as usize, "seed {seed}");
                assert!(wanted.nnodes.is_none_or(|n| set.nnodes() == n as usize), "seed {seed}");
                for id in ids(&set) {
                    assert!(owned.insert(id), "seed {seed}: {id:?} given twice");
                }
                held.push(set);
            } else if !held.is_empty() {
                let set = held.swap_remove(rng.below(held.len() as u64) as usize);
                for (rank, node) in set.iter() {
                    node.cores.iter().for_each(|id| assert!(owned.remove(&(rank, "core", id))));
                    node.gpus.iter().for_each(|id| assert!(owned.remove(&(rank, "gpu", id))));
                }
                pool.release(&set);
            }
            pool.check();
        }
    }
}
