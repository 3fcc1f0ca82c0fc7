//! Starting the tasks.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use flux_shell::output::{self, Stream};
use flux_shell::plan::{self, Input};
use flux_shell::template::{Scope, render, scope};
use flux_shell::{Bundle, Plan, environment};
use flux_sys::spawn::{Session, Spawn, SpawnError};

use crate::files::Files;
use crate::task::{Feed, Pipe, PmiWire, Sink, Task};

/// What a task could not be started for, with the exit code that shells give it.
#[derive(Debug)]
pub(crate) struct StartFailure {
    pub note: String,
    pub code: i32,
}

/// What starting needs beside the plan.
pub(crate) struct Starter<'a> {
    pub bundle: &'a Bundle,
    pub plan: &'a Plan,
    pub files: &'a mut Files,
    pub cpus: &'a mut crate::cpus::Cpus,
}

/// The descriptors that a task gets, and our ends of them.
struct Ends {
    stdin: OwnedFd,
    outputs: Vec<OwnedFd>,
    pmi: Option<OwnedFd>,
    feed: Option<Feed>,
    pipes: Vec<Pipe>,
    wire: Option<PmiWire>,
}

/// The number under which a task finds its PMI connection.
const PMI_FD: i32 = 3;

/// Where programs that load a PMI library look for one (Open MPI).
const PMI_LIBRARY: &str = "FLUX_PMI_LIBRARY_PATH";

static PREPARED: OnceLock<Option<String>> = OnceLock::new();

/// Looks for the PMI library for all shells that will be copies of this process.
pub(crate) fn prepare() {
    PREPARED.get_or_init(pmi_library);
}

/// Ours (`src/pmi`), if it is installed: beside this program, or in the `lib/flux` that belongs to its directory.
fn pmi_library() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let beside = program.parent()?;
    let places = ["libpmi.so", "../lib/flux/libpmi.so", "../../lib/flux/libpmi.so"].map(|place| beside.join(place));
    let found = places.into_iter().find_map(|place| place.canonicalize().ok())?;
    found.into_os_string().into_string().ok()
}

/// Changes how ready the kernel is to kill this process, which tasks inherit; what it was before. Values below that need a
/// privilege: without it, all stays as it is.
fn adjust_oom(adjust: i32) -> Option<i32> {
    const PATH: &str = "/proc/self/oom_score_adj";
    let before = std::fs::read_to_string(PATH).ok()?.trim().parse().ok()?;
    std::fs::write(PATH, adjust.to_string()).ok()?;
    Some(before)
}

