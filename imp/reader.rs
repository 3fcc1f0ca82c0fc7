//! Reading the input of `exec`: what runs here has given up root for good.

use crate::cert::{Cert, decode64};
use crate::config::{open_trusted, read_small};
use crate::j;
use crate::json::Json;
use crate::kv::{Kind, Kv};
use crate::limits::{FILE_LEN_MAX, GETENT_LEN_MAX, INPUT_LEN_MAX};
use crate::munge;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::path::Path;
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

/// JSON in, RFC 38 out: J, the user whom it names, so that the parent need not read J before it knows whether the caller may have it
/// read, what the shell reads, and whether devices were to be contained.
pub fn frame(text: &str) -> Option<Vec<u8>> {
    let json = Json::parse(text)?;
    let mut kv = Kv::default();
    let signed = json.get("J")?.text()?;
    kv.put("J", Kind::Text, signed)?;
    if let Ok(signed) = j::parse(signed, decode64) {
        kv.put("userid", Kind::Integer, &signed.userid.to_string())?;
    }
    if let Some(input) = json.get("shell-input") {
        kv.put("shell-input", Kind::Text, input.text()?)?;
    }
    if let Some(devices) = json.get("options").map_or(Some(None), devices)? {
        kv.put("devices", Kind::Text, &devices)?;
    }
    Some(kv.encode())
}

/// What systemd's `closed` leaves beside what is listed: null, zero, full, random, urandom, tty, ptmx, and terminals.
const USUAL: &[&str] = &["c:1:3", "c:1:5", "c:1:7", "c:1:8", "c:1:9", "c:5:0", "c:5:2", "c:136:*"];

/// systemd's `DevicePolicy` and `DeviceAllow` as a list of numbers. `Some(None)`: all devices; `None`: malformed.
fn devices(options: &Json) -> Option<Option<String>> {
    let policy = options.get("DevicePolicy").map_or(Some("auto"), Json::text)?;
    let listed = match options.get("DeviceAllow") {
        None => &[][..],
        Some(Json::List(listed)) => listed,
        Some(_) => return None,
    };
    let usual = match policy {
        "auto" if listed.is_empty() => return Some(None),
        "auto" | "closed" => USUAL,
        "strict" => &[],
        _ => return None,
    };
    let mut all: Vec<String> = usual.iter().map(|device| format!("{device}:rwm")).collect();
    for entry in listed {
        let Json::List(pair) = entry else { return None };
        let [name, access] = &pair[..] else { return None };
        let (name, access) = (name.text()?, access.text()?);
        let numbers = numbers(name);
        if numbers.is_empty() || access.is_empty() || access.contains(|letter| !"rwm".contains(letter)) {
            let _ =
                writeln!(std::io::stderr(), "flux-imp: DeviceAllow: {name:?} {access:?} is left out: no such device");
            continue;
        }
        all.extend(numbers.iter().map(|number| format!("{number}:{access}")));
    }
    Some(Some(all.join(" ")))
}

/// Type, major and minor number of a path below `/dev`, or of a class: `char-NAME` and `block-NAME`, as `/proc/devices` names them.
fn numbers(name: &str) -> Vec<String> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    if name.starts_with("/dev/") {
        let Ok(found) = std::fs::metadata(name) else { return Vec::new() };
        let (kind, number) = (found.file_type(), found.rdev());
        let kind = if kind.is_char_device() { "c" } else { "b" };
        let device = found.file_type().is_char_device() || found.file_type().is_block_device();
        let number = format!("{kind}:{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
        return device.then_some(number).into_iter().collect();
    }
    let (kind, head, class) = match (name.strip_prefix("char-"), name.strip_prefix("block-")) {
        (Some(class), _) => ("c", "Character devices:", class),
        (_, Some(class)) => ("b", "Block devices:", class),
        _ => return Vec::new(),
    };
    let table = std::fs::read_to_string("/proc/devices").unwrap_or_default();
    let lines = table.lines().skip_while(|line| *line != head).skip(1).take_while(|line| !line.is_empty());
    let majors =
        lines.filter_map(|line| line.trim().split_once(' ')).filter(|(_, known)| class == "*" || *known == class);
    majors.map(|(major, _)| format!("{kind}:{major}:*")).collect()
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

const GETENT: &str = "/usr/bin/getent";

/// In a child that is nobody: what `getent` prints of these users, and, if they are wanted, of the groups of the last one.
pub(crate) fn look_up(ids: &[String], groups: bool, mut out: impl Write) -> u8 {
    let _ = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)); // With `getent`, if we are killed.
    let answer = answer(ids, groups);
    let written = answer.and_then(|text| out.write_all(text.as_bytes()).map_err(|error| error.to_string()));
    written.as_ref().err().into_iter().for_each(|why| drop(writeln!(std::io::stderr(), "flux-imp: {why}")));
    u8::from(written.is_err())
}

