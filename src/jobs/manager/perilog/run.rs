//! One prolog or epilog that runs.

use std::time::Duration;

use flux_service::{Cx, Mono};
use flux_types::Idset;
use serde_json::{Value, json};

use super::SIGTERM;
use super::conf::Proc;
use crate::manager::bulk::Bulk;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) enum Kind {
    Prolog,
    Epilog,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Prolog => "prolog",
            Kind::Epilog => "epilog",
        }
    }

    /// As it stands in events.
    pub(in crate::manager) fn description(self) -> &'static str {
        match self {
            Kind::Prolog => "job-manager.prolog",
            Kind::Epilog => "job-manager.epilog",
        }
    }

    pub(super) fn start_event(self) -> &'static str {
        match self {
            Kind::Prolog => "prolog-start",
            Kind::Epilog => "epilog-start",
        }
    }

    pub(super) fn finish_event(self) -> &'static str {
        match self {
            Kind::Prolog => "prolog-finish",
            Kind::Epilog => "epilog-finish",
        }
    }
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) kind: Kind,
    pub(super) per_rank: bool,
    pub(super) cancel_on_exception: bool,
    kill_timeout: Duration,
    timeout_at: Option<Mono>,
    /// SIGTERM was sent; after this nothing more is waited for.
    pub(super) kill_at: Option<Mono>,
    /// Because of an exception.
    pub(super) canceled: bool,
    pub(super) timed_out: bool,
    /// It did not end after SIGTERM.
    pub(super) gave_up: bool,
    /// Nothing more is waited for but, at most, the drain.
    pub(super) over: bool,
    pub(super) failed: Idset,
    pub(super) bulk: Bulk,
}

impl Run {
    pub(super) fn new(now: Mono, kind: Kind, proc: &Proc, bulk: Bulk) -> Run {
        Run {
            kind,
            per_rank: proc.per_rank,
            cancel_on_exception: proc.cancel_on_exception,
            kill_timeout: Duration::from_secs_f64(proc.kill_timeout.clamp(0.0, 1e9)),
            timeout_at: (proc.timeout > 0.0).then(|| now.after(Duration::from_secs_f64(proc.timeout.min(1e9)))),
            kill_at: None,
            canceled: false,
            timed_out: false,
            gave_up: false,
            over: false,
            failed: Idset::new(),
            bulk,
        }
    }

    pub(super) fn next_timer(&self) -> Option<Mono> {
        self.kill_at.or(self.timeout_at).filter(|_| !self.over)
    }

    pub(super) fn terminate(&mut self, cx: &mut Cx<'_>) {
        if self.kill_at.is_none() {
            self.bulk.kill(cx, None, SIGTERM);
            self.kill_at = Some(cx.now.mono.after(self.kill_timeout));
        }
    }

    /// Nothing is timed any more.
    pub(super) fn settle(&mut self) {
        (self.timeout_at, self.kill_at) = (None, None);
    }

    /// What went wrong, as the exception's note says it.
    pub(super) fn failure(&self, hosts: &str) -> String {
        let name = self.kind.name();
        let place = format!("on {hosts} (rank {})", self.failed);
        let status = self.bulk.status();
        let (signal, code) = (status & 0x7f, status >> 8 & 0xff);
        if self.canceled {
            format!("{name} canceled then timed out {place}")
        } else if self.timed_out {
            format!("{name} timed out {place}")
        } else if signal != 0 || code > 128 {
            format!("{name} killed by signal {} {place}", if signal != 0 { signal } else { code - 128 })
        } else {
            format!("{name} exited with code={code} {place}")
        }
    }

    pub(super) fn describe(&self, now: Mono) -> Value {
        let state = match (self.canceled, self.timed_out) {
            (true, _) => "canceled",
            (false, true) => "timeout",
            (false, false) => "running",
        };
        let left = self.next_timer().map_or(-1, |at| at.since(now).as_secs_f64().round() as i64);
        json!({"name": self.kind.name(), "state": state, "total": self.bulk.total(), "active": self.bulk.active(),
               "active_ranks": self.bulk.active_ranks().to_string(), "remaining_time": left})
    }
}
