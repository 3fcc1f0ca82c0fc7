//! The decisions of a shell, each against a rule written down elsewhere.

use flux_types::{Idset, Taskmap};
use serde_json::{Value, json};

use crate::bundle::{Allocation, Bundle};
use crate::exits::{self, Doom};
use crate::journal::{Journal, Numbered};
use crate::output::{self, Cutter, OutputPlan, Sink};
use crate::plan::{Input, Plan};
use crate::{ShellError, layout, limits, pmi};

/// Xorshift64*.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

fn jobspec(slots: u32, cores: u32, options: Value) -> Value {
    json!({
        "version": 1,
        "resources": [{"type": "slot", "count": slots, "label": "task", "with": [{"type": "core", "count": cores}]}],
        "tasks": [{"command": ["app", "{{taskid}}"], "slot": "task", "count": {"per_slot": 1}}],
        "attributes": {"system": {"duration": 0, "cwd": "/home", "environment": {"A": "b", "PMI_FD": "9"},
                                  "shell": {"options": options}}},
    })
}

fn resources(cores: &[&str]) -> Value {
    let lite: Vec<Value> = cores
        .iter()
        .enumerate()
        .map(|(rank, cores)| json!({"rank": rank.to_string(), "children": {"core": cores, "gpu": "0-1"}}))
        .collect();
    json!({"version": 1, "execution": {"R_lite": lite, "nodelist": ["n[0-9]"], "starttime": 0, "expiration": 99.5}})
}

fn bundle(jobspec: Value, cores: &[&str], shell_rank: u32) -> Bundle {
    let text = json!({
        "id": 1234, "userid": 1000, "rank": shell_rank, "shell_rank": shell_rank, "shell_count": cores.len(),
        "service": "1000-shell-fNH", "uri": "local:///run/x", "rundir": "/run/flux", "record": null,
        "jobspec": jobspec, "R": resources(cores), "options": {"jobid_path": "/fABC", "instance_level": 1},
    });
    Bundle::parse(text.to_string().as_bytes()).unwrap()
}

fn plan(bundle: &Bundle) -> Result<Plan, ShellError> {
    Plan::of(bundle, &mut |path| if path == "hosts" { Ok("n1\nn0\n".into()) } else { Err("no such file".into()) })
}

#[test]
fn tasks_are_laid_out_as_flux_core_does() {
    let rows: [(u32, u32, &[&str], Value, &str); 9] = [
        (2, 1, &["0-1"], json!({}), "[[0,1,2,1]]"),
        (4, 1, &["0-1", "0-1"], json!({}), "[[0,2,2,1]]"),
        (4, 2, &["0-3", "0-3"], json!({}), "[[0,2,2,1]]"),
        (3, 1, &["0-1", "0"], json!({}), "[[0,1,2,1],[1,1,1,1]]"),
        (5, 1, &["0-1", "0-1"], json!({}), "[[0,1,3,1],[1,1,2,1]]"),
        (4, 1, &["0-1", "0-1"], json!({"taskmap": {"scheme": "cyclic"}}), "[[0,2,1,2]]"),
        (
            4,
            1,
            &["0-1", "0-1"],
            json!({"taskmap": {"scheme": "hostfile", "value": "hosts"}}),
            "[[1,1,1,1],[0,2,1,1],[0,1,1,1]]",
        ),
        (1, 1, &["0-3", "0-3"], json!({"per-resource": {"type": "node", "count": 2}}), "[[0,2,2,1]]"),
        (1, 1, &["0-3", "0-3"], json!({"per-resource": {"type": "core"}}), "[[0,2,4,1]]"),
    ];
    for (slots, cores, nodes, options, want) in rows {
        let bundle = bundle(jobspec(slots, cores, options.clone()), nodes, 0);
        let plan = plan(&bundle).unwrap();
        let want = Taskmap::parse(want).unwrap();
        for node in 0..nodes.len() as u32 {
            assert_eq!(plan.map.taskids(node), want.taskids(node), "{slots} slots, {nodes:?}, {options}");
        }
        let local = plan.map.taskids(0);
        assert_eq!(plan.tasks.iter().map(|task| task.rank).collect::<Idset>(), local);
    }
}

