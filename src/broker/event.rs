//! Event subscriptions: by prefix, counted, for clients and for services alike.

use std::collections::{BTreeMap, BTreeSet};

use flux_service::Fault;
use flux_wire::{Errno, Kind, Message, Target};
use serde::Deserialize;
use serde_json::json;

use crate::core::Answer;
use crate::limits::{PREFIXES_TOLD_MAX, SUBSCRIPTIONS_MAX};
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
    /// The broker above, too, makes only the events that somebody hears.
    fn tell_parent_subscribed(&mut self, prefixes: &BTreeSet<String>) {
        if !self.links.is_joined() || self.links.told_subscribed == *prefixes {
            return;
        }
        self.links.told_subscribed.clone_from(prefixes);
        let told: Vec<&str> = match prefixes.len() {
            0..=PREFIXES_TOLD_MAX => prefixes.iter().map(String::as_str).collect(),
            _ => vec![""],
        };
        let body = json!({"prefixes": told});
        self.core_cx(|cx| cx.notify("overlay.subscribed", Target::UpstreamOf(cx.node.rank), body));
    }

    /// What a child and all below it listen to.
    pub(crate) fn event_subscribed(&mut self, request: &Message) -> Answer {
        #[derive(Deserialize)]
        struct Body {
            prefixes: BTreeSet<String>,
        }
        let body: Body = request.decode()?;
        let rank = self.child_of(request).ok_or(Fault::from(Errno::EPROTO))?;
        if body.prefixes.len() > PREFIXES_TOLD_MAX {
            return Err(Fault::from(Errno::EMSGSIZE));
        }
        self.links.subscribed.insert(rank, body.prefixes);
        self.subscribers_changed = true;
        Ok(None)
    }

    /// Tells services what is listened to, if that has changed: events that nobody hears need not be made.
    pub(crate) fn tell_subscribers(&mut self) {
        if !std::mem::take(&mut self.subscribers_changed) {
            return;
        }
        let mut prefixes: BTreeSet<String> = BTreeSet::new();
        prefixes.extend(self.clients.values().flat_map(|client| client.subscriptions.prefixes()).cloned());
        prefixes.extend(self.slots.values().flat_map(|slot| slot.subscriptions.prefixes()).cloned());
        prefixes.extend(self.links.subscribed.values().flatten().cloned());
        self.tell_parent_subscribed(&prefixes);
        for slot in self.slots.values() {
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
