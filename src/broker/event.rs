//! Event subscriptions: by prefix, counted, for clients and for services alike.

use std::collections::BTreeMap;

use flux_service::Fault;
use flux_wire::Errno;

use crate::limits::SUBSCRIPTIONS_MAX;

/// The prefixes one subscriber asked for, each as often as it did.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(BTreeMap<String, u32>);

impl Subscriptions {
    pub(crate) fn add(&mut self, prefix: &str) -> Result<(), Fault> {
        if self.0.len() >= SUBSCRIPTIONS_MAX && !self.0.contains_key(prefix) {
            return Err(Fault::new(Errno::ENOMEM, format!("more than {SUBSCRIPTIONS_MAX} event subscriptions")));
        }
        *self.0.entry(prefix.to_owned()).or_default() += 1;
        Ok(())
    }

    pub(crate) fn remove(&mut self, prefix: &str) -> Result<(), Fault> {
        let count = self.0.get_mut(prefix).ok_or(Fault::from(Errno::ENOENT))?;
        *count -= 1;
        if *count == 0 {
            self.0.remove(prefix);
        }
        Ok(())
    }

    pub(crate) fn matches(&self, topic: &str) -> bool {
        !self.0.is_empty() && self.0.keys().any(|prefix| topic.starts_with(prefix.as_str()))
    }
}
