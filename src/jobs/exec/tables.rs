//! The table of a job's processes, for debuggers and `flux job hostpids`: the first shell asks (`tables`), the others are told to say
//! theirs (`table`), and it gets all of them at once.

use std::collections::BTreeMap;

use flux_service::Cx;
use flux_types::{Idset, JobId};
use serde_json::{Value, json};

use super::JobExec;

/// What the shells of a job have said since the first of them asked.
#[derive(Debug, Default)]
pub(super) struct Tables(BTreeMap<usize, Value>);

impl JobExec {
    pub(super) fn ask_tables(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.tables = Some(Tables::default());
        let others: Idset =
            job.parts.iter().skip(1).filter(|part| part.status.is_none()).map(|part| part.rank.0).collect();
        job.order(cx, &others, json!({"id": id.0, "command": {"type": "table"}}));
        self.tables_complete(cx, id);
    }

    pub(super) fn take_table(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize, data: &Value) {
        if let Some(tables) = self.jobs.get_mut(&id).and_then(|job| job.tables.as_mut()) {
            tables.0.insert(shell, data.clone());
        }
        self.tables_complete(cx, id);
    }

    /// Tells the first shell if nobody is waited for any more: who has ended has no processes.
    pub(super) fn tables_complete(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(Tables(said)) = &job.tables else { return };
        let waits = |(shell, part): (usize, &super::job::Part)| part.status.is_none() && !said.contains_key(&shell);
        if job.parts.iter().enumerate().skip(1).any(waits) {
            return;
        }
        let data: Vec<Value> = std::mem::take(&mut job.tables).unwrap_or_default().0.into_values().collect();
        let first: Idset = job.parts.iter().take(1).map(|part| part.rank.0).collect();
        job.order(cx, &first, json!({"id": id.0, "command": {"type": "tables", "data": data}}));
    }
}
