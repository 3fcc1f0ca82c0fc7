//! Disconnect notification (RFC 6): a service that a client talked to is told when the client goes.

use std::collections::BTreeMap;

use flux_wire::{Body, Cred, Flags, Message, Payload, Rank, RouteId, Target};

/// The (service, target) pairs that one client sent requests to, with the credentials of the first.
#[derive(Debug, Default)]
pub(crate) struct Disconnects(BTreeMap<(String, u8, u32), Cred>);

impl Disconnects {
    pub(crate) fn note(&mut self, request: &Message) {
        let Body::Request { target, .. } = request.body else { return };
        if request.flags.has(Flags::NORESPONSE) {
            return;
        }
        let (kind, rank) = match target {
            Target::Any => (0, 0),
            Target::Rank(rank) => (1, rank.0),
            Target::UpstreamOf(rank) => (2, rank.0),
        };
        let topic = request.topic();
        let service = topic.rsplit_once('.').map_or("", |(service, _)| service);
        let key = (service.to_owned(), kind, rank);
        self.0.entry(key).or_insert(request.cred);
    }

    /// The requests to send now that the client with this route is gone.
    pub(crate) fn into_requests(self, route: &[RouteId]) -> Vec<Message> {
        let request = |((service, kind, rank), cred): ((String, u8, u32), Cred)| {
            let topic = if service.is_empty() { "disconnect".to_owned() } else { format!("{service}.disconnect") };
            let target = match kind {
                0 => Target::Any,
                1 => Target::Rank(Rank(rank)),
                _ => Target::UpstreamOf(Rank(rank)),
            };
            let mut message = Message::request(topic, target, 0, Payload::None);
            message.flags = Flags(Flags::NORESPONSE);
            message.cred = cred;
            message.route = Some(route.to_vec());
            message
        };
        self.0.into_iter().map(request).collect()
    }
}
