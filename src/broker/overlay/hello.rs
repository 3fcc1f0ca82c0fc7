//! How a broker is let in: `overlay.hello` and its answer.

use flux_overlay::Status;
use flux_service::{Fault, LogLevel, Plant, planted};
use flux_wire::{Errno, Message, Payload, RouteId, Target};
use serde::Deserialize;
use serde_json::json;

use super::{LinkId, control};
use crate::core::{VERSION, Waiting};
use crate::node::{Hop, Node, Output};

#[derive(Deserialize)]
struct Hello {
    rank: u32,
    version: String,
    uuid: String,
    hostname: String,
    status: u32,
}

#[derive(Deserialize)]
struct Welcome {
    rank: u32,
    uuid: String,
    /// The event that was published last.
    seq: u32,
    hostlist: String,
    mapping: String,
}

/// Brokers whose versions differ by at most one in the second place understand each other.
fn check_version(theirs: &str) -> Result<(), Fault> {
    let parse = |text: &str| -> Option<(u32, u32)> {
        let mut numbers = text.split('.').map(|part| part.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    let ours = parse(VERSION).expect("our own version is well formed");
    match parse(theirs) {
        Some((major, minor)) if major == ours.0 && minor.abs_diff(ours.1) <= 1 => Ok(()),
        _ => Err(Fault::new(Errno::EINVAL, format!("client ({theirs}) version mismatched with server ({VERSION})"))),
    }
}

impl Node {
    pub(super) fn say_hello(&mut self, link: LinkId) {
        let body = json!({
            "rank": self.info.rank.0,
            "version": VERSION,
            "uuid": &*self.info.uuid,
            "hostname": self.info.hostname,
            "status": self.links.family.status() as u32,
        });
        // It is sent by hand: what goes through the router waits for the answer to this.
        let tag = self.core.next_tag();
        self.core.waiting.insert(tag, Waiting::Hello);
        let mut hello = Message::request("overlay.hello", Target::UpstreamOf(self.info.rank), tag.0, body.into());
        hello.cred = self.owner_cred();
        self.send_link(link, hello);
    }

    /// A child asks to be let in; it waits until we are in ourselves, and know what to tell it.
    pub(super) fn knocked(&mut self, link: LinkId, request: Message) {
        if self.info.rank.is_root() || self.links.is_joined() {
            return self.greet(link, &request);
        }
        match self.links.early.iter().any(|(early, _)| *early == link) {
            true => self.drop_link(link, "it said hello twice"),
            false => self.links.early.push((link, request)),
        }
    }

    fn greet(&mut self, link: LinkId, request: &Message) {
        let hello = match request.decode::<Hello>() {
            Ok(hello) => hello,
            Err(error) => return self.turn_away(link, request, "(unknown)", &error.into()),
        };
        if let Err(fault) = self.check_hello(&hello, request) {
            self.links.family.refused(hello.rank, fault.text.clone());
            let who = format!("{} (rank {})", hello.hostname, hello.rank);
            return self.turn_away(link, request, &who, &fault);
        }
        if let Some(former) = self.links.children.get(&hello.rank).copied() {
            // It has restarted before we noticed that it was gone.
            self.outputs.push(Output::LinkClose { link: former });
            let text = format!(
                "{} (rank {}) reconnected after crash, dropping old connection state",
                self.host_of(hello.rank),
                hello.rank
            );
            self.log(LogLevel::Err, "overlay", &text);
            self.child_gone(former, Some("it came again"));
        }
        let uuid: RouteId = hello.uuid.into();
        let status = Status::from_number(hello.status).unwrap_or(Status::Degraded);
        self.links.family.joined(hello.rank, uuid.clone(), status, self.now.mono);
        self.links.children.insert(hello.rank, link);
        self.links.links.get_mut(&link).expect("the link is there").peer = Some((hello.rank, uuid.clone()));
        self.hops.insert(uuid, Hop::Link(link));
        let (host, rank) = (self.host_of(hello.rank), hello.rank);
        let text = format!("accepting connection from {host} (rank {rank}) status {}", status.name());
        self.log(LogLevel::Debug, "overlay", &text);
        let body = json!({
            "rank": self.info.rank.0,
            "uuid": &*self.info.uuid,
            "seq": self.core.event_seq,
            "hostlist": self.attrs.get("hostlist").unwrap_or_default(),
            "mapping": self.attrs.get("broker.mapping").unwrap_or_default(),
        });
        self.answer(request, Ok(body.into()));
        self.family_changed(rank);
    }

    fn check_hello(&self, hello: &Hello, request: &Message) -> Result<(), Fault> {
        let host = self.host_of(hello.rank);
        if hello.hostname != host {
            let text = format!("{host} is configured as rank {}: mismatched config?", hello.rank);
            return Err(Fault::new(Errno::EINVAL, text));
        }
        if self.links.family.child(hello.rank).is_none() {
            let text = format!("rank {} is not a child of rank {}: mismatched config?", hello.rank, self.info.rank);
            return Err(Fault::new(Errno::EINVAL, text));
        }
        check_version(&hello.version)?;
        let route = request.route.as_deref().unwrap_or(&[]);
        if hello.uuid.is_empty() || route != [RouteId::from(&*hello.uuid)] || self.hops.contains_key(&*hello.uuid) {
            return Err(Fault::new(Errno::EPROTO, "the hello has a wrong identity"));
        }
        if self.core.is_leaving() {
            return Err(Fault::new(Errno::EAGAIN, "the instance is shutting down"));
        }
        Ok(())
    }

    fn turn_away(&mut self, link: LinkId, request: &Message, who: &str, fault: &Fault) {
        self.log(LogLevel::Err, "overlay", &format!("rejecting connection from {who}: {fault}"));
        let mut response = request.error_response(fault.errno, &fault.text);
        response.cred = self.owner_cred();
        response.route = Some(Vec::new());
        self.links.links.remove(&link);
        self.outputs.push(Output::LinkSend { link, message: response });
        self.outputs.push(Output::LinkClose { link });
    }

    /// The parent lets us in, or says why not.
    pub(crate) fn hello_answered(&mut self, response: &Message) {
        let welcome = match Fault::of(response) {
            Some(fault) => Err(fault),
            None => response.decode::<Welcome>().map_err(Fault::from),
        };
        match welcome {
            Ok(welcome) => self.joined(welcome),
            Err(fault) => {
                self.log(LogLevel::Crit, "overlay", &format!("overlay.hello: {fault}"));
                self.links.orphaned = true;
                self.parent_lost("it refused us");
            }
        }
    }

    fn joined(&mut self, welcome: Welcome) {
        let sides = self.links.links.iter_mut();
        let Some((link, state)) = sides.into_iter().find(|(_, link)| link.side == super::Side::Parent) else { return };
        let link = *link;
        let uuid: RouteId = welcome.uuid.into();
        state.peer = Some((welcome.rank, uuid.clone()));
        self.hops.insert(uuid, Hop::Link(link));
        self.links.parent = Some(link);
        self.links.told_subscribed.clear();
        self.subscribers_changed = true;
        self.core.event_seq = welcome.seq;
        self.attrs.set("hostlist", welcome.hostlist);
        if !welcome.mapping.is_empty() {
            self.attrs.set("broker.mapping", welcome.mapping);
        }
        self.info.attrs = self.attrs.to_map();
        let upstream = Target::UpstreamOf(self.info.rank);
        let tag = self.core_cx(|cx| cx.request_stream("state-machine.monitor", upstream, Payload::None));
        self.core.waiting.insert(tag, Waiting::ParentState);
        let tag = self.core_cx(|cx| cx.request_stream("config.get", upstream, Payload::None));
        self.core.waiting.insert(tag, Waiting::ParentConfig);
        let status = self.links.family.status();
        if status != self.links.told_parent {
            self.links.told_parent = status;
            self.send_link(link, Message::control(control::STATUS, status as u32));
        }
        for message in std::mem::take(&mut self.links.upward) {
            if planted(Plant::UpwardForgotten) {
                continue;
            }
            self.send_link(link, message);
        }
        for (link, request) in std::mem::take(&mut self.links.early) {
            self.greet(link, &request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_versions_understand_each_other() {
        for (version, ok) in [
            ("0.88.0", true),
            ("0.87.1-5-gabc", true),
            ("0.89.0", true),
            ("0.86.0", false),
            ("1.88.0", false),
            ("", false),
        ] {
            assert_eq!(check_version(version).is_ok(), ok, "{version}");
        }
    }
}
