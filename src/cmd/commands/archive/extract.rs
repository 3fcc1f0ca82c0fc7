//! `flux archive extract`

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Component, Path};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::ArgMatches;
use flux_client::{ClientError, Handle};
use flux_types::Blobref;
use flux_types::fileref::{BlobRegion, FileContent, FileObject};

use super::{Place, change_directory, select};
use crate::content;
use crate::frame::args::{text, verbosity};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::limits::ARCHIVE_BLOBS_AHEAD;

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let place = Place::of(matches, cx);
    let wait = match text(matches, "waitcreate") {
        None => None,
        Some("") => Some(None),
        Some(fsd) => {
            let bad = || CmdError::usage("could not parse --waitcreate timeout");
            let seconds = flux_types::parse_fsd(fsd).ok_or_else(bad)?;
            Some(Duration::try_from_secs_f64(seconds).ok())
        }
    };
    let mut flux = cx.open()?;
    change_directory(matches)?;
    let mut values = place.read(&mut flux, wait)?;
    select(&mut values, matches, cx);
    let files = values.iter().map(FileObject::from_value).collect::<Result<Vec<_>, _>>();
    let files = files.map_err(|error| CmdError::new(error.to_string()))?;
    let overwrite = matches.get_flag("overwrite");
    for file in &files {
        if matches.get_flag("list-only") {
            cx.line(&file.path)?;
            continue;
        }
        if verbosity(matches) > 0 {
            say!("{}", file.path);
        }
        extract(&mut flux, file, overwrite)?;
    }
    if !matches.get_flag("list-only") {
        // Last, so that a directory that nobody may write to can be filled.
        for file in files.iter().filter(|file| file.content == FileContent::Directory) {
            finish(Path::new(&file.path), file).map_err(|error| failed(file, "chmod", &error))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(file: &FileObject, doing: &str, error: &io::Error) -> CmdError {
    let text = error.raw_os_error().map_or(error.to_string(), |number| flux_client::Errno(number).to_string());
    CmdError::about(&file.path, format!("{doing}: {text}"))
}

fn extract(flux: &mut Handle, file: &FileObject, overwrite: bool) -> Result<(), CmdError> {
    let path = Path::new(&file.path);
    make_parents(path).map_err(|error| failed(file, "mkdir", &error))?;
    if file.content == FileContent::Directory {
        return make_dir(path).map_err(|error| failed(file, "mkdir", &error));
    }
    if fs::symlink_metadata(path).is_ok() {
        if !overwrite {
            return Err(CmdError::about(&file.path, "write: Attempt to overwrite existing file"));
        }
        fs::remove_file(path).map_err(|error| failed(file, "unlink", &error))?;
    }
    let write = |error: io::Error| failed(file, "write", &error);
    match &file.content {
        FileContent::Directory => {}
        FileContent::Symlink { target } => return symlink(target, path).map_err(write),
        FileContent::Empty { size } => new_file(path, *size).map(drop).map_err(write)?,
        FileContent::Json(value) => new_file(path, 0).and_then(|mut f| write!(f, "{value}")).map_err(write)?,
        FileContent::Text(text) => new_file(path, 0).and_then(|mut f| f.write_all(text.as_bytes())).map_err(write)?,
        FileContent::Bytes(bytes) => new_file(path, 0).and_then(|mut f| f.write_all(bytes)).map_err(write)?,
        FileContent::Blobvec { size, regions } => {
            let out = new_file(path, *size).map_err(write)?;
            load(flux, file, &out, regions)?;
        }
    }
    finish(path, file).map_err(write)
}

/// Ours alone until it is complete; what stands there is never followed.
fn new_file(path: &Path, size: u64) -> io::Result<File> {
    let file = File::create_new(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.set_len(size)?;
    Ok(file)
}

enum LoadError {
    Client(ClientError),
    Write(io::Error),
    /// A blob of another length than the archive says.
    Length,
}

impl From<ClientError> for LoadError {
    fn from(error: ClientError) -> LoadError {
        LoadError::Client(error)
    }
}

fn load(flux: &mut Handle, file: &FileObject, out: &File, regions: &[BlobRegion]) -> Result<(), CmdError> {
    let refs: Vec<Blobref> = regions.iter().map(|region| region.blobref).collect();
    let put = |at: usize, bytes: &[u8]| {
        if bytes.len() as u64 != regions[at].size {
            return Err(LoadError::Length);
        }
        out.write_all_at(bytes, regions[at].offset).map_err(LoadError::Write)
    };
    content::load(flux, &refs, ARCHIVE_BLOBS_AHEAD, put).map_err(|error| match error {
        LoadError::Client(error) => CmdError::calling(format!("{}: error loading blob", file.path))(error),
        LoadError::Write(error) => failed(file, "write", &error),
        LoadError::Length => CmdError::about(&file.path, "a blob is not as long as the archive says"),
    })
}

/// Makes the directories above `path`. None of them may be a link: it could lead anywhere.
fn make_parents(path: &Path) -> io::Result<()> {
    let mut dir = std::path::PathBuf::new();
    let parents = path.parent().into_iter().flat_map(Path::components);
    for part in parents {
        if let Component::Normal(name) = part {
            dir.push::<&OsStr>(name);
            make_dir(&dir)?;
        }
    }
    Ok(())
}

fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match fs::symlink_metadata(path)?.is_dir() {
            true => Ok(()),
            false => Err(ErrorKind::NotADirectory.into()),
        },
        made => made,
    }
}

fn finish(path: &Path, file: &FileObject) -> io::Result<()> {
    if let Some(mtime) = file.mtime.and_then(|mtime| u64::try_from(mtime).ok()) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(mtime.min(u32::MAX.into()));
        File::open(path)?.set_modified(time)?;
    }
    fs::set_permissions(path, Permissions::from_mode(file.permissions()))
}
