//! The CURVE mechanism (ZeroMQ's RFC 26): HELLO, WELCOME, INITIATE, READY, then MESSAGE.
//!
//! In its words: C and S are the lasting keys of client and server, C' and S' those of this connection.

use super::error::ZmtpError;
use super::frame::{self, Frame};
use super::{Allowed, Security, metadata};
use crate::crypto::{KEY_LEN, KeyPair, NONCE_LEN, PublicKey, SEAL_LEN, Shared, derive, seal_for_self};

const HELLO: &[u8] = b"\x05HELLO";
const WELCOME: &[u8] = b"\x07WELCOME";
const INITIATE: &[u8] = b"\x08INITIATE";
const READY: &[u8] = b"\x05READY";
const MESSAGE: &[u8] = b"\x07MESSAGE";

const HELLO_LEN: usize = 200;
const WELCOME_LEN: usize = 168;
const COOKIE_LEN: usize = 96;
const VOUCH_LEN: usize = 96;
const MORE: u8 = 1;
const COMMAND: u8 = 2;

/// A handshake under way.
pub(super) enum Curve {
    /// Waits for WELCOME, then for READY.
    Client {
        own: KeyPair,
        server: PublicKey,
        transient: KeyPair,
        vouch_nonce: [u8; 16],
        socket_type: &'static str,
        session: Option<Shared>,
    },
    /// Waits for HELLO, then for INITIATE.
    Server {
        own: KeyPair,
        allowed: Allowed,
        transient: KeyPair,
        cookie_key: [u8; KEY_LEN],
        nonces: [u8; KEY_LEN],
        socket_type: &'static str,
        greeted: Option<(PublicKey, Vec<u8>)>,
    },
}

impl Curve {
    pub(super) fn begin(security: &Security, socket_type: &'static str, out: &mut Vec<u8>) -> Curve {
        match security {
            Security::Null => unreachable!("NULL has no handshake of this kind"),
            Security::CurveClient { own, server, seed } => {
                let transient = KeyPair::from_seed(derive(*seed, 1));
                hello(&transient, server, out);
                let vouch_nonce = *derive(*seed, 2).first_chunk().expect("32 are more than 16");
                Curve::Client { own: own.clone(), server: *server, transient, vouch_nonce, socket_type, session: None }
            }
            Security::CurveServer { own, allowed, seed } => Curve::Server {
                own: own.clone(),
                allowed: allowed.clone(),
                transient: KeyPair::from_seed(derive(*seed, 1)),
                cookie_key: derive(*seed, 2),
                nonces: derive(*seed, 3),
                socket_type,
                greeted: None,
            },
        }
    }

