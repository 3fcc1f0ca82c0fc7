//! The links to other brokers: what goes over which, and what happens when one comes or goes.
//!
//! A broker connects to its parent and says `overlay.hello`; the answer lets it in. From then on requests go up and down by
//! rank or service, responses go back by their route (RFC 3), events go up to rank 0 and from there down to all.

mod hello;
mod liveness;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use flux_overlay::{Family, Status, Tracker, Tree};
use flux_service::{Fault, LogLevel, Mono, Now, Plant, planted};
use flux_wire::{Body, Errno, Kind, Message, Rank, RouteId};
use serde_json::Value;

use crate::limits::UPWARD_MAX;
use crate::node::{Hop, Node, Output};
use crate::route::Endpoint;
use crate::trace::Way;

/// A connection to another broker, named by the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Which way a link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Parent,
    Child,
}

/// A node's place among the brokers.
#[derive(Clone, Debug)]
pub struct OverlaySetup {
    pub tree: Tree,
    /// What rank 0 is told of this node before it counts as there: the payload of `resource.topo-reduce`.
    pub announce: Option<Value>,
}

impl OverlaySetup {
    /// An instance of one broker.
    pub fn single() -> OverlaySetup {
        OverlaySetup { tree: Tree::named("kary:0", 1).expect("one is a size"), announce: None }
    }
}

/// Control messages between brokers (RFC 3): what their `kind` says.
mod control {
    /// The sender is alive, and had nothing else to say for a while.
    pub(super) const HEARTBEAT: u32 = 0;
    /// `status` is the sender's, with all below it.
    pub(super) const STATUS: u32 = 1;
    /// The sender leaves for good.
    pub(super) const GOODBYE: u32 = 2;
    /// The receiver is to leave: somebody cut it off (`flux overlay disconnect`).
    pub(super) const DISCONNECT: u32 = 3;
}

/// A broker is gone without a word: what was asked over it has nobody to hear the answers.
pub(crate) const LOST_EVENT: &str = "overlay.lost";
/// Why a child is gone that somebody disconnected.
const CUT_OFF: &str = "administrative disconnect";
/// What health reports say of a child whose link broke.
const LOST: &str = "lost connection";

struct Link {
    side: Side,
    /// The peer, once it was greeted.
    peer: Option<(u32, RouteId)>,
    tracker: Tracker,
    /// When the peer was last heard of.
    heard: Mono,
}

/// All that the node knows of its neighbours.
pub(crate) struct Links {
    pub(crate) tree: Tree,
    pub(crate) family: Family,
    announce: Option<Value>,
    links: BTreeMap<LinkId, Link>,
    /// The parent, once it has let us in.
    parent: Option<LinkId>,
    children: BTreeMap<u32, LinkId>,
    /// What goes up once the parent is there.
    upward: Vec<Message>,
    told_parent: Status,
    /// Streams of `overlay.monitor` and `overlay.health`.
    monitors: Vec<Message>,
    healths: Vec<Message>,
    /// Children that said hello before our own parent has let us in.
    early: Vec<(LinkId, Message)>,
    /// When something was last sent to the parent.
    sent_up: Mono,
    /// When to look next who is silent.
    check_at: Option<Mono>,
    /// Event prefixes that clients below listen to, by child, and those the parent was told of.
    pub(crate) subscribed: BTreeMap<u32, BTreeSet<String>>,
    pub(crate) told_subscribed: BTreeSet<String>,
    /// The parent has gone: there is nothing to wait for any more.
    pub(crate) orphaned: bool,
}

impl Links {
    pub(crate) fn new(rank: Rank, setup: OverlaySetup, now: Now) -> Links {
        let family = Family::new(&setup.tree, rank.0, now.mono);
        Links {
            told_parent: family.status(),
            family,
            tree: setup.tree,
            announce: setup.announce,
            links: BTreeMap::new(),
            parent: None,
            children: BTreeMap::new(),
            upward: Vec::new(),
            monitors: Vec::new(),
            healths: Vec::new(),
            early: Vec::new(),
            sent_up: now.mono,
            check_at: None,
            subscribed: BTreeMap::new(),
            told_subscribed: BTreeSet::new(),
            orphaned: false,
        }
    }

