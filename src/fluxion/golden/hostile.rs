//! Documents that are wrong in every small way: an error or a graph, never a panic.

use super::{RECIPE, answer, cores, nodes};

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

/// A few pieces of a text changed: cut, doubled, swapped, or with another number or sign in them.
fn spoil(text: &str, rng: &mut Rng) -> String {
    const SIGNS: &[&str] =
        &["0", "1", "-1", "9", "99999999999", "\"", "{", "}", "[", "]", ",", ":", "<", ">", "/", "null", "a"];
    let mut bytes: Vec<u8> = text.bytes().collect();
    for _ in 0..1 + rng.below(4) {
        let (at, len) = (rng.below(bytes.len()), 1 + rng.below(12));
        let end = (at + len).min(bytes.len());
        let piece: Vec<u8> = match rng.below(4) {
            0 => Vec::new(),
            1 => [&bytes[at..end], &bytes[at..end]].concat(),
            2 => SIGNS[rng.below(SIGNS.len())].into(),
            _ => {
                let other = rng.below(bytes.len());
                bytes[other..(other + len).min(bytes.len())].to_vec()
            }
        };
        bytes.splice(at..end, piece);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn spoiled_documents_are_errors_or_graphs() {
    let jgf = answer("-P low -F jgf", &[("j", nodes(4))], "find status=up\n").lines().next().unwrap_or("").to_string();
    let r = r#"{"version": 1, "execution": {"R_lite": [{"rank": "0-3", "children": {"core": "0-3", "gpu": "0"}}], "nodelist": ["node[0-3]"], "properties": {"a": "0-1"}, "starttime": 0, "expiration": 9}}"#;
    let xml = r#"<topology><object type="Machine"><info name="HostName" value="h1"/><object type="Package"><object type="Core"/></object></object></topology>"#;
    let documents =
        [("grug", RECIPE.to_string()), ("jgf", jgf), ("rv1exec", r.to_string()), ("hwloc", xml.to_string())];
    let (core, node) = (cores(1), nodes(1));
    let commands = "m allocate c\nm allocate_orelse_reserve n\nm allocate s\nfind status=up and names=node0\n\
                    update allocate jgf d 7 0 5\nupdate allocate rv1exec d 8 0 5\nattach d\npartial-cancel 1 jgf d\n\
                    partial-cancel 2 rv1exec d\nset-status /small0 down\ncancel 1\ncancel 2\nremove 0 false\nm allocate c\n";
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    for round in 0..160 {
        let (format, document) = &documents[round % documents.len()];
        let spoiled = spoil(document, &mut rng);
        let files = [
            ("c", core.clone()),
            ("n", node.clone()),
            ("s", spoil(if round % 2 == 0 { &core } else { &node }, &mut rng)),
            ("d", spoil(&documents[1 + round % 2].1, &mut rng)),
        ];
        for recipe in [&spoiled, document] {
            let mut files = files.to_vec();
            files.push(("recipe", recipe.clone()));
            let said = answer(&format!("-f {format} -P low"), &files, commands);
            assert!(!said.is_empty(), "round {round}");
        }
    }
}

#[test]
fn a_graph_that_goes_in_circles_is_refused_or_walked_once() {
    let node = |id: u32, path: &str, kind: &str| {
        format!(
            r#"{{"id": "{id}", "metadata": {{"type": "{kind}", "id": {id}, "rank": {}, "paths": {{"containment": "{path}"}}}}}}"#,
            id as i32 - 1
        )
    };
    let graph = |edges: &[(u32, u32)]| {
        let nodes = [
            node(0, "/c0", "cluster"),
            node(1, "/c0/n1", "node"),
            node(2, "/c0/n1/o2", "core"),
            node(3, "/c0/n3", "node"),
        ];
        let edges: Vec<String> =
            edges.iter().map(|(a, b)| format!(r#"{{"source": "{a}", "target": "{b}"}}"#)).collect();
        format!(r#"{{"graph": {{"nodes": [{}], "edges": [{}]}}}}"#, nodes.join(","), edges.join(","))
    };
    let run = |edges: &[(u32, u32)]| {
        let files = [("recipe", graph(edges)), ("c", cores(1))];
        answer(
            "-f jgf -P low -F rlite",
            &files,
            "m allocate c\nm allocate c\nset-status /c0/n1 down\nfind status=up\ncancel 1 stats\n",
        )
    };
    // A circle back to where it came from, and two ways to one core: each vertex is come to once.
    for edges in [&[(0, 1), (1, 2), (2, 1), (0, 3)][..], &[(0, 1), (0, 3), (3, 2), (1, 2)][..]] {
        let said = run(edges);
        assert_eq!(said.matches("RESOURCES=ALLOCATED").count(), 1, "edges {edges:?}: {said}");
    }
    let said = run(&[(0, 1), (2, 3), (3, 2)]);
    assert!(said.contains("cannot be come to from the root"), "{said}");
}
