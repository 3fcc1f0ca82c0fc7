//! The handle: sending, waiting, taking, and connecting again.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use flux_service::Fault;
use flux_wire::{Cred, Flags, Message, Payload, Target};

use crate::inbox::Inbox;
use crate::limits::{CONNECT_RETRIES, OUTPUT_HIGH_BYTES, OUTPUT_MAX_BYTES};
use crate::socket::Socket;
use crate::{Address, ClientError};

/// Where the system instance listens when `FLUX_URI` is not set.
const SYSTEM_SOCKET: &str = "/run/flux/local";

/// A request under way; also its matchtag (RFC 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u32);

/// What arrives on a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// With `last`, the request has all its answers.
    Response { ticket: Ticket, last: bool, message: Message },
    /// An event that was subscribed to.
    Event(Message),
    /// A request for a service registered with [`Handle::register`]; answer it with [`Handle::respond`].
    Request(Message),
}

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often to try again while nobody listens.
    pub retries: u32,
    /// Who the sender claims to be. Only the instance owner is believed (`FLUX_HANDLE_USERID`, `FLUX_HANDLE_ROLEMASK`).
    pub cred: Cred,
}

impl Default for Options {
    fn default() -> Options {
        Options { retries: CONNECT_RETRIES, cred: Cred::UNKNOWN }
    }
}

impl Options {
    /// As the environment asks.
    fn from_env() -> Options {
        let number = |name| std::env::var(name).ok().and_then(|text| parse_u32(&text));
        let mut options = Options::default();
        options.retries = number("FLUX_LOCAL_CONNECTOR_RETRY_COUNT").unwrap_or(options.retries);
        options.cred.userid = number("FLUX_HANDLE_USERID").unwrap_or(options.cred.userid);
        options.cred.rolemask = number("FLUX_HANDLE_ROLEMASK").unwrap_or(options.cred.rolemask);
        options
    }
}