    pub(crate) fn is_joined(&self) -> bool {
        self.parent.is_some()
    }

    /// When the node's timer has work here.
    pub(crate) fn next_timer(&self) -> Option<Mono> {
        self.check_at
    }

    pub(crate) fn has_children(&self) -> bool {
        !self.children.is_empty()
    }

    pub(crate) fn announcement(&self) -> Option<Value> {
        self.announce.clone()
    }
}

impl Node {
    pub(crate) fn link_up(&mut self, link: LinkId, side: Side) {
        let heard = self.now.mono;
        self.links.links.insert(link, Link { side, peer: None, tracker: Tracker::default(), heard });
        self.links.check_at.get_or_insert(heard);
        if side == Side::Parent {
            self.say_hello(link);
        }
    }

    pub(crate) fn link_message(&mut self, link: LinkId, message: Message) {
        let Some(Link { side, peer, heard, .. }) = self.links.links.get_mut(&link) else { return };
        let side = *side;
        *heard = self.now.mono;
        let peer = peer.clone();
        self.trace_link(peer.as_ref().map(|(rank, _)| *rank), Way::Received, &message);
        let Some((rank, uuid)) = peer else {
            return match (side, message.kind()) {
                (Side::Parent, Kind::Response) => self.route_response(message),
                (Side::Child, Kind::Request) if message.topic() == "overlay.hello" => self.knocked(link, message),
                _ => self.drop_link(link, "it did not say hello first"),
            };
        };
        if side == Side::Child {
            self.heard_of(rank);
        }
        let Some(Link { tracker, .. }) = self.links.links.get_mut(&link) else { return };
        match message.body {
            Body::Request { .. } if message.route.as_ref().and_then(|route| route.last()) == Some(&uuid) => {
                self.queue.push_back((Hop::Link(link), message));
            }
            Body::Request { .. } => self.drop_link(link, "it sent a request in another's name"),
            Body::Response { .. } => {
                // The tracker's entry has the route as it was before it left here.
                tracker.answered(&message);
                self.route_response(message);
            }
            Body::Event { .. } if side == Side::Child => self.queue.push_back((Hop::Link(link), message)),
            Body::Event { seq } => self.event_from_parent(seq, &message),
            Body::Control { kind: control::STATUS, status } if side == Side::Child => {
                let status = Status::from_number(status).unwrap_or(Status::Degraded);
                self.links.family.reported(rank, status, self.now.mono);
                self.family_changed(rank);
            }
            Body::Control { kind: control::DISCONNECT, .. } if side == Side::Parent => {
                let text = format!("{} (rank {rank}) sent disconnect control message", self.host_of(rank));
                self.log(LogLevel::Crit, "overlay", &text);
                self.outputs.push(Output::LinkClose { link });
                self.link_down(link, "it was told to disconnect us");
            }
            Body::Control { kind: control::GOODBYE, .. } if side == Side::Child => self.child_gone(link, None),
            Body::Control { .. } => {} // A later broker may know more of them.
        }
    }

    fn event_from_parent(&mut self, seq: u32, message: &Message) {
        let want = self.core.event_seq.wrapping_add(1);
        if seq < want {
            return self.log(LogLevel::Debug, "overlay", &format!("duplicate event {seq}"));
        }
        if seq > want {
            let text = match seq - 1 {
                last if last == want => format!("lost event {want}"),
                last => format!("lost events {want}-{last}"),
            };
            self.log(LogLevel::Err, "overlay", &text);
        }
        self.core.event_seq = seq;
        self.distribute(message);
    }

    pub(crate) fn link_down(&mut self, link: LinkId, why: &str) {
        match self.links.links.get(&link).map(|link| link.side) {
            Some(Side::Child) => self.child_gone(link, Some(why)),
            Some(Side::Parent) => self.parent_gone(link, why),
            None => {}
        }
    }

