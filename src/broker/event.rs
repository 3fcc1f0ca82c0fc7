//! Event subscriptions: by prefix, counted, for clients and for services alike.

use std::collections::{BTreeMap, BTreeSet};

use flux_service::Fault;
use flux_wire::{Errno, Kind};

use crate::limits::SUBSCRIPTIONS_MAX;
use crate::node::{Node, Owner};

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

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn prefixes(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

impl Node {
    /// Tells services what is listened to, if that has changed: events that nobody hears need not be made.
    pub(crate) fn tell_subscribers(&mut self) {
        if !std::mem::take(&mut self.subscribers_changed) {
            return;
        }
        let mut prefixes: BTreeSet<String> = BTreeSet::new();
        prefixes.extend(self.clients.values().flat_map(|client| client.subscriptions.prefixes()).cloned());
        for slot in self.slots.values() {
            prefixes.extend(slot.subscriptions.prefixes().cloned());
            let rows = slot.service.table().into_iter().filter(|row| row.kind == Kind::Event);
            prefixes.extend(rows.map(|row| row.topic.split('*').next().unwrap_or_default().to_owned()));
        }
        let prefixes: Vec<String> = prefixes.into_iter().collect();
        let owners: Vec<Owner> = self.slots.keys().copied().collect();
        for owner in owners {
            self.call_quietly(owner, |service, cx| service.on_subscribers(cx, &prefixes));
        }
    }
}
