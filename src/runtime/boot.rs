//! `flux broker`: from a command line to a running node, and back to an exit code.

mod args;
mod config;
mod dirs;
mod hosts;
mod pals;
mod parent;
mod place;

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flux_broker::{Attrs, Node, NodeSetup, OverlaySetup, Scheduler, compose};
use flux_resource::{Inventory, Method};
use flux_service::Recovered;
use flux_sys::process::Pid;
use flux_sys::signal::Name as Signal;
use flux_types::HashKind;
use flux_types::resource_set::{self, ResourceSet};
use flux_wire::Rank;
use serde_json::Value;

use self::args::{Args, ArgsError, HELP};
use self::config::LoadError;
use self::dirs::{DirError, Dirs, Wishes};
use self::parent::Parent;
use self::place::{Place, PlaceError};
use crate::outlets::Outlets;
use crate::peers::PeersSetup;
use crate::stderr;
use crate::store::{Restore, StoreError, open_store};
use crate::{Listener, Reactor};

/// Why no broker runs. Each says what to do about it, as far as we know.
#[derive(Debug)]
enum BootError {
    Args(ArgsError),
    Attr(String),
    Config(LoadError),
    Dir(DirError),
    Store(StoreError),
    Place(PlaceError),
    LocalUri(String),
    Listen { path: PathBuf, error: io::Error },
    Start(String),
    Io { doing: &'static str, error: io::Error },
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Args(error) => error.fmt(f),
            Self::Attr(text) | Self::Start(text) => f.write_str(text),
            Self::Config(error) => error.fmt(f),
            Self::Dir(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Place(error) => error.fmt(f),
            Self::LocalUri(uri) => write!(f, "local-uri {uri}: must be local:// and an absolute path"),
            Self::Listen { path, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "another broker listens at {}", path.display())
            }
            Self::Listen { path, error } => write!(f, "could not listen at {}: {error}", path.display()),
            Self::Io { doing, error } => write!(f, "could not {doing}: {error}"),
        }
    }
}

impl std::error::Error for BootError {}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> BootError {
    move |error| BootError::Io { doing, error }
}

/// Runs a broker with the arguments that follow the program's name; answers the exit code.
///
/// Call it before any other thread is started: from then on signals are read by the loop.
pub fn broker_main(args: impl IntoIterator<Item = String>) -> u8 {
    let outcome = Args::parse(args).map_err(BootError::Args).and_then(run);
    outcome.unwrap_or_else(|error| {
        stderr::line(&format!("flux-broker: {error}"));
        1
    })
}

