//! Real peers: MPI programs and their launcher, Slurm, and ZeroMQ. `./test` installs them.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use flux_wire::crypto::{KeyPair, z85_encode};
use flux_wire::zmtp::{Allowed, Connection, Event, Security, SocketType};

const EXE: &str = env!("CARGO_BIN_EXE_flux");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command that gets a minute; `$F` is the program under test.
fn minute(words: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "60"]).args(words).env("F", EXE).env("SHELL", "/bin/sh").stdin(Stdio::null());
    for name in ["FLUX_URI", "FLUX_CONF_DIR", "PMI_FD", "PMI_RANK", "PMI_SIZE"] {
        command.env_remove(name);
    }
    command
}

fn run(words: &[&str]) -> Output {
    minute(words).output().expect("timeout(1) is there")
}

fn sorted(out: &Output) -> Vec<String> {
    let mut lines: Vec<String> = text(&out.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

const HELLO: &str = r#"
#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    int rank, size, sum;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (argc > 1 && rank == 1)
        MPI_Abort(MPI_COMM_WORLD, 42);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    printf("%d of %d: %d\n", rank, size, sum);
    MPI_Finalize();
    return 0;
}
"#;

/// An MPI program, built with MPICH's compiler.
fn mpi_hello(dir: &Path) -> String {
    let (source, program) = (dir.join("hello.c"), dir.join("hello"));
    fs::write(&source, HELLO).unwrap();
    let out = Command::new("mpicc.mpich").arg(&source).arg("-o").arg(&program).output();
    let out = out.expect("mpicc.mpich is there: ./test installs it");
    assert!(out.status.success(), "{}", text(&out.stderr));
    program.display().to_string()
}

/// Makes `libpmi.so`, beside the program.
fn build_pmi_library() {
    let root = env!("CARGO_MANIFEST_DIR");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--quiet", "-p", "flux-pmi"]).current_dir(root).status();
    assert!(built.expect("cargo is there").success());
}

#[test]
fn an_mpi_program_runs_on_four_brokers_and_aborts_as_a_whole() {
    let tmp = tempfile::tempdir().unwrap();
    let hello = mpi_hello(tmp.path());
    let script = format!("$F run -N4 -n4 {hello}; $F run -N4 -n4 {hello} abort 2>&1 | grep -o 'PMI_Abort'");
    let out = run(&[EXE, "start", "-s4", &script]);
    let want = ["0 of 4: 6", "1 of 4: 6", "2 of 4: 6", "3 of 4: 6", "PMI_Abort"];
    assert_eq!(sorted(&out), want, "{}", text(&out.stderr));
}

#[test]
fn sixteen_ranks_of_mpich_find_each_other_over_a_deep_tree() {
    let tmp = tempfile::tempdir().unwrap();
    let hello = mpi_hello(tmp.path());
    let script = format!("$F run -N4 --tasks-per-node=4 -o cpu-affinity=off {hello}");
    let out = run(&[EXE, "start", "-s4", "-Stbon.topo=kary:1", &script]);
    let want: Vec<String> = (0..16).map(|rank| format!("{rank} of 16: 120")).collect();
    let mut got = sorted(&out);
    got.sort_by_key(|line| line.split(' ').next().and_then(|rank| rank.parse::<u32>().ok()));
    assert_eq!(got, want, "{}", text(&out.stderr));
}

/// Open MPI loads a PMI library: ours, which the shell finds beside the program.
#[test]
fn open_mpi_runs_on_four_brokers_and_aborts_as_a_whole() {
    build_pmi_library();
    let tmp = tempfile::tempdir().unwrap();
    let (source, hello) = (tmp.path().join("hello.c"), tmp.path().join("hello"));
    fs::write(&source, HELLO).unwrap();
    let out = Command::new("mpicc.openmpi").arg(&source).arg("-o").arg(&hello).output();
    let out = out.expect("mpicc.openmpi is there: ./test installs it");
    assert!(out.status.success(), "{}", text(&out.stderr));
    let hello = hello.display();
    let many = format!("$F run -N4 --tasks-per-node=2 -o cpu-affinity=off {hello}");
    let script = format!("{many}; $F run -N2 -n2 {hello} abort >/dev/null 2>&1; echo $?");
    let out = run(&[EXE, "start", "-s4", "-Stbon.topo=kary:1", &script]);
    let want: Vec<String> = (0..8).map(|rank| format!("{rank} of 8: 28")).collect();
    let mut got = sorted(&out);
    got.retain(|line| line.contains(" of "));
    assert_eq!(got, want, "{}", text(&out.stderr));
    assert!(
        text(&out.stdout).lines().any(|line| line.parse().is_ok_and(|code: i32| code != 0)),
        "{}",
        text(&out.stdout)
    );
}

const PMI2: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int PMI2_Init(int *, int *, int *, int *);
int PMI2_Initialized(void);
int PMI2_Job_GetId(char *, int);
int PMI2_KVS_Put(const char *, const char *);
int PMI2_KVS_Fence(void);
int PMI2_KVS_Get(const char *, int, const char *, char *, int, int *);
int PMI2_Info_PutNodeAttr(const char *, const char *);
int PMI2_Info_GetNodeAttr(const char *, char *, int, int *, int);
int PMI2_Info_GetJobAttr(const char *, char *, int, int *);
int PMI2_Finalize(void);
#define ok(x) do { int rc = (x); if (rc) { printf("%s: %d\n", #x, rc); exit(1); } } while (0)
int main(void)
{
    int spawned, size, rank, appnum, found, len;
    char id[64], key[64], text[64], first[64], map[64];
    ok(PMI2_Initialized());
    ok(PMI2_Init(&spawned, &size, &rank, &appnum));
    ok(PMI2_Job_GetId(id, sizeof id));
    snprintf(key, sizeof key, "card-%d", rank);
    snprintf(text, sizeof text, "of %d in %s", rank, id);
    ok(PMI2_KVS_Put(key, text));
    if (rank % 2 == 0) {
        snprintf(text, sizeof text, "%d", rank);
        ok(PMI2_Info_PutNodeAttr("first", text));
    }
    ok(PMI2_Info_GetNodeAttr("first", first, sizeof first, &found, 1));
    ok(PMI2_KVS_Fence());
    for (int peer = 0; peer < size; peer++) {
        snprintf(key, sizeof key, "card-%d", peer);
        ok(PMI2_KVS_Get(peer % 2 ? id : NULL, peer, key, text, sizeof text, &len));
        snprintf(key, sizeof key, "of %d in %s", peer, id);
        if (strcmp(key, text) || len != (int)strlen(text)) return printf("%s is not %s\n", text, key), 1;
    }
    ok(PMI2_Info_GetNodeAttr("nothing", text, sizeof text, &found, 0));
    int none = PMI2_KVS_Get(NULL, -1, "nothing", text, sizeof text, &len);
    ok(PMI2_Info_GetJobAttr("PMI_process_mapping", map, sizeof map, &len));
    ok(PMI2_Info_GetJobAttr("universeSize", text, sizeof text, NULL));
    ok(PMI2_Finalize());
    printf("%d of %s: %d %d %s %s %d %d %d\n", rank, text, spawned, appnum, first, map, found, none, PMI2_Initialized());
    return 0;
}
"#;

/// A program that loads a PMI-2 library: ours, under that name.
#[test]
fn programs_of_pmi_2_exchange_values_and_know_their_node() {
    build_pmi_library();
    let tmp = tempfile::tempdir().unwrap();
    let place = |name: &str| tmp.path().join(name);
    fs::copy(Path::new(EXE).with_file_name("libpmi.so"), place("libpmi2.so")).unwrap();
    fs::write(place("pmi2.c"), PMI2).unwrap();
    let built = Command::new("cc").arg(place("pmi2.c")).arg("-o").arg(place("pmi2")).arg(place("libpmi2.so")).output();
    let built = built.expect("cc is there");
    assert!(built.status.success(), "{}", text(&built.stderr));
    let program = place("pmi2").display().to_string();
    let out = run(&[EXE, "start", "-s2", &format!("$F run -N2 --tasks-per-node=2 -o cpu-affinity=off {program}")]);
    let line = |rank: u32| format!("{rank} of 4: 0 0 {} (vector,(0,2,2)) 0 4 0", rank / 2 * 2);
    assert_eq!(sorted(&out), [0, 1, 2, 3].map(line), "{}", text(&out.stderr));
}

#[test]
fn hydra_starts_an_instance_that_runs_mpi_programs_itself() {
    let tmp = tempfile::tempdir().unwrap();
    let hello = mpi_hello(tmp.path());
    let script = format!("$F getattr size; $F run -N3 -n3 {hello}; exit 3");
    let out = run(&["mpiexec.hydra", "-n", "3", EXE, "start", &script]);
    assert_eq!(sorted(&out), ["0 of 3: 3", "1 of 3: 3", "2 of 3: 3", "3"], "{}", text(&out.stderr));
    assert_eq!(out.status.code(), Some(3));
}

/// What PALS leaves on each node for the processes of an application (version 5): here, of as many as are asked for, on one node.
fn application_information(host: &str, processes: u32) -> Vec<u8> {
    let mut bytes = vec![0; 160];
    bytes[0] = 5;
    let process = |local: u32| [local, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
    let processes: Vec<Vec<u8>> = (0..processes).map(process).collect();
    let mut node = vec![0; 68];
    node[4..4 + host.len()].copy_from_slice(host.as_bytes());
    for (at, entries) in [(64, processes), (88, vec![node])] {
        let words = [entries[0].len(), bytes.len(), entries.len()];
        for (word, at) in words.into_iter().zip([at, at + 8, at + 16]) {
            bytes[at..at + 8].copy_from_slice(&(word as u64).to_ne_bytes());
        }
        bytes.extend(entries.concat());
    }
    bytes
}

#[test]
fn an_instance_starts_in_the_environment_of_pals() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("libpals_apinfo");
    fs::write(&path, application_information(&said("hostname", &[]), 3)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let words = [
        "getattr size",
        "getattr broker.boot-method",
        "getattr broker.mapping",
        "overlay status --summary",
        "run -N3 hostname",
    ];
    let script = words.map(|word| format!("$F {word}")).join("; ") + "; env | grep -c -e PALS_ -e PMI_; exit 3";
    let start = |rank: u32| {
        let mut broker = minute(&[EXE, "start", "-Stbon.topo=kary:1", &script]);
        broker.env("PALS_RANKID", rank.to_string()).env("PALS_APINFO", &path).env("PALS_APID", "a1");
        broker.env("PMI_CONTROL_PORT", format!("{port},{port}")).env("PMI_SHARED_SECRET", "16945943893152566943");
        broker.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let brokers = [2, 1, 0].map(start);
    let mut outs = brokers.map(|broker| broker.wait_with_output().unwrap());
    let root = &mut outs[2];
    let host = said("hostname", &[]);
    let want = format!("3\npals\n[[0,1,3,1]]\nfull\n{host}\n{host}\n{host}\n0\n");
    assert_eq!(text(&root.stdout), want, "{}", text(&root.stderr));
    assert_eq!(root.status.code(), Some(3));
    assert!(outs[..2].iter().all(|out| out.status.success() && out.stdout.is_empty()));
}

/// A Slurm of one node, and the key that its parts prove to each other.
struct Slurm {
    tmp: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl Slurm {
    fn start() -> Slurm {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().display().to_string();
        fs::set_permissions(tmp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let (host, user) = (said("hostname", &["-s"]), said("id", &["-un"]));
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (ctld, node) = (free(), free());
        fs::create_dir(tmp.path().join("munge")).unwrap();
        fs::write(tmp.path().join("munge/key"), [7; 1024]).unwrap();
        fs::set_permissions(tmp.path().join("munge/key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let config = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={ctld}\nSlurmdPort={node}\n\
             SlurmUser={user}\nSlurmdUser={user}\nAuthType=auth/munge\nAuthInfo=socket={dir}/munge/socket\n\
             StateSaveLocation={dir}/state\nSlurmdSpoolDir={dir}/spool\nSlurmctldPidFile={dir}/ctld.pid\n\
             SlurmdPidFile={dir}/d.pid\nSlurmctldLogFile={dir}/ctld.log\nSlurmdLogFile={dir}/d.log\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\nReturnToService=2\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN\n\
             PartitionName=p Nodes={host} Default=YES State=UP OverSubscribe=FORCE:8\n"
        );
        fs::write(tmp.path().join("slurm.conf"), config).unwrap();
        let munge = |name: &str| format!("--{name}={dir}/munge/{name}");
        let key = format!("--key-file={dir}/munge/key");
        let files = ["socket", "pid-file", "log-file", "seed-file"].map(munge);
        let mut slurm = Slurm { tmp, daemons: Vec::new() };
        slurm.daemon(
            "munged",
            &[&["--foreground", "--force", &key][..], &files.each_ref().map(String::as_str)].concat(),
        );
        let socket = slurm.tmp.path().join("munge/socket");
        slurm.wait(|| socket.exists(), "munged listens");
        slurm.daemon("slurmctld", &["-D", "-c"]);
        slurm.daemon("slurmd", &["-D"]);
        let idle = slurm.command(&["sinfo", "-h", "-o", "%t"]);
        let idle = std::cell::RefCell::new(idle);
        slurm.wait(|| text(&idle.borrow_mut().output().unwrap().stdout) == "idle\n", "the node is idle");
        slurm
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = minute(words);
        command.env("SLURM_CONF", self.tmp.path().join("slurm.conf"));
        command
    }

    fn daemon(&mut self, program: &str, args: &[&str]) {
        let mut command = Command::new(program);
        command.args(args).env("SLURM_CONF", self.tmp.path().join("slurm.conf")).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.daemons.push(child.unwrap_or_else(|error| panic!("{program}: {error}; ./test installs it")));
    }

    fn wait(&self, mut done: impl FnMut() -> bool, what: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        while !done() {
            let logs =
                ["ctld.log", "d.log", "munge/log-file"].map(|name| fs::read_to_string(self.tmp.path().join(name)));
            assert!(Instant::now() < until, "not within half a minute: {what}\n{logs:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for child in self.daemons.iter_mut().rev() {
            let _ = child.kill(); // It may have ended.
            let _ = child.wait();
        }
    }
}

fn said(program: &str, args: &[&str]) -> String {
    text(&Command::new(program).args(args).output().unwrap().stdout).trim().to_owned()
}

/// Puts a line into the list of skipped tests: one that is not in tests/skips.list fails the run.
fn skipped(name: &str, why: &str) {
    if let Some(log) = std::env::var_os("FLUX_TEST_SKIP_LOG") {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(log).expect("the list of skips");
        writeln!(log, "peers::{name}: {why}").expect("written");
    }
}

#[test]
fn srun_starts_an_instance_of_as_many_brokers_as_tasks() {
    if said("id", &["-u"]) != "0" {
        return skipped("srun_starts_an_instance_of_as_many_brokers_as_tasks", "slurmd starts tasks only as root");
    }
    let slurm = Slurm::start();
    let script = "$F getattr size; $F run -N4 -n4 -l $F getattr rank; $F overlay status --summary; exit 5";
    let out = slurm.command(&["srun", "-n4", "--overcommit", "--mpi=pmi2", EXE, "start", script]).output().unwrap();
    assert_eq!(sorted(&out), ["0: 0", "1: 1", "2: 2", "3: 3", "4", "full"], "{}", text(&out.stderr));
    assert_eq!(out.status.code(), Some(5));
}

/// Speaks ZeroMQ as the other end does; arguments: role, port, own secret and public key, the server's public key.
const PYZMQ: &str = "
import sys, zmq
role, port, secret, public, server = sys.argv[1:]
socket = zmq.Context().socket(zmq.ROUTER if role == 'server' else zmq.DEALER)
socket.curve_secretkey, socket.curve_publickey = secret.encode(), public.encode()
socket.setsockopt(zmq.LINGER, 2000)
socket.setsockopt(zmq.RCVTIMEO, 5000)
if role == 'server':
    socket.curve_server = True
    socket.bind('tcp://127.0.0.1:' + port)
    print('ready', flush=True)
    who, *parts = socket.recv_multipart()
    socket.send_multipart([who] + [part[::-1] for part in parts])
else:
    socket.curve_serverkey = server.encode()
    socket.connect('tcp://127.0.0.1:' + port)
    socket.send_multipart([b'hello', b'x' * 100000, b''])
    print(socket.recv_multipart() == [b'olleh', b'y' * 3], flush=True)
";

fn python(role: &str, port: u16, own: &KeyPair, server: &KeyPair) -> Child {
    let keys = [z85_encode(&own.secret.to_bytes()), z85_encode(&own.public.0), z85_encode(&server.public.0)];
    // Debian's own: python3-zmq is for it.
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", PYZMQ, role, &port.to_string()]).args(keys).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("python3 and python3-zmq are there: ./test installs them")
}

fn keys(n: u8) -> KeyPair {
    flux_wire::crypto::init();
    KeyPair::from_seed([n; 32])
}

/// Exchanges bytes until a whole message has come.
fn next_message(
    stream: &mut TcpStream,
    link: &mut Connection,
    first: Option<&[&[u8]]>,
) -> Result<Vec<Vec<u8>>, String> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (mut chunk, mut first) = ([0; 4096], first);
    loop {
        if let Some(parts) = first.take_if(|_| link.is_ready()) {
            link.send(parts);
        }
        let out = std::mem::take(link.output());
        stream.write_all(&out).map_err(|error| error.to_string())?;
        let got = stream.read(&mut chunk).map_err(|error| error.to_string())?;
        if got == 0 {
            return Err("closed".to_owned());
        }
        let mut message = None;
        let outcome = link.receive(&chunk[..got], |event| {
            if let Event::Message(parts) = event {
                message = Some(parts);
            }
        });
        outcome.map_err(|error| error.to_string())?;
        if let Some(parts) = message {
            return Ok(parts);
        }
    }
}

#[test]
fn zeromq_talks_to_our_end_that_listens_if_it_has_the_key() {
    for (client, known) in [(keys(2), true), (keys(3), false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = keys(1);
        let port = listener.local_addr().unwrap().port();
        let mut peer = python("client", port, &client, &server);
        let (mut stream, _) = listener.accept().unwrap();
        let allowed = Allowed::Keys(std::sync::Arc::new([keys(2).public].into()));
        let security = Security::CurveServer { own: server, allowed, seed: [9; 32] };
        let mut link = Connection::new(SocketType::Router, security);
        let got = next_message(&mut stream, &mut link, None);
        if known {
            let want = vec![b"hello".to_vec(), vec![b'x'; 100_000], Vec::new()];
            assert!(got == Ok(want), "{:?}", got.err());
            link.send(&[b"olleh", b"yyy"]);
            stream.write_all(link.output()).unwrap();
            let out = peer.wait_with_output().unwrap();
            assert_eq!(text(&out.stdout), "True\n", "{}", text(&out.stderr));
        } else {
            assert!(got.is_err(), "an unknown key was let in");
            peer.kill().unwrap();
            peer.wait().unwrap();
        }
    }
}

#[test]
fn our_end_talks_to_a_zeromq_that_listens_if_it_has_its_key() {
    for (expected, right) in [(keys(1), true), (keys(4), false)] {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut peer = python("server", port, &keys(1), &keys(1));
        let mut ready = [0; 6];
        peer.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let security = Security::CurveClient { own: keys(2), server: expected.public, seed: [8; 32] };
        let mut link = Connection::new(SocketType::Dealer, security);
        let got = next_message(&mut stream, &mut link, Some(&[b"ab", b"", &[b'z'; 70_000]]));
        match right {
            true => assert!(got == Ok(vec![b"ba".to_vec(), Vec::new(), vec![b'z'; 70_000]]), "{:?}", got.err()),
            false => assert!(got.is_err(), "a wrong key was taken"),
        }
        peer.kill().unwrap();
        peer.wait().unwrap();
    }
}