    /// Takes a command of the peer. At the end: the session, and whose it is.
    pub(super) fn step(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Option<(Session, PublicKey)>, ZmtpError> {
        match self {
            Curve::Client { server, session: Some(shared), .. } => {
                let (nonce, sealed) = sealed_part(body, READY)?;
                let plain = shared.open(sealed, short_nonce(b"CurveZMQREADY---", nonce));
                metadata::check(&plain.ok_or(ZmtpError::BadSeal { command: "READY" })?)?;
                Ok(Some((Session::new(shared.clone(), false), *server)))
            }
            Curve::Client { own, server, transient, vouch_nonce, socket_type, session } => {
                let shared = welcomed(body, (own, server, transient), *vouch_nonce, socket_type, out)?;
                *session = Some(shared);
                Ok(None)
            }
            Curve::Server { own, transient, cookie_key, nonces, greeted: greeted @ None, .. } => {
                *greeted = Some(welcome(body, own, transient, *cookie_key, *nonces, out)?);
                Ok(None)
            }
            Curve::Server { own, allowed, transient, socket_type, greeted: Some((client, cookie)), .. } => {
                initiated(body, (own, transient), client, cookie, allowed, socket_type, out).map(Some)
            }
        }
    }
}

fn hello(transient: &KeyPair, server: &PublicKey, out: &mut Vec<u8>) {
    let shared = transient.secret.shared_with(server);
    let mut body = HELLO.to_vec();
    body.extend_from_slice(&[1, 0]);
    body.extend_from_slice(&[0; 72]);
    body.extend_from_slice(&transient.public.0);
    body.extend_from_slice(&1_u64.to_be_bytes());
    body.extend_from_slice(&shared.seal(&[0; 64], short_nonce(b"CurveZMQHELLO---", 1)));
    debug_assert_eq!(body.len(), HELLO_LEN);
    frame::put(out, &body, false, true);
}

/// The server: HELLO in, WELCOME out. Answers C' and the cookie.
fn welcome(
    body: &[u8],
    own: &KeyPair,
    transient: &KeyPair,
    cookie_key: [u8; KEY_LEN],
    nonces: [u8; KEY_LEN],
    out: &mut Vec<u8>,
) -> Result<(PublicKey, Vec<u8>), ZmtpError> {
    if body.len() != HELLO_LEN || !body.starts_with(HELLO) || body[6] != 1 {
        return Err(ZmtpError::unexpected(body));
    }
    let client = PublicKey(key_at(body, 80));
    let nonce = u64::from_be_bytes(*body[112..].first_chunk().expect("the length was checked"));
    let shared = own.secret.shared_with(&client);
    shared
        .open(&body[120..], short_nonce(b"CurveZMQHELLO---", nonce))
        .filter(|plain| plain.len() == 64)
        .ok_or(ZmtpError::BadSeal { command: "HELLO" })?;
    let mut cookie = nonces[..16].to_vec();
    let plain: Vec<u8> = client.0.into_iter().chain(transient.secret.to_bytes()).collect();
    cookie.extend(seal_for_self(&plain, long_nonce(b"COOKIE--", &nonces[..16]), cookie_key));
    let mut plain = transient.public.0.to_vec();
    plain.extend_from_slice(&cookie);
    let mut body = WELCOME.to_vec();
    body.extend_from_slice(&nonces[16..]);
    body.extend(shared.seal(&plain, long_nonce(b"WELCOME-", &nonces[16..])));
    debug_assert_eq!(body.len(), WELCOME_LEN);
    frame::put(out, &body, false, true);
    Ok((client, cookie))
}

/// The client: WELCOME in, INITIATE out. Answers the key of the session.
fn welcomed(
    body: &[u8],
    (own, server, transient): (&KeyPair, &PublicKey, &KeyPair),
    vouch_nonce: [u8; 16],
    socket_type: &str,
    out: &mut Vec<u8>,
) -> Result<Shared, ZmtpError> {
    if body.len() != WELCOME_LEN || !body.starts_with(WELCOME) {
        return Err(ZmtpError::unexpected(body));
    }
    let opened = transient.secret.shared_with(server).open(&body[24..], long_nonce(b"WELCOME-", &body[8..24]));
    let opened = opened.ok_or(ZmtpError::BadSeal { command: "WELCOME" })?;
    let server_transient = PublicKey(key_at(&opened, 0));
    let mut vouched = transient.public.0.to_vec();
    vouched.extend_from_slice(&server.0);
    let vouch = own.secret.shared_with(&server_transient).seal(&vouched, long_nonce(b"VOUCH---", &vouch_nonce));
    let mut plain = own.public.0.to_vec();
    plain.extend_from_slice(&vouch_nonce);
    plain.extend_from_slice(&vouch);
    metadata::put(&mut plain, socket_type);
    let shared = transient.secret.shared_with(&server_transient);
    let mut body = INITIATE.to_vec();
    body.extend_from_slice(&opened[KEY_LEN..]);
    body.extend_from_slice(&2_u64.to_be_bytes());
    body.extend(shared.seal(&plain, short_nonce(b"CurveZMQINITIATE", 2)));
    frame::put(out, &body, false, true);
    Ok(shared)
}

/// The server: INITIATE in, READY (or ERROR) out.
fn initiated(
    body: &[u8],
    (own, transient): (&KeyPair, &KeyPair),
    client_transient: &PublicKey,
    cookie: &[u8],
    allowed: &Allowed,
    socket_type: &str,
    out: &mut Vec<u8>,
) -> Result<(Session, PublicKey), ZmtpError> {
    let bad = || ZmtpError::BadSeal { command: "INITIATE" };
    let rest = body.strip_prefix(INITIATE).ok_or_else(|| ZmtpError::unexpected(body))?;
    let (got, rest) = rest.split_at_checked(COOKIE_LEN).ok_or_else(|| ZmtpError::unexpected(body))?;
    let (nonce, sealed) = rest.split_first_chunk::<8>().ok_or_else(|| ZmtpError::unexpected(body))?;
    if got != cookie {
        return Err(bad());
    }
    let nonce = u64::from_be_bytes(*nonce);
    let shared = transient.secret.shared_with(client_transient);
    let plain = shared.open(sealed, short_nonce(b"CurveZMQINITIATE", nonce)).ok_or_else(bad)?;
    if plain.len() < KEY_LEN + VOUCH_LEN {
        return Err(ZmtpError::unexpected(body));
    }
    let client = PublicKey(key_at(&plain, 0));
    let vouch_nonce = long_nonce(b"VOUCH---", &plain[32..48]);
    let vouch = transient.secret.shared_with(&client).open(&plain[48..128], vouch_nonce).ok_or_else(bad)?;
    // The client vouches for its transient key, and for meaning us.
    if key_at(&vouch, 0) != client_transient.0 || key_at(&vouch, KEY_LEN) != own.public.0 {
        return Err(bad());
    }
    if let Allowed::Keys(keys) = allowed
        && !keys.contains(&client)
    {
        const REASON: &[u8] = b"not authorized";
        let mut error = b"\x05ERROR".to_vec();
        error.push(REASON.len() as u8);
        error.extend_from_slice(REASON);
        frame::put(out, &error, false, true);
        return Err(ZmtpError::NotAllowed { key: client.to_string() });
    }
    metadata::check(&plain[128..])?;
    let mut ready = READY.to_vec();
    ready.extend_from_slice(&1_u64.to_be_bytes());
    let mut properties = Vec::new();
    metadata::put(&mut properties, socket_type);
    ready.extend(shared.seal(&properties, short_nonce(b"CurveZMQREADY---", 1)));
    frame::put(out, &ready, false, true);
    let mut session = Session::new(shared, true);
    session.received = nonce;
    Ok((session, client))
}

/// An open connection: every part is sealed under a counter.
pub(super) struct Session {
    shared: Shared,
    is_server: bool,
    sent: u64,
    received: u64,
}

impl Session {
    fn new(shared: Shared, is_server: bool) -> Session {
        // The handshake used up to 2.
        Session { shared, is_server, sent: 2, received: 0 }
    }

