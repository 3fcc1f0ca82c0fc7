//! The database that the log is emptied into: content blobs and checkpoints (sqlite).

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flux_service::HashedBlob;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use sha1::Digest;

use super::error::StoreError;
use super::gc;
use crate::limits::DATABASE_CACHE_KIB;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS objects(hash BLOB PRIMARY KEY, size INT, object BLOB, epoch INT DEFAULT 0);
    CREATE TABLE IF NOT EXISTS checkpoints(key TEXT PRIMARY KEY, value TEXT);";

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    sqlite: Connection,
}

impl Database {
    /// Opens or makes the database. With `durable`, what it accepts is on disk; otherwise it is as short-lived as its
    /// instance and syncs nothing.
    pub(super) fn open(path: &Path, durable: bool) -> Result<Database, StoreError> {
        // Made here, so that it is for nobody else's eyes; sqlite gives its other files the same mode.
        let mut options = OpenOptions::new();
        let made = options.write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(StoreError::io("open", path))?;
        let open = || -> rusqlite::Result<Connection> {
            let sqlite = Connection::open(path)?;
            let journal = if durable {
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            } else {
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
            };
            sqlite.execute_batch(journal)?;
            sqlite.execute_batch(&format!("PRAGMA cache_size = -{DATABASE_CACHE_KIB};"))?;
            sqlite.execute_batch(SCHEMA)?;
            gc::add_epochs(&sqlite)?;
            Ok(sqlite)
        };
        let sqlite = open().map_err(|error| StoreError::Database { path: path.to_owned(), error })?;
        Ok(Database { path: path.to_owned(), sqlite })
    }

    /// As a disk of this size would.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, count: u32) {
        self.sqlite.execute_batch(&format!("PRAGMA max_page_count = {count}")).unwrap();
    }

    pub(super) fn sqlite(&mut self) -> &mut Connection {
        &mut self.sqlite
    }

    pub(super) fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), error }
    }

    /// Ends it, with everything in the one file.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let Database { path, sqlite } = self;
        sqlite.close().map_err(|(_, error)| StoreError::Database { path, error })
    }

    /// All checkpoints.
    pub(super) fn checkpoints(&self) -> Result<Vec<(String, Value)>, StoreError> {
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut query = self.sqlite.prepare("SELECT key, value FROM checkpoints")?;
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let parse = |(key, text): (String, String)| match serde_json::from_str(&text) {
            Ok(value) => Ok((key, value)),
            Err(_) => Err(StoreError::CorruptCheckpoint { path: self.path.clone(), key }),
        };
        read().map_err(|error| self.failed(error))?.into_iter().map(parse).collect()
    }

    /// Stores blobs and checkpoints in one transaction.
    pub(super) fn put(&mut self, blobs: &[HashedBlob], checkpoints: &[(String, Arc<Value>)]) -> Result<(), StoreError> {
        let put = |sqlite: &mut Connection| -> rusqlite::Result<()> {
            let transaction = sqlite.transaction()?;
            {
                let epoch = gc::epoch(&transaction)?;
                let text = "INSERT INTO objects(hash, size, object, epoch) VALUES (?1, ?2, ?3, ?4) \
                            ON CONFLICT(hash) DO UPDATE SET epoch = excluded.epoch";
                let mut insert = transaction.prepare_cached(text)?;
                for (hash, blob) in blobs {
                    insert.execute(params![&**hash, blob.len() as i64, &**blob, epoch + 1])?;
                }
                if !checkpoints.is_empty() {
                    gc::set_epoch(&transaction, epoch + 1)?;
                }
                let text = "INSERT OR REPLACE INTO checkpoints(key, value) VALUES (?1, ?2)";
                let mut insert = transaction.prepare_cached(text)?;
                for (key, value) in checkpoints {
                    insert.execute(params![key, value.to_string()])?;
                }
            }
            transaction.commit()
        };
        put(&mut self.sqlite).map_err(|error| self.failed(error))
    }

    /// A blob; `None` if there is none of this hash. Never one whose bytes have changed on disk.
    pub(super) fn get(&self, hash: &[u8]) -> Result<Option<Arc<[u8]>>, StoreError> {
        let get = || -> rusqlite::Result<Option<Arc<[u8]>>> {
            let mut query = self.sqlite.prepare_cached("SELECT object FROM objects WHERE hash = ?1")?;
            query.query_row([hash], |row| Ok(Arc::from(row.get_ref(0)?.as_blob()?))).optional()
        };
        let blob = get().map_err(|error| self.failed(error))?;
        match &blob {
            Some(bytes) if !has_hash(bytes, hash) => {
                Err(StoreError::CorruptBlob { path: self.path.clone(), hash: hex(hash) })
            }
            _ => Ok(blob),
        }
    }

    pub(super) fn delete(&mut self, hashes: &[Arc<[u8]>]) -> Result<(), StoreError> {
        let delete = |sqlite: &mut Connection| -> rusqlite::Result<()> {
            let transaction = sqlite.transaction()?;
            {
                let mut delete = transaction.prepare_cached("DELETE FROM objects WHERE hash = ?1")?;
                for hash in hashes {
                    delete.execute([&**hash])?;
                }
            }
            transaction.commit()
        };
        delete(&mut self.sqlite).map_err(|error| self.failed(error))
    }
}

/// Is `hash` the hash of `blob`? Those that are neither SHA-1 nor SHA-256 (RFC 10) are believed.
fn has_hash(blob: &[u8], hash: &[u8]) -> bool {
    match hash.len() {
        20 => sha1::Sha1::digest(blob).as_slice() == hash,
        32 => sha2::Sha256::digest(blob).as_slice() == hash,
        _ => true,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
