//! Which rank this broker has, of how many, and how it reaches the others.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use flux_broker::Attrs;
use flux_client::pmi::{Client, Group, PmiError};
use flux_overlay::{Tree, TreeError};
use flux_types::{Hostlist, Taskmap};
use flux_wire::crypto::{KEY_LEN, KeyPair, PublicKey};
use serde_json::Value;

use super::hosts::{self, HostsError};
use crate::{Door, PeersSetup};

/// Why the brokers did not find one another.
#[derive(Debug)]
pub(super) enum PlaceError {
    Pmi(PmiError),
    Hosts(HostsError),
    Tree(TreeError),
    /// What another broker says of itself is malformed.
    Card {
        rank: u32,
        text: String,
    },
    Listen {
        address: IpAddr,
        error: io::Error,
    },
    Random(io::Error),
    /// `tbon.interface-hint` names nothing.
    Hint {
        hint: String,
        why: String,
    },
    /// `broker.boot-method` is none of ours.
    Method {
        name: String,
    },
    NoTable,
    NoPmi,
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pmi(error) => error.fmt(f),
            Self::Hosts(error) => error.fmt(f),
            Self::Tree(error) => error.fmt(f),
            Self::Card { rank, text } => write!(f, "rank {rank} says of itself {text:?}, which is malformed"),
            Self::Listen { address, error } => write!(f, "could not listen at {address}: {error}"),
            Self::Hint { hint, why } => write!(f, "tbon.interface-hint={hint}: {why}"),
            Self::Method { name } => {
                write!(f, "broker.boot-method={name}: use config ([bootstrap]), simple (PMI-1) or single")
            }
            Self::NoTable => f.write_str("broker.boot-method=config: the configuration has no [bootstrap]"),
            Self::NoPmi => f.write_str("broker.boot-method=simple: PMI_FD not found in environ"),
            Self::Random(error) => write!(f, "could not draw a key: {error}"),
        }
    }
}

impl From<PmiError> for PlaceError {
    fn from(error: PmiError) -> PlaceError {
        PlaceError::Pmi(error)
    }
}

impl From<TreeError> for PlaceError {
    fn from(error: TreeError) -> PlaceError {
        PlaceError::Tree(error)
    }
}

/// The place of this broker.
pub(super) struct Place {
    pub(super) rank: u32,
    pub(super) tree: Tree,
    /// `None` where there is nobody else.
    pub(super) peers: Option<PeersSetup>,
}

impl Place {
    pub(super) fn single() -> Place {
        let tree = Tree::named("kary:0", 1).expect("one is a size");
        Place { rank: 0, tree, peers: None }
    }

    /// Finds the place, and notes in `attrs` what follows from it.
    pub(super) fn find<'a>(
        attrs: &mut Attrs,
        config: &Value,
        hostname: &str,
        env: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Place, PlaceError> {
        if let Some(topology) = attrs.get("tbon.topo").filter(|name| *name != "custom") {
            Tree::named(topology, 1)?;
        }
        let method = attrs.get("broker.boot-method").map(str::to_owned);
        match method.as_deref() {
            None | Some("config" | "simple") => {}
            Some("single") => return Ok(Place::single()),
            Some(other) => return Err(PlaceError::Method { name: other.to_owned() }),
        }
        match config.get("bootstrap").filter(|_| method.as_deref() != Some("simple")) {
            Some(table) => return hosts::place(table, attrs, hostname).map_err(PlaceError::Hosts),
            None if method.as_deref() == Some("config") => return Err(PlaceError::NoTable),
            None => {}
        }
        let is_job = env("FLUX_JOB_ID").is_some();
        match Group::from_env(env)? {
            None if method.is_some() => Err(PlaceError::NoPmi),
            None => Ok(Place::single()),
            Some(group) if group.size == 1 => {
                // Other launchers know nothing that a broker on its own needs.
                if is_job {
                    note_level(&mut group.connect()?, attrs);
                }
                Ok(Place::single())
            }
            Some(group) => by_pmi(group, attrs, hostname),
        }
    }
}

/// How deep this instance lies in others; other launchers, and the test sessions of `flux start`, say nothing.
fn note_level(client: &mut Client, attrs: &mut Attrs) {
    if let Ok(level) = client.get("flux.instance-level") {
        attrs.set("instance-level", level);
    }
}

impl Place {
    /// Brokers of an instance that is started as a whole have no state of their own: rank 0 has the log and the store.
    pub(super) fn keeps_state(&self, attrs: &Attrs) -> bool {
        self.rank == 0 || attrs.get("broker.boot-method") == Some("config")
    }
}

/// What a broker tells the others of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Card {
    host: String,
    key: PublicKey,
    /// Empty if it has no children.
    address: String,
}

impl Card {
    fn encode(&self) -> String {
        let key: String = self.key.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{},{key},{}", self.host, self.address)
    }

    fn decode(text: &str) -> Option<Card> {
        let mut words = text.split(',');
        let (host, key, address) = (words.next()?, words.next()?, words.next()?);
        let mut bytes = [0; KEY_LEN];
        if !key.is_ascii() || key.len() != KEY_LEN * 2 || words.next().is_some() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&key[at * 2..at * 2 + 2], 16).ok()?;
        }
        Some(Card { host: host.to_owned(), key: PublicKey(bytes), address: address.to_owned() })
    }
}