fn parse_u32(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A connection to a broker. Dropping it disconnects: the broker then cancels what was asked.
#[derive(Debug)]
pub struct Handle {
    pub(crate) socket: Socket,
    pub(crate) inbox: Inbox,
    pub(crate) attrs: BTreeMap<String, String>,
    pub(crate) subscriptions: Vec<String>,
    pub(crate) services: Vec<String>,
    uri: String,
    options: Options,
    timeout: Option<Duration>,
}

impl Handle {
    /// Connects to the instance that `FLUX_URI` names, or else to the system instance.
    ///
    /// # Errors
    /// [`ClientError::NoInstance`], and those of [`Handle::open_uri`].
    pub fn open() -> Result<Handle, ClientError> {
        let uri = match std::env::var("FLUX_URI") {
            Ok(uri) if !uri.is_empty() => uri,
            _ if std::path::Path::new(SYSTEM_SOCKET).exists() => format!("local://{SYSTEM_SOCKET}"),
            _ => return Err(ClientError::NoInstance),
        };
        Handle::open_with(&uri, Options::from_env())
    }

    /// Connects to `local://PATH` or `fd://N`.
    ///
    /// # Errors
    /// [`ClientError::BadUri`], [`ClientError::Connect`]. That the broker refuses us shows with the first call.
    pub fn open_uri(uri: &str) -> Result<Handle, ClientError> {
        Handle::open_with(uri, Options::from_env())
    }

    /// As [`Handle::open_uri`], with options of the caller's.
    ///
    /// # Errors
    /// As [`Handle::open_uri`].
    pub fn open_with(uri: &str, options: Options) -> Result<Handle, ClientError> {
        let socket = Socket::connect(uri, &Address::parse(uri)?, options.retries)?;
        Ok(Handle::with_socket(uri, socket, options))
    }

    /// Uses a stream that is already connected; the peer greets with one byte 0, as brokers do.
    ///
    /// # Errors
    /// [`ClientError::Socket`]
    pub fn from_stream(stream: UnixStream) -> Result<Handle, ClientError> {
        let socket = Socket::new("stream".to_owned(), stream).map_err(ClientError::Socket)?;
        Ok(Handle::with_socket("stream", socket, Options::default()))
    }

    fn with_socket(uri: &str, socket: Socket, options: Options) -> Handle {
        Handle {
            socket,
            inbox: Inbox::default(),
            attrs: BTreeMap::new(),
            subscriptions: Vec::new(),
            services: Vec::new(),
            uri: uri.to_owned(),
            options,
            timeout: None,
        }
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// How long [`Handle::call`] and the like wait; `None` (the default): for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Sends a request; answers it gets come from [`Handle::next`], [`Handle::wait`] or [`Handle::take`].
    ///
    /// # Errors
    /// Those of the connection, and [`ClientError::TooMany`].
    pub fn send(
        &mut self,
        topic: &str,
        target: Target,
        payload: impl Into<Payload>,
        streaming: bool,
    ) -> Result<Ticket, ClientError> {
        let ticket = self.inbox.open(streaming)?;
        let mut message = Message::request(topic, target, ticket.0, payload.into());
        if streaming {
            message.flags = Flags(Flags::STREAMING);
        }
        match self.transmit(message) {
            Ok(()) => Ok(ticket),
            Err(error) => {
                self.inbox.forget(ticket);
                Err(error)
            }
        }
    }

    /// Sends a request that nobody answers.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn notify(&mut self, topic: &str, target: Target, payload: impl Into<Payload>) -> Result<(), ClientError> {
        let mut message = Message::request(topic, target, 0, payload.into());
        message.flags = Flags(Flags::NORESPONSE);
        self.transmit(message)
    }

    /// Answers a request for a service of ours, unless it wants no answer.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn respond(&mut self, request: &Message, payload: impl Into<Payload>) -> Result<(), ClientError> {
        if request.wants_response() { self.transmit(request.response(payload.into())) } else { Ok(()) }
    }

    /// Answers a request for a service of ours with an error; ENODATA ends a stream.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn respond_error(&mut self, request: &Message, fault: &Fault) -> Result<(), ClientError> {
        if !request.wants_response() {
            return Ok(());
        }
        self.transmit(request.error_response(fault.errno, &fault.text))
    }

    /// The next thing that arrives, of any request, event or service; `None` when `timeout` has passed.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Option<Incoming>, ClientError> {
        let deadline = timeout.map(|span| Instant::now() + span);
        loop {
            if let Some(incoming) = self.inbox.take() {
                return Ok(Some(incoming));
            }
            if !self.pump(deadline)? {
                return Ok(None);
            }
        }
    }

    /// The next answer to one request, failed ones included; `None` when `timeout` has passed.
    ///
    /// # Errors
    /// Those of the connection; [`ClientError::Lost`] also when the request has no more answers.
    pub fn wait(&mut self, ticket: Ticket, timeout: Option<Duration>) -> Result<Option<Message>, ClientError> {
        let deadline = timeout.map(|span| Instant::now() + span);
        loop {
            if let Some(message) = self.inbox.take_answer(ticket) {
                return Ok(Some(message));
            }
            if !self.inbox.is_open(ticket) {
                return Err(ClientError::Lost);
            }
            if !self.pump(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Forgets a request. Its answers are dropped; to stop a stream at its source, send `NAME.cancel` as well.
    pub fn forget(&mut self, ticket: Ticket) {
        self.inbox.forget(ticket);
    }

    /// Requests that have not got their last answer.
    pub fn outstanding(&self) -> usize {
        self.inbox.outstanding()
    }

    /// What to poll for reading, and with [`Handle::wants_write`] for writing.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub fn wants_write(&self) -> bool {
        self.socket.unwritten() > 0
    }

    /// Bytes that are queued for the broker.
    pub fn unwritten(&self) -> usize {
        self.socket.unwritten()
    }

    /// Reads and writes what is possible without waiting.
    ///
    /// # Errors
    /// Those of the connection. What arrived before is still there to [`Handle::take`].
    pub fn advance(&mut self) -> Result<(), ClientError> {
        self.socket.flush()?;
        let Handle { socket, inbox, .. } = self;
        while socket.receive(&mut |message| inbox.arrive(message))? {}
        Ok(())
    }

    /// What has arrived, without reading more.
    pub fn take(&mut self) -> Option<Incoming> {
        self.inbox.take()
    }

    /// Queues a message without waiting, for callers that poll.
    ///
    /// # Errors
    /// Those of the connection; EAGAIN ([`ClientError::TooMany`]) over [`OUTPUT_MAX_BYTES`].
    pub fn queue(
        &mut self,
        topic: &str,
        target: Target,
        payload: impl Into<Payload>,
        streaming: bool,
    ) -> Result<Ticket, ClientError> {
        if self.socket.unwritten() > OUTPUT_MAX_BYTES {
            return Err(ClientError::TooMany("bytes are waiting for the broker"));
        }
        let ticket = self.inbox.open(streaming)?;
        let mut message = Message::request(topic, target, ticket.0, payload.into());
        message.flags = Flags(if streaming { Flags::STREAMING } else { 0 });
        message.cred = self.options.cred;
        self.socket.send(&message)?;
        Ok(ticket)
    }

    /// As [`Handle::notify`], without waiting, for callers that poll.
    ///
    /// # Errors
    /// As [`Handle::queue`].
    pub fn notify_queued(
        &mut self,
        topic: &str,
        target: Target,
        payload: impl Into<Payload>,
    ) -> Result<(), ClientError> {
        if self.socket.unwritten() > OUTPUT_MAX_BYTES {
            return Err(ClientError::TooMany("bytes are waiting for the broker"));
        }
        let mut message = Message::request(topic, target, 0, payload.into());
        message.flags = Flags(Flags::NORESPONSE);
        message.cred = self.options.cred;
        self.socket.send(&message)
    }

    /// Waits until everything queued was written.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        while self.socket.unwritten() > 0 {
            self.pump(None)?;
        }
        Ok(())
    }

    /// Connects again to the same address, and restores subscriptions and services. Requests under way are forgotten:
    /// whoever made them makes them again. The former socket is closed first.
    ///
    /// # Errors
    /// As [`Handle::open_uri`], and those of the restored registrations.
    pub fn reconnect(&mut self, retries: u32) -> Result<(), ClientError> {
        let address = Address::parse(&self.uri)?;
        if let Address::Inherited(_) = address {
            return Err(ClientError::Lost); // A descriptor is inherited once.
        }
        self.inbox.clear();
        self.attrs.clear();
        self.socket = Socket::connect(&self.uri, &address, retries)?;
        self.restore()
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Sends; over the high mark it waits for the broker to read, and goes on reading meanwhile so that both make progress.
    pub(crate) fn transmit(&mut self, mut message: Message) -> Result<(), ClientError> {
        message.cred = self.options.cred;
        self.socket.send(&message)?;
        while self.socket.unwritten() > OUTPUT_HIGH_BYTES {
            self.pump(None)?;
        }
        Ok(())
    }

    /// One turn: waits until `deadline` for the socket, then reads and writes. `false`: nothing came in time.
    pub(crate) fn pump(&mut self, deadline: Option<Instant>) -> Result<bool, ClientError> {
        if !self.socket.wait(deadline)? {
            return Ok(false);
        }
        let Handle { socket, inbox, .. } = self;
        if socket.unwritten() > 0 {
            socket.flush()?;
        }
        socket.receive(&mut |message| inbox.arrive(message))?;
        Ok(true)
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
