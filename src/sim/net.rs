//! The links between brokers: delays, order, breaking, partitions.
//!
//! What TCP promises holds here: on one link nothing is lost or overtakes, until the link is gone. Links know nothing of
//! one another.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use flux_broker::{Input, LinkId, Side};
use flux_wire::{Kind, Message, decode, encode};

use crate::bytes::Wire;
use crate::host::named;
use crate::scale::Traffic;
use crate::scenario::{Fault, between_us};
use crate::world::{Action, World};

#[derive(Debug)]
struct Link {
    child: usize,
    parent: usize,
    child_life: u32,
    parent_life: u32,
    /// Broken: nothing arrives any more.
    broken: bool,
    /// This end has closed it or noticed its end: nothing more is said to it.
    child_done: bool,
    parent_done: bool,
    /// When the last thing on its way arrives.
    to_child: Duration,
    to_parent: Duration,
    /// What a partition holds up, in its order: TCP sends it again until it arrives, or gives up.
    held_to_child: VecDeque<Option<Vec<u8>>>,
    held_to_parent: VecDeque<Option<Vec<u8>>>,
    /// It speaks ZMTP.
    wire: Option<Box<Wire>>,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    links: BTreeMap<LinkId, Link>,
    last: u64,
    /// Hosts that are cut off from all others, until when.
    cut: BTreeMap<usize, Duration>,
    /// Messages between brokers so far, but for heartbeats and signs of life.
    pub(crate) traffic: Traffic,
}

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A link that is silent for so long is given up by TCP.
const SILENCE_MAX: Duration = Duration::from_secs(20);

impl Network {
    /// When the last partition is over.
    pub(crate) fn healed_at(&self) -> Duration {
        self.cut.values().copied().max().unwrap_or_default()
    }

    pub(crate) fn wire(&mut self, link: LinkId) -> Option<&mut Wire> {
        self.links.get_mut(&link).filter(|known| !known.broken)?.wire.as_deref_mut()
    }

    /// When the next thing arrives that is sent now and takes until `when`.
    pub(crate) fn slot(&mut self, link: LinkId, from_child: bool, when: Duration) -> Duration {
        let known = self.links.get_mut(&link).expect("a link that is there");
        let clear = if from_child { &mut known.to_parent } else { &mut known.to_child };
        *clear = when.max(*clear);
        *clear
    }

    /// The host at one end, and which life of its broker.
    pub(crate) fn end(&self, link: LinkId, is_child: bool) -> (usize, u32) {
        let known = &self.links[&link];
        if is_child { (known.child, known.child_life) } else { (known.parent, known.parent_life) }
    }

    fn cut_until(&self, a: usize, b: usize, now: Duration) -> Option<Duration> {
        let until = |host| self.cut.get(&host).copied().filter(|until| *until > now);
        until(a).max(until(b))
    }
}

impl World {
    fn parent_of(&self, at: usize) -> usize {
        self.tree.parent(at as u32).expect("rank 0 has no parent") as usize
    }

    pub(crate) fn connect_parent(&mut self, at: usize, life: u32, pause: Duration) {
        if !self.lives(at, life) {
            return;
        }
        let parent = self.parent_of(at);
        let refused = self.hosts[parent].node.is_none() || self.net.cut_until(at, parent, self.now).is_some();
        if refused {
            return self.after(pause, Action::Connect { host: at, life, pause: (pause * 2).min(PAUSE_MAX) });
        }
        self.net.last += 1;
        let link = LinkId(self.net.last);
        let parent_life = self.hosts[parent].life;
        let (first, second) = (between_us(&mut self.rng, 100, 2_000), between_us(&mut self.rng, 100, 2_000));
        let (to_parent, to_child) = (self.now + first, self.now + first + second);
        let known = Link {
            child: at,
            parent,
            child_life: life,
            parent_life,
            broken: false,
            child_done: false,
            parent_done: false,
            to_child,
            to_parent,
            held_to_child: VecDeque::new(),
            held_to_parent: VecDeque::new(),
            wire: self.scenario.zmtp.then(|| Box::new(Wire::new(at, parent, self.hosts.len(), &mut self.rng))),
        };
        self.net.links.insert(link, known);
        if self.scenario.zmtp {
            self.wire_flush(link, true);
            return self.wire_flush(link, false);
        }
        let up = |host, life, side| Action::Arrive { host, life, input: Input::LinkUp { link, side } };
        self.at(to_parent, up(parent, parent_life, Side::Child));
        self.at(to_child, up(at, life, Side::Parent));
    }