fn run(args: Args) -> Result<u8, BootError> {
    if args.help {
        print!("{HELP}");
        return Ok(0);
    }
    // A client that goes while it is written to is an error value, not our end.
    flux_sys::signal::ignore(Signal::SIGPIPE as i32).map_err(io_error("ignore SIGPIPE"))?;
    flux_sys::process::set_name("flux-broker");
    flux_sys::process::tune_allocator();
    flux_sys::alloc::cache(crate::limits::SPARE_MEMORY_BYTES);
    let env = end_with_starter(environment())?;
    let mut attrs = given_attrs(&args)?;
    verbose(&mut attrs, args.verbose);
    let config_path = args.config_path.clone().or_else(|| variable(&env, "FLUX_CONF_DIR").map(str::to_owned));
    let config = Arc::new(config::load(config_path.as_deref(), &args.confs).map_err(BootError::Config)?);
    let hostname = match attrs.get("hostname") {
        Some(name) => name.to_owned(),
        None => flux_sys::ids::hostname().map_err(io_error("ask for the host's name"))?,
    };
    interface_hint(&mut attrs, &config, &env);
    flux_broker::tbon::settle(&mut attrs, &config).map_err(|fault| BootError::Attr(fault.text))?;
    let mut place =
        Place::find(&mut attrs, &config, &hostname, |name| variable(&env, name)).map_err(BootError::Place)?;
    let (rank, mut peers) = (place.rank, place.peers.take());
    peers.iter_mut().for_each(|peers| tune(peers, &attrs));
    let dirs = Dirs::prepare(&wishes(&attrs, &env, place.keeps_state(&attrs))).map_err(BootError::Dir)?;
    let restore = if rank == 0 { restore(&attrs, dirs.statedir.as_deref())? } else { None };
    let opened = open_store(dirs.statedir.as_deref(), &dirs.rundir, restore.as_ref());
    let (store, recovered) = opened.map_err(BootError::Store)?;
    dirs.remember().map_err(BootError::Dir)?;
    if store.report().torn_bytes > 0 {
        let bytes = store.report().torn_bytes;
        stderr::line(&format!(
            "flux-broker: the last write before the crash was cut off ({bytes} bytes, unacknowledged)"
        ));
    }
    let owner = flux_sys::ids::Ids::current().euid;
    let mut reactor = Reactor::new(store, owner).map_err(io_error("start the loop"))?;
    reactor.outlets(outlets(&attrs, rank, &env)?);
    let given = Given { args: &args, attrs, config, config_path, env, hostname };
    let (setup, parent) = setup(given, place, &dirs, recovered)?;
    let listener = listen(setup.attrs.get("local-uri").unwrap_or_default())?;
    if let Some(parent) = &parent {
        parent.announce(&setup.hostname, setup.attrs.get("local-uri").unwrap_or_default());
    }
    let local_uri = setup.attrs.get("local-uri").unwrap_or_default().to_owned();
    // After the limit that children get was noted.
    flux_sys::rlimit::raise_open_files().map_err(io_error("raise the limit of open files"))?;
    if args.verbose > 0 {
        let (size, host) = (setup.size, &setup.hostname);
        stderr::line(&format!("<6>broker.info[{host}]: boot: rank={rank} size={size}"));
    }
    let mut node = Node::new(setup, reactor.now()).map_err(BootError::Start)?;
    if let Some(peers) = peers {
        reactor.link(peers).map_err(io_error("listen for brokers"))?;
    }
    reactor.listen(listener).map_err(io_error("listen"))?;
    if let Some(parent) = parent {
        parent.follow(local_uri);
    }
    flux_sys::process::forget_code();
    let code = reactor.run(&mut node).map_err(io_error("wait for events"))?;
    drop(dirs);
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// What attributes say of the links to other brokers.
fn tune(peers: &mut PeersSetup, attrs: &Attrs) {
    if attrs.get("broker.recovery-mode").is_some() {
        peers.listener = None; // Nobody is to join what is being recovered.
    }
    peers.user_timeout = flux_broker::tbon::duration(attrs, "tbon.tcp_user_timeout");
    peers.connect_timeout = flux_broker::tbon::duration(attrs, "tbon.connect_timeout");
}

/// The environment's word on the address for other brokers, where neither the command line nor the configuration has one.
fn interface_hint(attrs: &mut Attrs, config: &Value, env: &[(String, String)]) {
    let is_set = attrs.get("tbon.interface-hint").is_some() || config.pointer("/tbon/interface-hint").is_some();
    let by_name = variable(env, "FLUX_IPADDR_HOSTNAME").map(|_| "hostname");
    if let Some(hint) = variable(env, "FLUX_IPADDR_INTERFACE").or(by_name).filter(|_| !is_set) {
        attrs.set_at_start("tbon.interface-hint", hint).expect("it may be set at the start");
    }
}

/// `--verbose` is about what this broker itself logs.
fn verbose(attrs: &mut Attrs, level: u32) {
    if level > 0 {
        attrs.set_default("log-stderr-mode", "local");
        attrs.set_default("log-stderr-level", if level > 1 { "7" } else { "6" });
    }
}

/// The file of the log is rank 0's.
fn outlets(attrs: &Attrs, rank: u32, env: &[(String, String)]) -> Result<Outlets, BootError> {
    let file = attrs.get("log-filename").filter(|path| rank == 0 && !path.is_empty());
    let systemd = variable(env, "NOTIFY_SOCKET");
    Outlets::open(file, systemd)
        .map_err(|error| BootError::Attr(format!("Error opening logfile {}: {error}", file.unwrap_or_default())))
}

/// The environment; what is not UTF-8 cannot be passed on.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Brokers of a test session (`flux start --test-size`) end when the process that started them does, however that ends.
fn end_with_starter(mut env: Vec<(String, String)>) -> Result<Vec<(String, String)>, BootError> {
    let starter = variable(&env, "FLUX_START_PID").and_then(|pid| pid.parse().ok()).map(Pid);
    env.retain(|(name, _)| name != "FLUX_START_PID");
    if starter.is_some_and(|starter| starter == Pid::parent()) {
        flux_sys::process::set_parent_death_signal(Signal::SIGTERM as i32).map_err(io_error("watch who started us"))?;
        if starter != Some(Pid::parent()) {
            return Err(BootError::Start("whoever started us has gone".to_owned()));
        }
    }
    Ok(env)
}

fn variable<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
    env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn given_attrs(args: &Args) -> Result<Attrs, BootError> {
    let mut attrs = Attrs::default();
    for (name, value) in &args.attrs {
        attrs.set_at_start(name, value).map_err(|fault| BootError::Attr(fault.text.to_string()))?;
    }
    Ok(attrs)
}

fn wishes<'a>(attrs: &'a Attrs, env: &'a [(String, String)], keeps_state: bool) -> Wishes<'a> {
    Wishes {
        rundir: attrs.get("rundir"),
        rundir_cleanup: attrs.get("rundir-cleanup"),
        statedir: attrs.get("statedir").filter(|_| keeps_state),
        statedir_cleanup: attrs.get("statedir-cleanup"),
        tmpdir: variable(env, "TMPDIR"),
    }
}

/// What `content.restore` names: an archive, or with `auto` the one that `content.dump=auto` left, if there is one.
fn restore(attrs: &Attrs, statedir: Option<&Path>) -> Result<Option<Restore>, BootError> {
    let Some(wish) = attrs.get("content.restore").filter(|wish| !wish.is_empty()) else { return Ok(None) };
    let hash = attrs.get("content.hash").unwrap_or("sha1");
    let hash =
        HashKind::from_name(hash).ok_or_else(|| BootError::Attr(format!("content.hash={hash}: use sha1 or sha256")))?;
    let (archive, link) = match wish {
        "auto" => {
            let link = statedir.unwrap_or(Path::new(".")).join("dump/RESTORE");
            let Ok(archive) = std::fs::canonicalize(&link) else { return Ok(None) };
            (archive, Some(link))
        }
        path => (PathBuf::from(path), None),
    };
    stderr::line(&format!("restoring content from {}", archive.display()));
    Ok(Some(Restore { archive, link, hash, owner: flux_sys::ids::Ids::current().euid }))
}

/// What the command line, the environment and the files say.
struct Given<'a> {
    args: &'a Args,
    attrs: Attrs,
    config: Arc<Value>,
    config_path: Option<String>,
    env: Vec<(String, String)>,
    hostname: String,
}

