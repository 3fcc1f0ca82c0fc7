//! What encryption costs a link between brokers: `cargo run --release -p flux-bench --bin flux-bench-link`.
//!
//! Messages are encoded, sealed, written to a TCP connection over the loopback, read, opened and decoded, by one thread and with the
//! brokers' own code. CPU time is measured, so that other work on the machine does not count.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use flux_wire::crypto::{KEY_LEN, KeyPair};
use flux_wire::zmtp::{Allowed, Connection, Event, Security, SocketType};
use flux_wire::{Message, Target, decode, encode};
use serde_json::json;

/// Bytes that go through each link for one row.
const BYTES: usize = 256 << 20;
/// As much is written at once as a broker would for a busy link.
const BATCH_BYTES: usize = 32 << 10;

/// Nanoseconds that this process has run.
fn cpu_time() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/self/schedstat").map_err(|error| error.to_string())?;
    text.split(' ').next().and_then(|word| word.parse().ok()).ok_or("schedstat says nothing".to_owned())
}

struct Link {
    ends: [Connection; 2],
    sockets: [TcpStream; 2],
    chunk: Vec<u8>,
}

impl Link {
    fn new(curve: bool) -> std::io::Result<Link> {
        let (client, server) = (KeyPair::from_seed([1; KEY_LEN]), KeyPair::from_seed([2; KEY_LEN]));
        let securities = match curve {
            false => [Security::Null, Security::Null],
            true => [
                Security::CurveClient { server: server.public, own: client, seed: [3; KEY_LEN] },
                Security::CurveServer { own: server, allowed: Allowed::Anybody, seed: [4; KEY_LEN] },
            ],
        };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        let (far, _) = listener.accept()?;
        let [a, b] = securities;
        let ends = [Connection::new(SocketType::Dealer, a), Connection::new(SocketType::Router, b)];
        let mut link = Link { ends, sockets: [near, far], chunk: vec![0; 64 << 10] };
        while !link.ends.iter().all(Connection::is_ready) {
            link.carry(0)?;
            link.carry(1)?;
        }
        Ok(link)
    }

    /// Carries what one end has to say to the other; answers how many messages came of it.
    fn carry(&mut self, from: usize) -> std::io::Result<usize> {
        let bytes = std::mem::take(self.ends[from].output());
        self.sockets[from].write_all(&bytes)?;
        let (mut left, mut count) = (bytes.len(), 0);
        while left > 0 {
            let want = left.min(self.chunk.len());
            let read = self.sockets[1 - from].read(&mut self.chunk[..want])?;
            left -= read;
            let outcome = self.ends[1 - from].receive(&self.chunk[..read], |event| {
                if let Event::Message(parts) = event {
                    count += usize::from(parts.last().is_some_and(|part| decode(part).is_ok()));
                }
            });
            outcome.map_err(|error| std::io::Error::other(error.to_string()))?;
        }
        Ok(count)
    }
}

/// Nanoseconds of CPU time for one message of about `size` bytes.
fn cost(curve: bool, size: usize) -> Result<f64, String> {
    let mut link = Link::new(curve).map_err(|error| error.to_string())?;
    let message = Message::request("bench.link", Target::Any, 1, json!({"pad": "x".repeat(size)}).into());
    let (total, mut sent, mut came) = (BYTES / size, 0, 0);
    let began = cpu_time()?;
    while sent < total {
        let mut bytes = 0;
        while bytes < BATCH_BYTES && sent < total {
            let text = encode(&message);
            link.ends[0].send(&[&text]);
            bytes += text.len();
            sent += 1;
        }
        came += link.carry(0).map_err(|error| error.to_string())?;
    }
    match came == sent {
        true => Ok((cpu_time()? - began) / sent as f64),
        false => Err(format!("{came} of {sent} messages came")),
    }
}

fn rows() -> Result<(), String> {
    println!("| message | without | with CURVE | CPU time more |");
    println!("| ---: | ---: | ---: | ---: |");
    for size in [300, 4 << 10, 64 << 10] {
        let (plain, sealed) = (cost(false, size)?, cost(true, size)?);
        let rate = |nanos: f64| format!("{:.0} MB/s, {:.0}/s", size as f64 / nanos * 1e3, 1e9 / nanos);
        println!("| {size} B | {} | {} | {:.1} µs |", rate(plain), rate(sealed), (sealed - plain) / 1e3);
    }
    Ok(())
}

fn main() -> ExitCode {
    flux_wire::crypto::init();
    match rows() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("flux-bench-link: {why}");
            ExitCode::FAILURE
        }
    }
}
