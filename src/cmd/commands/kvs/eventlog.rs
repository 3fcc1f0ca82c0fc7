//! `flux kvs eventlog` (RFC 18).

use std::io::Write;
use std::time::Duration;

use clap::ArgMatches;
use flux_client::{ClientError, Errno, Fault, Handle, Target, Ticket};
use flux_types::Treeobj;
use flux_types::eventlog::{self, Entry};

use super::{at_key, done, space};
use crate::eventlog::Formatter;
use crate::frame::args::{text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, color, timefmt};
use crate::store::{self, Root, Transaction, flag};

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("append", matches)) => append(matches, cx),
        Some(("get", matches)) => get(matches, cx),
        Some(("wait-event", matches)) => wait_event(matches, cx),
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

fn append(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let key = text(matches, "KEY").unwrap_or_default();
    let timestamp = match text(matches, "timestamp") {
        None => timefmt::now(),
        Some(text) => {
            text.parse().map_err(|_| CmdError::usage(format!("--timestamp: {text} is no number of seconds")))?
        }
    };
    let mut entry = Entry::new(timestamp, text(matches, "NAME").unwrap_or_default());
    let context = texts(matches, "CONTEXT").join(" ");
    if !context.is_empty() {
        let parsed = serde_json::from_str(&context);
        entry.context = Some(parsed.map_err(|error| CmdError::about("the context must be a JSON object", error))?);
    }
    entry.validate().map_err(|error| CmdError::new(error.to_string()))?;
    let mut transaction = Transaction::default();
    transaction.put(key, &Treeobj::Val(entry.encode().into_bytes()), true).map_err(at_key(key))?;
    let space = space(matches, cx);
    transaction.commit(&mut cx.open()?, &space, 0).map_err(CmdError::calling("cannot commit"))?;
    done()
}

fn formatter(matches: &ArgMatches, cx: &Context) -> Result<Formatter, CmdError> {
    let (json, human) = (matches.get_flag("unformatted"), matches.get_flag("human"));
    if json && (human || text(matches, "color") == Some("always")) {
        return Err(CmdError::new("Do not specify --unformatted with --human or --color=always"));
    }
    Formatter::new(if json { "json" } else { "text" }, "raw", human, color::wanted(matches, cx)?)
}

fn decode(message: &flux_client::Message, key: &str) -> Result<Vec<Entry>, CmdError> {
    let bytes = store::answer_of(message).and_then(store::bytes_of).map_err(at_key(key))?;
    let log = String::from_utf8(bytes).map_err(|error| CmdError::about(key, error))?;
    eventlog::decode(&log).map_err(|error| CmdError::about(key, error))
}

fn is_end(message: &flux_client::Message) -> bool {
    Fault::of(message).is_some_and(|fault| fault.errno == Errno::ENODATA)
}

fn get(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let key = text(matches, "KEY").unwrap_or_default();
    let (watch, stream) = (matches.get_flag("watch"), matches.get_flag("stream"));
    let mut flags = if watch { flag::WATCH | flag::WATCH_APPEND } else { 0 };
    flags |= if matches.get_flag("waitcreate") { flag::WAITCREATE } else { 0 };
    flags |= if stream { flag::STREAM } else { 0 };
    let limit = matches.get_one::<u64>("count").copied().filter(|count| *count > 0 && watch);
    let mut formatter = formatter(matches, cx)?;
    let root = Root::Namespace(space(matches, cx));
    let mut flux = cx.open()?;
    let ticket = store::send_lookup(&mut flux, &root, key, flags).map_err(at_key(key))?;
    let mut shown = 0;
    loop {
        let message = flux.wait(ticket, None)?.ok_or(ClientError::Lost)?;
        if is_end(&message) {
            return done();
        }
        for entry in decode(&message, key)? {
            cx.line(formatter.line(&entry))?;
            shown += 1;
            if limit == Some(shown) {
                flux.cancel("kvs-watch.cancel", Target::Any, ticket)?;
                return done();
            }
        }
        cx.out.flush()?;
        if !watch && !stream {
            return done();
        }
    }
}

fn wait_event(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let (key, event) = (text(matches, "KEY").unwrap_or_default(), text(matches, "EVENT").unwrap_or_default());
    let timeout = match text(matches, "timeout") {
        None => None,
        Some(text) => {
            let seconds = flux_types::parse_fsd(text);
            let seconds = seconds.ok_or_else(|| CmdError::usage(format!("--timeout: {text} is no duration")))?;
            Duration::try_from_secs_f64(seconds).ok() // Infinity: no limit.
        }
    };
    let wait = if matches.get_flag("waitcreate") { flag::WAITCREATE } else { 0 };
    let mut formatter = formatter(matches, cx)?;
    let root = Root::Namespace(space(matches, cx));
    let mut flux = cx.open()?;
    let flags = flag::WATCH | flag::WATCH_APPEND | wait;
    let ticket = store::send_lookup(&mut flux, &root, key, flags).map_err(at_key(key))?;
    loop {
        let Some(message) = next(&mut flux, ticket, timeout)? else {
            return Err(CmdError::new(format!("wait-event timeout on event '{event}'")));
        };
        match Fault::of(&message) {
            Some(fault) if fault.errno == Errno::ENODATA => {
                return Err(CmdError::new(format!("event '{event}' never received")));
            }
            Some(fault) if fault.errno == Errno::ENOENT => {
                return Err(CmdError::new(format!("eventlog path {key} not found")));
            }
            _ => {}
        }
        for entry in decode(&message, key)? {
            let found = entry.name == event;
            if if found { !matches.get_flag("quiet") } else { matches.get_flag("verbose") } {
                cx.line(formatter.line(&entry))?;
            }
            if found {
                flux.cancel("kvs-watch.cancel", Target::Any, ticket)?;
                return done();
            }
            formatter.note(&entry);
        }
        cx.out.flush()?;
    }
}

/// The timeout counts from the last answer.
fn next(
    flux: &mut Handle,
    ticket: Ticket,
    timeout: Option<Duration>,
) -> Result<Option<flux_client::Message>, CmdError> {
    Ok(flux.wait(ticket, timeout)?)
}
