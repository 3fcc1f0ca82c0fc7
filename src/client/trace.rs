//! What a handle sends and receives, on standard error (`FLUX_HANDLE_TRACE`, flux-environment(7)).

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use flux_wire::{Body, Cred, Flags, Message, Target, role};

/// Octets of a payload that is no text which fit into a line of 80, and how many of more are shown.
const RAW_OCTETS_WHOLE: usize = 39;
const RAW_OCTETS_SHOWN: usize = 37;

/// Prints messages with the time since the first.
#[derive(Debug)]
pub(crate) struct Trace {
    began: Option<Instant>,
}

impl Trace {
    /// `None` unless the environment asks for it.
    pub(crate) fn from_env() -> Option<Trace> {
        std::env::var_os("FLUX_HANDLE_TRACE").map(|_| Trace { began: None })
    }

    pub(crate) fn message(&mut self, message: &Message) {
        let seconds = self.began.get_or_insert_with(Instant::now).elapsed().as_secs_f64();
        let _ = std::io::stderr().lock().write_all(described(message, seconds).as_bytes());
    }
}

/// The lines about a message; all but the first begin with a sign for its kind.
fn described(message: &Message, seconds: f64) -> String {
    let (sign, end) = match &message.body {
        Body::Request { target, matchtag } => {
            let node = match target {
                Target::Any => "any".to_owned(),
                Target::Rank(rank) => rank.to_string(),
                Target::UpstreamOf(rank) => rank.to_string(),
            };
            (">", format!("nodeid={node} matchtag={matchtag}"))
        }
        Body::Response { errnum, matchtag } => ("<", format!("errnum={errnum} matchtag={matchtag}")),
        Body::Event { seq } => ("e", format!("sequence={seq}")),
        Body::Control { kind, status } => ("c", format!("type={kind} status={status}")),
    };
    let mut text = format!("--------------------------------------\n{sign} {seconds:.5}\n");
    if !message.topic().is_empty() {
        let _ = writeln!(text, "{sign} {}", message.topic());
    }
    let Cred { userid, rolemask } = message.cred;
    let user = if userid == Cred::UNKNOWN_USER { "unknown".to_owned() } else { userid.to_string() };
    let _ = writeln!(text, "{sign} flags={} userid={user} rolemask={} {end}", flags(message), roles(rolemask));
    if let Some(route) = message.route.as_ref().filter(|route| !route.is_empty()) {
        let _ = writeln!(text, "{sign} |{}|", route.join("!"));
    }
    let octets = message.payload.to_wire().unwrap_or_default();
    // Text ends with a zero (RFC 3).
    match octets.split_last().and_then(|(last, words)| std::str::from_utf8(words).ok().filter(|_| *last == 0)) {
        Some(words) => {
            let _ = writeln!(text, "{sign} {words}");
        }
        None if octets.is_empty() => {}
        None => {
            let shown = if octets.len() > RAW_OCTETS_WHOLE { RAW_OCTETS_SHOWN } else { octets.len() };
            let hex: String = octets.iter().take(shown).map(|octet| format!("{octet:02X}")).collect();
            let _ = writeln!(text, "{sign} {hex}{}", if shown < octets.len() { "..." } else { "" });
        }
    }
    text
}

fn flags(message: &Message) -> String {
    let names = [
        ("topic", !message.topic().is_empty()),
        ("payload", !message.payload.is_none()),
        ("noresponse", message.flags.has(Flags::NORESPONSE)),
        ("route", message.route.is_some() || matches!(message.body, Body::Request { .. } | Body::Response { .. })),
        ("upstream", matches!(message.body, Body::Request { target: Target::UpstreamOf(_), .. })),
        ("private", message.flags.has(Flags::PRIVATE)),
        ("streaming", message.flags.has(Flags::STREAMING)),
    ];
    let set: Vec<&str> = names.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
    set.join(",")
}

fn roles(mask: u32) -> String {
    const NAMES: [(u32, &str); 4] =
        [(role::OWNER, "owner"), (role::USER, "user"), (role::LOCAL, "local"), (role::ADMIN, "admin")];
    match mask {
        role::NONE => "none".to_owned(),
        role::ALL => "all".to_owned(),
        mask => {
            let bits = (0..32).map(|bit| 1 << bit).filter(|bit| mask & bit != 0);
            let name = |bit: u32| {
                NAMES
                    .iter()
                    .find(|(known, _)| *known == bit)
                    .map_or(format!("{bit:#x}"), |(_, name)| (*name).to_owned())
            };
            bits.map(name).collect::<Vec<_>>().join(",")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux_wire::{Payload, Rank};
    use serde_json::json;

    #[test]
    fn messages_look_as_flux_core_prints_them() {
        let request = Message::request("attr.get", Target::Any, 1, json!({"name": "rank"}).into());
        let want = "--------------------------------------\n> 0.25000\n> attr.get\n\
                    > flags=topic,payload,route userid=unknown rolemask=none nodeid=any matchtag=1\n> {\"name\":\"rank\"}\n";
        assert_eq!(described(&request, 0.25), want);
        let mut response = request.response(Payload::None);
        response.cred = Cred { userid: 5, rolemask: role::USER | role::LOCAL | 64 };
        let line = "< flags=topic,route userid=5 rolemask=user,local,0x40 errnum=0 matchtag=1";
        assert_eq!(described(&response, 1.0).lines().last(), Some(line));
        let raw = Message::request("x", Target::Rank(Rank(3)), 0, Payload::raw([0xff; 40]));
        let text = described(&raw, 0.0);
        assert!(text.contains("nodeid=3"), "{text}");
        assert!(text.ends_with(&format!("> {}...\n", "FF".repeat(37))), "{text}");
    }
}