    /// Ends a link whose peer is not to be trusted.
    fn drop_link(&mut self, link: LinkId, why: &str) {
        self.log(LogLevel::Err, "overlay", &format!("link {} dropped: {why}", link.0));
        self.outputs.push(Output::LinkClose { link });
        self.link_down(link, why);
    }

    /// A child left: with a word, or lost for the reason `why`.
    pub(crate) fn child_gone(&mut self, link: LinkId, why: Option<&str>) {
        self.links.early.retain(|(early, _)| *early != link);
        let Some(Link { peer, mut tracker, .. }) = self.links.links.remove(&link) else { return };
        if why.is_none() {
            self.outputs.push(Output::LinkClose { link });
        }
        let Some((rank, uuid)) = peer else { return };
        self.links.children.remove(&rank);
        self.subscribers_changed |= self.links.subscribed.remove(&rank).is_some();
        self.hops.remove(&uuid);
        let error = why.map(|why| if why == CUT_OFF { why } else { LOST }.to_owned());
        self.links.family.left(rank, error, self.now.mono);
        self.log_gone(rank, why);
        self.answer_lost(&mut tracker);
        self.broker_lost(&uuid);
        if why.is_some() {
            // Those who asked over it may have asked far away.
            self.core_cx(|cx| cx.publish(LOST_EVENT, serde_json::json!({"uuid": &*uuid})));
        }
        let ranks = self.links.tree.subtree(rank).to_string();
        let body = serde_json::json!({"ranks": ranks});
        // Without a module of groups here, the broker above takes it.
        self.core_cx(|cx| cx.notify("groups.lost", flux_wire::Target::Any, body));
        self.family_changed(rank);
    }

    fn log_gone(&mut self, rank: u32, why: Option<&str>) {
        let host = self.host_of(rank);
        let Some(why) = why else {
            return self.log(LogLevel::Debug, "overlay", &format!("{host} (rank {rank}) said goodbye"));
        };
        let others = match self.links.tree.subtree(rank).count() - 1 {
            0 => String::new(),
            others => format!(" and severed contact with {others} other nodes"),
        };
        let how = if why == CUT_OFF { "disconnected by request" } else { "failed" };
        self.log(LogLevel::Err, "overlay", &format!("{host} (rank {rank}) {how}{others}"));
        self.log(LogLevel::Debug, "overlay", &format!("link to rank {rank}: {why}"));
    }

    /// The child that this request came from.
    pub(crate) fn child_of(&self, request: &Message) -> Option<u32> {
        let hop = request.route.as_ref()?.last()?;
        self.links.links.values().find_map(|link| {
            let (rank, uuid) = link.peer.as_ref()?;
            (link.side == Side::Child && uuid == hop).then_some(*rank)
        })
    }

    /// The name of a rank's host, as far as it is known.
    pub(crate) fn host_of(&self, rank: u32) -> String {
        let hosts = self.attrs.get("hostlist").and_then(|text| flux_types::Hostlist::parse(text).ok());
        hosts.and_then(|hosts| hosts.nth(rank as usize)).map_or_else(|| "(unknown)".to_owned(), |host| host.to_string())
    }

    fn parent_gone(&mut self, link: LinkId, why: &str) {
        let Some(Link { peer, mut tracker, .. }) = self.links.links.remove(&link) else { return };
        if let Some((_, uuid)) = peer {
            self.hops.remove(&uuid);
        }
        self.links.parent = None;
        self.links.orphaned = true;
        self.answer_lost(&mut tracker);
        for message in std::mem::take(&mut self.links.upward) {
            self.answer(&message, Err(Fault::from(Errno::EHOSTUNREACH)));
        }
        self.parent_lost(why);
    }

    /// A broker is gone without a word, and with it all who asked over it: each service takes leave of them as of a client.
    pub(crate) fn broker_lost(&mut self, uuid: &str) {
        if planted(Plant::ListenersKept) {
            return;
        }
        let cred = self.owner_cred();
        let offered = self.names.iter().filter(|(_, endpoint)| !matches!(endpoint, Endpoint::Client(_)));
        let offered: Vec<(String, Endpoint)> = offered.map(|(name, endpoint)| (name.clone(), *endpoint)).collect();
        for (name, endpoint) in offered {
            let message = Message::gone(&name, uuid.into(), cred);
            match endpoint {
                Endpoint::Slot(owner) => drop(self.call(owner, |service, cx| service.dispatch(cx, &message))),
                _ => self.core_request(&message),
            }
        }
    }

