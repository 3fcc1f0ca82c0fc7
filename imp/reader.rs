//! Reading the input of `exec`: what runs here has given up root for good.

use crate::json::Json;
use crate::kv::{Kind, Kv};
use crate::limits::INPUT_LEN_MAX;
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
pub(crate) fn frame(text: &str) -> Option<Vec<u8>> {
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
