//! Lines of tasks that speak PMI-1 (RFC 13).
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: Vec<(u32, String)>| {
    let map = flux_types::Taskmap::parse("[[0,1,4,1]]").expect("a map");
    let mut server = flux_shell::pmi::Server::new("kvs".to_owned(), 4, 4, &map, Some(1));
    let mut out = Vec::new();
    for (task, line) in &input {
        let line = line.replace('\n', " "); // A line is what ends with it.
        let _ = server.line(task % 4, &line, &mut out);
        assert!(out.iter().all(|(_, answer)| answer.ends_with('\n') && answer.matches('\n').count() == 1));
        out.clear();
    }
});
