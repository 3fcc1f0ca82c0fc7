//! `event.publish`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::Fault;
use flux_wire::{Errno, Flags, Message, Payload};
use serde::Deserialize;
use serde_json::json;

use super::Answer;
use crate::node::Node;

#[derive(Deserialize)]
struct Publish {
    topic: String,
    flags: u32,
    /// Base64 of the payload as it is on the wire, with its NUL.
    #[serde(default)]
    payload: Option<String>,
}

impl Node {
    pub(crate) fn event_publish(&mut self, request: &Message) -> Answer {
        let body: Publish = request.decode()?;
        if body.topic.is_empty() {
            return Err(Fault::from(Errno::EPROTO));
        }
        if body.flags & !u32::from(Flags::PRIVATE) != 0 {
            return Err(Fault::from(Errno::EPROTO));
        }
        let payload = match &body.payload {
            Some(text) => Payload::raw(STANDARD.decode(text).map_err(|_| Fault::from(Errno::EPROTO))?),
            None => Payload::None,
        };
        let mut event = Message::event(body.topic, payload);
        event.flags = Flags(body.flags as u8);
        event.cred = request.cred;
        let seq = self.publish(event);
        Ok(Some(json!({"seq": seq}).into()))
    }
}
