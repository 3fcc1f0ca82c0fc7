//! What `flux kvs` takes.

use clap::{Arg, Command};

use crate::frame::args::{flag, option, word, words};
use crate::frame::color;

fn namespace() -> Arg {
    option("namespace", Some('N'), "NAME", "Use this namespace")
}

fn at() -> Arg {
    option("at", Some('a'), "TREEOBJ", "Look up below this directory, given as RFC 11 tree object")
}

fn width() -> Arg {
    Arg::new("width")
        .long("width")
        .short('w')
        .value_name("COLS")
        .value_parser(clap::value_parser!(u32))
        .overrides_with("width")
        .help("Width of the output; 0 is unlimited")
}

/// What a commit prints.
fn outcome() -> [Arg; 3] {
    [
        flag("treeobj-root", Some('O'), "Print the new root as RFC 11 tree object"),
        flag("blobref", Some('b'), "Print the new root's blobref"),
        flag("sequence", Some('s'), "Print the new root's sequence number"),
    ]
}

fn keys() -> Arg {
    words("KEY", "Keys").required(true).num_args(1..)
}

pub fn command() -> Command {
    Command::new("kvs")
        .subcommand_required(true)
        .subcommands(namespace_commands())
        .subcommands(reading())
        .subcommands(writing())
        .subcommands(roots())
        .subcommand(eventlog())
}

fn reading() -> [Command; 4] {
    [
        Command::new("get").about("Get value stored under key").args([
            namespace(),
            flag("raw", Some('r'), "Print the value as it is, without a newline"),
            flag("treeobj", Some('t'), "Print the RFC 11 tree object"),
            at(),
            flag("label", Some('l'), "Print KEY= before the value"),
            flag("waitcreate", Some('W'), "If there is no such key, wait for it"),
            flag("watch", Some('w'), "Print the value again when it changes"),
            flag("uniq", Some('u'), "With --watch, only if the value is another"),
            flag("append", Some('A'), "With --watch, only what was appended"),
            flag("full", Some('f'), "With --watch, notice also indirect changes"),
            count("Stop after COUNT values"),
            flag("stream", Some('S'), "Get a large value in parts"),
            keys(),
        ]),
        Command::new("dir").about("Display all keys under directory").args([
            namespace(),
            flag("recursive", Some('R'), "Directories below, too"),
            flag("directory", Some('d'), "Keys without values"),
            width(),
            at(),
            Arg::new("KEY").value_name("KEY").help("The directory"),
        ]),
        Command::new("ls").about("List directory").args([
            namespace(),
            flag("recursive", Some('R'), "Directories below, too"),
            flag("directory", Some('d'), "The directories themselves, not what is in them"),
            width(),
            flag("1", Some('1'), "One entry per line"),
            flag("classify", Some('F'), "Mark directories with . and links with @"),
            words("KEY", "Keys"),
        ]),
        Command::new("readlink").about("Retrieve the key a link refers to").args([
            namespace(),
            at(),
            flag("namespace-only", Some('o'), "Only the namespace, if the link names one"),
            flag("key-only", Some('k'), "Only the key, if the link names a namespace"),
            keys(),
        ]),
    ]
}

fn count(help: &'static str) -> Arg {
    Arg::new("count")
        .long("count")
        .short('c')
        .value_name("COUNT")
        .value_parser(clap::value_parser!(u64))
        .overrides_with("count")
        .help(help)
}

