//! `flux ping`: is a service there, and how far away?

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Fault, Handle, Incoming, Rank, Target, Ticket};
use serde_json::json;

use crate::frame::args::{flag, option, text, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// Bytes that `--pad` may add to a message.
const PAD_MAX_BYTES: u64 = 1 << 30;

pub fn command() -> Command {
    Command::new("ping").args([
        option("rank", Some('r'), "RANK", "Find target on a specific broker rank"),
        option("pad", Some('p'), "N", "Include in the payload a string of length N bytes"),
        option("interval", Some('i'), "N", "Seconds between requests (default 1)"),
        option("count", Some('c'), "N", "Stop after N requests"),
        flag("batch", Some('b'), "Begin processing responses after all requests are sent"),
        flag("userid", Some('u'), "Include userid and rolemask in ping output"),
        word("TARGET", "A service, a rank, or RANK!SERVICE"),
    ])
}

struct Ping {
    target: Target,
    topic: String,
    shown: String,
    pad: String,
    userid: bool,
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let number = |name: &str| -> Result<Option<u64>, CmdError> {
        let parse = |text: &str| text.parse().map_err(|_| CmdError::usage(format!("--{name}={text}: not a number")));
        text(matches, name).map(parse).transpose()
    };
    let pad = text(matches, "pad").map_or(Some(0), size).filter(|size| *size <= PAD_MAX_BYTES);
    let pad = pad.ok_or_else(|| CmdError::usage("--pad: give a number of bytes, at most 1G"))?;
    let interval = flux_types::parse_fsd(text(matches, "interval").unwrap_or("1"));
    let interval = interval.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let interval = interval.ok_or_else(|| CmdError::usage("--interval: give a number of seconds, zero or more"))?;
    let count = number("count")?.filter(|count| *count > 0);
    let batch = matches.get_flag("batch");
    if batch && count.is_none() {
        return Err(CmdError::usage("--batch should only be used with --count"));
    }
    let mut ping = target(text(matches, "TARGET").unwrap_or_default(), text(matches, "rank"))?;
    ping.pad = "p".repeat(pad as usize);
    ping.userid = matches.get_flag("userid");
    let mut flux = cx.open()?;
    if ping.shown.starts_with("upstream!") {
        ping.target = flux.upstream()?;
    }
    cx.line(format_args!("flux-ping {}", ping.shown))?;
    cx.out.flush()?;
    let mut sent_at = BTreeMap::new();
    for seq in 0..count.unwrap_or(u64::MAX) {
        sent_at.insert(ping.send(&mut flux, seq)?, Instant::now());
        if batch {
            std::thread::sleep(interval);
        } else if count != Some(seq + 1) {
            ping.pause(&mut flux, interval, &mut sent_at, cx)?;
        }
    }
    while !sent_at.is_empty() {
        let Some(incoming) = flux.next(None)? else { break };
        ping.answered(incoming, &mut sent_at, cx)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Bytes, with an optional `k`, `M` or `G`.
fn size(text: &str) -> Option<u64> {
    let shift = match text.chars().last()? {
        'k' | 'K' => 10,
        'M' => 20,
        'G' => 30,
        _ => return text.parse().ok(),
    };
    text[..text.len() - 1].parse::<u64>().ok()?.checked_shl(shift)
}

/// `SERVICE`, `RANK`, `RANK!SERVICE`; the rank may also be `any` or `upstream`.
fn target(text: &str, rank: Option<&str>) -> Result<Ping, CmdError> {
    let (rank, service) = match (rank, text.split_once('!')) {
        (Some(_), Some(_)) => return Err(CmdError::usage("--rank and TARGET both try to specify a nodeid")),
        (Some(rank), None) => (rank, text),
        (None, Some((rank, service))) => (rank, service),
        (None, None) if text.parse::<u32>().is_ok() || matches!(text, "any" | "upstream") => (text, ""),
        (None, None) => ("any", text),
    };
    let service = if service.is_empty() { "broker" } else { service };
    let target = match rank {
        "any" | "upstream" => Target::Any,
        number => match number.parse() {
            Ok(number) => Target::Rank(Rank(number)),
            Err(_) => return Err(CmdError::usage(format!("{number} is not a rank"))),
        },
    };
    Ok(Ping {
        target,
        topic: format!("{service}.ping"),
        shown: format!("{rank}!{service}"),
        pad: String::new(),
        userid: false,
    })
}

impl Ping {
    fn send(&self, flux: &mut Handle, seq: u64) -> Result<Ticket, CmdError> {
        let now = flux_sys::clock::monotonic();
        let request = json!({
            "seq": seq,
            "pad": self.pad,
            "time.tv_sec": now.as_secs(),
            "time.tv_nsec": now.subsec_nanos(),
        });
        Ok(flux.send(&self.topic, self.target, request, false)?)
    }

    /// Takes answers until it is time for the next request; without an interval, until all are there.
    fn pause(
        &self,
        flux: &mut Handle,
        interval: Duration,
        sent_at: &mut BTreeMap<Ticket, Instant>,
        cx: &mut Context,
    ) -> Result<(), CmdError> {
        let next = Instant::now() + interval;
        while !interval.is_zero() || !sent_at.is_empty() {
            let wait = (!interval.is_zero()).then(|| next.saturating_duration_since(Instant::now()));
            match flux.next(wait)? {
                Some(incoming) => self.answered(incoming, sent_at, cx)?,
                None => break,
            }
        }
        Ok(())
    }

    fn answered(
        &self,
        incoming: Incoming,
        sent_at: &mut BTreeMap<Ticket, Instant>,
        cx: &mut Context,
    ) -> Result<(), CmdError> {
        let Incoming::Response { ticket, message, .. } = incoming else { return Ok(()) };
        let Some(sent) = sent_at.remove(&ticket) else { return Ok(()) };
        let millis = sent.elapsed().as_secs_f64() * 1e3;
        if let Some(fault) = Fault::of(&message) {
            let at = self.shown.strip_prefix("any!").map_or(self.shown.as_str(), |service| service);
            return Err(CmdError::about(format!("{at}.ping"), ClientError::Answer(fault)));
        }
        let answer: serde_json::Value = message.decode().map_err(ClientError::from)?;
        if answer["pad"].as_str() != Some(&self.pad) {
            return Err(CmdError::new(format!("{}: padding contents invalid", self.topic)));
        }
        let cred = match self.userid {
            true => format!(" userid={} rolemask=0x{:x}", answer["userid"], answer["rolemask"].as_u64().unwrap_or(0)),
            false => String::new(),
        };
        cx.line(format_args!(
            "{}!{} pad={}{cred} seq={} time={millis:.3} ms ({})",
            answer["rank"],
            self.topic,
            self.pad.len(),
            answer["seq"],
            answer["route"].as_str().unwrap_or_default(),
        ))?;
        Ok(cx.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_name_a_rank_a_service_or_both() {
        let rows = [
            ("kvs", None, "any!kvs", Target::Any),
            ("0", None, "0!broker", Target::Rank(Rank(0))),
            ("3!kvs", None, "3!kvs", Target::Rank(Rank(3))),
            ("kvs", Some("2"), "2!kvs", Target::Rank(Rank(2))),
            ("any!", None, "any!broker", Target::Any),
        ];
        for (text, rank, shown, want) in rows {
            let ping = target(text, rank).unwrap();
            assert_eq!((ping.shown.as_str(), ping.target), (shown, want), "{text}");
        }
        assert!(target("1!kvs", Some("2")).is_err());
        assert!(target("x!kvs", None).is_err());
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("10"), Some(10));
        assert_eq!(size("2k"), Some(2048));
        assert_eq!(size("1M"), Some(1 << 20));
        assert_eq!(size("x"), None);
        assert_eq!(size(""), None);
    }
}
