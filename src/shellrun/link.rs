//! The connection to the broker: saying hello, sending events, and trying again when it is lost.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use flux_client::{ClientError, Errno, Fault, Handle, Incoming, Message, Options, Payload, Target, Ticket};
use flux_shell::Bundle;
use flux_shell::journal::Journal;
use flux_wire::Rank;
use serde_json::{Value, json};

use crate::limits::{ACK_WAIT_MAX, COALESCE, RECONNECT_PAUSE, RECONNECT_PAUSE_MAX};

/// What the broker has said.
#[derive(Debug)]
pub(crate) enum Said {
    /// Events up to this number are taken.
    Acked(u64),
    Command(Value),
    /// A request to this shell's service.
    Request(Message),
    /// The broker, or another one in its place, is back after it was lost.
    Back,
    /// The job is not wanted any more.
    Dismissed,
}

#[derive(Debug)]
pub(crate) struct Link {
    handle: Option<Handle>,
    hello: Option<Ticket>,
    /// The hello was answered: the broker is of use.
    greeted: bool,
    ever_greeted: bool,
    rank: u32,
    next_try: Instant,
    pause: std::time::Duration,
    lost_at: Option<Instant>,
    sent_at: Instant,
}

impl Link {
    pub(crate) fn new(bundle: &Bundle, now: Instant) -> Link {
        Link {
            handle: None,
            hello: None,
            greeted: false,
            ever_greeted: false,
            rank: bundle.rank,
            next_try: now,
            pause: RECONNECT_PAUSE,
            lost_at: Some(now),
            sent_at: now,
        }
    }

    /// The broker answers.
    pub(crate) fn is_up(&self) -> bool {
        self.greeted
    }

    /// There is a broker, if perhaps not one that answers.
    pub(crate) fn is_connected(&self) -> bool {
        self.handle.is_some()
    }

    /// Since when the broker has been away.
    pub(crate) fn away_since(&self) -> Option<Instant> {
        self.lost_at
    }

    pub(crate) fn fd(&self) -> Option<(BorrowedFd<'_>, bool)> {
        self.handle.as_ref().map(|handle| (handle.as_fd(), handle.wants_write()))
    }

    /// Answers pile up.
    pub(crate) fn is_full(&self) -> bool {
        self.handle.as_ref().is_some_and(|handle| handle.unwritten() >= flux_client::limits::OUTPUT_HIGH_BYTES)
    }

    /// When [`Link::tend`] next has work.
    pub(crate) fn next_timer(&self, journal: &Journal) -> Option<Instant> {
        match &self.handle {
            None => Some(self.next_try),
            Some(_) if !journal.is_sent() && journal.is_waiting() => Some(self.sent_at + COALESCE),
            Some(_) if journal.is_waiting() => Some(self.sent_at + ACK_WAIT_MAX),
            Some(_) => None,
        }
    }

    /// Connects if it is time to, says hello, and sends what there is; `last`: nothing more will come.
    pub(crate) fn tend(&mut self, now: Instant, bundle: &Bundle, journal: &mut Journal, last: bool) {
        if self.handle.is_none() && now >= self.next_try {
            self.next_try = now + self.pause;
            self.pause = (self.pause * 2).min(RECONNECT_PAUSE_MAX);
            let options = Options { retries: 0, ..Options::default() };
            if let Ok(mut handle) = Handle::open_with(&bundle.uri, options)
                && let Ok(hello) = hello(&mut handle, bundle, journal)
            {
                self.handle = Some(handle);
                self.hello = Some(hello);
                journal.rewind();
            }
        }
        if journal.is_waiting() && now >= self.sent_at + ACK_WAIT_MAX {
            journal.rewind(); // The leader was lost on the way; every event counts once.
        }
        self.send(now, bundle, journal, last);
    }

    /// Sends what there is. The first connection does not wait for the answer to its hello.
    fn send(&mut self, now: Instant, bundle: &Bundle, journal: &mut Journal, last: bool) {
        if !self.greeted && self.ever_greeted {
            return;
        }
        let hold = !last && journal.is_waiting() && now < self.sent_at + COALESCE;
        let Some(handle) = &mut self.handle else { return };
        let mut failed = false;
        while !failed && !hold && !journal.is_sent() && handle.unwritten() < flux_client::limits::OUTPUT_HIGH_BYTES {
            let payload = events(bundle, journal);
            failed = handle.notify_queued("job-exec.shell-events", Target::Rank(Rank(self.rank)), payload).is_err();
            self.sent_at = now;
        }
        if failed {
            self.lose(now);
        }
    }

