//! The rendezvous at rank 0: each broker brings its card, and gets those that it wants once all are there.
//!
//! The links are those between brokers (ZMTP with CURVE). Both ends prove the key that follows from the secret which PALS gave to this
//! application alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flux_types::Idset;
use flux_wire::crypto::KEY_LEN;
use flux_wire::zmtp::{Allowed, Connection, Event, Security, SocketType};
use serde::{Deserialize, Serialize};

use super::{Application, PalsError};
use crate::limits::{MEETING_HELLO, MEETING_MAX, MEETING_RETRY};

/// What a broker brings.
#[derive(Debug, Serialize, Deserialize)]
struct Visit {
    rank: u32,
    card: String,
    /// The ranks whose cards it wants.
    wants: Vec<u32>,
}

/// Brings `card`, and returns those of `wants`; at rank 0, of all.
///
/// # Errors
/// That the others are not to be met.
pub(in crate::boot) fn meet(
    application: &Application,
    card: &str,
    wants: &[u32],
) -> Result<BTreeMap<u32, String>, PalsError> {
    flux_wire::crypto::init();
    let until = Instant::now() + MEETING_MAX;
    if application.rank == 0 {
        return host(application, card, until);
    }
    let visit = Visit { rank: application.rank, card: card.to_owned(), wants: wants.to_vec() };
    loop {
        match call(application, &visit, until) {
            Ok(cards) => return Ok(cards),
            // Rank 0 may be there later than we are.
            Err(_) if Instant::now() + MEETING_RETRY < until => std::thread::sleep(MEETING_RETRY),
            Err(why) => {
                return Err(PalsError::Meeting { host: application.hosts[0].clone(), port: application.port, why });
            }
        }
    }
}

fn host(application: &Application, card: &str, until: Instant) -> Result<BTreeMap<u32, String>, PalsError> {
    let failed = |error| PalsError::Listen { port: application.port, error };
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, application.port)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let mut cards = BTreeMap::from([(0, card.to_owned())]);
    let mut waiting = BTreeMap::new();
    while cards.len() < application.hosts.len() {
        if Instant::now() >= until {
            let absent: Idset = (0..application.size()).filter(|rank| !cards.contains_key(rank)).collect();
            return Err(PalsError::Absent { ranks: absent.to_string(), seconds: MEETING_MAX.as_secs() });
        }
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        // Who cannot say what it wants is a stranger, or comes again.
        let Ok((line, visit)) = receive(application, stream) else { continue };
        if (1..application.size()).contains(&visit.rank) {
            cards.insert(visit.rank, visit.card);
            waiting.insert(visit.rank, (line, visit.wants));
        }
    }
    for (mut line, wants) in waiting.into_values() {
        let wanted: BTreeMap<u32, &String> = wants.iter().filter_map(|rank| Some((*rank, cards.get(rank)?))).collect();
        // One that is gone will be missed when it does not connect.
        let _ = line.say(&serde_json::to_vec(&wanted).expect("numbers and texts"));
    }
    Ok(cards)
}

fn receive(application: &Application, stream: TcpStream) -> Result<(Line, Visit), String> {
    let own = application.secret.clone();
    let allowed = Allowed::Keys(Arc::new(BTreeSet::from([own.public])));
    let security = Security::CurveServer { own, allowed, seed: seed()? };
    let mut line = Line::open(stream, SocketType::Router, security, MEETING_HELLO)?;
    let visit = line.hear()?;
    Ok((line, serde_json::from_slice(&visit).map_err(|error| error.to_string())?))
}

fn call(application: &Application, visit: &Visit, until: Instant) -> Result<BTreeMap<u32, String>, String> {
    let said = |error: std::io::Error| error.to_string();
    let address = format!("{}:{}", application.hosts[0], application.port);
    let address = flux_sys::hosts::resolve(&address).map_err(said)?;
    let stream = TcpStream::connect_timeout(&address, MEETING_HELLO).map_err(said)?;
    let own = application.secret.clone();
    let security = Security::CurveClient { server: own.public, own, seed: seed()? };
    let mut line = Line::open(stream, SocketType::Dealer, security, MEETING_HELLO)?;
    line.say(&serde_json::to_vec(visit).expect("numbers and texts"))?;
    let left = until.saturating_duration_since(Instant::now()).max(MEETING_RETRY);
    line.stream.set_read_timeout(Some(left)).map_err(said)?;
    let cards: BTreeMap<u32, String> = serde_json::from_slice(&line.hear()?).map_err(|error| error.to_string())?;
    match visit.wants.iter().find(|rank| !cards.contains_key(rank)) {
        Some(rank) => Err(format!("rank 0 says nothing of rank {rank}")),
        None => Ok(cards),
    }
}

