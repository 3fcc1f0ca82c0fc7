//! A store whose content is that of an archive (`content.restore`).

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flux_dump::{DumpError, Sink};
use flux_service::HashedBlob;
use flux_types::{Blobref, HashKind};

use super::database::Database;
use super::error::StoreError;

/// Bytes of blobs that are put with one transaction.
const PUT_BYTES: usize = 8 << 20;

/// Which archive, and for which instance.
#[derive(Debug)]
pub struct Restore {
    pub archive: PathBuf,
    /// A link to the archive, removed once it is restored: the next start goes on from the store.
    pub link: Option<PathBuf>,
    pub hash: HashKind,
    pub owner: u32,
}

impl Restore {
    /// Replaces the store in `dir`.
    ///
    /// The new database gets its name when it is complete. The log goes before that: whoever is interrupted in between
    /// restores once more.
    ///
    /// # Errors
    /// [`StoreError::Archive`], and those of the database; the former store is still there then.
    pub(super) fn replace_in(&self, dir: &Path, durable: bool) -> Result<(), StoreError> {
        let fresh = dir.join("content.sqlite.restore");
        for suffix in ["", "-wal", "-shm", "-journal"] {
            remove(&with_suffix(&fresh, suffix))?;
        }
        self.fill(&fresh, durable)?;
        match fs::remove_dir_all(dir.join("log")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &dir.join("log"))(error));
            }
            _ => (),
        }
        let path = dir.join("content.sqlite");
        for suffix in ["-wal", "-shm", "-journal"] {
            remove(&with_suffix(&path, suffix))?;
        }
        fs::rename(&fresh, &path).map_err(StoreError::io("rename", &fresh))?;
        let sync = |dir: &Path| File::open(dir)?.sync_all();
        sync(dir).map_err(StoreError::io("sync", dir))?;
        self.link.as_deref().map_or(Ok(()), remove)
    }

    fn fill(&self, path: &Path, durable: bool) -> Result<(), StoreError> {
        let archive = File::open(&self.archive).map_err(StoreError::io("open", &self.archive))?;
        let database = Database::open(path, durable)?;
        let mut blobs = Blobs { database, hash: self.hash, gathered: Vec::new(), bytes: 0 };
        let restored = flux_dump::restore(archive, None, &mut blobs).map_err(|error| match error {
            DumpError::Sink(error) => error,
            other => StoreError::Archive { path: self.archive.clone(), why: other.to_string() },
        })?;
        blobs.put()?;
        let root = restored.root.to_string();
        let checkpoints = flux_kvs::checkpoint_of(&root, self.owner, restored.mtime as f64);
        let checkpoints: Vec<_> = checkpoints.into_iter().map(|(key, value)| (key, Arc::new(value))).collect();
        blobs.database.put(&[], &checkpoints)?;
        blobs.database.close()
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

struct Blobs {
    database: Database,
    hash: HashKind,
    gathered: Vec<HashedBlob>,
    bytes: usize,
}

impl Blobs {
    fn put(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        self.database.put(&std::mem::take(&mut self.gathered), &[])
    }
}

impl Sink for Blobs {
    type Error = StoreError;

    fn store(&mut self, blob: &[u8]) -> Result<Blobref, StoreError> {
        let blobref = self.hash.hash(blob);
        self.gathered.push((Arc::from(blobref.digest()), Arc::from(blob)));
        self.bytes += blob.len();
        if self.bytes >= PUT_BYTES {
            self.put()?;
        }
        Ok(blobref)
    }
}
