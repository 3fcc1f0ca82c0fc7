//! The `[job-manager]` and `[queues]` tables.

use flux_service::{Cx, Fault};
use flux_types::At;
use flux_types::parse_fsd;
use flux_wire::{Cred, Errno, role};
use serde_json::Value;

use super::JobManager;
use super::archive::Limits;
use super::limit::Policy;

/// What the configuration says of this service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Conf {
    pub(super) purge: Limits,
    pub(super) stop_queues_on_restart: bool,
    /// `access.private-mode`: guests see nothing of others' jobs.
    pub(super) private: bool,
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

impl Conf {
    /// # Errors
    /// EINVAL and the key that makes no sense.
    pub(super) fn read(config: &Value) -> Result<Conf, Fault> {
        let table = config.get("job-manager");
        let get = |key: &str| table.and_then(|table| table.get(key));
        let age = match get("inactive-age-limit") {
            None => None,
            Some(Value::String(text)) => Some(
                parse_fsd(text)
                    .ok_or_else(|| invalid(format!("job-manager.inactive-age-limit: invalid FSD '{text}'")))?,
            ),
            Some(_) => return Err(invalid("job-manager.inactive-age-limit must be a string (a duration)")),
        };
        let count = match get("inactive-num-limit").map(Value::as_i64) {
            None => None,
            Some(Some(count)) if count >= 0 => Some(count as usize),
            Some(_) => return Err(invalid("job-manager.inactive-num-limit must be >= 0")),
        };
        let stop_queues_on_restart = match get("stop-queues-on-restart") {
            None => false,
            Some(Value::Bool(stop)) => *stop,
            Some(_) => return Err(invalid("job-manager.stop-queues-on-restart must be a boolean")),
        };
        let private = match config.at("/access/private-mode") {
            None => false,
            Some(Value::Bool(private)) => *private,
            Some(_) => return Err(invalid("access.private-mode must be a boolean")),
        };
        Ok(Conf { purge: Limits { age, count }, stop_queues_on_restart, private })
    }
}

impl JobManager {
    /// In private mode guests see their own jobs only; the admin role lifts that (RFC 43).
    pub(super) fn restricted(&self, cred: Cred) -> bool {
        self.conf.private && !cred.is_owner() && cred.rolemask & role::ADMIN == 0
    }

    /// Takes over `cx.node.config`; all of it or nothing.
    pub(super) fn configure(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        crate::policy::check(&cx.node.config)?;
        let conf = Conf::read(&cx.node.config)?;
        let policy = Policy::read(&cx.node.config)?;
        let perilog = super::perilog::Conf::read(&cx.node.config)?;
        let housekeeping = super::housekeeping::Conf::read(&cx.node.config)?;
        self.queues.configure(cx.node.config.get("queues"));
        self.policy = policy;
        self.perilog.set_conf(perilog);
        self.housekeeping.set_conf(housekeeping);
        self.watch_broker(cx);
        self.conf = conf;
        Ok(())
    }
}
