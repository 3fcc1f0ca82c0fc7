//! Files that came with the job (RFC 37), put into its temporary directory: `flux batch` scripts among them.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use flux_types::fileref::{FileContent, FileObject};

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

/// A new file: what stands there already (a symbolic link of the same archive, for one) is not followed.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::create_new(path)?.write_all(bytes)
}
