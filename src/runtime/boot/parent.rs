//! The instance that this one is a job of.

use std::time::Duration;

use flux_broker::Attrs;
use flux_client::{ClientError, Handle, Target};
use flux_types::JobId;
use flux_types::resource_set::ResourceSet;
use serde_json::json;

use crate::stderr;

/// How long it may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where to reach it, and what it calls us.
pub(super) struct Parent {
    uri: String,
    jobid: JobId,
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
        let parent = Parent { uri: uri.to_owned(), jobid: JobId::parse(jobid).ok()? };
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
        ResourceSet::parse(reply.get("R")?.as_str()?).ok()
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

    fn open(&self) -> Result<Handle, ClientError> {
        let mut handle = Handle::open_uri(&self.uri)?;
        handle.set_timeout(Some(TIMEOUT));
        Ok(handle)
    }
}
