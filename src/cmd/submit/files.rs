//! Files that go into a jobspec or come in with an option.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::limits::JOB_FILE_BYTES_MAX;

const REGULAR: u32 = 0o100_000;
const DEFAULT_PERMISSIONS: u32 = 0o600;

/// Reads a file of at most `max` bytes.
///
/// # Errors
/// `[Errno N] REASON: 'PATH'`.
pub(crate) fn read_bytes(path: &str, max: u64) -> Result<(Vec<u8>, std::fs::Metadata), String> {
    let failed = |error: io::Error| describe(&error, path);
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_dir() {
        return Err(describe(&io::Error::from_raw_os_error(21), path));
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max {
        return Err(format!("'{path}' is larger than {max} bytes"));
    }
    Ok((bytes, meta))
}

/// Reads a text file of at most `max` bytes.
///
/// # Errors
/// As [`read_bytes`].
pub(crate) fn read_text(path: &str, max: u64) -> Result<String, String> {
    let (bytes, _) = read_bytes(path, max)?;
    String::from_utf8(bytes).map_err(|_| format!("'{path}' is not UTF-8 text"))
}

/// An error of the system as flux-core's tools print it.
pub(crate) fn describe(error: &io::Error, path: &str) -> String {
    match error.raw_os_error() {
        Some(number) => {
            let text = flux_wire::Errno(number);
            format!("[Errno {number}] {text}: '{path}'")
        }
        None => format!("{error}: '{path}'"),
    }
}

/// Reads one `--add-file`: `PATH`, `NAME=PATH`, `NAME:PERMS=PATH`, or `NAME=CONTENT` where the content has a newline
/// (typed as `\n`). Answers the name and the RFC 37 object.
///
/// # Errors
/// The sentence for the user.
pub(crate) fn add_file(arg: &str) -> Result<(String, Value), String> {
    let unescaped = arg.replace("\\n", "\n");
    let (name, data) = unescaped.split_once('=').unwrap_or((&unescaped, ""));
    if data.is_empty() {
        if name.contains('\n') {
            return Err("--add-file: file name missing".to_owned());
        }
        let base = name.rsplit('/').next().unwrap_or(name);
        return Ok((base.to_owned(), file_object(name).map_err(|error| format!("--add-file={arg}: {error}"))?));
    }
    let permissions = name.split_once(':').and_then(|(name, octal)| Some((name, u32::from_str_radix(octal, 8).ok()?)));
    let (name, permissions) = permissions.unwrap_or((name, DEFAULT_PERMISSIONS));
    let object = if data.contains('\n') { Ok(text_object(data, permissions)) } else { file_object(data) };
    Ok((name.to_owned(), object.map_err(|error| format!("--add-file={arg}: {error}"))?))
}

/// The object of a text that is no file here.
pub(crate) fn text_object(text: &str, permissions: u32) -> Value {
    json!({"mode": REGULAR | permissions, "data": text, "encoding": "utf-8"})
}

/// The object of a JSON value.
pub(crate) fn json_object(data: &Value) -> Value {
    json!({"mode": REGULAR | DEFAULT_PERMISSIONS, "data": data})
}

fn file_object(path: &str) -> Result<Value, String> {
    let (bytes, meta) = read_bytes(path, JOB_FILE_BYTES_MAX)?;
    let (data, encoding) = match String::from_utf8(bytes) {
        Ok(text) => (text, "utf-8"),
        Err(binary) => (STANDARD.encode(binary.into_bytes()), "base64"),
    };
    Ok(json!({"mode": meta.mode(), "size": meta.size(), "data": data, "encoding": encoding}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_named_and_encoded_as_the_option_says() {
        let dir = std::env::temp_dir().join(format!("flux-add-file-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (text, binary) = (dir.join("text"), dir.join("binary"));
        std::fs::write(&text, "hello\n").unwrap();
        std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(&binary, b"\xff\xfe\n").unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (text, binary) = (text.to_str().unwrap(), binary.to_str().unwrap());
        let hello = json!({"mode": 33261, "size": 6, "data": "hello\n", "encoding": "utf-8"});
        let rows = [
            (text.to_owned(), "text", hello.clone()),
            (format!("c:755={text}"), "c", hello),
            (format!("b={binary}"), "b", json!({"mode": 33188, "size": 3, "data": "//4K", "encoding": "base64"})),
            ("m=a\\nb".to_owned(), "m", json!({"mode": 33152, "data": "a\nb", "encoding": "utf-8"})),
            ("m:700=a\nb".to_owned(), "m", json!({"mode": 33216, "data": "a\nb", "encoding": "utf-8"})),
        ];
        for (arg, name, object) in rows {
            assert_eq!(add_file(&arg), Ok((name.to_owned(), object)), "{arg}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_cannot_be_added_is_explained() {
        let rows = [
            ("/nosuch", "--add-file=/nosuch: [Errno 2] No such file or directory: '/nosuch'"),
            ("x=/nosuch", "--add-file=x=/nosuch: [Errno 2] No such file or directory: '/nosuch'"),
            ("/", "--add-file=/: [Errno 21] Is a directory: '/'"),
            ("a\nb", "--add-file: file name missing"),
        ];
        for (arg, want) in rows {
            assert_eq!(add_file(arg).unwrap_err(), want);
        }
    }
}
