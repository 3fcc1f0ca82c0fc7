//! `flux kvs get` and `readlink`.

use std::io::Write;

use clap::ArgMatches;
use flux_client::{ClientError, Errno, Fault, Handle, Incoming, Target, Ticket};
use flux_types::Treeobj;

use super::{at_key, done, root};
use crate::frame::args::texts;
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::store::{self, flag};

struct Shown {
    treeobj: bool,
    raw: bool,
    label: bool,
    stream: bool,
}

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let shown = Shown {
        treeobj: matches.get_flag("treeobj"),
        raw: matches.get_flag("raw"),
        label: matches.get_flag("label"),
        stream: matches.get_flag("stream"),
    };
    let flags = lookup_flags(matches);
    let keys = texts(matches, "KEY");
    let root = root(matches, cx)?;
    let mut flux = cx.open()?;
    if flags & flag::WATCH != 0 {
        let tickets = keys
            .iter()
            .map(|key| Ok((store::send_lookup(&mut flux, &root, key, flags).map_err(at_key(key))?, *key)))
            .collect::<Result<Vec<_>, CmdError>>()?;
        let count = matches.get_one::<u64>("count").copied().filter(|count| *count > 0);
        watch(&mut flux, tickets, count, &shown, cx)?;
        return done();
    }
    for key in keys {
        let ticket = store::send_lookup(&mut flux, &root, key, flags).map_err(at_key(key))?;
        if shown.stream {
            stream(&mut flux, ticket, key, &shown, cx)?;
        } else {
            let message = flux.wait(ticket, None)?.ok_or(ClientError::Lost)?;
            print(store::answer_of(&message).map_err(at_key(key))?, key, &shown, cx)?;
        }
    }
    done()
}

fn lookup_flags(matches: &ArgMatches) -> u32 {
    let mut flags = 0;
    let mut add = |name: &str, flag: u32| flags |= if matches.get_flag(name) { flag } else { 0 };
    add("treeobj", flag::TREEOBJ);
    add("waitcreate", flag::WAITCREATE);
    add("stream", flag::STREAM);
    if matches.get_flag("watch") {
        add("watch", flag::WATCH);
        add("full", flag::WATCH_FULL);
        add("uniq", flag::WATCH_UNIQ);
        add("append", flag::WATCH_APPEND);
    }
    flags
}

fn print(object: Treeobj, key: &str, shown: &Shown, cx: &mut Context) -> Result<(), CmdError> {
    let bytes = match shown.treeobj {
        true => object.encode().into_bytes(),
        false => store::bytes_of(object).map_err(at_key(key))?,
    };
    if shown.label {
        write!(cx.out, "{key}=")?;
    }
    cx.out.write_all(&bytes)?;
    // A value of no bytes is no line either.
    if shown.treeobj || (!shown.raw && !shown.stream && !bytes.is_empty()) {
        cx.out.write_all(b"\n")?;
    }
    Ok(cx.out.flush()?)
}

fn stream(flux: &mut Handle, ticket: Ticket, key: &str, shown: &Shown, cx: &mut Context) -> Result<(), CmdError> {
    let mut any = false;
    loop {
        let message = flux.wait(ticket, None)?.ok_or(ClientError::Lost)?;
        match Fault::of(&message) {
            Some(fault) if fault.errno == Errno::ENODATA => break,
            _ => print(store::answer_of(&message).map_err(at_key(key))?, key, shown, cx)?,
        }
        any = true;
    }
    if any && !shown.raw && !shown.treeobj {
        cx.out.write_all(b"\n")?;
    }
    Ok(())
}

/// Prints values as they come, until every watch has ended or had its `count`.
fn watch(
    flux: &mut Handle,
    mut tickets: Vec<(Ticket, &str)>,
    count: Option<u64>,
    shown: &Shown,
    cx: &mut Context,
) -> Result<(), CmdError> {
    let mut printed = 0;
    while !tickets.is_empty() {
        let Some(Incoming::Response { ticket, message, .. }) = flux.next(None)? else { continue };
        let Some(at) = tickets.iter().position(|(known, _)| *known == ticket) else { continue };
        let key = tickets[at].1;
        match Fault::of(&message) {
            Some(fault) if fault.errno == Errno::ENODATA => {
                tickets.swap_remove(at);
                continue;
            }
            _ if count.is_some_and(|count| printed >= count) => continue,
            _ => print(store::answer_of(&message).map_err(at_key(key))?, key, shown, cx)?,
        }
        printed += 1;
        if count == Some(printed) {
            flux.cancel("kvs-watch.cancel", Target::Any, ticket)?;
        }
    }
    Ok(())
}

pub(super) fn readlink(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let root = root(matches, cx)?;
    let (space_only, key_only) = (matches.get_flag("namespace-only"), matches.get_flag("key-only"));
    let mut flux = cx.open()?;
    for key in texts(matches, "KEY") {
        let object = store::lookup(&mut flux, &root, key, flag::READLINK).map_err(at_key(key))?;
        let Treeobj::Symlink { namespace, target } = object else {
            return Err(CmdError::new(format!("{key}: not a symbolic link")));
        };
        match namespace {
            Some(space) if space_only => cx.line(space)?,
            Some(space) if !key_only => cx.line(format_args!("{space}::{target}"))?,
            _ => cx.line(target)?,
        }
    }
    done()
}
