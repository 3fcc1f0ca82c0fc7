//! The `[bootstrap]` table: brokers that know one another from a file (flux-config-bootstrap(5)).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::MetadataExt;

use flux_broker::Attrs;
use flux_overlay::{Tree, TreeError};
use flux_types::Hostlist;
use flux_wire::cert::{CertError, Certificate};
use serde::Deserialize;
use serde_json::Value;

use super::place::Place;
use crate::limits::CONFIG_FILE_BYTES_MAX;
use crate::socket::LOCAL;
use crate::{Door, PeersSetup};

/// Why the table is of no use.
#[derive(Debug)]
pub(super) enum HostsError {
    Table(serde_json::Error),
    Hostlist { text: String, why: String },
    NoSuchHost { name: String },
    UnknownParent { name: String },
    Tree(TreeError),
    NoCertificate,
    Certificate { path: String, error: CertError },
    Readable { path: String, mode: u32 },
    Io { path: String, error: io::Error },
    Endpoint { uri: String },
    NoEndpoint { host: String, key: &'static str },
    Listen { uri: String, error: io::Error },
}

impl fmt::Display for HostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[bootstrap]: ")?;
        match self {
            Self::Table(error) => error.fmt(f),
            Self::Hostlist { text, why } => write!(f, "host = {text:?}: {why}"),
            Self::NoSuchHost { name } => write!(f, "hosts has no entry for this host, {name}"),
            Self::UnknownParent { name } => write!(f, "parent = {name:?} is none of the hosts"),
            Self::Tree(error) => error.fmt(f),
            Self::NoCertificate => f.write_str("several hosts need a curve_cert; make one with flux keygen"),
            Self::Certificate { path, error } => write!(f, "curve_cert {path}: {error}"),
            Self::Readable { path, mode } => {
                write!(f, "curve_cert {path} may be read by others (mode {:o}); chmod 600 it", mode & 0o777)
            }
            Self::Io { path, error } => write!(f, "curve_cert {path}: {}", crate::file::errno_of(error)),
            Self::Endpoint { uri } => write!(f, "{uri} is not tcp://ADDRESS:PORT or ipc://PATH"),
            Self::NoEndpoint { host, key } => write!(f, "{host} has no {key}, and there is no default_{key}"),
            Self::Listen { uri, error } => write!(f, "could not listen at {uri}: {}", crate::file::errno_of(error)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    enable_ipv6: bool,
    curve_cert: Option<String>,
    default_port: Option<u16>,
    default_bind: Option<String>,
    default_connect: Option<String>,
    #[serde(default)]
    hosts: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    host: String,
    bind: Option<String>,
    connect: Option<String>,
    parent: Option<String>,
}

/// One broker, all entries about it taken together.
#[derive(Default)]
struct Host {
    name: String,
    bind: Option<String>,
    connect: Option<String>,
    parent: Option<String>,
}

impl Table {
    /// The hosts by rank: the order in which they are first named.
    fn expand(&self) -> Result<Vec<Host>, HostsError> {
        let mut hosts: Vec<Host> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for entry in &self.hosts {
            let bad = |why: &dyn fmt::Display| HostsError::Hostlist { text: entry.host.clone(), why: why.to_string() };
            for name in Hostlist::parse(&entry.host).map_err(|error| bad(&error))?.iter() {
                let at = *known.entry(name.clone()).or_insert_with(|| {
                    hosts.push(Host { name, ..Host::default() });
                    hosts.len() - 1
                });
                let host = &mut hosts[at];
                for (slot, value) in [
                    (&mut host.bind, &entry.bind),
                    (&mut host.connect, &entry.connect),
                    (&mut host.parent, &entry.parent),
                ] {
                    if value.is_some() {
                        slot.clone_from(value);
                    }
                }
            }
        }
        Ok(hosts)
    }

    fn tree(&self, hosts: &[Host], topology: Option<&str>) -> Result<Tree, HostsError> {
        if let Some(name) = topology.filter(|name| *name != "custom") {
            return Tree::named(name, hosts.len() as u32).map_err(HostsError::Tree);
        }
        let rank_of = |name: &String| {
            let found = hosts.iter().position(|host| host.name == *name);
            found.map(|at| at as u32).ok_or(HostsError::UnknownParent { name: name.clone() })
        };
        let parents = hosts.iter().skip(1).map(|host| host.parent.as_ref().map_or(Ok(0), rank_of));
        Tree::from_parents(parents.collect::<Result<Vec<u32>, _>>()?).map_err(HostsError::Tree)
    }

    fn endpoint(&self, host: &Host, own: Option<&String>, key: &'static str) -> Result<String, HostsError> {
        let default = if key == "bind" { &self.default_bind } else { &self.default_connect };
        let uri = own.or(default.as_ref()).ok_or(HostsError::NoEndpoint { host: host.name.clone(), key })?;
        let port = self.default_port.map(|port| port.to_string()).unwrap_or_default();
        Ok(uri.replace("%p", &port).replace("%h", &host.name))
    }
}

/// The place that the file gives this host.
pub(super) fn place(config: &Value, attrs: &mut Attrs, hostname: &str) -> Result<Place, HostsError> {
    let table = Table::deserialize(config).map_err(HostsError::Table)?;
    let hosts = table.expand()?;
    attrs.set("broker.boot-method", "config");
    if hosts.len() <= 1 {
        return Ok(Place::single());
    }
    let missing = || HostsError::NoSuchHost { name: hostname.to_owned() };
    let rank = hosts.iter().position(|host| host.name == hostname).ok_or_else(missing)?;
    let tree = table.tree(&hosts, attrs.get("tbon.topo"))?;
    let cert = read_certificate(table.curve_cert.as_deref().ok_or(HostsError::NoCertificate)?)?;
    let rank = rank as u32;
    let host = &hosts[rank as usize];
    let listener = if tree.children(rank).is_empty() {
        None
    } else {
        let uri = table.endpoint(host, host.bind.as_ref(), "bind")?;
        let listener = listen(&uri, table.enable_ipv6)?;
        attrs.set("tbon.endpoint", uri);
        Some(listener)
    };
    let parent = match tree.parent(rank) {
        None => None,
        Some(parent) => {
            let host = &hosts[parent as usize];
            let uri = table.endpoint(host, host.connect.as_ref(), "connect")?;
            let address = match uri.starts_with(LOCAL) {
                true => uri.clone(),
                false => {
                    let (name, port) = split(&uri)?;
                    format!("{name}:{port}")
                }
            };
            attrs.set("tbon.parent-endpoint", uri);
            Some((address, cert.keys.public))
        }
    };
    let mut names = Hostlist::new();
    for host in &hosts {
        let bad = |why: &dyn fmt::Display| HostsError::Hostlist { text: host.name.clone(), why: why.to_string() };
        names.push(&host.name).map_err(|error| bad(&error))?;
    }
    attrs.set("hostlist", names.to_string());
    attrs.set("broker.mapping", format!("[[0,{},1,1]]", hosts.len()));
    attrs.set_default("tbon.topo", "custom");
    let allowed = [cert.keys.public].into();
    Ok(Place { rank, tree, peers: Some(PeersSetup::new(cert.keys, allowed, listener, parent)) })
}

fn read_certificate(path: &str) -> Result<Certificate, HostsError> {
    let io = |error| HostsError::Io { path: path.to_owned(), error };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(HostsError::Readable { path: path.to_owned(), mode: metadata.mode() });
    }
    if metadata.len() > CONFIG_FILE_BYTES_MAX {
        return Err(HostsError::Certificate { path: path.to_owned(), error: CertError::TooLong });
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    Certificate::parse(&text).map_err(|error| HostsError::Certificate { path: path.to_owned(), error })
}

/// Address and port of an endpoint.
fn split(uri: &str) -> Result<(&str, u16), HostsError> {
    let bad = || HostsError::Endpoint { uri: uri.to_owned() };
    let (name, port) = uri.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).ok_or_else(bad)?;
    match port.parse() {
        Ok(port) if !name.is_empty() => Ok((name, port)),
        _ => Err(bad()),
    }
}

fn listen(uri: &str, ipv6: bool) -> Result<Door, HostsError> {
    let error = |error| HostsError::Listen { uri: uri.to_owned(), error };
    if let Some(path) = uri.strip_prefix(LOCAL) {
        return Door::local(path).map_err(error);
    }
    let (name, port) = split(uri)?;
    let address = match name.trim_start_matches('[').trim_end_matches(']') {
        "*" if ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        name => match name.parse() {
            Ok(address) => address,
            Err(_) => flux_sys::interface::address_of(name, ipv6)
                .and_then(|found| found.ok_or(io::ErrorKind::AddrNotAvailable.into()))
                .map_err(error)?,
        },
    };
    TcpListener::bind((address, port)).map(Door::Tcp).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table(hosts: Value) -> Table {
        let value = json!({"default_port": 8050, "default_bind": "tcp://en0:%p", "default_connect": "tcp://e%h:%p", "hosts": hosts});
        Table::deserialize(value).unwrap()
    }

    #[test]
    fn hosts_are_ranked_as_first_named_and_entries_add_up() {
        let table = table(json!([{"host": "test[0-255]"}, {"host": "test[1,128]", "parent": "test0"},
            {"host": "test[2-127]", "parent": "test1"}, {"host": "test[129-255]", "parent": "test128"},
            {"host": "test0", "bind": "tcp://en4:9001", "connect": "tcp://mgmt:9001"}]));
        let hosts = table.expand().unwrap();
        let tree = table.tree(&hosts, None).unwrap();
        assert_eq!(
            (hosts.len(), tree.children(0), tree.children(1).len(), tree.parent(200)),
            (256, &[1, 128][..], 126, Some(128))
        );
        let bind = |rank: usize| table.endpoint(&hosts[rank], hosts[rank].bind.as_ref(), "bind").unwrap();
        let connect = |rank: usize| table.endpoint(&hosts[rank], hosts[rank].connect.as_ref(), "connect").unwrap();
        assert_eq!((bind(0), bind(1)), ("tcp://en4:9001".into(), "tcp://en0:8050".into()));
        assert_eq!((connect(0), connect(7)), ("tcp://mgmt:9001".into(), "tcp://etest7:8050".into()));
        assert_eq!(table.tree(&hosts, Some("kary:2")).unwrap().children(0), [1, 2]);
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let rows = [
            (json!({"hosts": [{"host": "a"}, {"host": "b"}]}), "make one with flux keygen"),
            (json!({"hosts": [{"host": "b"}, {"host": "c"}]}), "no entry for this host, a"),
            (json!({"hosts": [{"host": "a"}, {"host": "b", "parent": "x"}]}), "\"x\" is none of the hosts"),
            (json!({"hosts": [{"host": "a["}]}), "host = \"a[\""),
            (
                json!({"hosts": [{"host": "a"}, {"host": "b"}], "curve_cert": "/no/such"}),
                "curve_cert /no/such: No such file",
            ),
            (json!({"hosts": [{"host": "a", "x": 1}]}), "unknown field"),
        ];
        for (config, want) in rows {
            let Err(error) = place(&config, &mut Attrs::default(), "a") else { panic!("{config}") };
            assert!(error.to_string().contains(want), "{error}");
        }
        for uri in ["", "tcp://a", "tcp://:1", "ipc://a:1", "tcp://a:x", "tcp://a:70000"] {
            assert!(split(uri).is_err(), "{uri}");
        }
    }
}