fn seed() -> Result<[u8; KEY_LEN], String> {
    let mut seed = [0; KEY_LEN];
    flux_sys::random::fill(&mut seed).map_err(|error| error.to_string())?;
    Ok(seed)
}

/// One end of a conversation, which waits for the other.
struct Line {
    stream: TcpStream,
    zmtp: Connection,
    heard: Vec<Vec<u8>>,
}

impl Line {
    fn open(stream: TcpStream, socket: SocketType, security: Security, patience: Duration) -> Result<Line, String> {
        let set = || {
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))
        };
        set().map_err(|error| error.to_string())?;
        let mut line = Line { zmtp: Connection::new(socket, security), stream, heard: Vec::new() };
        while !line.zmtp.is_ready() {
            line.flush()?;
            line.read()?;
        }
        Ok(line)
    }

    fn say(&mut self, text: &[u8]) -> Result<(), String> {
        self.zmtp.send(&[text]);
        self.flush()
    }

    fn hear(&mut self) -> Result<Vec<u8>, String> {
        self.flush()?;
        while self.heard.is_empty() {
            self.read()?;
        }
        Ok(self.heard.remove(0))
    }

    fn flush(&mut self) -> Result<(), String> {
        let bytes = std::mem::take(self.zmtp.output());
        self.stream.write_all(&bytes).map_err(|error| error.to_string())
    }

    fn read(&mut self) -> Result<(), String> {
        let mut chunk = [0; 4096];
        let len = self.stream.read(&mut chunk).map_err(|error| error.to_string())?;
        if len == 0 {
            return Err("the connection was closed".to_owned());
        }
        let outcome = self.zmtp.receive(&chunk[..len], |event| {
            if let Event::Message(parts) = event {
                self.heard.extend(parts.into_iter().next_back());
            }
        });
        outcome.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::pals::tests::written;

    fn application(rank: u32, port: u16, secret: &str) -> Application {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("apinfo").display().to_string();
        std::fs::write(&path, written(5, &["127.0.0.1"], &[0, 0, 0])).unwrap();
        let (rank, port) = (rank.to_string(), port.to_string());
        let env = |name: &str| match name {
            "PALS_RANKID" => Some(rank.as_str()),
            "PALS_APINFO" => Some(path.as_str()),
            "PMI_CONTROL_PORT" => Some(port.as_str()),
            "PMI_SHARED_SECRET" => Some(secret),
            _ => None,
        };
        Application::from_env(env).unwrap().unwrap()
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn brokers_that_come_in_any_order_get_the_cards_they_want() {
        let port = free_port();
        let come = |rank: u32, wants: &'static [u32]| {
            let application = application(rank, port, "7");
            std::thread::spawn(move || meet(&application, &format!("card {rank}"), wants).unwrap())
        };
        let (last, first) = (come(2, &[0, 1]), come(1, &[0]));
        let all = come(0, &[]).join().unwrap();
        let card = |rank: u32| (rank, format!("card {rank}"));
        assert_eq!(all, BTreeMap::from([card(0), card(1), card(2)]));
        assert_eq!(first.join().unwrap(), BTreeMap::from([card(0)]));
        assert_eq!(last.join().unwrap(), BTreeMap::from([card(0), card(1)]));
    }

    #[test]
    fn strangers_and_those_with_another_secret_bring_nothing() {
        let port = free_port();
        let root = application(0, port, "7");
        let host = std::thread::spawn(move || meet(&root, "card 0", &[]).unwrap());
        let visit = |rank, card: &str| Visit { rank, card: card.to_owned(), wants: vec![0] };
        let soon = || Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        TcpStream::connect(("127.0.0.1", port)).unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(call(&application(1, port, "8"), &visit(1, "forged"), soon()).is_err());
        let callers = [1, 2].map(|rank| {
            let application = application(rank, port, "7");
            std::thread::spawn(move || call(&application, &visit(rank, "true"), soon()).unwrap())
        });
        let cards = host.join().unwrap();
        assert_eq!(cards.values().collect::<Vec<_>>(), ["card 0", "true", "true"]);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), BTreeMap::from([(0, "card 0".to_owned())]));
        }
    }
}
