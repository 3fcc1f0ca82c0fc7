//! What was asked over a link, so that nobody waits for a peer that is gone.

use std::collections::BTreeMap;

use flux_wire::{Flags, Kind, Message, Payload, RouteId};

use crate::limits::TRACKED_MAX;

/// Requests without their payloads, by sender and matchtag.
#[derive(Debug, Default)]
pub struct Tracker(BTreeMap<(Option<RouteId>, u32), Message>);

impl Tracker {
    /// A request goes out over the link, its route as it was before.
    pub fn sent(&mut self, request: &Message) {
        if request.topic().rsplit('.').next() == Some("disconnect") {
            let sender = request.sender();
            self.0.retain(|(known, _), message| known.as_ref() != sender || message.service() != request.service());
        }
        if !request.wants_response() || self.0.len() >= TRACKED_MAX {
            return;
        }
        let mut kept = request.clone();
        kept.payload = Payload::None;
        self.0.insert((request.sender().cloned(), request.matchtag()), kept);
    }

    /// A response came back over the link.
    pub fn answered(&mut self, response: &Message) {
        debug_assert_eq!(response.kind(), Kind::Response);
        let last = !response.flags.has(Flags::STREAMING)
            || response.errno().is_some()
            || flux_service::planted(flux_service::Plant::StreamsNotTracked);
        if last {
            self.0.remove(&(response.sender().cloned(), response.matchtag()));
        }
    }

    /// The link is gone: these will not be answered by others.
    pub fn take(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.0).into_values().collect()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux_wire::{Errno, Target};

    fn request(topic: &str, sender: &str, tag: u32, flags: u8) -> Message {
        let mut message = Message::request(topic, Target::Any, tag, Payload::text("x"));
        message.flags = Flags(flags);
        message.push_route(sender.into());
        message
    }

    #[test]
    fn what_is_left_is_what_was_not_answered_for_good() {
        let mut tracker = Tracker::default();
        let (one, stream) = (request("a.b", "x", 1, 0), request("a.s", "x", 2, Flags::STREAMING));
        for message in [&one, &stream, &request("a.n", "x", 0, Flags::NORESPONSE), &request("c.d", "y", 1, 0)] {
            tracker.sent(message);
        }
        assert_eq!(tracker.len(), 3);
        tracker.answered(&one.response(Payload::None));
        tracker.answered(&stream.response(Payload::None));
        assert_eq!(tracker.len(), 2, "a stream stays until its end");
        tracker.answered(&stream.error_response(Errno::ENODATA, ""));
        let left = tracker.take();
        assert_eq!(left.iter().map(Message::topic).collect::<Vec<_>>(), ["c.d"]);
        assert_eq!(left[0].payload, Payload::None);
        tracker.sent(&stream);
        tracker.sent(&request("a.disconnect", "x", 0, Flags::NORESPONSE));
        assert!(tracker.is_empty(), "who left waits for nothing");
    }
}
