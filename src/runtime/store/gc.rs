//! Garbage collection in the database: every blob has an epoch, and what was marked by nobody is swept away.
//!
//! The epoch counts the checkpoints. A blob is put with the epoch after the present one, so one that nothing refers to yet
//! outlives a collection that begins before the next checkpoint.

use std::sync::Arc;

use flux_service::Completion;
use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use super::error::StoreError;
use super::form::Form;

pub(super) fn epoch(sqlite: &Connection) -> rusqlite::Result<i64> {
    sqlite.query_row("PRAGMA user_version", [], |row| row.get(0))
}

pub(super) fn set_epoch(sqlite: &Connection, epoch: i64) -> rusqlite::Result<()> {
    // The number is 32 bits wide: at a checkpoint a minute it lasts for 4000 years.
    sqlite.pragma_update(None, "user_version", epoch)
}

impl Database {
    pub(super) fn horizon(&mut self, below: Option<u64>) -> Result<Completion, StoreError> {
        let read = |sqlite: &Connection| {
            let last: Option<i64> = sqlite.query_row("SELECT MAX(rowid) FROM objects", [], |row| row.get(0))?;
            let count = |below: u64| {
                let text = "SELECT COUNT(*) FROM objects WHERE epoch < ?1";
                sqlite.query_row(text, [signed(below)], |row| row.get::<_, i64>(0))
            };
            let below = below.map(count).transpose()?.map(unsigned);
            Ok(Completion::Horizon { epoch: unsigned(epoch(sqlite)?), last: last.map_or(0, unsigned), below })
        };
        read(self.sqlite()).map_err(|error| self.failed(error))
    }

    /// How many blobs had an earlier epoch, or the same.
    pub(super) fn mark(&mut self, epoch: u64, hashes: &[Arc<[u8]>]) -> Result<u64, StoreError> {
        let mark = |sqlite: &mut Connection| {
            let transaction = sqlite.transaction()?;
            let mut count = 0;
            {
                let text = "UPDATE objects SET epoch = MAX(epoch, ?1) WHERE hash = ?2 RETURNING form";
                let mut update = transaction.prepare_cached(text)?;
                let text = "UPDATE objects SET epoch = MAX(epoch, ?1) WHERE hash = \
                            (SELECT SUBSTR(object, 1, LENGTH(hash)) FROM objects WHERE hash = ?2)";
                let mut update_payload = transaction.prepare_cached(text)?;
                for hash in hashes {
                    let values = params![signed(epoch), &**hash];
                    let form: Option<i64> = update.query_row(values, |row| row.get(0)).optional()?;
                    count += u64::from(form.is_some());
                    if form == Some(Form::Signed as i64) {
                        update_payload.execute(values)?;
                    }
                }
            }
            transaction.commit()?;
            Ok(count)
        };
        mark(self.sqlite()).map_err(|error| self.failed(error))
    }

    pub(super) fn sweep(
        &mut self,
        epoch: u64,
        (cursor, last): (u64, u64),
        (deletes_max, rows_max): (u32, u32),
    ) -> Result<Completion, StoreError> {
        let end = last.min(cursor.saturating_add(rows_max.into()));
        let sweep = |sqlite: &mut Connection| {
            let transaction = sqlite.transaction()?;
            let rows: Vec<i64> = {
                let text = "SELECT rowid FROM objects WHERE epoch < ?1 AND rowid > ?2 AND rowid <= ?3 \
                            ORDER BY rowid LIMIT ?4";
                let mut select = transaction.prepare_cached(text)?;
                let bounds = params![signed(epoch), signed(cursor), signed(end), deletes_max];
                select.query_map(bounds, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
            };
            for row in &rows {
                transaction.prepare_cached("DELETE FROM objects WHERE rowid = ?1")?.execute([row])?;
            }
            transaction.commit()?;
            // With all its deletes used up, the rest of the stretch was not looked at.
            let full = rows.len() >= deletes_max as usize;
            let cursor = rows.last().filter(|_| full).map_or(end, |row| unsigned(*row));
            Ok(Completion::Swept { deleted: rows.len() as u64, cursor })
        };
        sweep(self.sqlite()).map_err(|error| self.failed(error))
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