fn by_pmi(group: Group, attrs: &mut Attrs, hostname: &str) -> Result<Place, PlaceError> {
    let Group { rank, size, .. } = group;
    let tree = Tree::named(attrs.get("tbon.topo").unwrap_or("kary:32"), size)?;
    let mut client = group.connect()?;
    note_level(&mut client, attrs);
    let own = new_key()?;
    let has_children = !tree.children(rank).is_empty();
    let listener = has_children.then(|| listen(attrs.get("tbon.interface-hint"), hostname)).transpose()?;
    let address = listener.as_ref().map_or(String::new(), |(_, address)| address.to_string());
    let card = Card { host: hostname.to_owned(), key: own.public, address: address.clone() };
    client.put(&key_of(rank), &card.encode())?;
    client.barrier()?;
    let parent = match tree.parent(rank) {
        Some(parent) => {
            let card = look_up(&mut client, parent)?;
            attrs.set("tbon.parent-endpoint", format!("tcp://{}", card.address));
            Some((card.address, card.key))
        }
        None => None,
    };
    if rank == 0 {
        let cards: Vec<Card> = (0..size).map(|rank| look_up(&mut client, rank)).collect::<Result<_, _>>()?;
        let mut hosts = Hostlist::new();
        for (rank, card) in cards.iter().enumerate() {
            let bad = || PlaceError::Card { rank: rank as u32, text: card.encode() };
            hosts.push(&card.host).map_err(|_| bad())?;
        }
        attrs.set("hostlist", hosts.to_string());
        if let Some(mapping) = mapping(&mut client, size) {
            attrs.set("broker.mapping", mapping);
        }
    }
    let mut allowed = std::collections::BTreeSet::new();
    for child in tree.children(rank) {
        allowed.insert(look_up(&mut client, *child)?.key);
    }
    client.finalize()?;
    attrs.set("broker.boot-method", "simple");
    if has_children {
        attrs.set("tbon.endpoint", format!("tcp://{address}"));
    }
    let listener = listener.map(|(socket, _)| Door::Tcp(socket));
    Ok(Place { rank, tree, peers: Some(PeersSetup::new(own, allowed, listener, parent)) })
}

/// Which brokers share a node, as the server says (RFC 13); `None` if it says nothing.
fn mapping(client: &mut Client, size: u32) -> Option<String> {
    let said = ["flux.taskmap", "PMI_process_mapping"].into_iter().find_map(|key| {
        let map = Taskmap::parse(&client.get(key).ok()?).ok()?;
        (map.ntasks() == size as usize).then_some(map)
    });
    said.map(|map| map.to_value().to_string())
}

fn key_of(rank: u32) -> String {
    format!("flux.broker.{rank}")
}

fn look_up(client: &mut Client, rank: u32) -> Result<Card, PlaceError> {
    let text = client.get(&key_of(rank))?;
    Card::decode(&text).ok_or(PlaceError::Card { rank, text })
}

fn new_key() -> Result<KeyPair, PlaceError> {
    let mut seed = [0; KEY_LEN];
    flux_sys::random::fill(&mut seed).map_err(PlaceError::Random)?;
    Ok(KeyPair::from_seed(seed))
}

/// Listens on a free port of the address that other hosts reach, found as `tbon.interface-hint` says: that of the default
/// route or of the host's name, of an interface, or in a network.
fn listen(hint: Option<&str>, hostname: &str) -> Result<(TcpListener, SocketAddr), PlaceError> {
    let found = |hint: &str| {
        let by_name = || flux_sys::hosts::resolve(&format!("{hostname}:0")).map(|address| Some(address.ip()));
        match hint {
            "hostname" => by_name(),
            _ if hint.contains('/') => flux_sys::interface::address_in(hint),
            _ => match hint.parse() {
                Ok(address) => Ok(Some(address)),
                Err(_) => flux_sys::interface::address_of(hint, false),
            },
        }
    };
    let address = match hint {
        None | Some("" | "default-route") => default_route(),
        Some(hint) => match found(hint) {
            Ok(Some(address)) => address,
            Ok(None) => return Err(PlaceError::Hint { hint: hint.to_owned(), why: "no such address here".to_owned() }),
            Err(error) => return Err(PlaceError::Hint { hint: hint.to_owned(), why: error.to_string() }),
        },
    };
    let bound = TcpListener::bind((address, 0)).and_then(|socket| {
        let address = socket.local_addr()?;
        Ok((socket, address))
    });
    bound.map_err(|error| PlaceError::Listen { address, error })
}

/// The address from which this host would talk to the world; nothing is sent to find out.
fn default_route() -> IpAddr {
    const ANYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);
    let found = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(ANYWHERE)?;
        socket.local_addr()
    });
    found.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_comes_back_as_it_was_and_nonsense_does_not() {
        let card = Card { host: "n1".into(), key: PublicKey([171; 32]), address: "10.0.0.1:77".into() };
        assert_eq!(Card::decode(&card.encode()), Some(card.clone()));
        let text = card.encode();
        for bad in ["", "a,b,c", &text[..60], &format!("{text},"), &text.replace("ab", "zz")] {
            assert_eq!(Card::decode(bad), None, "{bad}");
        }
    }
}
