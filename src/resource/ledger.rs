//! What jobs run on, as the job manager tells before and after: the last word against two jobs on one core.

use crate::service::Resource;
use flux_sched::Claims;
use flux_service::{Cx, Fault, LogLevel, Outcome};
use flux_types::{Idset, JobId, JobIdForm, ResourceSet};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct ClaimBody {
    id: u64,
    #[serde(rename = "R")]
    r: Value,
    /// Ranks that the job has given back already.
    #[serde(default)]
    freed: Option<String>,
}

#[derive(Deserialize)]
struct ReleaseBody {
    id: u64,
    /// Without them it is all that the job has.
    #[serde(default)]
    ranks: Option<String>,
}

fn ranks(text: &str) -> Result<Idset, Fault> {
    Idset::parse(text).map_err(|error| Fault::new(Errno::EPROTO, error.to_string()))
}

impl Resource {
    /// A job is about to run on R, or runs on it. EEXIST: another job has some of it, and the job must not run.
    pub(crate) fn claim(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: ClaimBody = request.decode()?;
        let set = ResourceSet::from_value(&body.r);
        let mut set = set.map_err(|error| Fault::new(Errno::EPROTO, error.to_string()))?;
        if let Some(freed) = &body.freed {
            set.remove_ranks(&ranks(freed)?);
        }
        if let Err(why) = self.claims.take(body.id, set) {
            let id = JobId(body.id).encode(JobIdForm::F58);
            cx.log(LogLevel::Crit, format!("{id}: the scheduler gave out what is in use: {why}"));
            return Err(Fault::new(Errno::EEXIST, format!("the scheduler erred: {why}")));
        }
        cx.respond(request, json!({}));
        Ok(())
    }

    /// There is another job manager: it tells of all that runs.
    pub(crate) fn forget_claims(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.claims = Claims::default();
        cx.respond_empty(request);
        Ok(())
    }

    /// A job has given back some ranks, or all.
    pub(crate) fn release(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: ReleaseBody = request.decode()?;
        let freed = body.ranks.as_deref().map(ranks).transpose()?;
        self.claims.release(body.id, freed.as_ref());
        cx.respond_empty(request);
        Ok(())
    }
}
