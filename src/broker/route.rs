//! Routing (RFC 3): which of the services, clients and brokers gets a message, and how its answer comes back.

use std::collections::BTreeSet;

use flux_service::{Fault, Plant, enforced, planted};
use flux_wire::{Body, Cred, Errno, Flags, Kind, Message, RouteId, Target, role};

use crate::disconnect::Disconnects;
use crate::event::Subscriptions;
use crate::limits::SERVICES_PER_CLIENT_MAX;
use crate::node::{Client, ConnId, Hop, Node, Output, Owner};
use crate::overlay::LOST_EVENT;
use crate::trace::Way;

/// Who answers for a service name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Core,
    Slot(Owner),
    Client(ConnId),
}

/// Says that somebody does not listen any more, to one stream or to all.
fn is_end(message: &Message) -> bool {
    !message.wants_response() && [".disconnect", ".cancel", "-cancel"].iter().any(|end| message.topic().ends_with(end))
}

impl Node {
    pub(crate) fn connected(&mut self, conn: ConnId, cred: Cred) {
        let uuid: RouteId = self.rng.uuid().into();
        self.hops.insert(uuid.clone(), Hop::Client(conn));
        let client = Client {
            uuid,
            cred,
            subscriptions: Subscriptions::default(),
            services: BTreeSet::new(),
            disconnects: Disconnects::default(),
        };
        self.clients.insert(conn, client);
    }

    pub(crate) fn disconnected(&mut self, conn: ConnId) {
        let Some(client) = self.clients.remove(&conn) else { return };
        self.subscribers_changed |= !client.subscriptions.is_empty();
        self.hops.remove(&client.uuid);
        for name in &client.services {
            self.names.remove(name);
        }
        let route = [client.uuid, self.core.connector_uuid.clone(), self.info.uuid.clone()];
        for request in client.disconnects.into_requests(&route) {
            self.queue.push_back((Hop::Core, request));
        }
    }

