//! `flux event pub` and `flux event sub`.

use std::io::Write;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Message, Payload};
use serde_json::Value;

use crate::frame::args::{flag, text, texts, word, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    Command::new("event")
        .subcommand_required(true)
        .subcommand(
            Command::new("pub")
                .about("Publish an event")
                .args([
                    flag("raw", Some('r'), "Interpret event payload as raw"),
                    flag("synchronous", Some('s'), "Print the event's sequence number"),
                    flag("loopback", Some('l'), "Wait for published event to be received before exiting"),
                    flag("private", Some('p'), "Set privacy flag on published event"),
                ])
                .arg(word("TOPIC", "The event's topic"))
                .arg(words("PAYLOAD", "What it carries: a JSON object, unless --raw")),
        )
        .subcommand(
            Command::new("sub")
                .about("Show events")
                .arg(
                    clap::Arg::new("count")
                        .long("count")
                        .short('c')
                        .value_name("N")
                        .value_parser(clap::value_parser!(u64))
                        .help("Show N events, then exit"),
                )
                .arg(words("TOPIC", "How the topics start that are shown; default: all")),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("pub", matches)) => publish(matches, cx),
        Some(("sub", matches)) => subscribe(matches, cx),
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

fn publish(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let topic = text(matches, "TOPIC").unwrap_or_default();
    let content = texts(matches, "PAYLOAD").join(" ");
    let payload = match (matches.get_flag("raw"), content.is_empty()) {
        (_, true) => Payload::None,
        (true, _) => Payload::raw(content.into_bytes()),
        (false, _) => {
            let value: Value = serde_json::from_str(&content)
                .ok()
                .filter(Value::is_object)
                .ok_or_else(|| CmdError::new("the payload must be a JSON object; --raw sends any text"))?;
            Payload::from(value)
        }
    };
    let mut flux = cx.open()?;
    let loopback = matches.get_flag("loopback");
    if loopback {
        flux.subscribe(topic)?;
    }
    let sequence = match matches.get_flag("private") {
        true => flux.publish_private(topic, payload),
        false => flux.publish(topic, payload),
    };
    let sequence = sequence.map_err(CmdError::calling("publish failed"))?;
    if matches.get_flag("synchronous") {
        cx.line(format_args!("seq={sequence}"))?;
    }
    if loopback {
        while flux.next_event(None)?.is_none_or(|event| event.topic.as_deref() != Some(topic)) {}
    }
    Ok(ExitCode::SUCCESS)
}

fn subscribe(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    let mut topics = texts(matches, "TOPIC");
    if topics.is_empty() {
        topics.push("");
    }
    for topic in topics {
        flux.subscribe(topic)?;
    }
    let count = matches.get_one::<u64>("count").copied().filter(|count| *count > 0);
    let mut shown = 0;
    while count.is_none_or(|count| shown < count) {
        let Some(event) = flux.next_event(None)? else { continue };
        cx.line(format_args!("{}\t{}", event.topic.as_deref().unwrap_or_default(), shown_payload(&event)))?;
        cx.out.flush()?;
        shown += 1;
    }
    Ok(ExitCode::SUCCESS)
}

/// JSON as it is; other bytes in hexadecimal unless they are text.
fn shown_payload(event: &Message) -> String {
    if let Ok(value) = event.payload.value() {
        return value.to_string();
    }
    let bytes = event.payload.as_bytes().unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_end_matches('\0').to_owned(),
        Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
