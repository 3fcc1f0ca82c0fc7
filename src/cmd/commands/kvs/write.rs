//! `flux kvs put`, `unlink`, `link`, `mkdir`, `copy`, `move`, `sync`.

use clap::ArgMatches;
use flux_client::{ClientError, Errno, Handle};
use flux_types::Treeobj;

use super::{at_key, done, space};
use crate::frame::args::{text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::store::{self, Root, RootInfo, Transaction, flag, namespace};

/// Prints what the options ask of a commit's outcome.
fn finish(matches: &ArgMatches, outcome: Result<RootInfo, ClientError>, cx: &mut Context) -> CmdResult {
    let root = outcome.map_err(CmdError::calling("cannot commit"))?;
    if matches.get_flag("treeobj-root") {
        cx.line(root.treeobj())?;
    } else if matches.get_flag("blobref") {
        cx.line(&root.rootref)?;
    } else if matches.get_flag("sequence") {
        cx.line(root.rootseq)?;
    }
    done()
}

pub(super) fn put(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let (raw, treeobj, append) = (matches.get_flag("raw"), matches.get_flag("treeobj"), matches.get_flag("append"));
    let mut transaction = Transaction::default();
    for word in texts(matches, "KEY=VALUE") {
        let (key, value) =
            word.split_once('=').ok_or_else(|| CmdError::new("put: you must specify a value as key=value"))?;
        let bytes = if value == "-" && (raw || treeobj) { cx.read_stdin()? } else { value.as_bytes().to_vec() };
        let object = match treeobj {
            true => Treeobj::parse(&bytes).map_err(|error| CmdError::about(key, error))?,
            false => Treeobj::Val(bytes),
        };
        transaction.put(key, &object, append && !treeobj).map_err(at_key(key))?;
    }
    let mut flags = 0;
    if matches.get_flag("no-merge") {
        flags |= flag::NO_MERGE;
    }
    if matches.get_flag("sync") {
        flags |= flag::SYNC;
    }
    let space = space(matches, cx);
    let outcome = transaction.commit(&mut cx.open()?, &space, flags);
    finish(matches, outcome, cx)
}

pub(super) fn unlink(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let (recursive, force) = (matches.get_flag("recursive"), matches.get_flag("force"));
    let space = space(matches, cx);
    let root = Root::Namespace(space.clone());
    let mut flux = cx.open()?;
    let mut transaction = Transaction::default();
    for key in texts(matches, "KEY") {
        let removable = removable(&mut flux, &root, key, recursive);
        match removable {
            Ok(()) => transaction.unlink(key).map_err(at_key(key))?,
            Err(error) if force && error.errno() == Errno::ENOENT => {}
            Err(error) => return Err(CmdError::calling(format!("cannot unlink '{key}'"))(error)),
        }
    }
    let outcome = transaction.commit(&mut flux, &space, 0);
    finish(matches, outcome, cx)
}

/// A key can go if it exists and, without `--recursive`, has nothing below it.
fn removable(flux: &mut Handle, root: &Root, key: &str, recursive: bool) -> Result<(), ClientError> {
    let empty = match store::lookup(flux, root, key, flag::TREEOBJ)? {
        Treeobj::Dir(entries) => entries.is_empty(),
        Treeobj::Dirref(_) if !recursive => store::entries(flux, root, key)?.is_empty(),
        _ => true,
    };
    match empty || recursive {
        true => Ok(()),
        false => Err(ClientError::Answer(Errno::ENOTEMPTY.into())),
    }
}

pub(super) fn link(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let (target, name) = (text(matches, "TARGET").unwrap_or_default(), text(matches, "LINKNAME").unwrap_or_default());
    let link =
        Treeobj::Symlink { namespace: text(matches, "target-namespace").map(str::to_owned), target: target.to_owned() };
    let mut transaction = Transaction::default();
    transaction.put(name, &link, false).map_err(at_key(name))?;
    let space = space(matches, cx);
    let outcome = transaction.commit(&mut cx.open()?, &space, 0);
    finish(matches, outcome, cx)
}

pub(super) fn mkdir(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut transaction = Transaction::default();
    for key in texts(matches, "KEY") {
        transaction.put(key, &Treeobj::empty_dir(), false).map_err(at_key(key))?;
    }
    let space = space(matches, cx);
    let outcome = transaction.commit(&mut cx.open()?, &space, 0);
    finish(matches, outcome, cx)
}

/// `copy`, and with `and_unlink` `move`.
pub(super) fn copy(matches: &ArgMatches, cx: &mut Context, and_unlink: bool) -> CmdResult {
    let (source, target) =
        (text(matches, "SOURCE").unwrap_or_default(), text(matches, "DESTINATION").unwrap_or_default());
    let source_space = namespace(text(matches, "src-namespace"), cx);
    let target_space = namespace(text(matches, "dst-namespace"), cx);
    let mut flux = cx.open()?;
    let root = Root::Namespace(source_space.clone());
    let object = store::lookup(&mut flux, &root, source, flag::TREEOBJ).map_err(at_key(source))?;
    let mut transaction = Transaction::default();
    transaction.put(target, &object, false).map_err(at_key(target))?;
    transaction.commit(&mut flux, &target_space, 0).map_err(CmdError::calling("cannot commit"))?;
    if and_unlink {
        let mut transaction = Transaction::default();
        transaction.unlink(source).map_err(at_key(source))?;
        transaction.commit(&mut flux, &source_space, 0).map_err(CmdError::calling("cannot commit"))?;
    }
    done()
}

/// A commit of nothing that is answered when all before it is on disk.
pub(super) fn sync(cx: &mut Context) -> CmdResult {
    let space = namespace(None, cx);
    Transaction::default().commit(&mut cx.open()?, &space, flag::SYNC).map_err(CmdError::calling("cannot commit"))?;
    done()
}