impl Starter<'_> {
    pub(crate) fn start(&mut self, task: &plan::Task) -> Result<Task, StartFailure> {
        let failed = |why: String, code: i32| StartFailure {
            note: format!("task {} (host {}): start failed: {why}", task.rank, self.plan.node.host),
            code,
        };
        let ends = self.ends(task).map_err(|error| failed(error.to_string(), 1))?;
        let program = &task.argv[0];
        let mut spawn = Spawn::new(&task.argv).envs(self.plan.env.iter().filter(|(name, _)| !overridden(task, name)));
        for (name, value) in task.env.iter().filter(|(name, _)| !task.changes.contains_key(*name)) {
            spawn = spawn.env(name, value);
        }
        for (name, value) in &task.changes {
            if let Some(value) = value {
                spawn = spawn.env(name, value);
            }
        }
        spawn = spawn.stdio(ends.stdin.as_fd(), ends.outputs[0].as_fd(), ends.outputs[1].as_fd());
        if let Some(pmi) = &ends.pmi {
            spawn = spawn.fd(pmi.as_fd(), PMI_FD);
            spawn = spawn.envs(environment::pmi(PMI_FD, task.rank, self.plan.map.ntasks()));
            let is_set = self.plan.env.contains_key(PMI_LIBRARY) || task.changes.contains_key(PMI_LIBRARY);
            if let Some(path) = PREPARED.get_or_init(pmi_library).as_ref().filter(|_| !is_set) {
                spawn = spawn.env(PMI_LIBRARY, path);
            }
        }
        match (task.pty, self.plan.own_groups) {
            (true, _) => spawn = spawn.session(Session::NewSessionWithTerminal),
            (false, true) => spawn = spawn.session(Session::NewGroup),
            (false, false) => {}
        }
        for (name, soft) in &self.plan.rlimits {
            if let Some(resource) = flux_sys::rlimit::by_name(name)
                && let Ok((_, hard)) = flux_sys::rlimit::get(resource)
            {
                let soft = u64::try_from(*soft).unwrap_or(flux_sys::rlimit::INFINITY);
                spawn = spawn.rlimit(resource, soft.min(hard), hard);
            }
        }
        if let Some(cpus) = task.cores.as_ref().and_then(|cores| self.cpus.of(cores, &self.plan.cpu_affinity)) {
            spawn = spawn.affinity(cpus);
        }
        // A shell that is killed must not leave tasks behind that nobody watches.
        let inherited = self.plan.oom_adjust.and_then(adjust_oom);
        let started = spawn.parent_death_signal(9).start();
        inherited.and_then(adjust_oom);
        let child = started.map_err(|error| {
            let errno = error.errno();
            let why = match &error {
                SpawnError::Failed { .. } => format!("{program}: {}", flux_wire::Errno(errno)),
                other => other.to_string(),
            };
            failed(why, if errno == flux_wire::Errno::ENOENT.0 { 127 } else { 126 })
        })?;
        let Ends { feed, pipes, wire, .. } = ends;
        let (pid, own_group, pty) = (child.pid(), self.plan.own_groups || task.pty, task.pty);
        let (rank, local) = (task.rank, task.local);
        Ok(Task {
            rank,
            local,
            child: Some(child),
            pid,
            status: None,
            pipes,
            feed,
            pmi: wire,
            own_group,
            pty,
            ends_until: None,
        })
    }

    fn ends(&mut self, task: &plan::Task) -> io::Result<Ends> {
        let (mut pmi, mut wire) = (None, None);
        if self.plan.pmi {
            let (ours, theirs) = flux_sys::socket::pair()?;
            (pmi, wire) = (Some(theirs.into()), Some(PmiWire::new(ours)?));
        }
        if task.pty {
            return self.terminal(pmi, wire);
        }
        let (stdin, feed) = match &self.plan.input {
            Input::File(path) => {
                let file = std::fs::File::open(path).map_err(|error| {
                    let why = flux_wire::Errno(error.raw_os_error().unwrap_or(5));
                    io::Error::other(format!("error opening input file '{path}': {why}"))
                })?;
                (file.into(), None)
            }
            Input::Service => {
                let (reader, writer) = flux_sys::fd::pipe()?;
                (reader, Some(Feed::new(writer)?))
            }
        };
        let (mut outputs, mut pipes) = (Vec::new(), Vec::new());
        for stream in Stream::BOTH {
            let (fd, pipe) = self.output(task, stream)?;
            outputs.push(fd);
            pipes.extend(pipe);
        }
        Ok(Ends { stdin, outputs, pmi, feed, pipes, wire })
    }

    /// All three streams on a pseudo-terminal.
    fn terminal(&mut self, pmi: Option<OwnedFd>, wire: Option<PmiWire>) -> io::Result<Ends> {
        let pty = flux_sys::terminal::open_pty()?;
        let feed = Some(Feed::new(pty.leader.try_clone()?)?);
        let pipes = vec![Pipe::new(Stream::Stdout, Sink::Kvs, false, pty.leader)?];
        let outputs = vec![pty.follower.try_clone()?, pty.follower.try_clone()?];
        Ok(Ends { stdin: pty.follower, outputs, pmi, feed, pipes, wire })
    }

    /// The task's end of a stream, and ours where the bytes come by us.
    fn output(&mut self, task: &plan::Task, stream: Stream) -> io::Result<(OwnedFd, Option<Pipe>)> {
        let route = self.plan.output.route(stream);
        let sink = match &route.sink {
            output::Sink::Kvs => Sink::Kvs,
            output::Sink::File { template, label } => {
                let path = render(template, &self.plan.tags(self.bundle, Some((task.rank, task.local))));
                // Only the first shell empties a file that all nodes share.
                let append = self.plan.output.append || (self.bundle.shell_rank > 0 && scope(template) == Scope::Job);
                let number = self.files.open(&path, append, *label).map_err(|error| named(&path, &error))?;
                let alone = self.plan.map.ntasks() == 1 || scope(template) == Scope::Task;
                if alone && !*label {
                    return Ok((self.files.file(number).try_clone()?.into(), None)); // No detour by this shell.
                }
                Sink::File(number)
            }
        };
        let (reader, writer) = flux_sys::fd::pipe()?;
        // Labels stand at the beginnings of lines.
        let by_line = route.by_line || matches!(&route.sink, output::Sink::File { label: true, .. });
        Ok((writer, Some(Pipe::new(stream, sink, by_line, reader)?)))
    }
}

fn overridden(task: &plan::Task, name: &str) -> bool {
    task.env.iter().any(|(own, _)| *own == name) || task.changes.contains_key(name)
}

fn named(path: &str, error: &io::Error) -> io::Error {
    let why = error.raw_os_error().map_or_else(|| error.to_string(), |errno| flux_wire::Errno(errno).to_string());
    io::Error::other(format!("{path}: {why}"))
}
