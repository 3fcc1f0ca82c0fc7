//! Links to other brokers: TCP (or local sockets), encrypted as CurveZMQ does.
//!
//! The parent's address is known from the start and tried until it answers; children connect to us.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use flux_broker::{LinkId, Side};
use flux_service::Mono;
use flux_wire::crypto::{KEY_LEN, KeyPair, PublicKey};
use flux_wire::zmtp::{Allowed, Connection, Event, Security, SocketType};
use flux_wire::{Message, decode, encode};
use mio::{Interest, Registry, Token};

use crate::limits::{
    CONNECT_PAUSE_MS, CONNECT_PAUSE_MS_MAX, HANDSHAKE_MS_MAX, PEER_OUTPUT_BYTES_MAX, READ_TURN_BYTES, STRANGERS_MAX,
};
use crate::node::Input;
use crate::socket::{Door, LOCAL, OpenDoor, Socket};
use crate::stderr;
use crate::tokens::{Ring, Tokens};

/// How this broker reaches others, and they it.
#[derive(Debug)]
pub struct PeersSetup {
    pub own: KeyPair,
    /// Keys that children prove.
    pub allowed: BTreeSet<PublicKey>,
    pub listener: Option<Door>,
    /// Address (`HOST:PORT` or `ipc://PATH`) and key.
    pub parent: Option<(String, PublicKey)>,
    /// How long a peer may leave what it was sent without acknowledgement; `None`: as long as the system lets it.
    pub user_timeout: Option<Duration>,
    /// How long one try to reach the parent may take.
    pub connect_timeout: Option<Duration>,
}

impl PeersSetup {
    pub fn new(
        own: KeyPair,
        allowed: BTreeSet<PublicKey>,
        listener: Option<Door>,
        parent: Option<(String, PublicKey)>,
    ) -> PeersSetup {
        PeersSetup { own, allowed, listener, parent, user_timeout: None, connect_timeout: None }
    }
}

struct Peer {
    stream: Socket,
    zmtp: Connection,
    side: Side,
    sent: usize,
    readable: bool,
    writable: bool,
    hung_up: bool,
    /// The node knows of it.
    told: bool,
    ready_by: Mono,
}

struct Parent {
    address: String,
    key: PublicKey,
    pause_ms: u64,
    /// When to try next; `None` while a try is under way, or when it was reached once.
    retry_at: Option<Mono>,
}

/// All links of this broker.
pub(crate) struct Peers {
    own: KeyPair,
    allowed: Arc<BTreeSet<PublicKey>>,
    listener: Option<(Token, OpenDoor)>,
    parent: Option<Parent>,
    links: HashMap<Token, Peer>,
    ready: Ring,
    unsent: BTreeSet<Token>,
    accept: bool,
    user_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
}

impl Peers {
    pub(crate) fn new(setup: PeersSetup, registry: &Registry, tokens: &mut Tokens) -> io::Result<Peers> {
        flux_wire::crypto::init();
        let listener = match setup.listener {
            Some(door) => {
                let token = tokens.next();
                Some((token, OpenDoor::new(door, registry, token)?))
            }
            None => None,
        };
        let parent = setup.parent.map(|(address, key)| Parent {
            address,
            key,
            pause_ms: CONNECT_PAUSE_MS,
            retry_at: Some(Mono::default()),
        });
        Ok(Peers {
            own: setup.own,
            allowed: Arc::new(setup.allowed),
            listener,
            parent,
            links: HashMap::new(),
            ready: Ring::default(),
            unsent: BTreeSet::new(),
            accept: true,
            user_timeout: setup.user_timeout,
            connect_timeout: setup.connect_timeout,
        })
    }

