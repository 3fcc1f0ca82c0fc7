//! Which rank this broker has, of how many, and how it reaches the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use flux_broker::Attrs;
use flux_client::pmi::{Client, Group, PmiError};
use flux_overlay::{Tree, TreeError};
use flux_types::{Hostlist, Taskmap};
use flux_wire::crypto::{KEY_LEN, KeyPair, PublicKey};
use serde_json::Value;

use super::hosts::{self, HostsError};
use super::pals::{self, Application, PalsError};
use crate::{Door, PeersSetup};

/// Why the brokers did not find one another.
#[derive(Debug)]
pub(super) enum PlaceError {
    Pmi(PmiError),
    Hosts(HostsError),
    Pals(PalsError),
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
    NoPals,
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pmi(error) => error.fmt(f),
            Self::Hosts(error) => error.fmt(f),
            Self::Pals(error) => error.fmt(f),
            Self::Tree(error) => error.fmt(f),
            Self::Card { rank, text } => write!(f, "rank {rank} says of itself {text:?}, which is malformed"),
            Self::Listen { address, error } => write!(f, "could not listen at {address}: {error}"),
            Self::Hint { hint, why } => write!(f, "tbon.interface-hint={hint}: {why}"),
            Self::Method { name } => {
                write!(
                    f,
                    "plugin matching '{name}' not found: use config ([bootstrap]), simple (PMI-1), pals or single"
                )
            }
            Self::NoTable => f.write_str("broker.boot-method=config: the configuration has no [bootstrap]"),
            Self::NoPmi => f.write_str("broker.boot-method=simple: PMI_FD not found in environ"),
            Self::NoPals => f.write_str("broker.boot-method=pals: PALS_RANKID or PALS_APINFO not found in environ"),
            Self::Random(error) => write!(f, "could not draw a key: {error}"),
        }
    }
}

impl From<PmiError> for PlaceError {
    fn from(error: PmiError) -> PlaceError {
        PlaceError::Pmi(error)
    }
}