#[test]
fn no_request_and_no_allocation_make_a_layout_hang_or_lose_tasks() {
    for seed in 1..300 {
        let mut rng = Rng(seed);
        let nodes = 1 + rng.below(5) as usize;
        let sets: Vec<String> = (0..nodes).map(|_| format!("0,{}", 1 + rng.below(8))).collect();
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let (slots, cores) = (1 + rng.below(40) as u32, 1 + rng.below(6) as u32);
        let bundle = bundle(jobspec(slots, cores, json!({})), &sets, 0);
        let allocation = Allocation::parse(&bundle.resources).unwrap();
        let map = layout::block(&bundle.jobspec().unwrap(), &allocation).unwrap();
        assert_eq!(map.ntasks(), slots as usize, "seed {seed}");
    }
}

#[test]
fn options_that_cannot_be_are_refused_with_their_name() {
    let rows = [
        (json!({"taskmap": {"scheme": "spiral"}}), "failed to map tasks with scheme=spiral"),
        (json!({"taskmap": {"scheme": "cyclic", "value": "0"}}), "shell option taskmap: invalid cyclic stride: 0"),
        (
            json!({"taskmap": {"scheme": "manual", "value": "0-9"}}),
            "failed to map tasks: it has 10 tasks on 1 nodes, not 2 on 1",
        ),
        (json!({"taskmap": {"scheme": "hostfile", "value": "gone"}}), "failed to map tasks: no such file"),
        (json!({"exit-timeout": "soon"}), "shell option exit-timeout: \"soon\" is not a valid Flux Standard Duration"),
        (json!({"cpu-affinity": "sideways"}), "shell option cpu-affinity"),
        (json!({"output": {"stdout": {"type": "file"}}}), "shell option output: stdout: type file needs a path"),
        (json!({"output": {"limit": "2G"}}), "shell option output: limit \"2G\" is not between 1 and 1G"),
        (json!({"output": {"mode": "sometimes"}}), "shell option output: mode"),
        (json!({"input": {"stdin": {"type": "kvs"}}}), "shell option input"),
        (json!({"signal": {"signum": 99}}), "shell option signal: signum is not a signal"),
    ];
    for (options, want) in rows {
        let error = plan(&bundle(jobspec(2, 1, options.clone()), &["0-1"], 0)).unwrap_err().to_string();
        assert!(error.starts_with(want), "{options}: {error}");
    }
}

#[test]
fn tasks_get_the_environment_of_the_manual() {
    let options = json!({"env-expand": {"WHERE": "{{node.name}}"}, "gpu-affinity": "per-task"});
    let bundle = bundle(jobspec(4, 1, options), &["0-1", "0-1"], 1);
    let plan = plan(&bundle).unwrap();
    let want = [
        ("A", "b"),
        ("FLUX_JOB_ID", "ƒNH"),
        ("FLUX_JOB_ID_PATH", "/fABC/ƒNH"),
        ("FLUX_JOB_NNODES", "2"),
        ("FLUX_JOB_SIZE", "4"),
        ("FLUX_JOB_TMPDIR", "/run/flux/jobtmp-1-ƒNH"),
        ("FLUX_KVS_NAMESPACE", "job-1234"),
        ("FLUX_URI", "local:///run/x"),
        ("OMPI_MCA_btl_vader_backing_directory", "/run/flux/jobtmp-1-ƒNH"),
        ("WHERE", "n1"),
    ];
    let got: Vec<(&str, &str)> = plan.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(got, want);
    let task = &plan.tasks[1];
    assert_eq!((task.rank, task.local, task.argv[1].as_str()), (3, 1, "3"));
    let want = [
        ("FLUX_TASK_RANK", "3"),
        ("FLUX_TASK_LOCAL_ID", "1"),
        ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
        ("CUDA_VISIBLE_DEVICES", "1"),
    ];
    assert_eq!(task.env, want.map(|(name, value)| (name, value.to_owned())));
    assert_eq!((plan.expiration, plan.input), (Some(99.5), Input::Service));
}