    /// A message that a client sent: its credentials are established here (RFC 12), and its route begins here.
    pub(crate) fn client_message(&mut self, conn: ConnId, mut message: Message) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if client.cred.is_owner() || !enforced("credentials") {
            // An owner may speak as somebody else: that is how guests' requests are tested and forwarded.
            if message.cred.userid == Cred::UNKNOWN_USER {
                message.cred.userid = client.cred.userid;
            }
            if message.cred.rolemask == role::NONE {
                message.cred.rolemask = client.cred.rolemask;
            }
        } else {
            message.cred = client.cred;
        }
        if message.kind() == Kind::Request {
            message.push_route(client.uuid.clone());
            message.push_route(self.core.connector_uuid.clone());
            message.push_route(self.info.uuid.clone());
            client.disconnects.note(&message);
            if self.connector_request(conn, &message) {
                return;
            }
        }
        self.queue.push_back((Hop::Client(conn), message));
    }

    /// Requests that concern the connection itself; `false` if this is not one.
    fn connector_request(&mut self, conn: ConnId, request: &Message) -> bool {
        let outcome = match request.topic() {
            "event.subscribe" => self.subscribe(conn, request, true),
            "event.unsubscribe" => self.subscribe(conn, request, false),
            "service.add" => self.add_service(conn, request),
            "service.remove" => self.remove_service(conn, request),
            _ => return false,
        };
        if request.wants_response() {
            let mut response = match outcome {
                Ok(()) => request.response(flux_wire::Payload::None),
                Err(fault) => request.error_response(fault.errno, &fault.text),
            };
            // What flux-core's connector answers itself bears no user.
            response.cred = Cred { userid: Cred::UNKNOWN_USER, rolemask: role::OWNER };
            response.route = Some(Vec::new());
            self.note_refusal(conn, &response);
            self.outputs.push(Output::Send { conn, message: response });
        }
        true
    }

    fn subscribe(&mut self, conn: ConnId, request: &Message, add: bool) -> Result<(), Fault> {
        let body: crate::core::TopicBody = request.decode()?;
        let client = self.clients.get_mut(&conn).expect("the sender is connected");
        self.subscribers_changed = true;
        if add { client.subscriptions.add(&body.topic) } else { client.subscriptions.remove(&body.topic) }
    }

    fn add_service(&mut self, conn: ConnId, request: &Message) -> Result<(), Fault> {
        let body: crate::core::ServiceBody = request.decode()?;
        let name = body.service;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(Fault::from(Errno::EINVAL));
        }
        let prefix = format!("{}-", request.cred.userid);
        if !request.cred.is_owner() && !name.starts_with(&prefix) && enforced("service-name") {
            return Err(Fault::new(Errno::EPERM, format!("a guest's service name must begin with {prefix}")));
        }
        if self.names.contains_key(&name) {
            return Err(Fault::from(Errno::EEXIST));
        }
        let client = self.clients.get_mut(&conn).expect("the sender is connected");
        if client.services.len() >= SERVICES_PER_CLIENT_MAX {
            return Err(Fault::from(Errno::ENOMEM));
        }
        client.services.insert(name.clone());
        self.names.insert(name, Endpoint::Client(conn));
        Ok(())
    }

    fn remove_service(&mut self, conn: ConnId, request: &Message) -> Result<(), Fault> {
        let body: crate::core::ServiceBody = request.decode()?;
        let client = self.clients.get_mut(&conn).expect("the sender is connected");
        if !client.services.remove(&body.service) {
            return Err(Fault::from(Errno::ENOENT));
        }
        self.names.remove(&body.service);
        Ok(())
    }

    pub(crate) fn route(&mut self, from: Hop, message: Message) {
        if let Hop::Slot(owner) = from
            && let Some(slot) = self.slots.get_mut(&owner)
        {
            slot.counts.sent(message.kind());
            if message.is_streaming() {
                slot.disconnects.note(&message);
            }
            self.trace_module(owner, Way::Sent, &message);
        }
        match message.body {
            Body::Request { target, .. } => self.route_request(from, target, message),
            Body::Response { .. } => self.route_response(message),
            Body::Event { .. } if self.info.rank.is_root() => {
                self.publish(message);
            }
            Body::Event { .. } => self.send_up(message),
            Body::Control { .. } => {} // Between brokers only; from a client it means nothing.
        }
    }

    fn route_request(&mut self, from: Hop, target: Target, mut message: Message) {
        if let Hop::Slot(owner) = from {
            let Some(slot) = self.slots.get(&owner) else { return };
            message.push_route(slot.uuid.clone());
        }
        let here = self.info.rank;
        let reachable = match target {
            Target::Any => true,
            Target::Rank(rank) if rank != here => return self.send_to_rank(rank, message),
            Target::Rank(_) => true,
            Target::UpstreamOf(rank) => rank != here,
        };
        let endpoint = if reachable { self.endpoint(message.service()) } else { None };
        match endpoint {
            Some(Endpoint::Core) => self.core_request(&message),
            Some(Endpoint::Slot(owner)) => self.deliver_to_slot(owner, &message),
            Some(Endpoint::Client(conn)) => {
                if !self.clients.contains_key(&conn) {
                    return;
                }
                self.outputs.push(Output::Send { conn, message });
            }
            // The nearest broker above that offers the service is asked.
            None if !here.is_root() && !matches!(target, Target::Rank(_)) => self.send_up(message),
            // There is nobody above rank 0.
            None if !reachable => self.answer(&message, Err(Fault::from(Errno::EHOSTUNREACH))),
            None => self.no_service(&message),
        }
    }

    /// Who answers for a service. Plugins of one (`job-manager.PLUGIN`), and the parts of a client's (`0-shell-ID.rexec`), have names
    /// below its own.
    fn endpoint(&self, service: &str) -> Option<Endpoint> {
        let above = || service.rsplit_once('.').and_then(|(above, _)| self.names.get(above));
        let has_parts = |endpoint: &&Endpoint| matches!(endpoint, Endpoint::Slot(_) | Endpoint::Client(_));
        self.names.get(service).or_else(|| above().filter(has_parts)).copied()
    }

    fn no_service(&mut self, message: &Message) {
        let text = format!("No service matching {} is registered", message.topic());
        self.answer(message, Err(Fault::new(Errno::ENOSYS, text)));
    }

    fn deliver_to_slot(&mut self, owner: Owner, message: &Message) {
        let goes_up = matches!(message.body, Body::Request { target, .. } if !matches!(target, Target::Rank(_)))
            && !self.info.rank.is_root();
        if goes_up && is_end(message) && self.parted.contains(message.service()) {
            self.send_up(message.clone());
        }
        let Some(slot) = self.slots.get_mut(&owner) else { return };
        slot.counts.received(message.kind());
        let is_late = slot.is_removed() && message.wants_response();
        self.trace_module(owner, Way::Received, message);
        let found = !is_late && self.call(owner, |service, cx| service.dispatch(cx, message)) == Some(true);
        if found || !is_late && self.standard_method(owner, message) {
            return;
        }
        if !goes_up {
            return self.no_service(message);
        }
        // The service is in parts: what is not offered here may be above.
        if !is_end(message) {
            self.parted.insert(message.service().to_owned());
        }
        self.send_up(message.clone());
    }

    /// Sends the node's own answer to a request.
    pub(crate) fn answer(&mut self, request: &Message, outcome: Result<flux_wire::Payload, Fault>) {
        if !request.wants_response() {
            return;
        }
        let mut response = match outcome {
            Ok(payload) => request.response(payload),
            Err(fault) => request.error_response(fault.errno, &fault.text),
        };
        response.cred = self.owner_cred();
        self.route_response(response);
    }

    pub(crate) fn route_response(&mut self, mut message: Message) {
        loop {
            let Some(id) = message.pop_route() else {
                // Only the node's own requests have an empty route.
                self.core_reply(&message);
                return;
            };
            if id == self.info.uuid || id == self.core.connector_uuid {
                continue;
            }
            match self.hops.get(&id) {
                Some(Hop::Client(conn)) => {
                    let conn = *conn;
                    self.note_refusal(conn, &message);
                    self.outputs.push(Output::Send { conn, message });
                }
                Some(Hop::Slot(owner)) => {
                    let owner = *owner;
                    if let Some(slot) = self.slots.get_mut(&owner) {
                        slot.counts.received(Kind::Response);
                    }
                    self.trace_module(owner, Way::Received, &message);
                    let tag = flux_service::Tag(message.matchtag());
                    self.call(owner, |service, cx| service.on_reply(cx, tag, &message));
                }
                Some(Hop::Link(_)) if planted(Plant::ResponseDropped) && message.matchtag() % 64 == 63 => {}
                Some(Hop::Link(link)) => {
                    let link = *link;
                    self.send_link(link, message);
                }
                Some(Hop::Core) | None => {} // Who asked is gone.
            }
            return;
        }
    }

    /// Sequences an event at rank 0 and hands it to everybody who subscribed (RFC 3).
    pub(crate) fn publish(&mut self, mut message: Message) -> u32 {
        self.core.event_seq += 1;
        let seq = self.core.event_seq;
        message.body = Body::Event { seq };
        message.route = Some(vec![self.info.uuid.clone()]);
        self.distribute(&message);
        seq
    }

    /// Hands an event to the brokers below, to clients and to services.
    pub(crate) fn distribute(&mut self, message: &Message) {
        self.send_down(message);
        if message.topic() == LOST_EVENT
            && let Ok(body) = message.payload.value()
            && let Some(uuid) = body.get("uuid").and_then(serde_json::Value::as_str)
        {
            self.broker_lost(uuid);
        }
        let private = message.flags.has(Flags::PRIVATE) && enforced("private-event");
        for (conn, client) in &self.clients {
            let allowed = !private || client.cred.is_owner() || client.cred.userid == message.cred.userid;
            if allowed && client.subscriptions.matches(message.topic()) {
                if planted(Plant::EventSentTwice) && matches!(message.body, Body::Event { seq } if seq % 8 == 7) {
                    self.outputs.push(Output::Send { conn: *conn, message: message.clone() });
                }
                self.outputs.push(Output::Send { conn: *conn, message: message.clone() });
            }
        }
        let owners: Vec<(Owner, bool)> = self
            .slots
            .iter()
            .map(|(owner, slot)| (*owner, slot.subscriptions.matches(message.topic())))
            .filter(|(owner, subscribed)| *subscribed || self.slots[owner].has_events)
            .collect();
        for (owner, subscribed) in owners {
            let delivered = self.call_if_event(owner, subscribed, message);
            if delivered && let Some(slot) = self.slots.get_mut(&owner) {
                slot.counts.received(Kind::Event);
                self.trace_module(owner, Way::Received, message);
            }
        }
    }

    fn call_if_event(&mut self, owner: Owner, subscribed: bool, message: &Message) -> bool {
        let run = |service: &mut dyn flux_service::AnyService, cx: &mut flux_service::Cx<'_>| {
            let in_table = service.dispatch(cx, message);
            if subscribed && !in_table {
                service.on_event(cx, message);
            }
            in_table || subscribed
        };
        self.call(owner, run) == Some(true)
    }
}