/// The parent is rank 0's to talk to.
fn setup(
    given: Given<'_>,
    place: Place,
    dirs: &Dirs,
    recovered: Recovered,
) -> Result<(NodeSetup, Option<Parent>), BootError> {
    let Given { args, mut attrs, config, config_path, env, hostname } = given;
    let (rank, size) = (place.rank, place.tree.size());
    complete(&mut attrs, (dirs, rank), config_path.as_deref());
    let parent = Parent::describe(&mut attrs, |name| variable(&env, name)).filter(|_| rank == 0);
    let given = parent.as_ref().and_then(Parent::resources);
    let text = |path: &Path| {
        let text = path.to_str().ok_or_else(|| BootError::Dir(DirError::NotText { path: path.to_owned() }));
        text.map(str::to_owned)
    };
    let program = if rank == 0 { program(&args.program, &attrs, &env) } else { None };
    let hash = attrs.get("content.hash").unwrap_or("sha1");
    let scheduler = Scheduler::choose(&config, variable(&env, "FLUX_SCHED_MODULE")).map_err(BootError::Start)?;
    let restricted = config.pointer("/resource/norestrict") != Some(&Value::Bool(true));
    let (host, found) = match variable(&env, "FLUX_HWLOC_XMLFILE") {
        Some(path) => described(path, &env, restricted)?,
        None => (None, here(restricted)?),
    };
    let found = Inventory { given, ..inventory(&found, host.as_deref().unwrap_or(&hostname), rank)? };
    let composed = compose(hash, found, (rank, size), recovered, scheduler).map_err(BootError::Start)?;
    let setup = NodeSetup {
        rank: Rank(rank),
        size,
        overlay: OverlaySetup { tree: place.tree, announce: composed.announce },
        hostname,
        owner: flux_sys::ids::Ids::current().euid,
        rundir: text(&dirs.rundir)?,
        statedir: dirs.statedir.as_deref().map(text).transpose()?,
        attrs,
        config,
        config_path,
        seed: flux_sys::random::u64().map_err(io_error("draw a seed"))?,
        rc_dirs: rc_dirs(variable(&env, "FLUX_RC_EXTRA").unwrap_or_default()),
        env,
        interactive: program.is_some() && io::stdin().is_terminal(),
        program,
        services: composed.services,
        loader: composed.loader,
    };
    Ok((setup, parent))
}