    /// Events reach a broker's clients when it and all above it have been let in.
    pub(crate) fn note_joins(&mut self) {
        for at in 0..self.clients.len() {
            let Some(conn) = self.clients[at].conn else { continue };
            let mut host = self.clients[at].host;
            while host > 0 && self.hosts[host].joined {
                host = self.parent_of(host);
            }
            if host == 0 && self.hosts[0].joined {
                self.history.events.reachable(conn, self.now);
            }
        }
    }

    /// How long a message takes.
    pub(crate) fn latency(&mut self) -> Duration {
        let one_in = self.scenario.delay_one_in;
        if one_in > 0 && self.calm_since.is_none() && self.rng.below(one_in) == 0 {
            self.count(Fault::Delay);
            return between_us(&mut self.rng, 1_000, 800_000);
        }
        between_us(&mut self.rng, 30, 400)
    }

    pub(crate) fn link_send(&mut self, at: usize, link: LinkId, message: &Message) {
        let Some(known) = self.net.links.get_mut(&link).filter(|known| !known.broken) else { return };
        let (from_child, parent) = (known.child == at, known.parent);
        let bytes = encode(message);
        if message.kind() != Kind::Control && message.topic() != "heartbeat.pulse" {
            let traffic = &mut self.net.traffic;
            traffic.messages += 1;
            traffic.bytes += bytes.len() as u64;
            traffic.at_root += u64::from(parent == 0);
        }
        if let Some(wire) = self.net.wire(link) {
            wire.send(from_child, &bytes);
            return self.wire_flush(link, from_child);
        }
        let latency = self.latency();
        let when = self.net.slot(link, from_child, self.now + latency);
        self.at(when, Action::Link { link, from_child, bytes: Some(bytes) });
    }

    /// A broker closes a link: what it has sent arrives, then the other side sees the end.
    pub(crate) fn link_close(&mut self, at: usize, link: LinkId) {
        let Some(known) = self.net.links.get_mut(&link) else { return };
        let from_child = known.child == at;
        let clear = if from_child { &mut known.child_done } else { &mut known.parent_done };
        if std::mem::replace(clear, true) {
            return;
        }
        let when = if from_child { known.to_parent } else { known.to_child }.max(self.now);
        self.at(when, Action::Link { link, from_child, bytes: None });
    }

    pub(crate) fn link_arrives(&mut self, link: LinkId, from_child: bool, bytes: Option<Vec<u8>>) {
        let Some(known) = self.net.links.get(&link) else { return };
        let heals = self.net.cut_until(known.child, known.parent, self.now);
        let Some(known) = self.net.links.get_mut(&link).filter(|known| !known.broken) else { return };
        let held = if from_child { &mut known.held_to_parent } else { &mut known.held_to_child };
        if heals.is_none() && held.is_empty() {
            return self.link_delivers(link, from_child, bytes);
        }
        held.push_back(bytes);
        if held.len() == 1 {
            self.at(heals.unwrap_or(self.now), Action::LinkRelease { link, from_child });
        }
    }

    /// A partition may be over.
    pub(crate) fn link_releases(&mut self, link: LinkId, from_child: bool) {
        let Some(known) = self.net.links.get(&link) else { return };
        if let Some(heals) = self.net.cut_until(known.child, known.parent, self.now) {
            return self.at(heals, Action::LinkRelease { link, from_child });
        }
        let known = self.net.links.get_mut(&link).expect("just seen");
        let held = if from_child { &mut known.held_to_parent } else { &mut known.held_to_child };
        for bytes in std::mem::take(held) {
            self.link_delivers(link, from_child, bytes);
        }
    }

    fn link_delivers(&mut self, link: LinkId, from_child: bool, bytes: Option<Vec<u8>>) {
        let Some(known) = self.net.links.get_mut(&link).filter(|known| !known.broken) else { return };
        let done = if from_child { &mut known.parent_done } else { &mut known.child_done };
        if *done {
            return;
        }
        match bytes {
            Some(bytes) if known.wire.is_some() => {
                for message in self.wire_hears(link, !from_child, &bytes).unwrap_or_default() {
                    self.deliver(link, from_child, message);
                }
            }
            Some(bytes) => {
                let message = decode(&bytes).expect("what one broker encodes another can read");
                self.deliver(link, from_child, message);
            }
            None => {
                *done = true;
                self.tell_down(link, !from_child, "the connection was closed");
            }
        }
    }

