//! The fork server of job shells, as seen from the broker (ADR 1): bundles go in, ids of children come out, in the same order.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use flux_service::{ProcessEvent, SpawnSpec, StdStream};
use flux_sys::process::{Child, Pid};
use flux_wire::Errno;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::pipe::{Got, Pipe};
use super::{Input, Key, Part, Process, Processes, report};
use crate::limits::{FORK_SERVER_PAUSE, FORK_SERVER_PAUSE_MAX, PROCESSES_MAX};
use crate::tokens::Tokens;

/// Its descriptor 3, as the first channel of a process is.
const CHANNEL: &str = "FLUX_SHELL_FORK_SERVER_FD";
const ANSWER_BYTES: usize = 4;

/// A copy that was ordered and is not there yet.
#[derive(Debug)]
struct Order {
    key: Key,
    /// To start it without the server.
    spec: Box<SpawnSpec>,
    /// To be sent to it at once.
    signal: Option<i32>,
}

#[derive(Debug)]
pub(super) struct ForkServer {
    child: Child,
    pub(super) token: Token,
    pub(super) pipe: Pipe,
    orders: VecDeque<Order>,
    /// Of an answer, its first bytes.
    held: Vec<u8>,
    /// It has made a copy.
    proved: bool,
}

impl ForkServer {
    /// The process of this key is signalled when it is there.
    pub(super) fn signal_later(&mut self, key: Key, signum: i32) {
        if let Some(order) = self.orders.iter_mut().find(|order| order.key == key) {
            order.signal = Some(signum);
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        // It ends without its socket; this only keeps it from staying a zombie.
        let _ = self.child.signal(flux_sys::signal::Name::SIGKILL as i32);
        let _ = self.child.wait();
    }
}

impl Processes {
    /// Orders a copy of the fork server, which is started if there is none. `false`: there can be none.
    pub(super) fn order_copy(&mut self, registry: &Registry, tokens: &mut Tokens, key: Key, spec: &SpawnSpec) -> bool {
        let Some(stdin) = &spec.stdin else { return false };
        let now = Instant::now();
        if self.fork_server.is_none() && (self.no_fork_server || self.fork_server_again.is_some_and(|(at, _)| now < at))
        {
            return false;
        }
        if self.fork_server.is_none() {
            match self.start_server(registry, tokens, spec) {
                Ok(server) => {
                    self.fork_server = Some(server);
                    self.fork_server_again = None;
                }
                Err(errno) => {
                    // Said once; shells are started one by one meanwhile.
                    let pause = match self.fork_server_again {
                        None => {
                            let text = format!("flux-broker: starting the fork server of job shells: {errno}");
                            crate::stderr::line(&text);
                            FORK_SERVER_PAUSE
                        }
                        Some((_, pause)) => (pause * 2).min(FORK_SERVER_PAUSE_MAX),
                    };
                    self.fork_server_again = Some((now + pause, pause));
                    return false;
                }
            }
        }
        let Some(server) = &mut self.fork_server else { return false };
        let Ok(len) = u32::try_from(stdin.len()) else { return false };
        if self.table.len() + server.orders.len() >= PROCESSES_MAX {
            return false; // The ordinary way says so.
        }
        let frame = [&len.to_le_bytes(), &**stdin].concat();
        if !server.pipe.queue(&frame, false) {
            return false;
        }
        server.orders.push_back(Order { key, spec: Box::new(spec.clone()), signal: None });
        server.pipe.flush();
        self.ready.insert(server.token);
        true
    }

    fn start_server(
        &mut self,
        registry: &Registry,
        tokens: &mut Tokens,
        spec: &SpawnSpec,
    ) -> Result<ForkServer, Errno> {
        let argv = vec![spec.argv.first().cloned().unwrap_or_default(), "--fork-server".to_owned()];
        let spec = SpawnSpec { argv, stdin: None, channels: vec![CHANNEL.into()], ..spec.clone() };
        let mut launched = self.launcher.launch(&spec)?;
        let (_, end) = launched.ends.pop().ok_or(Errno::EINVAL)?;
        let server = ForkServer {
            child: launched.child,
            token: tokens.next(),
            pipe: Pipe::new(end),
            orders: VecDeque::new(),
            held: Vec::new(),
            proved: false,
        };
        let fd = server.pipe.raw_fd();
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut SourceFd(&fd), server.token, both).map_err(|error| crate::file::errno_of(&error))?;
        Ok(server)
    }

    /// Sends bundles and takes answers.
    pub(super) fn serve_copies(
        &mut self,
        registry: &Registry,
        tokens: &mut Tokens,
        chunk: &mut [u8],
        inbox: &mut VecDeque<Input>,
    ) {
        let Some(mut server) = self.fork_server.take() else { return };
        server.pipe.flush();
        server.pipe.begin_turn();
        let alive = loop {
            match server.pipe.read(chunk) {
                Got::Bytes(len) => server.held.extend_from_slice(&chunk[..len]),
                Got::Nothing => break true,
                Got::Eof => break false,
            }
        };
        let whole = server.held.len() / ANSWER_BYTES * ANSWER_BYTES;
        let answers: Vec<u8> = server.held.drain(..whole).collect();
        for answer in answers.as_chunks().0 {
            let Some(order) = server.orders.pop_front() else { break };
            server.proved = true;
            self.take_copy(registry, tokens, &order, i32::from_le_bytes(*answer), inbox);
        }
        if alive {
            if server.pipe.wants_read() {
                self.ready.insert(server.token);
            }
            self.fork_server = Some(server);
            return;
        }
        // One that never made a copy cannot do it here, and made none of these. One that did may have made some before it was lost.
        self.no_fork_server |= !server.proved;
        for order in server.orders.drain(..) {
            let event = match server.proved {
                false => self.spawn(registry, tokens, order.key, &order.spec).map(|pid| ProcessEvent::Started { pid }),
                true => Err(Errno::EAGAIN),
            };
            inbox.push_back(report(order.key, event.unwrap_or_else(|errno| ProcessEvent::NotStarted { errno })));
            if let Some(signum) = order.signal {
                self.kill(order.key, signum, false);
            }
        }
    }

    fn take_copy(
        &mut self,
        registry: &Registry,
        tokens: &mut Tokens,
        order: &Order,
        answer: i32,
        inbox: &mut VecDeque<Input>,
    ) {
        let event = match self.adopt(registry, tokens, order, answer) {
            Ok(pid) => ProcessEvent::Started { pid },
            Err(errno) => ProcessEvent::NotStarted { errno },
        };
        inbox.push_back(report(order.key, event));
    }

    fn adopt(&mut self, registry: &Registry, tokens: &mut Tokens, order: &Order, answer: i32) -> Result<u32, Errno> {
        if answer <= 0 {
            return Err(Errno(-answer));
        }
        let failed = |error: io::Error| crate::file::errno_of(&error);
        let child = Child::adopt(Pid(answer)).map_err(failed)?;
        let end_token = tokens.next();
        registry.register(&mut SourceFd(&child.as_fd().as_raw_fd()), end_token, Interest::READABLE).map_err(failed)?;
        if let Some(signum) = order.signal {
            let _ = child.signal(signum); // It may have ended already.
        }
        let pipes: BTreeMap<StdStream, (Token, Pipe)> = BTreeMap::new();
        let process = Process { child, leader: true, cgroup: None, end_token, pipes, exited: None, drain_until: None };
        self.parts.insert(end_token, (order.key, Part::End));
        let former = self.table.insert(order.key, process);
        assert!(former.is_none(), "one operation starts one process: {:?}", order.key);
        Ok(answer as u32)
    }
}