fn writing() -> [Command; 6] {
    [
        Command::new("put")
            .about("Store value under key")
            .args([
                namespace(),
                flag("raw", Some('r'), "Store the value as it is; - reads it from standard input"),
                flag("treeobj", Some('t'), "The value is an RFC 11 tree object; - reads it from standard input"),
                flag("no-merge", Some('n'), "Do not merge this commit with others"),
                flag("append", Some('A'), "Append to the value"),
                flag("sync", Some('S'), "Return when it is on disk"),
                words("KEY=VALUE", "What to store").required(true).num_args(1..),
            ])
            .args(outcome()),
        Command::new("unlink")
            .about("Remove key")
            .args([
                namespace(),
                flag("recursive", Some('R'), "Remove what is in a directory, too"),
                flag("force", Some('f'), "Ignore keys that do not exist"),
                keys(),
            ])
            .args(outcome()),
        Command::new("link")
            .about("Create a new name for target")
            .args([
                namespace(),
                option("target-namespace", Some('T'), "NAME", "The namespace of the target"),
                word("TARGET", "The key that the link stands for"),
                word("LINKNAME", "The link"),
            ])
            .args(outcome()),
        Command::new("mkdir").about("Create a directory").args([namespace(), keys()]).args(outcome()),
        two_keys("copy").about("Copy source key to destination key"),
        two_keys("move").about("Move source key to destination key"),
    ]
}

fn two_keys(name: &'static str) -> Command {
    Command::new(name).args([
        option("src-namespace", Some('S'), "NAME", "The namespace of the source"),
        option("dst-namespace", Some('D'), "NAME", "The namespace of the destination"),
        word("SOURCE", "The key to read"),
        word("DESTINATION", "The key to write"),
    ])
}

fn roots() -> [Command; 4] {
    [
        Command::new("version").about("Display current KVS version").arg(namespace()),
        Command::new("wait")
            .about("Block until the KVS reaches version")
            .arg(namespace())
            .arg(word("VERSION", "The version").value_parser(clap::value_parser!(u32))),
        Command::new("getroot").about("Get KVS root treeobj").args([
            namespace(),
            flag("sequence", Some('s'), "Show sequence number"),
            flag("owner", Some('o'), "Show owner"),
            flag("blobref", Some('b'), "Show blobref"),
        ]),
        Command::new("sync").about("Sync content and checkpoint to disk"),
    ]
}

fn namespace_commands() -> [Command; 1] {
    let names = || words("NAME", "Names").required(true).num_args(1..);
    [Command::new("namespace")
        .about("Perform KVS namespace operations")
        .subcommand_required(true)
        .subcommand(
            Command::new("create")
                .about("Create a KVS namespace")
                .arg(option("owner", Some('o'), "UID", "The user who owns it"))
                .arg(option("rootref", Some('r'), "BLOBREF", "What is in it from the start"))
                .arg(names()),
        )
        .subcommand(Command::new("remove").about("Remove a KVS namespace").arg(names()))
        .subcommand(Command::new("list").about("List namespaces on local rank"))]
}

fn eventlog() -> Command {
    let shown = || {
        [
            namespace(),
            flag("waitcreate", Some('W'), "If there is no such key, wait for it"),
            flag("unformatted", Some('u'), "Show events in RFC 18 form"),
            flag("human", Some('H'), "Show times for people"),
            color::arg(),
        ]
    };
    Command::new("eventlog")
        .about("Manipulate a KVS eventlog")
        .subcommand_required(true)
        .subcommand(
            Command::new("append")
                .about("Append to eventlog")
                .arg(namespace())
                .arg(option("timestamp", Some('t'), "SECONDS", "The time of the event, since the epoch"))
                .args([word("KEY", "The eventlog"), word("NAME", "The event")])
                .arg(words("CONTEXT", "Its context, a JSON object")),
        )
        .subcommand(
            Command::new("get")
                .about("Get eventlog")
                .args(shown())
                .arg(flag("watch", Some('w'), "Show events as they are appended"))
                .arg(count("Stop after COUNT events"))
                .arg(flag("stream", Some('S'), "Get a large log in parts"))
                .arg(word("KEY", "The eventlog")),
        )
        .subcommand(
            Command::new("wait-event")
                .about("Wait for an event")
                .args(shown())
                .arg(option("timeout", Some('t'), "DURATION", "Give up after this time"))
                .arg(flag("quiet", Some('q'), "Do not show the event"))
                .arg(flag("verbose", Some('v'), "Show the events before it"))
                .args([word("KEY", "The eventlog"), word("EVENT", "The event's name")]),
        )
}
