//! `flux kvs namespace`, and what is known of a namespace: `version`, `wait`, `getroot`.

use clap::ArgMatches;
use flux_client::Target;
use flux_types::Blobref;
use flux_types::{HashKind, Treeobj};
use serde_json::json;

use super::{done, space};
use crate::frame::args::{text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::store;

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("create", matches)) => create(matches, cx),
        Some(("remove", matches)) => remove(matches, cx),
        _ => list(cx),
    }
}

fn create(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let owner = match text(matches, "owner") {
        // What the service takes for its own user (RFC 3: user id unknown).
        None => -1,
        Some(text) => {
            i64::from(text.parse::<u32>().map_err(|_| CmdError::usage(format!("--owner: {text} is no user id")))?)
        }
    };
    let mut flux = cx.open()?;
    let rootref = match text(matches, "rootref") {
        Some(text) => Blobref::parse(text).map_err(|error| CmdError::about("--rootref", error))?.to_string(),
        None => {
            let hash = flux.attr("content.hash").unwrap_or_default();
            let kind = HashKind::from_name(&hash).unwrap_or(HashKind::Sha1);
            kind.hash(Treeobj::empty_dir().encode().as_bytes()).to_string()
        }
    };
    for name in texts(matches, "NAME") {
        let request = json!({"namespace": name, "rootref": rootref, "owner": owner, "flags": 0});
        flux.call("kvs.namespace-create", Target::Any, request).map_err(CmdError::calling(name))?;
    }
    done()
}

fn remove(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    for name in texts(matches, "NAME") {
        flux.call("kvs.namespace-remove", Target::Any, json!({"namespace": name})).map_err(CmdError::calling(name))?;
    }
    done()
}

fn list(cx: &mut Context) -> CmdResult {
    let answer = cx.open()?.call("kvs.namespace-list", Target::Any, json!({}));
    let answer = answer.map_err(CmdError::calling("kvs.namespace-list"))?;
    cx.line("NAMESPACE                                 OWNER      FLAGS")?;
    for space in answer["namespaces"].as_array().into_iter().flatten() {
        let name = space["namespace"].as_str().unwrap_or_default();
        let owner = space["owner"].as_u64().unwrap_or(0) as u32;
        cx.line(format_args!("{name:<36} {owner:>10} 0x{:08X}", space["flags"].as_u64().unwrap_or(0)))?;
    }
    done()
}

pub(super) fn version(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let space = space(matches, cx);
    let root = store::root(&mut cx.open()?, &space).map_err(CmdError::calling(&space))?;
    cx.line(root.rootseq)?;
    done()
}

pub(super) fn wait(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let version: u32 = matches.get_one("VERSION").copied().unwrap_or(0);
    let space = space(matches, cx);
    let request = json!({"rootseq": version, "namespace": space});
    cx.open()?.call("kvs.wait-version", Target::Any, request).map_err(CmdError::calling(&space))?;
    done()
}

pub(super) fn getroot(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let space = space(matches, cx);
    let root = store::root(&mut cx.open()?, &space).map_err(CmdError::calling(&space))?;
    if matches.get_flag("owner") {
        cx.line(root.owner)?;
    } else if matches.get_flag("sequence") {
        cx.line(root.rootseq)?;
    } else if matches.get_flag("blobref") {
        cx.line(&root.rootref)?;
    } else {
        cx.line(root.treeobj())?;
    }
    done()
}