fn answer(ids: &[String], groups: bool) -> Result<String, String> {
    let mut text = run_getent("passwd", ids)?;
    let name = text.lines().last().and_then(|line| line.split(':').next()).unwrap_or_default().to_owned();
    if groups {
        text += &local_groups(&name).map_or_else(|| run_getent("initgroups", &[name]), Ok)?;
    }
    Ok(text)
}

/// What `getent` prints, or a little more than may be.
fn run_getent(database: &str, keys: &[String]) -> Result<String, String> {
    let fail = |error: std::io::Error| format!("{GETENT}: {error}");
    open_trusted(Path::new(GETENT))?;
    let (nothing, _) = std::io::pipe().map_err(fail)?; // /dev/null may be none of the devices that are left to this cgroup.
    let mut command = Command::new(GETENT);
    command.args([database, "--"]).args(keys).env_clear().stdin(nothing).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(fail)?;
    let mut text = String::new();
    let out = child.stdout.take().ok_or("no output")?;
    out.take(GETENT_LEN_MAX + 1).read_to_string(&mut text).map_err(fail)?;
    let ended = text.len() as u64 > GETENT_LEN_MAX || child.wait().is_ok_and(|status| status.success());
    if ended { Ok(text) } else { Err(format!("getent {database} {}: not found", keys.join(" "))) }
}

/// Where the name service looks for entries of a database, in its order.
fn sources_of<'a>(switch: &'a str, database: &str) -> Option<Vec<&'a str>> {
    let rest = switch.lines().find_map(|line| line.trim_start().strip_prefix(database)?.strip_prefix(':'))?;
    Some(rest.split('#').next()?.split_ascii_whitespace().collect())
}

const SWITCH: &str = "/etc/nsswitch.conf";

/// What `getent initgroups` would print of the local file, if that is the only source.
fn local_groups(name: &str) -> Option<String> {
    let read = |path: &str| std::fs::File::open(path).ok().and_then(|file| read_small(file.into()).ok());
    groups_of(name, read, |path| Path::new(path).exists())
}

/// Where systemd's user database gets its entries (systemd.io/USER_GROUP_API): from services with sockets here, of which that of
/// the first process has no groups of ours to tell, and from files.
const SYSTEMD_USERS: &[&str] = &[
    "/run/systemd/userdb/io.systemd.Multiplexer",
    "/run/systemd/userdb/io.systemd.Home",
    "/etc/userdb",
    "/run/userdb",
    "/run/host/userdb",
    "/usr/lib/userdb",
];

/// As [`local_groups`], of these files: the name service collects groups from all there are.
/// One of them, `systemd`, has none but where it is given some. `None`: ask the name service.
fn groups_of(name: &str, read: impl Fn(&str) -> Option<String>, exists: impl Fn(&str) -> bool) -> Option<String> {
    let switch = read(SWITCH)?;
    let mut sources = sources_of(&switch, "group")?;
    sources.retain(|source| *source != "systemd" || SYSTEMD_USERS.iter().any(|path| exists(path)));
    let only = sources == ["files"] && sources_of(&switch, "initgroups").is_none();
    let table = only.then(|| read("/etc/group")).flatten()?;
    let fields = table.lines().map(|line| line.split(':').skip(2));
    let lists = fields.filter_map(|mut fields| fields.next().zip(fields.next()));
    let own = lists.filter(|(_, members)| members.split(',').any(|member| member == name));
    let words: Vec<&str> = [name].into_iter().chain(own.map(|(id, _)| id)).collect();
    Some(words.join(" ") + "\n")
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
