//! From a specification to a running process.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use flux_service::{SpawnSpec, StdStream};
use flux_sys::cgroup::Cgroup;
use flux_sys::process::Child;
use flux_sys::rlimit;
use flux_sys::spawn::{Session, Spawn};
use flux_wire::Errno;

use super::pipe::End;
use crate::limits::GROUPS_LEFT_MAX;

const OPEN_FILES: &str = "nofile";

/// A process that has just been started, and our ends of its streams.
pub(super) struct Launched {
    pub(super) child: Child,
    pub(super) leader: bool,
    pub(super) ends: Vec<(StdStream, End)>,
    /// Made for it alone: to be removed.
    pub(super) cgroup: Option<Cgroup>,
}

/// What every start needs.
#[derive(Debug)]
pub(super) struct Launcher {
    /// The broker raises its own limit of open files; its children get the former one.
    open_files: Option<(u64, u64)>,
    /// The group that outlives the broker's, and its `cgroup.procs`; looked for when the first shell starts.
    job_cgroup: Option<Option<(Cgroup, OwnedFd)>>,
    /// Made for processes that have ended, and not empty then: tried again when the next one has.
    groups_left: Vec<Cgroup>,
}

impl Launcher {
    pub(super) fn new() -> Launcher {
        let open_files = rlimit::by_name(OPEN_FILES).and_then(|resource| rlimit::get(resource).ok());
        Launcher { open_files, job_cgroup: None, groups_left: Vec::new() }
    }

    pub(super) fn launch(&mut self, spec: &SpawnSpec) -> Result<Launched, Errno> {
        let plan = Streams::prepare(spec).map_err(|error| crate::file::errno_of(&error))?;
        let (procs, own) = if spec.job_cgroup { self.job_cgroup(spec) } else { (None, None) };
        let session = session_of(spec);
        let mut spawn = Spawn::new(&spec.argv).session(session).envs(environment(spec));
        for (number, channel) in plan.channels() {
            spawn = spawn.env(channel, number.to_string());
        }
        for (fd, number) in &plan.theirs {
            spawn = spawn.fd(fd.as_fd(), *number);
        }
        if let Some(executable) = &spec.executable {
            spawn = spawn.program(executable);
        }
        if let Some(dir) = &spec.cwd {
            spawn = spawn.cwd(dir);
        }
        if let (Some(resource), Some((soft, hard))) = (rlimit::by_name(OPEN_FILES), self.open_files) {
            spawn = spawn.rlimit(resource, soft, hard);
        }
        if let Some(procs) = &procs {
            spawn = spawn.cgroup(procs.as_fd());
        }
        let started = spawn.start().map_err(|error| Errno(error.errno()));
        let child = started.inspect_err(|_| drop(own.as_ref().map(Cgroup::remove)))?;
        Ok(Launched { child, leader: session != Session::Inherit, ends: plan.ours, cgroup: own })
    }

    /// Kills what is left in the group of that name: whoever takes SIGUSR1 of us, the IMP, has ended all the others when it ends.
    pub(super) fn kill_group(&mut self, name: &str) {
        let Some((jobs, _)) = self.job_cgroup.get_or_insert_with(find_job_cgroup) else { return };
        let group = Cgroup::at(jobs.path().join(name));
        // It is gone, unless something is left in it.
        if group.signal(flux_sys::signal::Name::SIGUSR1 as i32).is_ok_and(|signalled| signalled == 0) {
            let _ = group.kill(); // An old kernel cannot.
            self.remove_group(group);
        }
    }

    /// Removes a group that was made for one process, and those that could not be removed before.
    pub(super) fn remove_group(&mut self, group: Cgroup) {
        self.groups_left.push(group);
        let is_busy = |group: &Cgroup| group.remove().is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy);
        self.groups_left.retain(is_busy);
        self.groups_left.truncate(GROUPS_LEFT_MAX); // The next broker tries again.
    }

    /// Where the process goes, and what was made for it. What cannot be made or opened leaves the shell in a group further up: it
    /// runs, if less safely.
    fn job_cgroup(&mut self, spec: &SpawnSpec) -> (Option<OwnedFd>, Option<Cgroup>) {
        let found = self.job_cgroup.get_or_insert_with(find_job_cgroup);
        let Some((group, procs)) = found else { return (None, None) };
        let own = spec.own_cgroup.as_ref().and_then(|name| group.child(name).ok());
        if let Some(own) = own
            && let Ok(procs) = own.procs()
        {
            return (Some(procs), Some(own));
        }
        (procs.try_clone().ok(), None)
    }
}

