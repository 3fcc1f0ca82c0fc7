//! The database that the log is emptied into: content blobs and checkpoints (sqlite).

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flux_service::HashedBlob;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::error::StoreError;
use super::form::{self, Form, Payload};
use super::gc;
use crate::limits::DATABASE_CACHE_KIB;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS objects(hash BLOB PRIMARY KEY, size INT, object BLOB, epoch INT DEFAULT 0, form INT DEFAULT 0);
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
            for column in ["epoch", "form"] {
                add_column(&sqlite, column)?;
            }
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
                for (hash, blob) in blobs {
                    if let Some(Payload { hash, blob }) = insert(&transaction, epoch + 1, hash, blob)?
                        && !is_there(&transaction, epoch + 1, &hash)?
                    {
                        insert(&transaction, epoch + 1, &hash, &blob)?;
                    }
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
        let Some((form, len, object)) = self.row(hash)? else { return Ok(None) };
        let blob = match Form::of_number(form) {
            Some(Form::Plain) => Some(object),
            Some(Form::Packed) => usize::try_from(len).ok().and_then(|len| form::unpacked(&object, len)),
            Some(Form::Signed) => self.rebuilt(hash.len(), &object)?,
            None => None,
        };
        match blob.filter(|blob| has_hash(blob, hash)) {
            Some(blob) => Ok(Some(blob.into())),
            None => Err(StoreError::CorruptBlob { path: self.path.clone(), hash: hex(hash) }),
        }
    }

    fn row(&self, hash: &[u8]) -> Result<Option<(i64, i64, Vec<u8>)>, StoreError> {
        let get = || {
            let mut query = self.sqlite.prepare_cached("SELECT form, size, object FROM objects WHERE hash = ?1")?;
            query.query_row([hash], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        };
        get().map_err(|error| self.failed(error))
    }

    /// A signed jobspec from its row and its payload's.
    fn rebuilt(&self, hash_len: usize, object: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(hash) = object.get(..hash_len) else { return Ok(None) };
        match self.row(hash)? {
            // No payload is of this form.
            Some((form, ..)) if form == Form::Signed as i64 => Ok(None),
            None => Ok(None),
            Some(_) => Ok(self.get(hash)?.and_then(|payload| form::rebuilt(object, hash_len, &payload))),
        }
    }
}

/// Puts a blob, or notes that it is needed still; answers the payload that it needs, too.
fn insert(sqlite: &Connection, epoch: i64, hash: &[u8], blob: &[u8]) -> rusqlite::Result<Option<Payload>> {
    let text = "INSERT INTO objects(hash, size, object, epoch, form) VALUES (?1, ?2, ?3, ?4, ?5) \
                ON CONFLICT(hash) DO UPDATE SET epoch = excluded.epoch";
    let stored = form::stored(hash, blob);
    let values = params![hash, blob.len() as i64, &*stored.object, epoch, stored.form as i64];
    sqlite.prepare_cached(text)?.execute(values)?;
    Ok(stored.payload)
}

/// Whether there is such a blob; if so it is noted that it is needed still.
fn is_there(sqlite: &Connection, epoch: i64, hash: &[u8]) -> rusqlite::Result<bool> {
    let text = "UPDATE objects SET epoch = ?1 WHERE hash = ?2";
    Ok(sqlite.prepare_cached(text)?.execute(params![epoch, hash])? > 0)
}

/// Databases of earlier versions lack some columns.
fn add_column(sqlite: &Connection, name: &str) -> rusqlite::Result<()> {
    let text = "SELECT 1 FROM pragma_table_info('objects') WHERE name = ?1";
    let known = sqlite.query_row(text, [name], |_| Ok(())).optional()?.is_some();
    let add = format!("ALTER TABLE objects ADD COLUMN {name} INT DEFAULT 0");
    if known { Ok(()) } else { sqlite.execute_batch(&add) }
}

/// Is `hash` the hash of `blob`? Those of an unknown function are believed.
fn has_hash(blob: &[u8], hash: &[u8]) -> bool {
    form::hash_like(hash, blob).is_none_or(|own| own == hash)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
