//! Reading the input of `exec`: what runs here has given up root for good.

use crate::cert::Cert;
use crate::config::read_small;
use crate::json::Json;
use crate::kv::{Kind, Kv};
use crate::limits::{FILE_LEN_MAX, INPUT_LEN_MAX};
use crate::{munge, privileged};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// In the child: reads the JSON from standard input or from the helper, and writes the frame. Answers the exit code.
pub(crate) fn produce(helper: Option<&str>, environment: &[(String, String)], mut out: impl Write) -> u8 {
    let text = match helper {
        None => read_all(std::io::stdin().lock()),
        Some(helper) => run_helper(helper, environment),
    };
    let framed = text.and_then(|text| frame(&text).ok_or_else(|| "the input is not the JSON it should be".to_string()));
    match framed.and_then(|bytes| out.write_all(&bytes).map_err(|error| error.to_string())) {
        Ok(()) => 0,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "flux-imp: exec: {why}");
            1
        }
    }
}

fn read_all(from: impl Read) -> Result<String, String> {
    let mut text = String::new();
    let len = from
        .take(INPUT_LEN_MAX as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("reading input: {error}"))?;
    if len > INPUT_LEN_MAX && enforced!("input-size") {
        Err(format!("the input is longer than {INPUT_LEN_MAX} bytes"))
    } else {
        Ok(text)
    }
}

/// Runs the words of `FLUX_IMP_EXEC_HELPER`, with the caller's own environment and rights.
fn run_helper(helper: &str, environment: &[(String, String)]) -> Result<String, String> {
    let mut words = helper.split_ascii_whitespace();
    let program = words.next().ok_or("FLUX_IMP_EXEC_HELPER is empty")?;
    let mut command = Command::new(program);
    command.args(words).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| format!("{program}: {error}"))?;
    let text = child.stdout.take().ok_or_else(String::new).and_then(read_all);
    if text.is_err() {
        let _ = child.kill(); // It may have ended by itself.
    }
    let status = child.wait().map_err(|error| format!("{program}: {error}"))?;
    if status.success() { text } else { Err(format!("{program}: {status}")) }
}

/// JSON in, RFC 38 out: J, what the shell reads, and whether devices were to be contained.
pub fn frame(text: &str) -> Option<Vec<u8>> {
    let json = Json::parse(text)?;
    let mut kv = Kv::default();
    kv.put("J", Kind::Text, json.get("J")?.text()?)?;
    if let Some(input) = json.get("shell-input") {
        kv.put("shell-input", Kind::Text, input.text()?)?;
    }
    if let Some(options) = json.get("options") {
        let policy = options.get("DevicePolicy").map_or(Some("auto"), Json::text)?;
        let listed =
            !matches!(options.get("DeviceAllow"), None | Some(Json::List(_))) || is_full(options.get("DeviceAllow"));
        let contained = policy != "auto" || listed;
        kv.put("devices", Kind::Boolean, if contained { "true" } else { "false" })?;
    }
    Some(kv.encode())
}

fn is_full(value: Option<&Json>) -> bool {
    matches!(value, Some(Json::List(list)) if !list.is_empty())
}

/// In the child: nothing but the key passes.
pub(crate) fn read_key(mut out: std::fs::File) -> u8 {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(FILE_LEN_MAX).read_to_string(&mut text);
    let key = Cert::from_toml(&text).map(|cert| Cert { meta: Kv::default(), signature: None, ..cert });
    let mut kv = Kv::default();
    let put = key.and_then(|key| key.put_header(&mut kv));
    u8::from(read.is_err() || put.is_none() || out.write_all(&kv.encode()).is_err())
}

/// In a child that became the owner of the file: copies it, unless the last step of its path is a symbolic link.
pub(crate) fn copy_file(path: &str, mut out: impl Write) -> u8 {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let opened = nix::fcntl::open(path, flags, Mode::empty()).map_err(|error| error.to_string());
    let written = opened.and_then(read_small).map(|text| out.write_all(text.as_bytes()));
    u8::from(!matches!(written, Ok(Ok(()))))
}

/// In a child that is nobody: asks munged whose a credential is. Writes user id, time (both big-endian) and payload.
pub(crate) fn ask_munged(socket: &str, credential: &str, mut out: impl Write) -> u8 {
    let written = munge::decode(socket, credential).and_then(|vouched| {
        let head = [vouched.uid.to_be_bytes(), vouched.encoded_at.to_be_bytes()].concat();
        out.write_all(&[head, vouched.payload].concat()).map_err(|error| error.to_string())
    });
    written.as_ref().err().into_iter().for_each(|why| drop(writeln!(std::io::stderr(), "flux-imp: {why}")));
    u8::from(written.is_err())
}

/// In a child that is nobody: an entry as `getent` prints it. Where the site asks local files first, they are read here, as that
/// costs less than a process; else this becomes `getent`, with an empty environment.
pub(crate) fn look_up(database: &str, key: &str, getent: &[String], mut out: std::fs::File) -> u8 {
    let read = |path: &str| std::fs::File::open(path).ok().and_then(|file| read_small(file.into()).ok());
    match read("/etc/nsswitch.conf").and_then(|sources| in_files(&sources, database, key, read)) {
        Some(entry) => u8::from(out.write_all(entry.as_bytes()).is_err()),
        None => {
            if privileged::place(out.into(), 1).is_ok() {
                privileged::execute(None, &getent[0], getent, &[], true);
            }
            126
        }
    }
}

/// The entry, if the local files are what counts for it: for users when they are asked first, for groups, of which the name
/// service collects those of all sources, when they are the only source. `None`: ask the name service.
fn in_files(sources: &str, database: &str, key: &str, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let sources_of = |name: &str| {
        let rest = sources.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
        Some(rest.split('#').next()?.split_ascii_whitespace().collect::<Vec<_>>())
    };
    if database == "passwd" {
        let first = sources_of("passwd")?.first() == Some(&"files");
        let table = first.then(|| read("/etc/passwd")).flatten()?;
        return table.lines().find(|line| line.split(':').nth(2) == Some(key)).map(|line| format!("{line}\n"));
    }
    let only = sources_of("group")? == ["files"] && sources_of("initgroups").is_none();
    let mut entry = key.to_string();
    for line in only.then(|| read("/etc/group")).flatten()?.lines() {
        let mut fields = line.split(':').skip(2);
        if let (Some(gid), Some(members)) = (fields.next(), fields.next())
            && members.split(',').any(|member| member == key)
        {
            entry.push(' ');
            entry.push_str(gid);
        }
    }
    Some(entry + "\n")
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