    fn deliver(&mut self, link: LinkId, from_child: bool, message: Message) {
        let (host, life) = self.net.end(link, !from_child);
        let welcome = !from_child && message.topic() == "overlay.hello" && message.errno().is_none();
        if welcome && self.lives(host, life) {
            self.hosts[host].joined = true;
            self.note_joins();
        }
        self.trace.say(self.now, || format!("link {} -> rank {host}: {}", link.0, named(&message)));
        self.arrive(host, life, Input::LinkMessage { link, message });
    }

    /// A broker that heard of a link hears of its end; one that did not tries again.
    fn tell_down(&mut self, link: LinkId, at_child: bool, why: &str) {
        let (host, life) = self.net.end(link, at_child);
        let wire = self.net.links[&link].wire.as_deref();
        if wire.is_none_or(|wire| if at_child { wire.child_up } else { wire.parent_up }) {
            return self.arrive(host, life, Input::LinkDown { link, why: why.to_owned() });
        }
        if at_child {
            self.after(PAUSE_FIRST, Action::Connect { host, life, pause: PAUSE_FIRST });
        }
    }

    /// Breaks a link; each end notices in its own time.
    fn break_link(&mut self, link: LinkId, why: &'static str, (soonest, latest): (u64, u64)) {
        let Some(known) = self.net.links.get_mut(&link).filter(|known| !known.broken) else { return };
        known.broken = true;
        self.trace.note(self.now, link.0, || format!("link {} breaks: {why}", link.0));
        for at_child in [true, false] {
            let span = between_us(&mut self.rng, soonest, latest);
            // Not before it has heard that there is a link.
            let known = &self.net.links[&link];
            let up = if at_child { known.to_child } else { known.to_parent };
            self.at(up.max(self.now + span), Action::LinkDown { link, at_child, why });
        }
    }

    pub(crate) fn link_notices(&mut self, link: LinkId, at_child: bool, why: &'static str) {
        let Some(known) = self.net.links.get_mut(&link) else { return };
        let done = if at_child { &mut known.child_done } else { &mut known.parent_done };
        if !std::mem::replace(done, true) {
            self.tell_down(link, at_child, why);
        }
    }

    fn live_links(&self) -> Vec<LinkId> {
        let live = |known: &Link| {
            !known.broken
                && self.lives(known.child, known.child_life)
                && self.lives(known.parent, known.parent_life)
                && !known.child_done
                && !known.parent_done
        };
        self.net.links.iter().filter(|(_, known)| live(known)).map(|(link, _)| *link).collect()
    }

    /// A broker has died: the kernel closes its sockets, or the machine falls silent.
    pub(crate) fn links_of_dead(&mut self, at: usize, power: bool) {
        let mine = |known: &&Link| !known.broken && (known.child == at || known.parent == at);
        let links: Vec<LinkId> = self.net.links.iter().filter(|(_, known)| mine(known)).map(|(id, _)| *id).collect();
        for link in links {
            if !power && self.rng.below(2) == 0 {
                // What was written before still arrives.
                self.link_close(at, link);
            } else {
                let within = if power { (2_000_000, 20_000_000) } else { (50, 5_000) };
                self.break_link(link, "connection reset by peer", within);
            }
        }
        self.net.links.retain(|_, known| !(known.broken && known.child_done && known.parent_done));
    }

    pub(crate) fn lose_a_link(&mut self) {
        let live = self.live_links();
        if live.is_empty() {
            return;
        }
        let link = live[self.rng.below(live.len() as u64) as usize];
        self.count(Fault::LinkLost);
        let latest = [1_000, 100_000, 5_000_000][self.rng.below(3) as usize];
        self.break_link(link, "connection reset by peer", (50, latest));
    }

    /// Cuts one host off from the others for a while.
    pub(crate) fn cut_off(&mut self) {
        let at = self.rng.below(self.hosts.len() as u64) as usize;
        let span = between_us(&mut self.rng, 100_000, 30_000_000);
        self.count(Fault::Partition);
        self.trace.note(self.now, at as u64, || format!("rank {at} is cut off for {:.3} s", span.as_secs_f64()));
        let until = self.net.cut.entry(at).or_default();
        *until = (self.now + span).max(*until); // Never sooner than it was: what waits for it keeps its place.
        if span > SILENCE_MAX {
            let links: Vec<LinkId> = self.live_links();
            for link in links {
                let known = &self.net.links[&link];
                if known.child == at || known.parent == at {
                    self.break_link(link, "connection timed out", (10_000_000, 25_000_000));
                }
            }
        }
    }
}