    /// Appends a frame with the part, which is sealed where it then lies.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, part: &[u8], more: bool, command: bool) {
        self.sent += 1;
        frame::put_head(out, MESSAGE.len() + 8 + SEAL_LEN + 1 + part.len(), false, false);
        out.extend_from_slice(MESSAGE);
        out.extend_from_slice(&self.sent.to_be_bytes());
        let from = out.len();
        out.extend_from_slice(&[0; SEAL_LEN]);
        out.push(if more { MORE } else { 0 } | if command { COMMAND } else { 0 });
        out.extend_from_slice(part);
        self.shared.seal_in_place(&mut out[from..], short_nonce(prefix(self.is_server), self.sent));
    }

    /// What is in a frame, which is opened where it lies.
    pub(super) fn open(&mut self, body: &mut [u8]) -> Result<Frame, ZmtpError> {
        let (nonce, _) = sealed_part(body, MESSAGE)?;
        if nonce <= self.received {
            return Err(ZmtpError::Replayed);
        }
        self.received = nonce;
        let sealed = &mut body[MESSAGE.len() + 8..];
        let plain = self.shared.open_in_place(sealed, short_nonce(prefix(!self.is_server), nonce));
        match plain.ok_or(ZmtpError::BadSeal { command: "MESSAGE" })?.split_first() {
            Some((flags, plain)) => {
                Ok(Frame { body: plain.to_vec(), more: flags & MORE != 0, command: flags & COMMAND != 0 })
            }
            None => Err(ZmtpError::unexpected(body)),
        }
    }
}

fn prefix(from_server: bool) -> &'static [u8; 16] {
    if from_server { b"CurveZMQMESSAGES" } else { b"CurveZMQMESSAGEC" }
}

/// The counter and the box of a command that is nothing else.
fn sealed_part<'a>(body: &'a [u8], name: &[u8]) -> Result<(u64, &'a [u8]), ZmtpError> {
    let rest = body.strip_prefix(name).ok_or_else(|| ZmtpError::unexpected(body))?;
    let (nonce, sealed) = rest.split_first_chunk::<8>().ok_or_else(|| ZmtpError::unexpected(body))?;
    Ok((u64::from_be_bytes(*nonce), sealed))
}

fn key_at(bytes: &[u8], at: usize) -> [u8; KEY_LEN] {
    bytes[at..at + KEY_LEN].try_into().expect("the length was checked")
}

fn short_nonce(prefix: &[u8; 16], counter: u64) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..16].copy_from_slice(prefix);
    nonce[16..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

fn long_nonce(prefix: &[u8; 8], rest: &[u8]) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(prefix);
    nonce[8..].copy_from_slice(rest);
    nonce
}