#[test]
fn stderr_follows_stdout_unless_it_has_a_place_of_its_own() {
    let file = |path: &str, label| Sink::File { template: path.to_owned(), label };
    let rows = [
        (json!({}), Sink::Kvs, Sink::Kvs),
        (json!({"stdout": {"type": "file", "path": "a"}}), file("a", false), file("a", false)),
        (json!({"stdout": {"type": "file", "path": "a", "label": true}}), file("a", true), file("a", true)),
        (json!({"stdout": {"type": "file", "path": "a"}, "stderr": {"type": "kvs"}}), file("a", false), Sink::Kvs),
        (json!({"stderr": {"type": "file", "path": "e"}}), Sink::Kvs, file("e", false)),
    ];
    for (options, stdout, stderr) in rows {
        let bundle = bundle(jobspec(1, 1, json!({"output": options})), &["0"], 0);
        let plan = OutputPlan::of(&bundle.jobspec().unwrap(), false).unwrap();
        assert_eq!((plan.stdout.sink, plan.stderr.sink), (stdout, stderr), "{options}");
        assert!(plan.stdout.by_line && !plan.stderr.by_line);
    }
    assert_eq!(output::parse_size("1.5k"), Some(1500));
    assert_eq!(output::parse_size("x"), None);
}

#[test]
fn output_is_cut_at_newlines_and_no_byte_is_lost() {
    for seed in 1..300 {
        let mut rng = Rng(seed);
        let mut cutter = Cutter::new(seed % 2 == 0);
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        let mut take = |piece: &[u8]| {
            assert!(!piece.is_empty() && piece.len() <= limits::OUTPUT_DATA_MAX);
            let newline = piece.iter().position(|b| *b == b'\n');
            assert!(newline.is_none_or(|at| at + 1 == piece.len()), "seed {seed}: a newline ends its piece");
            got.extend_from_slice(piece);
        };
        for _ in 0..20 {
            let len = rng.below(if seed % 7 == 0 { 90_000 } else { 30 }) as usize;
            let bytes: Vec<u8> = (0..len).map(|_| if rng.below(8) == 0 { b'\n' } else { b'x' }).collect();
            let bytes = if seed % 5 == 0 { vec![b'y'; len] } else { bytes };
            sent.extend_from_slice(&bytes);
            cutter.push(&bytes, &mut take);
        }
        cutter.finish(&mut take);
        assert_eq!(got, sent, "seed {seed}");
    }
}

#[test]
fn many_lines_go_together_and_no_byte_is_lost() {
    let lines: Vec<Vec<u8>> = (0..30_000u32).map(|at| format!("line {at}\n").into_bytes()).collect();
    let joined = output::together(&lines);
    assert_eq!(joined.concat(), lines.concat());
    assert!(joined.iter().all(|piece| piece.len() <= limits::OUTPUT_DATA_MAX && piece.ends_with(b"\n")));
    assert!(joined.len() <= lines.concat().len() / limits::OUTPUT_DATA_MAX + 2, "{}", joined.len());
    let long = vec![vec![b'x'; limits::OUTPUT_DATA_MAX]; 3];
    assert_eq!(output::together(&long), long);
}

