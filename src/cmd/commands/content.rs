//! `flux content`: the content-addressed store below the key-value store (RFC 10).

use std::io::Write;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Handle, Payload, Rank, Target};
use flux_types::{Blobref, HashKind};
use serde_json::{Value, json};

use crate::frame::args::{flag, option, text, texts, word, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, timefmt};

pub fn command() -> Command {
    let bypass = || flag("bypass-cache", Some('b'), "Go to rank 0's backing store directly");
    Command::new("content")
        .subcommand_required(true)
        .subcommand(
            Command::new("load")
                .about("Concatenate blobs stored under BLOBREF(s) to stdout")
                .arg(bypass())
                .arg(words("BLOBREF", "Blobs; default: from standard input, one per line")),
        )
        .subcommand(
            Command::new("store").about("Store blob from stdin, print BLOBREF(s) on stdout").arg(bypass()).arg(option(
                "chunksize",
                None,
                "N",
                "Limit blob size to N bytes; 0 is unlimited (default)",
            )),
        )
        .subcommand(Command::new("dropcache").about("Drop non-essential entries from local content cache"))
        .subcommand(Command::new("flush").about("Flush dirty entries from local content cache"))
        .subcommand(
            Command::new("checkpoint")
                .about("Perform checkpoint operations")
                .subcommand_required(true)
                .subcommand(Command::new("list").about("List the checkpoints").args([
                    flag("no-header", Some('n'), "Print no header"),
                    flag("json", Some('j'), "Print the checkpoints as they are stored"),
                ]))
                .subcommand(
                    Command::new("update").about("Set the checkpoint").arg(word("BLOBREF", "The root it refers to")),
                ),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("load", matches)) => load(matches, cx),
        Some(("store", matches)) => store(matches, cx),
        Some(("dropcache", _)) => simple("content.dropcache", cx),
        Some(("flush", _)) => simple("content.flush", cx),
        Some(("checkpoint", matches)) => match matches.subcommand() {
            Some(("update", matches)) => checkpoint_update(matches, cx),
            Some((_, matches)) => checkpoint_list(matches, cx),
            None => unreachable!("clap requires one of the subcommands"),
        },
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

fn simple(topic: &str, cx: &mut Context) -> CmdResult {
    cx.open()?.call(topic, Target::Any, json!({})).map_err(CmdError::calling(topic))?;
    Ok(ExitCode::SUCCESS)
}

fn service(matches: &ArgMatches, method: &str) -> (String, Target) {
    match matches.get_flag("bypass-cache") {
        true => (format!("content-backing.{method}"), Target::Rank(Rank::ROOT)),
        false => (format!("content.{method}"), Target::Any),
    }
}

fn load(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut refs: Vec<String> = texts(matches, "BLOBREF").into_iter().map(str::to_owned).collect();
    if refs.is_empty() {
        let text = String::from_utf8_lossy(&cx.read_stdin()?).into_owned();
        refs.extend(text.split_whitespace().map(str::to_owned));
        if refs.is_empty() {
            return Err(CmdError::new("no blobrefs were specified"));
        }
    }
    let mut flux = cx.open()?;
    let (topic, target) = service(matches, "load");
    for text in refs {
        let blobref = Blobref::parse(&text).map_err(|error| CmdError::about(format!("error loading {text}"), error))?;
        let payload = Payload::raw(blobref.digest().to_vec());
        let answer = flux.call_message(&topic, target, payload);
        let answer = answer.map_err(CmdError::calling(format!("error loading {text}")))?;
        cx.out.write_all(answer.payload.as_bytes().unwrap_or_default())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn store(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let chunk = text(matches, "chunksize").unwrap_or("0").parse::<usize>();
    let chunk = chunk.map_err(|_| CmdError::usage("--chunksize: give a number of bytes"))?;
    let data = cx.read_stdin()?;
    let mut flux = cx.open()?;
    let kind = hash_kind(&mut flux)?;
    let (topic, target) = service(matches, "store");
    let chunk = if chunk == 0 { data.len().max(1) } else { chunk };
    let blobs: Vec<&[u8]> = if data.is_empty() { vec![&[]] } else { data.chunks(chunk).collect() };
    for blob in blobs {
        let answer = flux.call_message(&topic, target, Payload::raw(blob.to_vec()));
        let answer = answer.map_err(CmdError::calling("error storing blob"))?;
        let digest = answer.payload.as_bytes().unwrap_or_default();
        let blobref = Blobref::from_digest(kind, digest).map_err(|error| CmdError::new(error.to_string()))?;
        cx.line(blobref)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn hash_kind(flux: &mut Handle) -> Result<HashKind, CmdError> {
    let name = flux.attr("content.hash").map_err(CmdError::calling("content.hash"))?;
    HashKind::from_name(&name).ok_or_else(|| CmdError::new(format!("content.hash is {name}, which is not known here")))
}

fn checkpoint_list(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let answer = cx.open()?.call("content.checkpoint-get", Target::Rank(Rank::ROOT), json!({}));
    let answer = answer.map_err(CmdError::calling("error fetching checkpoints"))?;
    let json = matches.get_flag("json");
    if !json && !matches.get_flag("no-header") {
        cx.line(format_args!("{:<10} {:<10} {:<20} {}", "Index", "Sequence", "Time", "Rootref"))?;
    }
    let list: Vec<Value> = match &answer["value"] {
        Value::Array(list) => list.clone(),
        other => vec![other.clone()],
    };
    for (index, checkpoint) in list.iter().enumerate() {
        if json {
            cx.line(checkpoint)?;
            continue;
        }
        let time = checkpoint["timestamp"].as_f64().map_or("N/A".to_owned(), timefmt::utc_seconds);
        let sequence = checkpoint["sequence"].as_i64().unwrap_or(0);
        let rootref = checkpoint["rootref"].as_str().unwrap_or("N/A");
        cx.line(format_args!("{index:<10} {sequence:<10} {time:<20} {rootref}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn checkpoint_update(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let rootref = text(matches, "BLOBREF").unwrap_or_default();
    Blobref::parse(rootref).map_err(|error| CmdError::about(rootref, error))?;
    let value = json!({"version": 1, "rootref": rootref, "sequence": 0, "timestamp": timefmt::now()});
    cx.open()?
        .call("content.checkpoint-put", Target::Rank(Rank::ROOT), json!({"value": value}))
        .map_err(CmdError::calling("error updating the checkpoint"))?;
    Ok(ExitCode::SUCCESS)
}
