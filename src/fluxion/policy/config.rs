//! What `[sched-fluxion-qmanager]` can say of a queue.

use crate::limits::PENDING_COUNT_MAX;
use serde_json::Value;

/// Who may start before a job that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePolicy {
    /// Nobody: the first job that does not fit holds up all behind it.
    Fcfs,
    /// Who does not delay the first that waits.
    Easy,
    /// Who does not delay the first few that wait.
    Hybrid,
    /// Who delays nobody.
    Conservative,
}

impl QueuePolicy {
    pub fn from_name(name: &str) -> Option<QueuePolicy> {
        match name {
            "fcfs" => Some(Self::Fcfs),
            "easy" => Some(Self::Easy),
            "hybrid" => Some(Self::Hybrid),
            "conservative" => Some(Self::Conservative),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Fcfs => "fcfs",
            Self::Easy => "easy",
            Self::Hybrid => "hybrid",
            Self::Conservative => "conservative",
        }
    }
}

/// A policy and how far it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    pub policy: QueuePolicy,
    /// Jobs looked at in one cycle.
    pub queue_depth: usize,
    /// What the depth was cut to.
    pub queue_depth_max: usize,
    /// Jobs that get a reservation in one cycle.
    pub reservation_depth: usize,
    /// Of jobs of one priority the largest goes first, not the oldest: fewer holes, and small jobs may wait long.
    pub packs: bool,
}

const QUEUE_DEPTH: usize = 32;
const QUEUE_DEPTH_MAX: usize = 1_000_000;
const RESERVATION_DEPTH: usize = 64;
const RESERVATION_DEPTH_MAX: usize = 100_000;

impl QueueConfig {
    /// A policy with the depths it has unless configured otherwise.
    pub fn new(policy: QueuePolicy) -> QueueConfig {
        QueueConfig {
            policy,
            queue_depth: QUEUE_DEPTH,
            queue_depth_max: QUEUE_DEPTH_MAX,
            reservation_depth: 0,
            packs: false,
        }
        .settled(None, None)
    }

    /// Cuts the depths to what the policy allows.
    fn settled(self, wanted: Option<usize>, most: Option<usize>) -> QueueConfig {
        let most = most.unwrap_or(RESERVATION_DEPTH_MAX);
        let reservation_depth = match self.policy {
            QueuePolicy::Fcfs => 0,
            QueuePolicy::Easy => 1,
            QueuePolicy::Hybrid => wanted.unwrap_or(RESERVATION_DEPTH).min(most),
            QueuePolicy::Conservative => self.queue_depth.min(most),
        };
        QueueConfig { reservation_depth, ..self }
    }

    /// Reads a table with `queue-policy`, `queue-params`, `policy-params` and, of our own, `queue-order`. Parameters are tables, or texts of the
    /// form `key=value,key=value`.
    ///
    /// # Errors
    /// The key whose value will not do.
    pub fn from_table(table: &Value) -> Result<QueueConfig, String> {
        let policy = match &table["queue-policy"] {
            Value::Null => QueuePolicy::Fcfs,
            Value::String(name) => {
                QueuePolicy::from_name(name).ok_or_else(|| format!("unknown queue-policy '{name}'"))?
            }
            other => return Err(format!("queue-policy must be a name, not {other}")),
        };
        let depth_max = parameter(&table["queue-params"], "max-queue-depth")?.unwrap_or(QUEUE_DEPTH_MAX);
        let depth = parameter(&table["queue-params"], "queue-depth")?.unwrap_or(QUEUE_DEPTH);
        let wanted = parameter(&table["policy-params"], "reservation-depth")?;
        let most = parameter(&table["policy-params"], "max-reservation-depth")?;
        let packs = match &table["queue-order"] {
            Value::Null => false,
            Value::String(name) if name == "age" => false,
            Value::String(name) if name == "largest" => true,
            other => return Err(format!("queue-order must be age or largest, not {other}")),
        };
        let queue_depth = depth.min(depth_max).min(PENDING_COUNT_MAX);
        let config = QueueConfig { policy, queue_depth, queue_depth_max: depth_max, reservation_depth: 0, packs };
        Ok(config.settled(wanted, most))
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig::new(QueuePolicy::Fcfs)
    }
}

fn parameter(params: &Value, key: &str) -> Result<Option<usize>, String> {
    let text = match params {
        Value::Null => return Ok(None),
        Value::Object(map) => match map.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        },
        Value::String(text) => {
            let pairs = text.split([',', ' ']).filter_map(|pair| pair.split_once('='));
            match pairs.into_iter().find(|(of, _)| of.trim() == key) {
                None => return Ok(None),
                Some((_, value)) => value.trim().to_string(),
            }
        }
        other => return Err(format!("parameters must be a table, not {other}")),
    };
    let number = text.parse::<usize>().ok().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| format!("{key} must be a positive number, not '{text}'"))
}
