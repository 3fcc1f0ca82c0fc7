//! Events, and services that live at this end of a connection.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flux_wire::{Flags, Message, Payload, Rank, Target};
use serde_json::json;

use crate::limits::{REGISTRATIONS_MAX, RESTORE_TIMEOUT};
use crate::{ClientError, Handle, Incoming};

impl Handle {
    /// Events whose topic starts with `prefix` ("" is all) arrive from now on. Subscriptions count: each is ended by itself.
    ///
    /// # Errors
    /// Those of [`Handle::call`].
    pub fn subscribe(&mut self, prefix: &str) -> Result<(), ClientError> {
        room(&self.subscriptions, "subscriptions")?;
        self.call_message("event.subscribe", Target::Any, json!({"topic": prefix}))?;
        self.subscriptions.push(prefix.to_owned());
        Ok(())
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// Those of [`Handle::call`].
    pub fn unsubscribe(&mut self, prefix: &str) -> Result<(), ClientError> {
        self.call_message("event.unsubscribe", Target::Any, json!({"topic": prefix}))?;
        if let Some(at) = self.subscriptions.iter().position(|known| known == prefix) {
            self.subscriptions.remove(at);
        }
        Ok(())
    }

    /// The next event, other arrivals left for later; `None` when `timeout` has passed.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn next_event(&mut self, timeout: Option<Duration>) -> Result<Option<Message>, ClientError> {
        let deadline = timeout.map(|span| Instant::now() + span);
        loop {
            if let Some(Incoming::Event(event)) = self.inbox.take_first(|it| matches!(it, Incoming::Event(_))) {
                return Ok(Some(event));
            }
            if !self.pump(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Publishes an event in the whole instance and answers its sequence number (RFC 3).
    ///
    /// # Errors
    /// Those of [`Handle::call`].
    pub fn publish(&mut self, topic: &str, payload: impl Into<Payload>) -> Result<u64, ClientError> {
        self.publish_with(topic, payload, Flags::NONE)
    }

    /// As [`Handle::publish`], delivered to the owner and to the sender's own user only (RFC 3, the private flag).
    ///
    /// # Errors
    /// Those of [`Handle::call`].
    pub fn publish_private(&mut self, topic: &str, payload: impl Into<Payload>) -> Result<u64, ClientError> {
        self.publish_with(topic, payload, Flags(Flags::PRIVATE))
    }

    fn publish_with(&mut self, topic: &str, payload: impl Into<Payload>, flags: Flags) -> Result<u64, ClientError> {
        let mut body = json!({"topic": topic, "flags": flags.0});
        if let Some(bytes) = payload.into().to_wire() {
            body["payload"] = STANDARD.encode(bytes).into();
        }
        let answer = self.call("event.publish", Target::Rank(Rank::ROOT), body)?;
        Ok(answer["seq"].as_u64().unwrap_or(0))
    }

    /// Requests for service `name` arrive here from now on. Guests' names start with their user id and a dash.
    ///
    /// # Errors
    /// EEXIST, EPERM, and those of [`Handle::call`].
    pub fn register(&mut self, name: &str) -> Result<(), ClientError> {
        room(&self.services, "services")?;
        self.call_message("service.add", Target::Any, json!({"service": name}))?;
        self.services.push(name.to_owned());
        Ok(())
    }

    /// Gives a service up.
    ///
    /// # Errors
    /// Those of [`Handle::call`].
    pub fn unregister(&mut self, name: &str) -> Result<(), ClientError> {
        self.services.retain(|known| known != name);
        self.call_message("service.remove", Target::Any, json!({"service": name})).map(drop)
    }

    /// After a reconnection: what the broker knew of us.
    pub(crate) fn restore(&mut self) -> Result<(), ClientError> {
        for prefix in self.subscriptions.clone() {
            self.call_within("event.subscribe", Target::Any, json!({"topic": prefix}), Some(RESTORE_TIMEOUT))?;
        }
        for name in self.services.clone() {
            self.call_within("service.add", Target::Any, json!({"service": name}), Some(RESTORE_TIMEOUT))?;
        }
        Ok(())
    }
}

fn room(registrations: &[String], what: &'static str) -> Result<(), ClientError> {
    if registrations.len() < REGISTRATIONS_MAX { Ok(()) } else { Err(ClientError::TooMany(what)) }
}
