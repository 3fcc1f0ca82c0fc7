//! Links that speak ZMTP with CURVE: their bytes go through the real state machines, and arrive in pieces.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use flux_broker::{Input, LinkId, Side};
use flux_service::Rng;
use flux_wire::crypto::{KeyPair, PublicKey};
use flux_wire::zmtp::{Allowed, Connection, Event, Security, SocketType};
use flux_wire::{Message, decode};

use crate::scenario::{between_us, percent};
use crate::world::{Action, World};

/// The two ends of a link.
pub(crate) struct Wire {
    child: Connection,
    parent: Connection,
    /// Its broker has heard that the link is there.
    pub(crate) child_up: bool,
    pub(crate) parent_up: bool,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire {{ child_up: {}, parent_up: {} }}", self.child_up, self.parent_up)
    }
}

fn keys_of(host: usize) -> KeyPair {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(host as u64).to_le_bytes());
    KeyPair::from_seed(seed)
}

fn seed(rng: &mut Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    seed.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&rng.next_u64().to_le_bytes()));
    seed
}

impl Wire {
    pub(crate) fn new(child: usize, parent: usize, hosts: usize, rng: &mut Rng) -> Wire {
        let keys: BTreeSet<PublicKey> = (0..hosts).map(|host| keys_of(host).public).collect();
        let server = keys_of(parent);
        let client = Security::CurveClient { own: keys_of(child), server: server.public, seed: seed(rng) };
        let allowed = Allowed::Keys(Arc::new(keys));
        let server = Security::CurveServer { own: server, allowed, seed: seed(rng) };
        Wire {
            child: Connection::new(SocketType::Dealer, client),
            parent: Connection::new(SocketType::Router, server),
            child_up: false,
            parent_up: false,
        }
    }

    fn end(&mut self, is_child: bool) -> &mut Connection {
        if is_child { &mut self.child } else { &mut self.parent }
    }

    /// Puts a message into the bytes of one end. Before the handshake is over it goes nowhere.
    pub(crate) fn send(&mut self, from_child: bool, encoded: &[u8]) {
        let end = self.end(from_child);
        if end.is_ready() {
            end.send(&[encoded]);
        }
    }

    /// What one end has to send, in pieces.
    fn pieces(&mut self, from_child: bool, rng: &mut Rng) -> Vec<Vec<u8>> {
        let mut rest = std::mem::take(self.end(from_child).output());
        let most = if percent(rng, 10) { 24 } else { 1 << 14 };
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let len = 1 + rng.below(most.min(rest.len() as u64)) as usize;
            let tail = rest.split_off(len);
            pieces.push(std::mem::replace(&mut rest, tail));
        }
        pieces
    }

    /// Takes bytes that came to one end.
    fn receive(&mut self, to_child: bool, bytes: &[u8]) -> Result<Vec<Message>, String> {
        let mut messages = Vec::new();
        let mut bad = None;
        let mut ready = false;
        let outcome = self.end(to_child).receive(bytes, |event| match event {
            Event::Ready { .. } => ready = true,
            Event::Message(parts) => match parts.last().map(|part| decode(part)) {
                Some(Ok(message)) => messages.push(message),
                Some(Err(error)) => bad = Some(error.to_string()),
                None => {}
            },
        });
        if ready {
            *(if to_child { &mut self.child_up } else { &mut self.parent_up }) = true;
        }
        match (outcome, bad) {
            (Ok(()), None) => Ok(messages),
            (Err(error), _) => Err(error.to_string()),
            (_, Some(bad)) => Err(bad),
        }
    }
}

impl World {
    /// Sends what one end of a link has to send.
    pub(crate) fn wire_flush(&mut self, link: LinkId, from_child: bool) {
        let Some(wire) = self.net.wire(link) else { return };
        let pieces = wire.pieces(from_child, &mut self.rng);
        for (number, bytes) in pieces.into_iter().enumerate() {
            let span = if number == 0 { self.latency() } else { between_us(&mut self.rng, 0, 40) };
            let when = self.net.slot(link, from_child, self.now + span);
            self.at(when, Action::Link { link, from_child, bytes: Some(bytes) });
        }
    }

    /// Bytes come to one end. `None`: they are no ZMTP.
    pub(crate) fn wire_hears(&mut self, link: LinkId, to_child: bool, bytes: &[u8]) -> Option<Vec<Message>> {
        let wire = self.net.wire(link)?;
        let was_up = if to_child { wire.child_up } else { wire.parent_up };
        let heard = wire.receive(to_child, bytes);
        let is_up = if to_child { wire.child_up } else { wire.parent_up };
        if is_up && !was_up {
            let (host, life) = self.net.end(link, to_child);
            let side = if to_child { Side::Parent } else { Side::Child };
            self.arrive(host, life, Input::LinkUp { link, side });
        }
        self.wire_flush(link, to_child);
        match heard {
            Ok(messages) => Some(messages),
            Err(why) => {
                self.violated("zmtp", format!("link {}: {why}", link.0));
                None
            }
        }
    }
}