    /// Takes an event that is about a link; `false` if it is about something else.
    pub(crate) fn note(&mut self, event: &mio::event::Event) -> bool {
        let token = event.token();
        if self.listener.as_ref().is_some_and(|(own, _)| *own == token) {
            self.accept = true;
            return true;
        }
        let Some(peer) = self.links.get_mut(&token) else { return false };
        peer.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        peer.hung_up |= event.is_read_closed() || event.is_error();
        peer.writable |= event.is_writable() || event.is_write_closed();
        self.ready.insert(token);
        self.unsent.insert(token);
        true
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(crate) fn next_deadline(&self) -> Option<Mono> {
        let strangers = self.links.values().filter(|peer| !peer.told).map(|peer| peer.ready_by);
        strangers.chain(self.parent.as_ref().and_then(|parent| parent.retry_at)).min()
    }

    /// Accepts, connects and reads; what came goes into `inbox`.
    pub(crate) fn service(
        &mut self,
        mono: Mono,
        (registry, tokens): (&Registry, &mut Tokens),
        chunk: &mut [u8],
        inbox: &mut impl Extend<Input>,
    ) {
        if std::mem::take(&mut self.accept) {
            self.accept_all(mono, registry, tokens);
        }
        if self.parent.as_ref().is_some_and(|parent| parent.retry_at.is_some_and(|at| at <= mono)) {
            self.connect(mono, registry, tokens);
        }
        for token in self.ready.take_round() {
            match self.receive_from(token, chunk, inbox) {
                Ok(()) => self.unsent.insert(token),
                Err(why) => {
                    self.lose(token, &why, mono, inbox);
                    false
                }
            };
        }
        let late = |peer: &Peer| !peer.told && peer.ready_by <= mono;
        let late: Vec<Token> = self.links.iter().filter(|(_, peer)| late(peer)).map(|(token, _)| *token).collect();
        for token in late {
            self.lose(token, "it did not prove who it is in time", mono, inbox);
        }
    }

    fn accept_all(&mut self, mono: Mono, registry: &Registry, tokens: &mut Tokens) {
        loop {
            let Some((_, listener)) = &self.listener else { return };
            let stream = match listener.accept() {
                Ok(stream) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => continue,
                Err(error) => {
                    stderr::line(&format!("flux-broker: a broker could not be taken in: {error}"));
                    return;
                }
            };
            if self.links.values().filter(|peer| !peer.told).count() >= STRANGERS_MAX {
                continue; // Dropped: it will try again.
            }
            let allowed = Allowed::Keys(self.allowed.clone());
            let Some(seed) = seed() else { continue };
            let security = Security::CurveServer { own: self.own.clone(), allowed, seed };
            let zmtp = Connection::new(SocketType::Router, security);
            self.insert(stream, zmtp, Side::Child, mono, registry, tokens);
        }
    }

    fn connect(&mut self, mono: Mono, registry: &Registry, tokens: &mut Tokens) {
        let Some(parent) = &mut self.parent else { return };
        parent.retry_at = None;
        let (server, address) = (parent.key, parent.address.clone());
        match Socket::connect(&address) {
            Ok(stream) => {
                let Some(seed) = seed() else { return };
                let security = Security::CurveClient { own: self.own.clone(), server, seed };
                let zmtp = Connection::new(SocketType::Dealer, security);
                self.insert(stream, zmtp, Side::Parent, mono, registry, tokens);
            }
            Err(error) => {
                // A local socket that is not there yet is nothing to speak of at once.
                if !address.starts_with(LOCAL) || parent.pause_ms > 1000 {
                    stderr::line(&format!("flux-broker: cannot connect to the parent broker at {address}: {error}"));
                }
                self.retry_later(mono);
            }
        }
    }

    fn retry_later(&mut self, mono: Mono) {
        let Some(parent) = &mut self.parent else { return };
        parent.retry_at = Some(mono.after(Duration::from_millis(parent.pause_ms)));
        parent.pause_ms = (parent.pause_ms * 2).min(CONNECT_PAUSE_MS_MAX);
    }

    fn insert(
        &mut self,
        mut stream: Socket,
        zmtp: Connection,
        side: Side,
        mono: Mono,
        registry: &Registry,
        tokens: &mut Tokens,
    ) {
        let token = tokens.next();
        if let Err(error) = registry.register(stream.source(), token, Interest::READABLE | Interest::WRITABLE) {
            stderr::line(&format!("flux-broker: a link could not be watched: {error}"));
            return;
        }
        if let Err(error) = stream.tune(self.user_timeout) {
            stderr::line(&format!("flux-broker: tbon.tcp_user_timeout has no effect: {error}"));
        }
        let handshake = Duration::from_millis(HANDSHAKE_MS_MAX);
        let patience = match side {
            Side::Parent => self.connect_timeout.unwrap_or(handshake),
            Side::Child => handshake,
        };
        let peer = Peer {
            stream,
            zmtp,
            side,
            sent: 0,
            readable: false,
            writable: side == Side::Child,
            hung_up: false,
            told: false,
            ready_by: mono.after(patience),
        };
        self.links.insert(token, peer);
        self.unsent.insert(token);
    }

    fn receive_from(&mut self, token: Token, chunk: &mut [u8], inbox: &mut impl Extend<Input>) -> Result<(), String> {
        let Some(peer) = self.links.get_mut(&token) else { return Ok(()) };
        let link = link_of(token);
        let mut taken = 0;
        while peer.readable && taken < READ_TURN_BYTES {
            let got = match peer.stream.read(chunk) {
                Ok(0) => return Err("the connection was closed".into()),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    peer.readable = false;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            taken += got;
            peer.readable = got == chunk.len() || peer.hung_up;
            let mut bad = None;
            let (side, told) = (peer.side, &mut peer.told);
            let outcome = peer.zmtp.receive(&chunk[..got], |event| match event {
                Event::Ready { .. } => {
                    *told = true;
                    inbox.extend([Input::LinkUp { link, side }]);
                }
                Event::Message(parts) => match parts.last().map(|part| decode(part)) {
                    Some(Ok(message)) => inbox.extend([Input::LinkMessage { link, message }]),
                    Some(Err(error)) => bad = Some(error.to_string()),
                    None => {}
                },
            });
            // What the peer is to know of its failure is sent if there is room.
            if outcome.is_err() {
                let _ = flush(peer);
            }
            outcome.map_err(|error| error.to_string())?;
            if let Some(error) = bad {
                return Err(error);
            }
        }
        if peer.readable {
            self.ready.insert(token);
        }
        Ok(())
    }

    /// A link is over. The node is told if it knew of it; a parent that was never reached is tried again.
    fn lose(&mut self, token: Token, why: &str, mono: Mono, inbox: &mut impl Extend<Input>) {
        let Some(peer) = self.forget(token) else { return };
        match (peer.told, peer.side) {
            (true, _) => inbox.extend([Input::LinkDown { link: link_of(token), why: why.to_owned() }]),
            (false, Side::Child) => {
                let from = peer.stream.peer().unwrap_or_else(|| "a broker".to_owned());
                stderr::line(&format!("flux-broker: {from} was not let in: {why}"));
            }
            (false, Side::Parent) => {
                if let Some(parent) = self.parent.as_ref().filter(|parent| parent.pause_ms > 1000) {
                    let at = &parent.address;
                    stderr::line(&format!("flux-broker: no link to the parent broker at {at} yet: {why}"));
                }
                self.retry_later(mono);
            }
        }
    }

    fn forget(&mut self, token: Token) -> Option<Peer> {
        self.ready.remove(token);
        self.unsent.remove(&token);
        self.links.remove(&token)
    }

    /// Queues a message. A link that is gone already takes it to its grave.
    pub(crate) fn send(&mut self, link: LinkId, message: &Message) {
        let token = token_of(link);
        if let Some(peer) = self.links.get_mut(&token).filter(|peer| peer.zmtp.is_ready()) {
            peer.zmtp.send(&[&encode(message)]);
            self.unsent.insert(token);
        }
    }

    pub(crate) fn close(&mut self, link: LinkId) {
        if let Some(mut peer) = self.forget(token_of(link)) {
            let _ = flush(&mut peer);
        }
    }

    /// Sends what is queued, as far as it goes.
    pub(crate) fn flush(&mut self, mono: Mono, inbox: &mut impl Extend<Input>) {
        for token in std::mem::take(&mut self.unsent) {
            let Some(peer) = self.links.get_mut(&token) else { continue };
            let outcome = flush(peer).map_err(|error| error.to_string());
            let queued = peer.zmtp.output().len() - peer.sent;
            let outcome = match outcome {
                Ok(()) if queued > PEER_OUTPUT_BYTES_MAX => Err(format!("{queued} bytes wait for it")),
                other => other,
            };
            if let Err(why) = outcome {
                self.lose(token, &why, mono, inbox);
            }
        }
    }

    /// Sends what is left; answers how many bytes no peer has taken yet.
    pub(crate) fn flush_at_exit(&mut self, mono: Mono) -> usize {
        self.flush(mono, &mut Vec::new());
        self.links.values_mut().filter(|peer| peer.told).map(|peer| peer.zmtp.output().len() - peer.sent).sum()
    }
}

fn flush(peer: &mut Peer) -> io::Result<()> {
    let out = peer.zmtp.output();
    while peer.writable && peer.sent < out.len() {
        match peer.stream.write(&out[peer.sent..]) {
            Ok(took) => peer.sent += took,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                peer.writable = false;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    if peer.sent == out.len() {
        out.clear();
        out.shrink_to(crate::limits::OUTPUT_BUFFER_KEEP);
        peer.sent = 0;
    } else if peer.sent > out.len() / 2 {
        out.drain(..peer.sent);
        peer.sent = 0;
    }
    Ok(())
}

/// Randomness for one connection's keys.
fn seed() -> Option<[u8; KEY_LEN]> {
    let mut seed = [0; KEY_LEN];
    match flux_sys::random::fill(&mut seed) {
        Ok(()) => Some(seed),
        Err(error) => {
            stderr::line(&format!("flux-broker: no link without randomness: {error}"));
            None
        }
    }
}

fn link_of(token: Token) -> LinkId {
    LinkId(token.0 as u64)
}

fn token_of(link: LinkId) -> Token {
    Token(link.0 as usize)
}