#[test]
fn output_entries_have_the_bytes_of_flux_core() {
    let rows = [
        (
            output::header(1.5, 2),
            r#"{"timestamp":1.5,"name":"header","context":{"version":1,"encoding":{"stdout":"UTF-8","stderr":"UTF-8"},"count":{"stdout":2,"stderr":2},"options":{}}}"#,
        ),
        (
            output::data(1.0, "stdout", "0", b"hi 0\n"),
            r#"{"timestamp":1.0,"name":"data","context":{"stream":"stdout","rank":"0","data":"hi 0\n"}}"#,
        ),
        (
            output::data(1.0, "stdout", "0", b"\xffx"),
            r#"{"timestamp":1.0,"name":"data","context":{"stream":"stdout","rank":"0","encoding":"base64","data":"/3g="}}"#,
        ),
        (
            output::end(1.0, "stderr", "1"),
            r#"{"timestamp":1.0,"name":"data","context":{"stream":"stderr","rank":"1","eof":true}}"#,
        ),
        (
            output::redirect(1.0, "stdout", "[0-1]", "/tmp/out"),
            r#"{"timestamp":1.0,"name":"redirect","context":{"stream":"stdout","rank":"[0-1]","path":"/tmp/out"}}"#,
        ),
        (
            output::log(1.0, 0, 3, "no"),
            r#"{"timestamp":1.0,"name":"log","context":{"rank":0,"level":3,"message":"no"}}"#,
        ),
    ];
    for (got, want) in rows {
        assert_eq!(got, format!("{want}\n"));
        assert!(flux_types::eventlog::decode(&got).is_ok());
    }
    assert_eq!(output::decode(&json!({"data": "/3g=", "encoding": "base64"})), Some((b"\xffx".to_vec(), false)));
    assert_eq!(output::decode(&json!({"eof": true})), Some((vec![], true)));
    assert_eq!(output::decode(&json!({"data": 5})), None);
}

#[test]
fn statuses_become_exit_codes_as_shells_know_them() {
    for (status, code) in [(0, 0), (3 << 8, 3), (9, 137), (15, 143), (139, 139), (255 << 8, 255)] {
        assert_eq!(exits::exit_code(status), code, "{status}");
    }
    let doom = Doom { timeout: Some(30.0), timeout_text: "30s".into(), on_error: true };
    let failed = doom.at_once("app", 1, "n0", 3 << 8);
    assert_eq!(failed.unwrap(), "app: task rank 1 on host n0 failed (Exit 3) and exit-on-error is set");
    assert_eq!(doom.at_once("app", 1, "n0", 0), None);
    let overdue = doom.overdue("app", 0, "n0", 0);
    assert_eq!(overdue, "app: task rank 0 on host n0 exited (Exit 0) and exit-timeout=30s has expired");
}