impl From<PalsError> for PlaceError {
    fn from(error: PalsError) -> PlaceError {
        PlaceError::Pals(error)
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
        let trace = Trace { on: env("FLUX_PMI_DEBUG").is_some() };
        if let Some(method) = attrs.get("broker.boot-method").map(str::to_owned) {
            return Way::named(&method, config, &env)?.go(attrs, hostname, &env, trace);
        }
        let mut last = None;
        for method in env("FLUX_PMI_CLIENT_METHODS").unwrap_or(METHODS).split_whitespace() {
            trace.say(format_args!("flux-pmi-client: trying '{method}'"));
            match Way::named(method, config, &env) {
                Ok(way) => {
                    trace.say(format_args!("{method}: selected"));
                    return way.go(attrs, hostname, &env, trace);
                }
                // What PALS says too little of is no reason to go on alone.
                Err(PlaceError::Pals(error)) => return Err(error.into()),
                Err(error) => {
                    trace.say(&error);
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or(PlaceError::Method { name: String::new() }))
    }
}

/// The ways to find the others, in the order in which they are tried.
const METHODS: &str = "config simple pals single";

/// What finding the others does, on standard error (`FLUX_PMI_DEBUG`).
#[derive(Clone, Copy)]
struct Trace {
    on: bool,
}

impl Trace {
    fn say(self, text: impl fmt::Display) {
        if self.on {
            crate::stderr::line(&format!("bootstrap: {text}"));
        }
    }

    fn outcome<T>(self, what: impl fmt::Display, result: &Result<T, PmiError>) {
        match result {
            Ok(_) => self.say(format_args!("simple: {what}: success")),
            Err(error) => self.say(format_args!("simple: {what}: {error}")),
        }
    }
}

/// A way that is open to this process.
enum Way<'a> {
    Config(&'a Value),
    Simple(Group),
    Pals(Application),
    Single,
}

impl<'a> Way<'a> {
    /// # Errors
    /// Why it is not open, or unknown.
    fn named<'e>(name: &str, config: &'a Value, env: impl Fn(&str) -> Option<&'e str>) -> Result<Way<'a>, PlaceError> {
        match name {
            "config" => config.get("bootstrap").map(Way::Config).ok_or(PlaceError::NoTable),
            "simple" => Group::from_env(env)?.map(Way::Simple).ok_or(PlaceError::NoPmi),
            "pals" => Application::from_env(env)?.map(Way::Pals).ok_or(PlaceError::NoPals),
            "single" => Ok(Way::Single),
            other => Err(PlaceError::Method { name: other.to_owned() }),
        }
    }

    fn go<'e>(
        self,
        attrs: &mut Attrs,
        hostname: &str,
        env: impl Fn(&str) -> Option<&'e str>,
        trace: Trace,
    ) -> Result<Place, PlaceError> {
        let here = Here { hostname, ipv6: env("FLUX_IPADDR_V6").is_some() };
        match self {
            Way::Config(table) => hosts::place(table, attrs, hostname).map_err(PlaceError::Hosts),
            Way::Single => Ok(Place::single()),
            Way::Pals(application) => by_pals(application, attrs, here),
            Way::Simple(group) if group.size == 1 => {
                // Other launchers know nothing that a broker on its own needs.
                if env("FLUX_JOB_ID").is_some() {
                    note_level(&mut group.connect()?, attrs);
                }
                Ok(Place::single())
            }
            Way::Simple(group) => by_pmi(group, attrs, here, trace),
        }
    }
}

/// The host that this broker is on.
#[derive(Clone, Copy)]
struct Here<'a> {
    hostname: &'a str,
    /// Its IPv6 addresses are preferred.
    ipv6: bool,
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

fn by_pmi(group: Group, attrs: &mut Attrs, here: Here<'_>, trace: Trace) -> Result<Place, PlaceError> {
    let Group { rank, size, .. } = group;
    let joining = Joining::begin(rank, size, attrs, here)?;
    let mut client = group.connect()?;
    trace.say(format_args!("simple: initialize: rank={rank} size={size} name={}: success", client.space()));
    note_level(&mut client, attrs);
    let card = joining.card.encode();
    let put = client.put(&key_of(rank), &card);
    trace.outcome(format_args!("put key={} value={card}", key_of(rank)), &put);
    put?;
    let barrier = client.barrier();
    trace.outcome("barrier", &barrier);
    barrier?;
    let mut cards = BTreeMap::new();
    for rank in joining.wants() {
        let card = client.get(&key_of(rank));
        let value = card.as_deref().unwrap_or_default();
        trace.outcome(format_args!("get key={} value={value}", key_of(rank)), &card);
        cards.insert(rank, card?);
    }
    if let Some(mapping) = mapping(&mut client, size).filter(|_| rank == 0) {
        attrs.set("broker.mapping", mapping);
    }
    let end = client.finalize();
    trace.outcome("finalize", &end);
    end?;
    attrs.set("broker.boot-method", "simple");
    joining.end(&cards, attrs)
}

fn by_pals(application: Application, attrs: &mut Attrs, here: Here<'_>) -> Result<Place, PlaceError> {
    attrs.set("broker.boot-method", "pals");
    let (rank, size) = (application.rank, application.size());
    if size == 1 {
        return Ok(Place::single());
    }
    let joining = Joining::begin(rank, size, attrs, here)?;
    let cards = pals::meet(&application, &joining.card.encode(), &joining.wants())?;
    if let Some(mapping) = application.mapping().ok().filter(|_| rank == 0) {
        attrs.set("broker.mapping", mapping.to_value().to_string());
    }
    joining.end(&cards, attrs)
}

/// A broker that finds the others by an exchange of cards.
struct Joining {
    rank: u32,
    tree: Tree,
    own: KeyPair,
    listener: Option<TcpListener>,
    card: Card,
}

impl Joining {
    fn begin(rank: u32, size: u32, attrs: &Attrs, here: Here<'_>) -> Result<Joining, PlaceError> {
        let tree = Tree::named(attrs.get("tbon.topo").unwrap_or("kary:32"), size)?;
        let own = new_key()?;
        let has_children = !tree.children(rank).is_empty();
        let listener = has_children.then(|| listen(attrs.get("tbon.interface-hint"), here)).transpose()?;
        let address = listener.as_ref().map_or(String::new(), |(_, address)| address.to_string());
        let card = Card { host: here.hostname.to_owned(), key: own.public, address };
        Ok(Joining { rank, tree, own, listener: listener.map(|(socket, _)| socket), card })
    }

