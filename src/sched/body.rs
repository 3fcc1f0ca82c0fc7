//! Bodies of requests and answers.

use flux_types::Idset;
use flux_wire::Message;
use serde::Deserialize;
use serde_json::Value;

/// `sched.alloc`.
#[derive(Deserialize)]
pub struct AllocBody {
    pub id: u64,
    pub priority: u64,
    pub jobspec: Value,
}

/// A request that names a job and nothing else that matters.
#[derive(Deserialize)]
pub struct IdBody {
    pub id: u64,
}

/// `sched.prioritize`: jobs and what they are worth now.
#[derive(Deserialize)]
pub struct PrioritizeBody {
    pub jobs: Vec<(u64, u64)>,
}

/// An answer of `resource.acquire` (RFC 28): first all there is, then what changes.
pub struct Acquired {
    /// R of all resources, up or not; only in the first answer.
    pub resources: Option<Value>,
    pub up: Idset,
    /// Down, or gone for good.
    pub down: Idset,
    /// When the instance itself now ends, in seconds since the epoch.
    pub expiration: Option<f64>,
}

impl Acquired {
    /// # Errors
    /// What is wrong with the answer.
    pub fn of(reply: &Message) -> Result<Acquired, String> {
        let mut body: Value = reply.decode().map_err(|error| error.to_string())?;
        let ranks = |key: &str| match body.get(key).and_then(Value::as_str) {
            Some(text) => Idset::parse(text).map_err(|error| error.to_string()),
            None => Ok(Idset::new()),
        };
        let (up, mut down) = (ranks("up")?, ranks("down")?);
        down.extend_from(&ranks("shrink")?);
        let expiration = body.get("expiration").and_then(Value::as_f64);
        let resources = body.get_mut("resources").map(Value::take).filter(|resources| !resources.is_null());
        Ok(Acquired { resources, up, down, expiration })
    }
}