/// The group that systemd delegates for job shells: `flux-jobs`, beside the broker's group or one above it.
/// `None`: there is none that we may use, and shells stay where they are started (doc/adr/0001).
fn find_job_cgroup() -> Option<(Cgroup, OwnedFd)> {
    const NAMES: &[&str] = &["flux-jobs.service", "flux-jobs.scope", "flux-jobs.slice", "flux-jobs"];
    let mut group = Cgroup::own().ok()?;
    while let Some(above) = group.parent() {
        for name in NAMES {
            let group = Cgroup::at(above.path().join(name));
            if let Ok(procs) = group.procs() {
                remove_empty(&group);
                return Some((group, procs));
            }
        }
        group = above;
    }
    None
}

/// Removes groups of single jobs that a former broker has left and that are empty: only those can be removed.
fn remove_empty(group: &Cgroup) {
    let entries = std::fs::read_dir(group.path()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("imp-shell-")) {
        let _ = Cgroup::at(entry.path()).remove();
    }
}

/// Captured processes lead a group, so that all of it can be signalled; what shares our streams shares our group too, as a
/// terminal demands.
fn session_of(spec: &SpawnSpec) -> Session {
    match spec {
        SpawnSpec { detached: true, .. } => Session::NewSession,
        SpawnSpec { capture: true, .. } | SpawnSpec { own_group: true, .. } => Session::NewGroup,
        _ => Session::Inherit,
    }
}

/// The environment without the names of channels, which get numbers of ours.
fn environment(spec: &SpawnSpec) -> Vec<(OsString, OsString)> {
    let mut vars: Vec<(OsString, OsString)> = match &spec.env {
        None => std::env::vars_os().collect(),
        Some(vars) => vars.iter().map(|(name, value)| (name.into(), value.into())).collect(),
    };
    vars.retain(|(name, _)| spec.env_over.iter().all(|(over, _)| name != over.as_str()));
    vars.extend(spec.env_over.iter().map(|(name, value)| (name.into(), value.into())));
    vars.retain(|(name, _)| spec.channels.iter().all(|channel| name != &**channel));
    vars
}

/// The streams of a process to be started: our ends, and the child's with the numbers that it will know them by.
struct Streams {
    ours: Vec<(StdStream, End)>,
    theirs: Vec<(OwnedFd, i32)>,
}

impl Streams {
    fn prepare(spec: &SpawnSpec) -> io::Result<Streams> {
        let mut streams = Streams { ours: Vec::new(), theirs: Vec::new() };
        streams.prepare_input(spec)?;
        for (stream, number) in [(StdStream::Stdout, 1), (StdStream::Stderr, 2)] {
            if let (Some(path), 2) = (&spec.errors, number) {
                streams.theirs.push((locked(path)?, number));
            } else if spec.capture {
                streams.add(stream, End::reader()?, number);
            } else if spec.detached {
                streams.theirs.push((flux_sys::fd::dev_null()?, number));
            }
        }
        for (slot, channel) in spec.channels.iter().enumerate() {
            streams.add(StdStream::Channel(channel.clone()), End::channel()?, 3 + slot as i32);
        }
        Ok(streams)
    }

    fn prepare_input(&mut self, spec: &SpawnSpec) -> io::Result<()> {
        match &spec.stdin {
            Some(bytes) if bytes.is_empty() => self.theirs.push((flux_sys::fd::dev_null()?, 0)),
            // In memory, and whole before the process starts: our death cannot cut it short.
            Some(bytes) => {
                let mut file = flux_sys::fd::memfd("stdin")?;
                file.write_all(bytes)?;
                file.rewind()?;
                self.theirs.push((file.into(), 0));
            }
            None if spec.capture => self.add(StdStream::Stdin, End::writer()?, 0),
            None if spec.detached => self.theirs.push((flux_sys::fd::dev_null()?, 0)),
            None => (), // It shares our terminal.
        }
        Ok(())
    }

    fn add(&mut self, stream: StdStream, (ours, theirs): (End, OwnedFd), number: i32) {
        self.ours.push((stream, ours));
        self.theirs.push((theirs, number));
    }

    /// Channels by the number of the child's end.
    fn channels(&self) -> impl Iterator<Item = (i32, &str)> {
        let channels = self.ours.iter().filter_map(|(stream, _)| match stream {
            StdStream::Channel(name) => Some(&**name),
            _ => None,
        });
        (3..).zip(channels)
    }
}

/// A new file that whoever has it open holds locked.
fn locked(path: &str) -> io::Result<OwnedFd> {
    let file = File::options().create(true).read(true).append(true).mode(0o600).open(path)?;
    if flux_sys::lock::try_exclusive(&file)? { Ok(file.into()) } else { Err(io::ErrorKind::AlreadyExists.into()) }
}
