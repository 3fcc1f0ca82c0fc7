//! Messages that arrived and were not taken yet: in order of arrival, and by the request that they answer.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use flux_wire::{Body, Message};

use crate::limits::{ARRIVED_MAX, OUTSTANDING_MAX};
use crate::{ClientError, Incoming, Ticket};

/// What waits for answers, and the answers that wait to be taken.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Requests without their last response, and the arrivals that answer them.
    open: HashMap<Ticket, Open>,
    /// By number of arrival.
    arrived: BTreeMap<u64, Incoming>,
    arrivals: u64,
    last_tag: u32,
}

#[derive(Debug, Default)]
struct Open {
    streaming: bool,
    /// Its last response is among `answers`.
    ended: bool,
    answers: VecDeque<u64>,
}

impl Inbox {
    /// A matchtag that no open request has (RFC 6; never 0).
    pub(crate) fn open(&mut self, streaming: bool) -> Result<Ticket, ClientError> {
        if self.open.len() >= OUTSTANDING_MAX {
            return Err(ClientError::TooMany("requests are waiting for an answer"));
        }
        loop {
            self.last_tag = self.last_tag.checked_add(1).unwrap_or(1);
            let ticket = Ticket(self.last_tag);
            if let Entry::Vacant(place) = self.open.entry(ticket) {
                place.insert(Open { streaming, ..Open::default() });
                return Ok(ticket);
            }
        }
    }

    /// Forgets a request; what still arrives for it is dropped.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        if let Some(open) = self.open.remove(&ticket) {
            for number in open.answers {
                self.arrived.remove(&number);
            }
        }
    }

    pub(crate) fn is_open(&self, ticket: Ticket) -> bool {
        self.open.contains_key(&ticket)
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.open.len()
    }

    /// Sorts a message in. Answers to nobody and control messages are dropped.
    pub(crate) fn arrive(&mut self, message: Message) -> Result<(), ClientError> {
        if self.arrived.len() >= ARRIVED_MAX {
            return Err(ClientError::TooMany("messages were left waiting"));
        }
        self.arrivals += 1;
        let incoming = match message.body {
            Body::Response { matchtag, .. } => {
                let ticket = Ticket(matchtag);
                let Some(open) = self.open.get_mut(&ticket) else { return Ok(()) };
                if open.ended {
                    return Ok(());
                }
                open.ended = !open.streaming || message.errno().is_some();
                open.answers.push_back(self.arrivals);
                Incoming::Response { ticket, last: open.ended, message }
            }
            Body::Event { .. } => Incoming::Event(message),
            Body::Request { .. } => Incoming::Request(message),
            Body::Control { .. } => return Ok(()),
        };
        self.arrived.insert(self.arrivals, incoming);
        Ok(())
    }

    /// The oldest arrival of any kind.
    pub(crate) fn take(&mut self) -> Option<Incoming> {
        let (_, incoming) = self.arrived.pop_first()?;
        if let Incoming::Response { ticket, last, .. } = &incoming {
            self.answered(*ticket, *last);
        }
        Some(incoming)
    }

    /// The oldest answer to one request.
    pub(crate) fn take_answer(&mut self, ticket: Ticket) -> Option<Message> {
        let number = *self.open.get(&ticket)?.answers.front()?;
        let incoming = self.arrived.remove(&number).expect("answers are numbers of arrivals");
        let Incoming::Response { message, last, .. } = incoming else { panic!("an answer is a response") };
        self.answered(ticket, last);
        Some(message)
    }

    /// The oldest event or request, responses left aside.
    pub(crate) fn take_first(&mut self, wanted: fn(&Incoming) -> bool) -> Option<Incoming> {
        let number = *self.arrived.iter().find(|(_, incoming)| wanted(incoming))?.0;
        self.arrived.remove(&number)
    }

    /// The connection is gone: nothing that was asked will be answered.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.arrived.clear();
    }

    fn answered(&mut self, ticket: Ticket, last: bool) {
        if last {
            self.open.remove(&ticket);
        } else if let Some(open) = self.open.get_mut(&ticket) {
            open.answers.pop_front();
        }
    }
}