/// Where the site's scripts for the start and the end of brokers are, and those of `extra`, separated by colons: those that exist.
fn rc_dirs(extra: &str) -> Vec<String> {
    let dirs = std::iter::once("/etc/flux").chain(extra.split(':')).filter(|dir| !dir.trim().is_empty());
    dirs.filter(|dir| ["rc1.d", "rc3.d"].iter().any(|name| Path::new(dir).join(name).is_dir()))
        .map(str::to_owned)
        .collect()
}

/// The cores and GPUs of this machine that this process may use, or all there are (`resource.norestrict`).
fn here(restricted: bool) -> Result<flux_topo::Inventory, BootError> {
    let allowed = if restricted { flux_topo::Allowed::OfThisProcess } else { flux_topo::Allowed::All };
    flux_topo::scan(&allowed).map_err(|error| BootError::Start(error.to_string()))
}

/// As `here`, of a machine that a file of hwloc describes: this one, unless the environment says otherwise.
fn described(
    path: &str,
    env: &[(String, String)],
    restricted: bool,
) -> Result<(Option<String>, flux_topo::Inventory), BootError> {
    let failed = |why: String| BootError::Start(format!("FLUX_HWLOC_XMLFILE={path}: {why}"));
    let text = std::fs::read_to_string(path).map_err(|error| failed(crate::file::errno_of(&error).to_string()))?;
    let whole = flux_topo::xml::parse(&text).map_err(|error| failed(error.to_string()))?;
    let is_other = variable(env, "FLUX_HWLOC_XMLFILE_NOT_THISSYSTEM").is_some_and(|value| !value.is_empty());
    let found = match restricted && !is_other {
        true => whole.of_this_process().map_err(|error| failed(error.to_string()))?,
        false => whole,
    };
    Ok((flux_topo::xml::hostname(&text), found))
}

/// What is found on a machine, as it is told to rank 0 (RFC 20).
fn inventory(found: &flux_topo::Inventory, hostname: &str, rank: u32) -> Result<Inventory, BootError> {
    let cores = found.cores.iter().map(|core| core.id).collect();
    let gpus = found.gpus.iter().map(|gpu| gpu.id).collect();
    let mut set = ResourceSet::new();
    set.insert(rank, resource_set::Node::new(hostname, cores, gpus))
        .map_err(|error| BootError::Start(error.to_string()))?;
    let gpu_devices = found.gpus.iter().map(flux_topo::Gpu::devices).collect();
    Ok(Inventory { gpu_devices, ..Inventory::new(set, Method::DynamicDiscovery) })
}

/// Attributes that only the process knows.
fn complete(attrs: &mut Attrs, (dirs, rank): (&Dirs, u32), config_path: Option<&str>) {
    attrs.set("broker.pid", std::process::id().to_string());
    attrs.set_default("rundir-cleanup", if dirs.removes_rundir() { "1" } else { "0" });
    attrs.set_default("local-uri", format!("local://{}", dirs.socket_path(rank).display()));
    if let Some(path) = config_path {
        attrs.set("config.path", path);
    }
}

/// What runs on rank 0: the words given, a single one through a shell as flux-core does, or an interactive shell.
fn program(words: &[String], attrs: &Attrs, env: &[(String, String)]) -> Option<Vec<String>> {
    let shell = variable(env, "SHELL").filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh");
    match words {
        _ if attrs.get("broker.rc2_none").is_some() => None,
        [] => Some(vec![shell.to_owned()]),
        [line] => Some(vec![shell.to_owned(), "-c".to_owned(), line.clone()]),
        words => Some(words.to_vec()),
    }
}

fn listen(uri: &str) -> Result<Listener, BootError> {
    let path = uri.strip_prefix("local://").map(Path::new).filter(|path| path.is_absolute());
    let path = path.ok_or_else(|| BootError::LocalUri(uri.to_owned()))?;
    Listener::bind(path).map_err(|error| BootError::Listen { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