    fn answer_lost(&mut self, tracker: &mut Tracker) {
        for request in tracker.take() {
            if planted(Plant::LostRequestsForgotten) {
                continue;
            }
            // What came from another broker, and was to go on to a third.
            let came = || self.hops.get(request.route.as_ref()?.last()?);
            if planted(Plant::PassingForgotten) && matches!(came(), Some(Hop::Link(_))) {
                continue;
            }
            self.answer(&request, Err(Fault::from(Errno::EHOSTUNREACH)));
        }
    }

    /// Sends over a link; what asks for an answer is remembered.
    pub(crate) fn send_link(&mut self, link: LinkId, mut message: Message) {
        let Some(known) = self.links.links.get_mut(&link) else { return };
        if known.side == Side::Parent {
            self.links.sent_up = self.now.mono;
        }
        if message.kind() == Kind::Request {
            known.tracker.sent(&message);
            let own = &self.info.uuid;
            if message.route.as_ref().and_then(|route| route.last()) != Some(own) {
                message.push_route(own.clone());
            }
        }
        let peer = known.peer.as_ref().map(|(rank, _)| *rank);
        self.trace_link(peer, Way::Sent, &message);
        self.outputs.push(Output::LinkSend { link, message });
    }

    /// Towards rank 0. Before the parent is there it waits; after it has gone it fails.
    pub(crate) fn send_up(&mut self, message: Message) {
        match self.links.parent {
            Some(link) => self.send_link(link, message),
            None if self.links.orphaned => self.answer(&message, Err(Fault::from(Errno::EHOSTUNREACH))),
            None if self.links.upward.len() >= UPWARD_MAX => {
                let text = format!("more than {UPWARD_MAX} messages wait for the parent broker");
                self.answer(&message, Err(Fault::new(Errno::EAGAIN, text)));
            }
            None => self.links.upward.push(message),
        }
    }

    pub(crate) fn send_to_rank(&mut self, rank: Rank, message: Message) {
        if rank.0 >= self.links.tree.size() {
            return self.answer(&message, Err(Fault::from(Errno::EHOSTUNREACH)));
        }
        match self.links.tree.child_towards(self.info.rank.0, rank.0) {
            None if self.info.rank.is_root() => self.answer(&message, Err(Fault::from(Errno::EHOSTUNREACH))),
            None => self.send_up(message),
            Some(child) => match self.links.children.get(&child) {
                Some(link) => self.send_link(*link, message),
                None => self.answer(&message, Err(Fault::from(Errno::EHOSTUNREACH))),
            },
        }
    }

    /// An event goes on to all children.
    pub(crate) fn send_down(&mut self, event: &Message) {
        if !self.links.children.is_empty() {
            self.trace_link(None, Way::Sent, event);
        }
        let often = matches!(event.body, Body::Event { seq } if seq % 8 == 7);
        for (at, link) in self.links.children.values().enumerate() {
            if planted(Plant::EventNotSent) && often && at == 0 {
                continue;
            }
            self.outputs.push(Output::LinkSend { link: *link, message: event.clone() });
        }
    }

    /// Tells the parent, and who watches, how it stands below, after a change of this child.
    fn family_changed(&mut self, child: u32) {
        let status = self.links.family.status();
        if status != self.links.told_parent {
            self.links.told_parent = status;
            if let Some(link) = self.links.parent {
                self.send_link(link, Message::control(control::STATUS, status as u32));
            }
        }
        self.tell_monitors(child);
        self.tell_healths();
    }

    /// The last word to the parent.
    pub(crate) fn say_goodbye(&mut self) {
        if let Some(link) = self.links.parent {
            self.send_link(link, Message::control(control::GOODBYE, 0));
        }
    }
}
