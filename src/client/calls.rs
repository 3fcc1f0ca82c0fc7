//! Calls that wait for their answer.

use std::time::Duration;

use flux_service::Fault;
use flux_wire::{Errno, Flags, Message, Payload, Rank, Target};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{ClientError, Handle, Ticket};

/// Bit 0 of `attr.get`'s flags: the value never changes.
const ATTR_IMMUTABLE: u64 = 1;

impl Handle {
    /// Asks a service and waits. The answer is a JSON object, or `Null` where the response has no payload.
    ///
    /// # Errors
    /// [`ClientError::Answer`] with the service's errno; [`ClientError::TimedOut`]; those of the connection.
    pub fn call(&mut self, topic: &str, target: Target, payload: impl Into<Payload>) -> Result<Value, ClientError> {
        let response = self.call_message(topic, target, payload)?;
        if response.payload.is_none() { Ok(Value::Null) } else { Ok(response.decode()?) }
    }

    /// As [`Handle::call`], read into a type of the caller's.
    ///
    /// # Errors
    /// As [`Handle::call`].
    pub fn call_as<T: DeserializeOwned>(
        &mut self,
        topic: &str,
        target: Target,
        payload: impl Into<Payload>,
    ) -> Result<T, ClientError> {
        Ok(self.call_message(topic, target, payload)?.decode()?)
    }

    /// As [`Handle::call`], for payloads that are no JSON (`content.load`, for one).
    ///
    /// # Errors
    /// As [`Handle::call`].
    pub fn call_message(
        &mut self,
        topic: &str,
        target: Target,
        payload: impl Into<Payload>,
    ) -> Result<Message, ClientError> {
        let timeout = self.timeout();
        self.call_within(topic, target, payload, timeout)
    }

    /// As [`Handle::call_message`], with a limit of its own.
    ///
    /// # Errors
    /// As [`Handle::call`].
    pub fn call_within(
        &mut self,
        topic: &str,
        target: Target,
        payload: impl Into<Payload>,
        timeout: Option<Duration>,
    ) -> Result<Message, ClientError> {
        let ticket = self.send(topic, target, payload, false)?;
        match self.wait(ticket, timeout)? {
            Some(response) => success(response),
            None => {
                self.forget(ticket);
                Err(ClientError::TimedOut { topic: topic.to_owned(), after: timeout.unwrap_or_default() })
            }
        }
    }

    /// Asks for a stream of answers (RFC 6).
    ///
    /// # Errors
    /// Those of the connection.
    pub fn stream(
        &mut self,
        topic: &str,
        target: Target,
        payload: impl Into<Payload>,
    ) -> Result<Responses<'_>, ClientError> {
        let ticket = self.send(topic, target, payload, true)?;
        Ok(Responses { handle: self, ticket, topic: topic.to_owned(), done: false })
    }

    /// Ends a stream at its source; it still ends with its ENODATA. `topic` is that of the stream's cancel method.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn cancel(&mut self, topic: &str, target: Target, ticket: Ticket) -> Result<(), ClientError> {
        self.notify(topic, target, json!({"matchtag": ticket.0}))
    }

    /// A broker attribute. Those that never change are asked for once.
    ///
    /// # Errors
    /// ENOENT where there is none, and those of [`Handle::call`].
    pub fn attr(&mut self, name: &str) -> Result<String, ClientError> {
        if let Some(value) = self.attrs.get(name) {
            return Ok(value.clone());
        }
        let answer = self.call("attr.get", Target::Any, json!({"name": name}))?;
        let malformed = || Fault::new(Errno::EPROTO, "attr.get answered without a value");
        let value = answer["value"].as_str().ok_or_else(malformed).map_err(ClientError::Answer)?.to_owned();
        if answer["flags"].as_u64().unwrap_or(0) & ATTR_IMMUTABLE != 0 {
            self.attrs.insert(name.to_owned(), value.clone());
        }
        Ok(value)
    }

    /// The rank of the broker at the other end.
    ///
    /// # Errors
    /// Those of [`Handle::attr`].
    pub fn rank(&mut self) -> Result<Rank, ClientError> {
        let text = self.attr("rank")?;
        let fault = || ClientError::Answer(Fault::new(Errno::EPROTO, format!("the broker's rank is {text:?}")));
        text.parse().map(Rank).map_err(|_| fault())
    }

    /// A target one step towards the root from the broker at the other end (`FLUX_NODEID_UPSTREAM`).
    ///
    /// # Errors
    /// Those of [`Handle::attr`].
    pub fn upstream(&mut self) -> Result<Target, ClientError> {
        Ok(Target::UpstreamOf(self.rank()?))
    }
}

/// The answers of one stream, waited for one by one; ends at ENODATA. Dropping it forgets the stream.
#[derive(Debug)]
pub struct Responses<'a> {
    handle: &'a mut Handle,
    ticket: Ticket,
    topic: String,
    done: bool,
}

impl Responses<'_> {
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The connection, for other calls between two answers.
    pub fn handle(&mut self) -> &mut Handle {
        self.handle
    }

    /// The next answer as a message; `None` at the end of the stream.
    ///
    /// # Errors
    /// As [`Handle::call`]; nothing follows an error.
    pub fn next_message(&mut self) -> Result<Option<Message>, ClientError> {
        if self.done {
            return Ok(None);
        }
        let timeout = self.handle.timeout();
        let outcome = match self.handle.wait(self.ticket, timeout) {
            Ok(Some(message)) => success(message).map(Some),
            Ok(None) => Err(ClientError::TimedOut { topic: self.topic.clone(), after: timeout.unwrap_or_default() }),
            Err(error) => Err(error),
        };
        self.done = outcome.is_err();
        match outcome {
            Err(ClientError::Answer(fault)) if fault.errno == Errno::ENODATA => Ok(None),
            other => other,
        }
    }
}

impl Iterator for Responses<'_> {
    type Item = Result<Value, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = self.next_message().transpose()?;
        Some(message.and_then(|message| match message.payload.is_none() {
            true => Ok(Value::Null),
            false => Ok(message.decode()?),
        }))
    }
}

impl Drop for Responses<'_> {
    fn drop(&mut self) {
        self.handle.forget(self.ticket);
    }
}

fn success(response: Message) -> Result<Message, ClientError> {
    match Fault::of(&response) {
        Some(fault) => Err(ClientError::Answer(fault)),
        None => {
            debug_assert!(!response.flags.has(Flags::NORESPONSE));
            Ok(response)
        }
    }
}
