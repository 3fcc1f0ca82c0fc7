//! Random graphs and requests.

use serde_json::{Value, json};

/// Xorshift: small, fast, and the same everywhere.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = rng.below(2));
        rng
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    pub(crate) fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

struct Builder {
    nodes: Vec<Value>,
    edges: Vec<Value>,
}

impl Builder {
    fn add(&mut self, parent: Option<&(usize, String)>, kind: &str, id: u64, rank: i64, size: u64) -> (usize, String) {
        let at = self.nodes.len();
        let path = format!("{}/{kind}{id}", parent.map_or("", |(_, path)| path));
        self.nodes.push(json!({"id": at.to_string(), "metadata": {
            "type": kind, "id": id, "rank": rank, "size": size, "paths": {"containment": path}}}));
        if let Some((parent, _)) = parent {
            self.edges.push(json!({"source": parent.to_string(), "target": at.to_string()}));
        }
        (at, path)
    }
}

/// A cluster in JGF: racks of nodes, with or without sockets, with cores, gpus and pools of memory.
pub(super) fn random_graph(rng: &mut Rng) -> Value {
    let mut builder = Builder { nodes: Vec::new(), edges: Vec::new() };
    let root = builder.add(None, "cluster", 0, -1, 1);
    let (racks, nodes, sockets) = (1 + rng.below(3), 1 + rng.below(3), rng.below(3));
    let (cores, gpus, pools, pool_size) = (1 + rng.below(4), rng.below(3), rng.below(3), 1 + rng.below(4));
    for rack_id in 0..racks {
        let rack = builder.add(Some(&root), "rack", rack_id, -1, 1);
        for node_id in rack_id * nodes..(rack_id + 1) * nodes {
            let rank = node_id as i64;
            let node = builder.add(Some(&rack), "node", node_id, rank, 1);
            if rng.percent(40) {
                let key = format!("p{}", rng.below(3));
                builder.nodes[node.0]["metadata"]["properties"] =
                    json!({key: "", "perf_class": rng.below(4).to_string()});
            }
            for socket_id in 0..sockets.max(1) {
                let parent = match sockets {
                    0 => node.clone(),
                    _ => builder.add(Some(&node), "socket", socket_id, rank, 1),
                };
                let mut fill = |kind: &str, count: u64, size: u64| {
                    for id in socket_id * count..(socket_id + 1) * count {
                        let (at, _) = builder.add(Some(&parent), kind, id, rank, size);
                        if rng.percent(20) {
                            builder.nodes[at]["metadata"]["properties"] =
                                json!({"perf_class": rng.below(4).to_string()});
                        }
                    }
                };
                fill("core", cores, 1);
                fill("gpu", gpus, 1);
                fill("memory", pools, pool_size);
            }
        }
    }
    json!({"graph": {"nodes": builder.nodes, "edges": builder.edges}})
}

fn random_constraint(rng: &mut Rng, depth: u32) -> Value {
    let (low, high) = (rng.below(9), rng.below(3));
    match rng.below(if depth < 2 { 7 } else { 4 }) {
        0 => json!({"ranks": [format!("{low}-{}", low + high + 1)]}),
        1 => json!({"hostlist": [format!("node[{low}-{}]", low + high)]}),
        2 => json!({"properties": [format!("p{}", rng.below(3))]}),
        3 => json!({"properties": [format!("^p{}", rng.below(3))]}),
        4 => json!({"and": [random_constraint(rng, depth + 1), random_constraint(rng, depth + 1)]}),
        5 => json!({"or": [random_constraint(rng, depth + 1), random_constraint(rng, depth + 1)]}),
        _ => json!({"not": [random_constraint(rng, depth + 1)]}),
    }
}

fn count(rng: &mut Rng, most: u64) -> Value {
    let least = 1 + rng.below(most);
    match rng.below(5) {
        0 => json!({"min": least}),
        1 => json!({"min": least, "max": least + rng.below(4), "operator": "+", "operand": 1 + rng.below(2)}),
        2 => json!({"min": least, "max": least + rng.below(6), "operator": "*", "operand": 2}),
        _ => json!(least),
    }
}

fn local(rng: &mut Rng) -> Vec<Value> {
    let mut with = vec![json!({"type": "core", "count": count(rng, 3)})];
    if rng.percent(25) {
        with.push(json!({"type": "gpu", "count": 1}));
    }
    if rng.percent(25) {
        with.push(json!({"type": "memory", "count": count(rng, 3)}));
    }
    with
}

fn slot(rng: &mut Rng, with: Vec<Value>) -> Value {
    json!({"type": "slot", "count": count(rng, 3), "label": "s", "with": with})
}

/// One request of one of the usual shapes, with random counts and exclusiveness.
fn random_resource(rng: &mut Rng) -> Value {
    let exclusive = rng.percent(40);
    let node = |rng: &mut Rng, with: Vec<Value>| match exclusive {
        true => json!({"type": "node", "count": count(rng, 2), "exclusive": true, "with": with}),
        false => json!({"type": "node", "count": count(rng, 2), "with": with}),
    };
    let inner = local(rng);
    match rng.below(9) {
        0 | 1 => slot(rng, inner),
        2 => {
            let slot = slot(rng, inner);
            node(rng, vec![slot])
        }
        3 => {
            let node = match exclusive {
                true => json!({"type": "node", "count": 1, "exclusive": true}),
                false => json!({"type": "node", "count": 1}),
            };
            slot(rng, vec![node])
        }
        4 => {
            let node = node(rng, inner);
            slot(rng, vec![node])
        }
        5 => {
            let slot = slot(rng, inner);
            let socket = json!({"type": "socket", "count": 1, "with": [slot]});
            node(rng, vec![socket])
        }
        6 => {
            let (one, inner) = (slot(rng, inner), local(rng));
            let other = slot(rng, inner);
            node(rng, vec![one, other])
        }
        7 => {
            let slot = slot(rng, vec![json!({"type": "node", "count": 1, "exclusive": true})]);
            json!({"type": "rack", "count": 1, "with": [slot]})
        }
        _ => {
            let slot = slot(rng, vec![json!({"type": "node", "count": 1})]);
            json!({"type": "rack", "count": 1, "exclusive": true, "with": [slot]})
        }
    }
}

/// A jobspec of one request, or of several side by side.
pub(super) fn random_jobspec(rng: &mut Rng) -> Value {
    let mut resources = vec![random_resource(rng)];
    while rng.percent(20) && resources.len() < 4 {
        resources.push(random_resource(rng));
    }
    let duration = if rng.percent(5) { 0.0 } else { 1.0 + rng.below(100) as f64 };
    let mut system = json!({"duration": duration});
    if rng.percent(35) {
        system["constraints"] = random_constraint(rng, 0);
    }
    json!({"version": 9999, "resources": resources, "tasks": [{"command": ["a"], "slot": "s", "count": {"per_slot": 1}}],
           "attributes": {"system": system}})
}
