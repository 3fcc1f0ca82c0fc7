//! Comparing what a node reports with what the inventory says of it.

use serde_json::Value;

use super::{Node, ResourceError, ResourceSet};
use crate::idset::Idset;

/// How strictly one kind of resource is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyMode {
    /// Both must be the same.
    #[default]
    Strict,
    /// The node may have more.
    AllowExtra,
    /// The node may have less.
    AllowMissing,
    Ignore,
}

/// The `resource.verify` table: a default, and modes for `hostname`, `core` and `gpu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyConfig {
    pub default: VerifyMode,
    pub hostname: Option<VerifyMode>,
    pub core: Option<VerifyMode>,
    pub gpu: Option<VerifyMode>,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// More than expected, which does not keep the node from being used. The sentence names it.
    Extra(String),
    /// Not what was expected. The sentence names it.
    Differs(String),
}

impl VerifyConfig {
    /// Reads the configuration value: a boolean (strict or ignore everything), or a table of modes.
    ///
    /// # Errors
    /// `Verify` with the sentence for the log.
    pub fn from_value(value: &Value) -> Result<VerifyConfig, ResourceError> {
        let refuse = |reason: String| Err(ResourceError::Verify { reason });
        let table = match value {
            Value::Bool(true) => return Ok(VerifyConfig::default()),
            Value::Bool(false) => return Ok(VerifyConfig { default: VerifyMode::Ignore, ..VerifyConfig::default() }),
            Value::Object(table) => table,
            _ => return refuse("verify must be a table or boolean".to_owned()),
        };
        let mut out = VerifyConfig::default();
        for (key, value) in table {
            let Some(text) = value.as_str() else { return refuse(format!("verify.{key} mode must be a string")) };
            let mode = match text {
                "strict" => VerifyMode::Strict,
                "allow-extra" => VerifyMode::AllowExtra,
                "allow-missing" => VerifyMode::AllowMissing,
                "ignore" => VerifyMode::Ignore,
                _ => return refuse(format!("verify.{key}: unknown verify mode '{text}'")),
            };
            match key.as_str() {
                "default" => out.default = mode,
                "hostname" => out.hostname = Some(mode),
                "core" => out.core = Some(mode),
                "gpu" => out.gpu = Some(mode),
                _ => return refuse(format!("verify: unsupported resource type: {key}")),
            }
        }
        Ok(out)
    }

    /// `from` less `other`, without what `excused` modes let pass.
    fn rest(&self, from: &Node, other: &Node, excused: VerifyMode) -> Node {
        let mut rest = from.subtract(other);
        let passes = |mode: Option<VerifyMode>| {
            let mode = mode.unwrap_or(self.default);
            mode == VerifyMode::Ignore || mode == excused
        };
        if passes(self.core) {
            rest.cores = Idset::new();
        }
        if passes(self.gpu) {
            rest.gpus = Idset::new();
        }
        rest
    }
}

impl ResourceSet {
    /// Compares `found`, the report of a single node, with this inventory.
    pub fn verify(&self, found: &ResourceSet, config: &VerifyConfig) -> Verdict {
        let mut nodes = found.iter();
        let (Some((rank, node)), None) = (nodes.next(), nodes.next()) else {
            return Verdict::Differs("Verification supported on single rank only".to_owned());
        };
        let Some(expected) = self.get(rank) else {
            return Verdict::Differs(format!("rank {rank} not found in expected ranks"));
        };
        let name = |node: &Node| node.host.as_deref().unwrap_or("unknown").to_owned();
        let strict = config.hostname.unwrap_or(config.default) == VerifyMode::Strict;
        if strict && node.host.is_some() && expected.host.is_some() && node.host != expected.host {
            let (got, want) = (name(node), name(expected));
            return Verdict::Differs(format!("rank {rank} got hostname '{got}', expected '{want}'"));
        }
        let missing = config.rest(expected, node, VerifyMode::AllowMissing);
        if !missing.is_empty() {
            return Verdict::Differs(format!("rank {rank} ({}) missing resources: {}", name(node), missing.dumps()));
        }
        let extra = config.rest(node, expected, VerifyMode::AllowExtra);
        if !extra.is_empty() {
            return Verdict::Extra(format!("rank {rank} ({}) has extra resources: {}", name(node), extra.dumps()));
        }
        Verdict::Same
    }
}
