//! Who has which cores, by what jobs' eventlogs and R say while they run: no core is ever in two jobs.
//!
//! A scout at rank 0 reads `job-manager.events-journal`, as long as rank 0 lives. When it comes back it is told of the jobs that
//! are active one after another, so that only at the end of that their cores can be compared.

use std::collections::{BTreeMap, BTreeSet};

use flux_types::{Idset, JobId};
use serde_json::Value;

type Core = (u32, u32);

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    held: BTreeMap<JobId, BTreeSet<Core>>,
    owners: BTreeMap<Core, JobId>,
    /// All that came before has been told.
    live: bool,
    /// Grants that were compared with all others.
    pub(crate) compared: u64,
}

/// The id that ends the tale of what was before (RFC 19 has no such job).
const NO_JOB: u64 = u64::MAX;

impl Ledger {
    /// The journal is read from its beginning.
    pub(crate) fn begin(&mut self) {
        *self = Ledger { compared: self.compared, ..Ledger::default() };
    }

    /// One message of the journal, in an instance of so many ranks and cores. Answers what is wrong.
    pub(crate) fn heard(&mut self, body: &Value, ranks: u32, cores: u32) -> Option<String> {
        let id = body["id"].as_u64().or_else(|| body["id"].as_i64().map(|id| id as u64))?;
        if id == NO_JOB {
            self.live = true;
            return self.held.keys().copied().collect::<Vec<_>>().into_iter().find_map(|id| self.enter(id));
        }
        let id = JobId(id);
        for event in body["events"].as_array().into_iter().flatten() {
            let wrong = match event["name"].as_str() {
                // One that was given back before it was told of has no R any more.
                Some("alloc") if body["R"].is_null() && !self.live => None,
                Some("alloc") => self.granted(id, &body["R"], ranks, cores),
                Some("free" | "clean") => self.given_back(id),
                // The scheduler that came back did not get them for this job: they are not its own any more.
                Some("exception") if event["context"]["type"] == "scheduler-restart" => self.given_back(id),
                _ => None,
            };
            if wrong.is_some() {
                return wrong;
            }
        }
        None
    }

    fn granted(&mut self, id: JobId, r: &Value, ranks: u32, cores: u32) -> Option<String> {
        let Some(mine) = cores_of(r) else { return Some(format!("job {id} got an R that cannot be read: {r}")) };
        if let Some((rank, core)) = mine.iter().find(|(rank, core)| *rank >= ranks || *core >= cores) {
            return Some(format!("job {id} got core {core} of rank {rank}, which is not there: {r}"));
        }
        if mine.is_empty() {
            return Some(format!("job {id} got nothing: {r}"));
        }
        self.held.insert(id, mine);
        if self.live { self.enter(id) } else { None }
    }

    fn enter(&mut self, id: JobId) -> Option<String> {
        self.compared += 1;
        for core in &self.held[&id] {
            if let Some(other) = self.owners.insert(*core, id).filter(|other| *other != id) {
                return Some(format!(
                    "core {} of rank {} is given to job {id}, and job {other} has it",
                    core.1, core.0
                ));
            }
        }
        None
    }

    fn given_back(&mut self, id: JobId) -> Option<String> {
        for core in self.held.remove(&id).into_iter().flatten() {
            if self.owners.get(&core) == Some(&id) {
                self.owners.remove(&core);
            }
        }
        None
    }

    /// Tasks of a job start on these cores. Of a job that is not known to have any nothing can be said: what told of it may be lost.
    pub(crate) fn used(&self, id: JobId, rank: u32, cores: &[u32]) -> Option<String> {
        let held = self.held.get(&id).filter(|_| self.live)?;
        let core = cores.iter().find(|core| !held.contains(&(rank, **core)))?;
        Some(format!("tasks of job {id} use core {core} of rank {rank}, which its R has not: {held:?}"))
    }
}

/// RFC 20: the cores of all entries.
fn cores_of(r: &Value) -> Option<BTreeSet<Core>> {
    let mut cores = BTreeSet::new();
    for entry in r["execution"]["R_lite"].as_array()? {
        let ranks: Idset = entry["rank"].as_str()?.parse().ok()?;
        let of_each: Idset = entry["children"]["core"].as_str()?.parse().ok()?;
        for rank in ranks.iter() {
            for core in of_each.iter() {
                if !cores.insert((rank, core)) {
                    return None; // Named twice.
                }
            }
        }
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(id: u64, events: &[&str], core: Option<&str>) -> Value {
        let events: Vec<Value> = events.iter().map(|name| json!({"timestamp": 1.0, "name": name})).collect();
        let r = core.map(|core| json!({"execution": {"R_lite": [{"rank": "0-1", "children": {"core": core}}]}}));
        json!({"id": id, "events": events, "R": r})
    }

    #[test]
    fn a_core_in_two_jobs_is_seen_at_once_and_among_what_was_before() {
        let end = json!({"id": -1, "events": []});
        let cases: &[(&[Value], Option<&str>)] = &[
            (&[end.clone(), told(1, &["alloc"], Some("0-1")), told(2, &["alloc"], Some("2"))], None),
            (&[end.clone(), told(1, &["alloc"], Some("0-1")), told(2, &["alloc"], Some("1-2"))], Some("job ƒ2 has it")),
            (
                &[
                    end.clone(),
                    told(1, &["alloc"], Some("0")),
                    told(1, &["free"], None),
                    told(2, &["alloc"], Some("0")),
                ],
                None,
            ),
            (&[told(1, &["alloc"], Some("0")), told(2, &["alloc"], Some("0")), end.clone()], Some("job ƒ2 has it")),
            (&[told(1, &["alloc", "free"], None), told(2, &["alloc"], Some("0")), end.clone()], None),
            (&[end.clone(), told(1, &["alloc"], None)], Some("cannot be read")),
            (&[end, told(1, &["alloc"], Some("4"))], Some("not there")),
        ];
        for (messages, wrong) in cases {
            let mut ledger = Ledger::default();
            let found = messages.iter().find_map(|body| ledger.heard(body, 2, 4));
            assert_eq!(found.is_some(), wrong.is_some(), "{messages:?}: {found:?}");
            assert!(found.unwrap_or_default().contains(wrong.unwrap_or_default()), "{messages:?}");
        }
    }

    #[test]
    fn tasks_stay_on_the_cores_of_their_job() {
        let mut ledger = Ledger::default();
        for body in [json!({"id": -1, "events": []}), told(1, &["alloc"], Some("1-2"))] {
            assert_eq!(ledger.heard(&body, 2, 4), None);
        }
        assert_eq!((ledger.used(JobId(1), 1, &[1, 2]), ledger.used(JobId(2), 1, &[3])), (None, None));
        assert!(ledger.used(JobId(1), 1, &[2, 3]).is_some_and(|text| text.contains("core 3")));
    }
}
