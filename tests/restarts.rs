//! Brokers that know one another from a file, killed and started again as a service manager would.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const EXE: &str = env!("CARGO_BIN_EXE_flux");

/// Brokers 0, 1, ... of a binary tree, all on this machine.
struct System {
    tmp: tempfile::TempDir,
    brokers: Vec<Option<Child>>,
    /// What a broker is run by: the words before it, with `%` for its rank.
    wrap: &'static [&'static str],
}

impl System {
    fn start(size: usize, more: &str) -> System {
        let sockets: Vec<_> = (0..size).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap().to_string()).collect();
        System::at_addresses(addresses, &[], more)
    }

    fn at_addresses(addresses: Vec<String>, wrap: &'static [&'static str], more: &str) -> System {
        let size = addresses.len();
        let tmp = tempfile::tempdir().unwrap();
        let path = |name: &str| tmp.path().join(name).display().to_string();
        assert!(Command::new(EXE).args(["keygen", "--name=test", &path("cert")]).status().unwrap().success());
        let host = |(rank, address): (usize, &String)| {
            let at = format!("tcp://{address}");
            let parent = if rank == 0 { String::new() } else { format!(", parent = \"h{}\"", (rank - 1) / 2) };
            format!("{{ host = \"h{rank}\", bind = \"{at}\", connect = \"{at}\"{parent} }}")
        };
        let hosts: Vec<String> = addresses.iter().enumerate().map(host).collect();
        let config = format!(
            "[bootstrap]\ncurve_cert = \"{}\"\nhosts = [\n{}\n]\n[resource]\nnoverify = true\n\
             [[resource.config]]\nhosts = \"h[0-{}]\"\ncores = \"0-1\"\n{more}\n",
            path("cert"),
            hosts.join(",\n"),
            size - 1
        );
        fs::write(path("conf.toml"), config).unwrap();
        let mut system = System { tmp, brokers: (0..size).map(|_| None).collect(), wrap };
        (0..size).for_each(|rank| system.run(rank));
        system
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    fn run(&mut self, rank: usize) {
        let set = |name: &str, file: &str| format!("-S{name}={}", self.path(file).display());
        let mut words = self.wrap.iter().map(|word| word.replace('%', &rank.to_string())).chain([EXE.to_owned()]);
        let mut command = Command::new(words.next().expect("there is the program at least"));
        command.args(words).arg("broker").arg("-c").arg(self.path("conf.toml"));
        command.args([format!("-Shostname=h{rank}"), "-Sbroker.rc2_none=1".into(), "-Sbroker.quorum=1".into()]);
        command.args([set("rundir", &format!("run{rank}")), set("statedir", &format!("state{rank}"))]);
        command.arg(format!("-Slocal-uri=local://{}", self.path(&format!("local-{rank}")).display()));
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        command.env("SHELL", "/bin/sh").env_remove("FLUX_URI").env_remove("PMI_FD").stdin(std::process::Stdio::null());
        self.brokers[rank] = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// Starts what has ended, but for the rank that stays down.
    fn revive(&mut self, down: Option<usize>) {
        for rank in 0..self.brokers.len() {
            let ended = self.brokers[rank].as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
            if ended {
                self.brokers[rank] = None;
            }
            if self.brokers[rank].is_none() && down != Some(rank) {
                self.run(rank);
            }
        }
    }

    fn kill(&mut self, rank: usize) {
        let child = self.brokers[rank].as_mut().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What a command line prints at the broker of a rank.
    fn at(&self, rank: usize, line: &str) -> String {
        let uri = format!("local://{}", self.path(&format!("local-{rank}")).display());
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "20", "sh", "-c", line]).env("F", EXE).env("FLUX_URI", uri);
        String::from_utf8_lossy(&command.output().unwrap().stdout).trim_end().to_owned()
    }

    /// Keeps brokers running until rank 0 says `want` to the line.
    fn until(&mut self, down: Option<usize>, line: &str, want: &str) {
        let begin = Instant::now();
        loop {
            self.revive(down);
            let got = self.at(0, line);
            if got == want {
                return;
            }
            let log = || fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(begin.elapsed() < Duration::from_secs(40), "{line}: {got}, not {want}\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.at(0, "$F cancel --all; $F shutdown");
        for child in self.brokers.iter_mut().flatten() {
            let _ = child.kill(); // It may have ended.
            let _ = child.wait();
        }
    }
}

const STATUS: &str = "$F overlay status --summary 2>/dev/null";

#[test]
fn a_job_on_all_nodes_outlives_the_death_of_any_broker() {
    let mut system = System::start(5, "");
    system.until(None, STATUS, "full");
    let tmp = system.path("go");
    // The job ends when the file is there: in time, or never.
    let job = format!("while [ ! -e {} ]; do sleep 0.1; done; echo done", tmp.display());
    let id = system.at(0, &format!("$F submit -N5 -n5 sh -c '{job}'"));
    system.until(None, &format!("$F job wait-event -q {id} start && echo runs"), "runs");
    for rank in [1, 4, 0] {
        system.kill(rank);
        system.until(None, &format!("sleep 0.3; {STATUS}"), "full");
        assert_eq!(system.at(3, &format!("$F jobs -no {{state}} {id}")), "RUN", "after rank {rank}");
    }
    // Every node has its shell still.
    system.until(None, "$F resource list -s up -no {nnodes}", "5");
    fs::write(&tmp, "").unwrap();
    system.until(None, &format!("$F job attach {id} 2>&1 | sort | uniq -c | tr -s ' '"), " 5 done");
    assert_eq!(system.at(2, &format!("$F jobs -no '{{status_abbrev}} {{returncode}}' {id}")), "CD 0");
}

#[test]
fn an_interior_broker_that_dies_takes_its_subtree_along_and_all_of_it_comes_back() {
    let mut system = System::start(8, "");
    system.until(None, STATUS, "full");
    // Rank 7 is below 3, 3 below 1; rank 2 has nothing to do with them.
    let go = system.path("go").display().to_string();
    let job = format!("while [ ! -e {go} ]; do sleep 0.1; done; echo done");
    let ids = [2, 7].map(|rank| system.at(0, &format!("$F submit --requires=host:h{rank} sh -c '{job}'")));
    for id in &ids {
        system.until(None, &format!("$F job wait-event -q {id} start && echo runs"), "runs");
    }
    let told = system.path("told").display().to_string();
    let asks = |rank| format!("($F exec -n -r {rank} sleep 60; echo $?) >{told}{rank} 2>&1 </dev/null &");
    assert_eq!(system.at(0, &[asks(7), asks(3)].concat()), "");
    system.until(None, "$F exec -n -r 3,7 $F sproc ps -no {cmd} | grep -c 'sleep'", "2");
    let pid = |system: &System, rank: usize| system.brokers[rank].as_ref().map(Child::id);
    let before: Vec<_> = (0..8).map(|rank| pid(&system, rank)).collect();
    system.kill(1);
    // Who has asked for something below is told that there is no way; the others do not notice.
    system.until(Some(1), &format!("cat {told}3 {told}7 | grep -c 'No route to host'"), "2");
    system.until(Some(1), STATUS, "degraded");
    assert_eq!(system.at(0, "$F ping -c1 -r 7 broker 2>&1 | grep -o 'No route to host'"), "No route to host");
    assert_eq!(system.at(6, "$F run --requires=host:h6 echo elsewhere"), "elsewhere");
    assert_eq!(system.at(0, "$F resource list -s up -no {ranks}"), "0,2,5-6");
    system.until(None, STATUS, "full");
    system.until(None, "$F resource list -s up -no {ranks}", "0-7");
    let is_new = |rank: usize| pid(&system, rank) != before[rank];
    assert_eq!((0..8).filter(|rank| is_new(*rank)).collect::<Vec<_>>(), [1, 3, 4, 7]);
    assert_eq!(system.at(0, "$F run -N8 -n8 $F getattr rank | sort | tr '\\n' ' '"), "0 1 2 3 4 5 6 7");
    fs::write(&go, "").unwrap();
    for id in &ids {
        system.until(None, &format!("timeout 10 $F job attach {id} 2>&1"), "done");
        assert_eq!(system.at(2, &format!("$F jobs -no '{{status_abbrev}} {{returncode}}' {id}")), "CD 0");
    }
}

#[test]
fn a_node_that_stays_away_fails_its_jobs_and_comes_back_clean() {
    let mut system = System::start(3, "[exec]\nnode-grace = \"0.5s\"");
    system.until(None, STATUS, "full");
    let pids = system.path("pid");
    let id =
        system.at(0, &format!("$F submit -N3 -n3 sh -c 'echo $$ >{}.$FLUX_TASK_RANK; exec sleep 100'", pids.display()));
    system.until(None, &format!("cat {}.* | wc -l", pids.display()), "3");
    system.kill(2);
    let note = "$F job eventlog ".to_owned() + &id + " | grep -o 'node failure.*)'";
    system.until(Some(2), &note, "node failure on h2 (rank 2)");
    system.until(Some(2), &format!("$F jobs -no {{state}} {id}"), "INACTIVE");
    assert_eq!(
        system.at(0, "$F resource list -s up,down -no '{state} {ranks}'"),
        "free 0-1\ndown 2".replace("free", "up")
    );
    assert_eq!(system.at(0, "$F run -N2 -n2 true; echo $?"), "0");
    // It comes back, and ends what nobody wants any more before it gets new work.
    system.until(None, "$F resource list -s up -no {ranks}", "0-2");
    let alive = format!("for pid in $(cat {}.*); do [ -d /proc/$pid ] && echo $pid; done", pids.display());
    assert_eq!(system.at(0, &alive), "");
    assert_eq!(system.at(0, "$F run -N3 -n3 true; echo $?"), "0");
}

/// Four hosts on one network, as namespaces; gone when dropped.
struct Hosts;

const BRIDGE: &str = "fluxtestbr";

impl Hosts {
    fn new() -> Hosts {
        drop(Hosts); // Of a run that was killed.
        let hosts = Hosts;
        ip(&format!("link add {BRIDGE} type bridge"));
        ip(&format!("link set {BRIDGE} up"));
        for n in 0..4 {
            let host = format!("fluxtest{n}");
            ip(&format!("netns add {host}"));
            ip(&format!("link add {host} type veth peer name eth0 netns {host}"));
            ip(&format!("link set {host} master {BRIDGE} up"));
            ip(&format!("-n {host} address add 10.213.7.{}/24 dev eth0", n + 1));
            ip(&format!("-n {host} link set lo up"));
            ip(&format!("-n {host} link set eth0 up"));
        }
        hosts
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let names = (0..4).map(|n| format!("netns delete fluxtest{n}")).chain([format!("link delete {BRIDGE}")]);
        for words in names {
            let _ = Command::new("ip").args(words.split(' ')).stderr(std::process::Stdio::null()).status();
        }
    }
}

fn ip(words: &str) {
    let out = Command::new("ip").args(words.split(' ')).output().expect("ip(8) is there: ./test installs it");
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Puts a line into the list of skipped tests: one that is not in tests/skips.list fails the run.
fn skipped(name: &str, why: &str) {
    if let Some(log) = std::env::var_os("FLUX_TEST_SKIP_LOG") {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(log).expect("the list of skips");
        writeln!(log, "restarts::{name}: {why}").expect("written");
    }
}

#[test]
fn a_host_that_is_cut_off_is_torpid_then_lost_and_comes_back() {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        return skipped(
            "a_host_that_is_cut_off_is_torpid_then_lost_and_comes_back",
            "only root makes network namespaces",
        );
    }
    let _hosts = Hosts::new();
    let addresses = (1..5).map(|n| format!("10.213.7.{n}:8050")).collect();
    let wrap = &["ip", "netns", "exec", "fluxtest%"];
    let tbon =
        "[tbon]\ntorpid_min = \"0.2s\"\ntorpid_max = \"1s\"\ntcp_user_timeout = \"4s\"\nconnect_timeout = \"1s\"";
    let mut system = System::at_addresses(addresses, wrap, tbon);
    system.until(None, STATUS, "full");
    assert_eq!(
        system.at(0, "$F run -N4 -n4 -l sh -c 'echo $FLUX_URI' | sed 's|.*/local-||' | sort | tr -d '\\n'"),
        "0123"
    );
    ip("-n fluxtest3 link set eth0 down");
    system.until(None, "$F resource status -s torpid -no {ranks}", "3");
    system.until(None, "$F overlay status --no-pretty | grep h3", "3 h3: lost lost connection");
    assert_eq!(system.at(0, "$F resource list -s down -no {ranks}; $F run -N3 -n3 true; echo $?"), "3\n0");
    ip("-n fluxtest3 link set eth0 up");
    system.until(None, "$F resource list -s up -no {ranks}", "0-3");
    assert_eq!(system.at(0, "$F run -N4 -n4 true; echo $?"), "0");
}