    /// Reads and writes what is possible, and answers what was said.
    pub(crate) fn advance(&mut self, now: Instant) -> Vec<Said> {
        let Some(handle) = &mut self.handle else { return Vec::new() };
        let broken = handle.advance().is_err();
        let mut said = Vec::new();
        let mut lost = broken;
        while let Some(incoming) = handle.take() {
            match incoming {
                Incoming::Response { ticket, message, .. } if Some(ticket) == self.hello => match answer(&message) {
                    Answer::Said(it) => {
                        if self.ever_greeted && !self.greeted && !matches!(it, Said::Dismissed) {
                            said.push(Said::Back);
                        }
                        self.greeted = true;
                        self.ever_greeted = true;
                        self.lost_at = None;
                        self.pause = RECONNECT_PAUSE;
                        said.push(it);
                    }
                    Answer::NotYet => lost = true,
                    Answer::Nothing => {}
                },
                Incoming::Request(request) => said.push(Said::Request(request)),
                Incoming::Response { .. } | Incoming::Event(_) => {}
            }
        }
        if lost {
            self.lose(now);
        }
        said
    }

    /// Answers a request to this shell's service.
    pub(crate) fn respond(&mut self, request: &Message, outcome: Result<Payload, Fault>) {
        let Some(handle) = &mut self.handle else { return };
        // A broker that is lost here shows at the next turn.
        let _ = match outcome {
            Ok(payload) => handle.respond(request, payload),
            Err(fault) => handle.respond_error(request, &fault),
        };
    }

    fn lose(&mut self, now: Instant) {
        self.handle = None;
        self.hello = None;
        self.greeted = false;
        self.lost_at.get_or_insert(now);
        self.next_try = self.next_try.max(now);
    }
}

fn hello(handle: &mut Handle, bundle: &Bundle, journal: &Journal) -> Result<Ticket, ClientError> {
    if bundle.shell_rank == 0 || !bundle.options.guest {
        handle.queue("service.add", Target::Any, json!({"service": bundle.service}), false)?;
    }
    let body = json!({
        "id": bundle.id.0,
        "shell_rank": bundle.shell_rank,
        "pid": std::process::id(),
        "next_seq": journal.next_seq(),
    });
    handle.queue("job-exec.shell-hello", Target::Rank(Rank(bundle.rank)), body, true)
}

/// `{"id","shell_rank","acked","events":[[seq,{...}],...]}`, put together as text: events are JSON already.
fn events(bundle: &Bundle, journal: &mut Journal) -> Payload {
    use std::fmt::Write;
    let (id, shell_rank, acked) = (bundle.id.0, bundle.shell_rank, journal.acked());
    let mut text = format!("{{\"id\":{id},\"shell_rank\":{shell_rank},\"acked\":{acked},\"events\":[");
    for (at, numbered) in journal.batch().into_iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(text, "{comma}[{},{}]", numbered.seq, numbered.event);
    }
    text.push_str("]}\0");
    Payload::raw(text.into_bytes())
}

enum Answer {
    Said(Said),
    /// The broker is there but its services are not, yet.
    NotYet,
    Nothing,
}

fn answer(message: &Message) -> Answer {
    match Fault::of(message) {
        Some(fault) if matches!(fault.errno, Errno::ENODATA | Errno::ENOENT | Errno::EPERM) => {
            Answer::Said(Said::Dismissed)
        }
        Some(_) => Answer::NotYet,
        None => {
            let Ok(body) = message.decode::<Value>() else { return Answer::Nothing };
            let acked = body.get("acked").or_else(|| body.get("seq")).and_then(Value::as_u64);
            match (body.get("type").and_then(Value::as_str), acked) {
                (None | Some("acked"), Some(seq)) => Answer::Said(Said::Acked(seq)),
                (Some(_), _) => Answer::Said(Said::Command(body)),
                _ => Answer::Nothing,
            }
        }
    }
}
