//! `sched-fluxion-feasibility`: whether a job could ever run, apart from the loop that runs jobs.

use super::{Shared, Sharing, refused, seconds};
use crate::error::MatchError;
use flux_service::{Cx, Fault, Handler, Outcome, Service};
use flux_wire::{Errno, Message};
use serde_json::Value;

/// Answers `feasibility.check`.
pub(super) struct FluxionFeasibility {
    shared: Shared,
}

impl Service for FluxionFeasibility {
    const NAME: &'static str = "sched-fluxion-feasibility";
    const ALSO: &'static [&'static str] = &["feasibility"];
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::user("feasibility.check", FluxionFeasibility::check_request),
        Handler::user("sched-fluxion-feasibility.check", FluxionFeasibility::check_request),
    ];

    fn start(&mut self, _cx: &mut Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

impl Sharing for FluxionFeasibility {
    const REPLIES_WAIT: bool = false;

    fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl FluxionFeasibility {
    pub(super) fn new(shared: Shared) -> FluxionFeasibility {
        FluxionFeasibility { shared }
    }

    fn check_request(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let now = seconds(cx);
        let jobspec = body.get("jobspec").ok_or_else(|| Fault::from(Errno::EPROTO))?;
        self.shared.graph()?.satisfiable(jobspec, now).map_err(|error| match error {
            MatchError::Unsatisfiable => Fault::new(Errno::ENODEV, "Unsatisfiable request"),
            error => refused(error.to_string()),
        })?;
        cx.respond_empty(message);
        Ok(())
    }
}
