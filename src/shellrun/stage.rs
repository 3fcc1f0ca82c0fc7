//! Files that came with the job (RFC 37), put into its temporary directory, `flux batch` scripts among them; and archives of
//! the instance that tasks are to find there (`stage-in`).

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

use flux_client::{ClientError, Fault, Handle, Target, content};
use flux_shell::plan::StageIn;
use flux_types::fileref::{FileContent, FileObject};
use flux_types::{Blobref, Treeobj, glob};
use serde_json::{Value, json};

use crate::limits::BLOBS_AHEAD;

const PERMISSIONS: u32 = 0o7777;

/// Makes `file` below `dir`. Its path was checked when it was read: it has no `..` and is not absolute.
///
/// # Errors
/// Those of the file system; ENOTSUP for content that lies in the content store.
pub(crate) fn extract(dir: &Path, file: &FileObject) -> io::Result<()> {
    let path = dir.join(&file.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match &file.content {
        FileContent::Directory => fs::create_dir_all(&path)?,
        FileContent::Symlink { target } => return symlink(target, &path),
        FileContent::Empty { size } => File::create(&path)?.set_len(*size)?,
        FileContent::Json(value) => write(&path, value.to_string().as_bytes())?,
        FileContent::Text(text) => write(&path, text.as_bytes())?,
        FileContent::Bytes(bytes) => write(&path, bytes)?,
        FileContent::Blobvec { .. } => return Err(io::Error::from_raw_os_error(flux_wire::Errno::ENOTSUP.0)),
    }
    fs::set_permissions(&path, Permissions::from_mode(file.mode & PERMISSIONS))
}

/// Puts the files of the archives below `dir`.
///
/// # Errors
/// As text: the archive is not there or is malformed, or a file cannot be made.
pub(crate) fn stage_in(uri: &str, stage: &StageIn, dir: &Path) -> Result<(), String> {
    let mut flux = Handle::open_uri(uri).map_err(|error| format!("stage-in: {error}"))?;
    for name in &stage.names {
        let body = json!({"key": format!("archive.{name}"), "namespace": "primary", "flags": 0});
        let failed = |why: String| format!("stage-in: could not lookup archive.{name} in primary KVS namespace: {why}");
        let found = flux.call("kvs.lookup", Target::Any, body).map_err(|error| failed(why(&error)))?;
        let files = stored(&found).ok_or_else(|| failed("it is no value".to_owned()))?;
        let files = FileObject::archive_from_value(&files).map_err(|error| failed(error.to_string()))?;
        let wanted =
            |file: &&FileObject| stage.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, &file.path));
        for file in files.iter().filter(wanted) {
            stage_file(&mut flux, dir, file).map_err(|why| format!("stage-in: {}: {why}", file.path))?;
        }
    }
    Ok(())
}

fn why(error: &ClientError) -> String {
    match error {
        ClientError::Answer(fault) => Fault::from(fault.errno).message(),
        other => other.to_string(),
    }
}

/// The JSON in a `kvs.lookup` answer.
fn stored(found: &Value) -> Option<Value> {
    match Treeobj::from_value(found.get("val")?).ok()? {
        Treeobj::Val(bytes) => serde_json::from_slice(&bytes).ok(),
        _ => None,
    }
}

fn stage_file(flux: &mut Handle, dir: &Path, file: &FileObject) -> Result<(), String> {
    let FileContent::Blobvec { size, regions } = &file.content else {
        return extract(dir, file).map_err(|error| error.to_string());
    };
    let made = || {
        let path = dir.join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        let out = File::create_new(&path)?;
        out.set_len(*size)?;
        Ok((path, out))
    };
    let (path, out) = made().map_err(|error: io::Error| error.to_string())?;
    let refs: Vec<Blobref> = regions.iter().map(|region| region.blobref).collect();
    content::load(flux, &refs, BLOBS_AHEAD, |at, bytes| {
        let whole = bytes.len() as u64 == regions[at].size;
        let written =
            if whole { out.write_all_at(bytes, regions[at].offset) } else { Err(io::ErrorKind::InvalidData.into()) };
        written.map_err(ClientError::Socket)
    })
    .map_err(|error| error.to_string())?;
    fs::set_permissions(&path, Permissions::from_mode(file.mode & PERMISSIONS)).map_err(|error| error.to_string())
}

/// A new file: what stands there already (a symbolic link of the same archive, for one) is not followed.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::create_new(path)?.write_all(bytes)
}