/// Goal: every event is taken exactly once and in order, whatever is lost on the way.
/// Method: a leader that acknowledges, dies and comes back at random; a spool that holds what memory does not.
#[test]
fn the_journal_loses_and_repeats_nothing_through_any_sequence_of_losses() {
    for seed in 1..200 {
        let mut rng = Rng(seed);
        let mut journal = Journal::new(true);
        let (mut spool, mut taken, mut made): (Vec<Numbered>, Vec<u64>, u64) = (Vec::new(), Vec::new(), 0);
        let size = if seed % 3 == 0 { 3 << 20 } else { 100 };
        for step in 0..400 {
            match rng.below(6) {
                0 | 1 if step < 300 => {
                    let (numbered, kept) = journal.push("x".repeat(1 + rng.below(size) as usize));
                    made += 1;
                    assert_eq!(numbered.seq, made);
                    if !kept {
                        spool.push(numbered);
                    }
                }
                2 | 3 => {
                    for numbered in journal.batch() {
                        if numbered.seq > taken.len() as u64 {
                            taken.push(numbered.seq);
                        }
                    }
                }
                4 => journal.ack(rng.below(taken.len() as u64 + 1)),
                _ => journal.rewind(),
            }
            while let Some(next) = journal.wants() {
                let at = spool.iter().position(|numbered| numbered.seq == next).expect("it is in the spool");
                journal.refill(spool[at].clone());
            }
            journal.check();
        }
        for _ in 0..1000 {
            let batch: Vec<u64> = journal.batch().iter().map(|numbered| numbered.seq).collect();
            taken.extend(batch.into_iter().filter(|seq| *seq > taken.len() as u64).collect::<Vec<_>>());
            journal.ack(taken.len() as u64);
            while let Some(next) = journal.wants() {
                let at = spool.iter().position(|numbered| numbered.seq == next).expect("it is in the spool");
                journal.refill(spool[at].clone());
            }
        }
        assert!(journal.is_settled(), "seed {seed}");
        assert_eq!(taken, (1..=made).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn the_pmi_server_speaks_rfc_13() {
    let map = Taskmap::parse("[[0,1,2,1]]").unwrap();
    let mut server = pmi::Server::new("fNH".into(), 2, 2, Some(&map), Some(0));
    let mut ask = |task, line: &str| {
        let mut out = Vec::new();
        let step = server.line(task, line, &mut out);
        (step, out.into_iter().map(|(task, line)| format!("{task}:{}", line.trim_end())).collect::<Vec<_>>())
    };
    let rows = [
        ("cmd=init pmi_version=1 pmi_subversion=1", "0:cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1"),
        ("cmd=get_maxes", "0:cmd=maxes rc=0 kvsname_max=64 keylen_max=64 vallen_max=1024"),
        ("cmd=get_universe_size", "0:cmd=universe_size rc=0 size=2"),
        ("cmd=get_appnum", "0:cmd=appnum rc=0 appnum=0"),
        ("cmd=get_my_kvsname", "0:cmd=my_kvsname rc=0 kvsname=fNH"),
        ("cmd=put kvsname=fNH key=a value=x y = z", "0:cmd=put_result rc=0"),
        ("kvsname=fNH  key=a cmd=get", "0:cmd=get_result rc=0 value=x y = z"),
        ("cmd=get kvsname=fNH key=PMI_process_mapping", "0:cmd=get_result rc=0 value=(vector,(0,1,2))"),
        ("cmd=get kvsname=fNH key=flux.instance-level", "0:cmd=get_result rc=0 value=1"),
        ("cmd=get kvsname=fNH key=nope", "0:cmd=get_result rc=4"),
        ("cmd=get kvsname=other key=a", "0:cmd=get_result rc=3"),
        ("cmd=publish_name service=s port=p", "0:cmd=publish_result rc=-1 msg=command not implemented"),
        ("cmd=finalize", "0:cmd=finalize_ack rc=0"),
    ];
    for (line, want) in rows {
        assert_eq!(ask(0, line).1, [want], "{line}");
    }
    assert_eq!(ask(0, "cmd=barrier_in"), (pmi::Step::Answered, vec![]));
    assert_eq!(ask(1, "cmd=barrier_in").0, pmi::Step::Barrier);
    assert!(matches!(ask(0, "cmd=barrier_in").0, pmi::Step::Violation(_)));
    let abort = pmi::Step::Abort { code: 7, message: "no luck".into() };
    assert_eq!(ask(0, "cmd=abort exitcode=7 error_msg=no luck").0, abort);
    assert!(matches!(ask(0, "GET / HTTP/1.1").0, pmi::Step::Violation(_)));
    assert_eq!(ask(1, "mcmd=spawn").1, [""; 0]);
    assert_eq!(ask(1, "nprocs=1").1, [""; 0]);
    assert_eq!(ask(1, "endcmd").1, ["1:cmd=spawn_result rc=-1"]);
    let long = "v".repeat(1024);
    assert_eq!(ask(0, &format!("cmd=put kvsname=fNH key=b value={long}")).1, ["0:cmd=put_result rc=7"]);
    let mut out = Vec::new();
    server.release([("other".to_owned(), "1".to_owned())].into(), &mut out);
    assert_eq!(out.len(), 2);
}

#[test]
fn malformed_bundles_are_refused() {
    for text in ["", "{}", "[]", "{\"id\": \"x\"}"] {
        assert!(Bundle::parse(text.as_bytes()).is_err(), "{text}");
    }
    let mut value = json!({"execution": {"R_lite": []}});
    assert!(Allocation::parse(&value).is_err());
    value["execution"]["R_lite"] = json!([{"rank": "zero"}]);
    assert!(Allocation::parse(&value).is_err());
}
