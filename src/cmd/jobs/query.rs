//! Asking the job-list service: filters in, jobs out.

use std::collections::BTreeSet;
use std::rc::Rc;

use clap::ArgMatches;
use flux_client::{Errno, Fault, Handle, Target};
use flux_types::{Hostlist, Idset, IdsetFormat, JobId, JobResult, StateSet};
use serde::Deserialize;
use serde_json::{Value, json};

use super::attributes::Attributes;
use super::info::{JobInfo, Shared};
use crate::frame::CmdError;
use crate::frame::args::{text, texts};
use crate::job::signals::user_id;
use crate::submit::refused;

/// On the wire, every user.
const ALL_USERS: u32 = u32::MAX;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    jobs: Vec<Attributes>,
}

/// Which jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) states: u32,
    pub(crate) results: u32,
    /// `None`: every user.
    pub(crate) userid: Option<u32>,
    pub(crate) name: Option<String>,
    pub(crate) queues: Vec<String>,
    /// RFC 43 constraint of `--include`.
    pub(crate) targets: Option<Value>,
    /// Seconds since the epoch.
    pub(crate) since: f64,
    /// 0: all.
    pub(crate) max_entries: u32,
}

impl Query {
    /// Adds states and results by name.
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn filter(&mut self, names: &str) -> Result<(), CmdError> {
        for name in names.split(',') {
            if let Some(states) = StateSet::from_name(name).filter(|_| !name.eq_ignore_ascii_case("new")) {
                self.states |= states.bits();
            } else if let Some(result) = JobResult::from_name(name).filter(|_| name.len() > 2) {
                self.results |= result.bit();
            } else {
                return Err(refused(format_args!("Invalid filter specified: {}", name.to_lowercase())));
            }
        }
        Ok(())
    }

    pub(crate) fn is_filtered(&self) -> bool {
        self.states | self.results != 0
    }

    /// Takes the `--queue`s and `--filter`s of a command line.
    ///
    /// # Errors
    /// As [`Query::filter`].
    pub(crate) fn narrow(&mut self, matches: &ArgMatches) -> Result<(), CmdError> {
        let queues = texts(matches, "queue");
        self.queues = queues.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
        texts(matches, "filter").into_iter().try_for_each(|names| self.filter(names))
    }

    /// Takes `--user` and `-A` of a command line.
    ///
    /// # Errors
    /// As [`Query::set_user`].
    pub(crate) fn whose(&mut self, matches: &ArgMatches) -> Result<(), CmdError> {
        self.set_user(text(matches, "user"))?;
        if matches.get_flag("A") {
            self.userid = None;
        }
        Ok(())
    }

    /// `--user`
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn set_user(&mut self, given: Option<&str>) -> Result<(), CmdError> {
        let uid = user_id(given).map_err(|user| refused(format_args!("Invalid user {user} specified")))?;
        self.userid = Some(uid).filter(|uid| *uid != ALL_USERS);
        Ok(())
    }

    /// `--include`
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn include(&mut self, given: &str) -> Result<(), CmdError> {
        self.targets = Some(match (Idset::parse(given), Hostlist::parse(given)) {
            (Ok(ranks), _) => json!({"ranks": [ranks.encode(IdsetFormat::RANGE)]}),
            (_, Ok(hosts)) => json!({"hostlist": [hosts.encode()]}),
            _ => return Err(refused(format_args!("-i/--include: invalid targets: {given}"))),
        });
        Ok(())
    }

    fn constraint(&self) -> Value {
        let mut all: Vec<Value> = self.targets.clone().into_iter().collect();
        if let Some(uid) = self.userid {
            all.push(json!({"userid": [uid]}));
        }
        if let Some(name) = &self.name {
            all.push(json!({"name": [name]}));
        }
        if !self.queues.is_empty() {
            all.push(json!({"queue": self.queues}));
        }
        match (self.states, self.results) {
            (0, 0) => {}
            (states, 0) => all.push(json!({"states": [states]})),
            (0, results) => all.push(json!({"results": [results]})),
            (states, results) => all.push(json!({"or": [{"states": [states]}, {"results": [results]}]})),
        }
        json!({"and": all})
    }

    /// The jobs, in the service's order.
    ///
    /// # Errors
    /// Those of the call.
    pub(crate) fn run(
        &self,
        flux: &mut Handle,
        attributes: &BTreeSet<&'static str>,
        shared: &Rc<Shared>,
    ) -> Result<Vec<JobInfo>, CmdError> {
        let body = json!({"max_entries": self.max_entries, "attrs": attributes, "since": self.since,
            "constraint": self.constraint()});
        let mut jobs = Vec::new();
        let mut answers = flux.stream("job-list.list", Target::Any, body)?;
        while let Some(answer) = answers.next_message()? {
            let Answer { jobs: part } = answer.decode().map_err(flux_client::ClientError::from)?;
            jobs.extend(part.into_iter().filter_map(|job| JobInfo::of(job, shared)));
        }
        Ok(jobs)
    }
}

/// Single jobs by id, and a sentence for each that is not there.
///
/// # Errors
/// Those of the connection.
pub(crate) fn by_id(
    flux: &mut Handle,
    ids: &[(&str, JobId)],
    attributes: &BTreeSet<&'static str>,
    shared: &Rc<Shared>,
) -> Result<(Vec<JobInfo>, Vec<String>), CmdError> {
    let mut tickets = Vec::new();
    for (name, id) in ids {
        let body = json!({"id": id, "attrs": attributes});
        tickets.push((name, flux.send("job-list.list-id", Target::Any, body, false)?));
    }
    let (mut jobs, mut missing) = (Vec::new(), Vec::new());
    for (name, ticket) in tickets {
        let Some(message) = flux.wait(ticket, None)? else { continue };
        match Fault::of(&message) {
            Some(fault) if fault.errno == Errno::ENOENT => missing.push(format!("JobID {name} unknown")),
            Some(fault) => missing.push(format!("rpc: {}", fault.message())),
            None => {
                let body = message.payload.value().map_err(flux_client::ClientError::from)?;
                jobs.extend(JobInfo::new(body["job"].clone(), shared));
            }
        }
    }
    Ok((jobs, missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_one_constraint() {
        let mut query = Query { userid: Some(7), ..Query::default() };
        query.filter("pending,RUN").unwrap();
        assert_eq!(query.constraint(), json!({"and": [{"userid": [7]}, {"states": [2 | 4 | 8 | 16]}]}));
        query.filter("failed").unwrap();
        query.name = Some("x".to_owned());
        query.queues = vec!["a".to_owned(), "b".to_owned()];
        query.include("0-1").unwrap();
        let want = json!({"and": [{"ranks": ["0-1"]}, {"userid": [7]}, {"name": ["x"]}, {"queue": ["a", "b"]},
            {"or": [{"states": [30]}, {"results": [2]}]}]});
        assert_eq!(query.constraint(), want);
        assert_eq!(query.filter("foo").unwrap_err().to_string(), "ERROR: Invalid filter specified: foo");
    }
}