    /// The ranks whose cards it needs: rank 0 names the hosts of all, the others know their neighbours.
    fn wants(&self) -> Vec<u32> {
        match self.rank {
            0 => (0..self.tree.size()).collect(),
            rank => self.tree.parent(rank).into_iter().chain(self.tree.children(rank).iter().copied()).collect(),
        }
    }

    fn end(self, cards: &BTreeMap<u32, String>, attrs: &mut Attrs) -> Result<Place, PlaceError> {
        let card = |rank: u32| {
            let text = cards.get(&rank).map_or("", String::as_str);
            Card::decode(text).ok_or_else(|| PlaceError::Card { rank, text: text.to_owned() })
        };
        let parent = match self.tree.parent(self.rank) {
            Some(parent) => {
                let card = card(parent)?;
                attrs.set("tbon.parent-endpoint", format!("tcp://{}", card.address));
                Some((card.address, card.key))
            }
            None => {
                let mut hosts = Hostlist::new();
                for rank in 0..self.tree.size() {
                    let card = card(rank)?;
                    hosts.push(&card.host).map_err(|_| PlaceError::Card { rank, text: card.encode() })?;
                }
                attrs.set("hostlist", hosts.to_string());
                None
            }
        };
        let children = self.tree.children(self.rank).iter();
        let allowed = children.map(|child| Ok(card(*child)?.key)).collect::<Result<BTreeSet<_>, PlaceError>>()?;
        if self.listener.is_some() {
            attrs.set("tbon.endpoint", format!("tcp://{}", self.card.address));
        }
        let listener = self.listener.map(Door::Tcp);
        Ok(Place {
            rank: self.rank,
            tree: self.tree,
            peers: Some(PeersSetup::new(self.own, allowed, listener, parent)),
        })
    }
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

fn new_key() -> Result<KeyPair, PlaceError> {
    let mut seed = [0; KEY_LEN];
    flux_sys::random::fill(&mut seed).map_err(PlaceError::Random)?;
    Ok(KeyPair::from_seed(seed))
}

/// Listens on a free port of the address that other hosts reach, found as `tbon.interface-hint` says: that of the default
/// route or of the host's name, of an interface, or in a network.
fn listen(hint: Option<&str>, here: Here<'_>) -> Result<(TcpListener, SocketAddr), PlaceError> {
    let found = |hint: &str| {
        let by_name = || flux_sys::hosts::resolve(&format!("{}:0", here.hostname)).map(|address| Some(address.ip()));
        match hint {
            "hostname" => by_name(),
            _ if hint.contains('/') => flux_sys::interface::address_in(hint),
            _ => match hint.parse() {
                Ok(address) => Ok(Some(address)),
                Err(_) => flux_sys::interface::address_of(hint, here.ipv6),
            },
        }
    };
    let address = match hint {
        None | Some("" | "default-route") => default_route(here.ipv6),
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
fn default_route(ipv6: bool) -> IpAddr {
    const ANYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);
    const ANYWHERE_V6: (Ipv6Addr, u16) = (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9);
    let v4 = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(ANYWHERE)?;
        socket.local_addr()
    };
    let v6 = || {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
        socket.connect(ANYWHERE_V6)?;
        socket.local_addr()
    };
    let found = if ipv6 { v6().or_else(|_: io::Error| v4()) } else { v4() };
    found.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address: SocketAddr| address.ip())
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
