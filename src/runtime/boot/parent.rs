//! The instance that this one is a job of.

use std::cell::Cell;
use std::time::Duration;

use flux_broker::Attrs;
use flux_client::{ClientError, Fault, Handle, Target};
use flux_types::JobId;
use flux_types::resource_set::ResourceSet;
use serde_json::{Value, json};

use crate::stderr;

/// How long it may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to follow what it says.
const PAUSE: Duration = Duration::from_secs(5);
/// Of the thread that does.
const STACK_BYTES: usize = 256 << 10;

/// Where to reach it, and what it calls us.
pub(super) struct Parent {
    uri: String,
    jobid: JobId,
    /// When our job ends, as it was last told; 0 is never.
    expiration: Cell<f64>,
}

impl Parent {
    /// Only an instance that is a job has a parent: its attributes are filled in.
    pub(super) fn describe<'a>(attrs: &mut Attrs, variable: impl Fn(&str) -> Option<&'a str>) -> Option<Parent> {
        let jobid = variable("FLUX_JOB_ID")?;
        attrs.set("jobid", jobid);
        if let Some(namespace) = variable("FLUX_KVS_NAMESPACE") {
            attrs.set("parent-kvs-namespace", namespace);
        }
        let uri = variable("FLUX_URI")?;
        attrs.set("parent-uri", uri);
        let parent = Parent { uri: uri.to_owned(), jobid: JobId::parse(jobid).ok()?, expiration: Cell::new(0.0) };
        match parent.open().and_then(|mut handle| handle.attr("jobid-path")) {
            Ok(path) => {
                attrs.set("jobid-path", format!("{}/{jobid}", path.trim_end_matches('/')));
                Some(parent)
            }
            Err(error) => {
                stderr::line(&format!("flux-broker: jobid-path: the instance at {uri}: {error}"));
                None
            }
        }
    }

    /// What our job was given.
    pub(super) fn resources(&self) -> Option<ResourceSet> {
        let body = json!({"id": self.jobid.0, "keys": ["R"], "flags": 0});
        let reply = self.open().ok()?.call("job-info.lookup", Target::Any, body).ok()?;
        let set = ResourceSet::parse(reply.get("R")?.as_str()?).ok()?;
        self.expiration.set(set.expiration);
        Some(set)
    }

    /// Tells users of the parent where we are: `flux uri`, `flux proxy` and all that looks at the jobs of jobs go by this memo
    /// (RFC 21). An instance that is not found that way is of use all the same.
    pub(super) fn announce(&self, hostname: &str, local_uri: &str) {
        let Some(path) = local_uri.strip_prefix("local://") else { return };
        let body = json!({"id": self.jobid.0, "volatile": false, "memo": {"uri": format!("ssh://{hostname}{path}")}});
        let told = self.open().and_then(|mut handle| handle.call("job-manager.memo", Target::Any, body));
        if let Err(error) = told {
            stderr::line(&format!("flux-broker: the instance at {} does not note our address: {error}", self.uri));
        }
    }

    /// Tells our own broker whenever our job gets another time limit, for as long as this process runs. In a thread, as both ends
    /// are asked as a client asks them.
    pub(super) fn follow(self, local_uri: String) {
        let follow = move || {
            loop {
                // Neither end is sure to be there always.
                let _ = self.changes(&local_uri);
                std::thread::sleep(PAUSE);
            }
        };
        let thread = std::thread::Builder::new().name("parent".to_owned()).stack_size(STACK_BYTES).spawn(follow);
        if let Err(error) = thread {
            stderr::line(&format!("flux-broker: changes of the time limit are not followed: {error}"));
        }
    }

    fn changes(&self, local_uri: &str) -> Result<(), ClientError> {
        let mut handle = Handle::open_uri(&self.uri)?;
        let body = json!({"id": self.jobid.0, "key": "R", "flags": 0});
        let ticket = handle.send("job-info.update-watch", Target::Any, body, true)?;
        while let Some(reply) = handle.wait(ticket, None)? {
            if let Some(fault) = Fault::of(&reply) {
                return Err(ClientError::Answer(fault));
            }
            let body: Value = reply.decode().map_err(|errno| ClientError::Answer(errno.into()))?;
            let now = body.pointer("/R/execution/expiration").and_then(Value::as_f64);
            if let Some(now) = now.filter(|now| (*now - self.expiration.get()).abs() > 1e-5) {
                let mut own = Handle::open_uri(local_uri)?;
                own.set_timeout(Some(TIMEOUT));
                own.call("resource.expiration-update", Target::Any, json!({"expiration": now}))?;
                self.expiration.set(now);
            }
        }
        Ok(())
    }

    fn open(&self) -> Result<Handle, ClientError> {
        let mut handle = Handle::open_uri(&self.uri)?;
        handle.set_timeout(Some(TIMEOUT));
        Ok(handle)
    }
}
