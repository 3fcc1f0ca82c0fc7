//! From what the inventory is known, and what is done to it before jobs may use it.

use flux_service::{Completion, Cx, Fault, FileOp, LogLevel};
use flux_types::resource_set::Verdict;
use flux_types::{Hostlist, Idset, ResourceSet};
use flux_wire::Target;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::drain::Overwrite;
use crate::inventory::{Inventory, Method};
use crate::nested::renamed;
use crate::service::{Resource, Waiting};
use crate::targets::nodelist;

impl Resource {
    /// What the enclosing job has, in this instance's numbers: if there is one broker for each of its nodes.
    pub(crate) fn of_the_parent(&self, cx: &Cx<'_>) -> Option<Inventory> {
        let outside = self.found.given.as_ref()?;
        let mut set = outside.clone();
        if set.nnodes() != cx.node.size as usize {
            return None; // Several brokers on a node: each tells what it may use.
        }
        let hosts = cx.node.attr("hostlist").and_then(|text| Hostlist::parse(text).ok());
        if let Some(hosts) = hosts {
            // Names that the parent does not know are no reason to refuse what it gave.
            let _ = set.rerank(&hosts);
        }
        set.remap();
        set.drop_local_properties();
        set.nslots = None;
        // The scheduler inside sees what is below a node, too, if the one outside has written it.
        set.scheduling = outside.scheduling.as_ref().and_then(|graph| renamed(graph, outside, &set)).map(Arc::new);
        Some(Inventory::new(set, Method::JobInfo))
    }

    pub(crate) fn inventory_known(&mut self, cx: &mut Cx<'_>, inventory: Inventory) {
        self.set = inventory.set;
        self.method = inventory.method;
        if self.method == Method::DynamicDiscovery {
            self.known.note(&self.set);
        }
        let scheduling = cx.node.config_at("resource.scheduling").and_then(Value::as_str);
        match scheduling.filter(|_| self.method == Method::Configuration) {
            Some(path) => {
                let tag = cx.file(FileOp::Read { path: path.to_owned() });
                self.waiting.insert(tag, Waiting::Scheduling);
            }
            None => self.look_for_log(cx),
        }
    }

    /// `resource.scheduling` was read: the scheduler's part of R.
    pub(crate) fn scheduling_known(&mut self, cx: &mut Cx<'_>, completion: Completion) {
        let value = match completion {
            Completion::File(bytes) => serde_json::from_slice::<Value>(&bytes).map_err(|error| error.to_string()),
            Completion::Failed(fault) => Err(fault.message()),
            _ => Err("it was not read".to_owned()),
        };
        match value {
            Ok(value) => self.set.scheduling = Some(Arc::new(value)),
            Err(why) => cx.log(LogLevel::Crit, format!("error loading resource.scheduling: {why}")),
        }
        self.look_for_log(cx);
    }

    pub(crate) fn look_for_log(&mut self, cx: &mut Cx<'_>) {
        self.mark_queues(cx);
        let body = json!({"key": "resource.eventlog", "namespace": "primary", "flags": 0});
        let tag = cx.request("kvs.lookup", Target::Any, body);
        self.waiting.insert(tag, Waiting::OldLog);
    }

    /// RFC 33: the nodes of a queue with `hosts` have the property `+NAME`.
    fn mark_queues(&mut self, cx: &mut Cx<'_>) {
        let queues = cx.node.config_at("queues").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, queue) in &queues {
            let Some(hosts) = queue.get("hosts").and_then(Value::as_str) else { continue };
            let ranks = match hosts {
                "all" => Ok(self.set.ranks()),
                hosts => Hostlist::parse(hosts)
                    .map_err(|error| error.to_string())
                    .and_then(|hosts| self.set.hosts_to_ranks(&hosts).map_err(|error| error.to_string())),
            };
            let marked = ranks.and_then(|ranks| {
                self.set.set_property(&format!("+{name}"), &ranks).map_err(|error| error.to_string())
            });
            if let Err(why) = marked {
                cx.log(LogLevel::Err, format!("queues.{name}.hosts: {why}; its jobs cannot run"));
            }
        }
    }

    /// A node told what it has: if that is not what was expected of it, it is drained.
    pub(crate) fn compare(&mut self, cx: &mut Cx<'_>, found: &ResourceSet) {
        let compares = self.method == Method::Configuration || self.method == Method::JobInfo && self.conf.explicit;
        let Some(config) = self.conf.verify.filter(|_| compares) else { return };
        let (Verdict::Differs(reason) | Verdict::Extra(reason)) = self.set.verify(found, &config) else { return };
        let ranks = found.ranks().intersect(&self.set.ranks()).subtract(&self.excluded);
        if ranks.is_empty() {
            return;
        }
        cx.log(LogLevel::Err, format!("draining: {reason}"));
        let event = self.drain_event(cx, &ranks, Some(&reason), Overwrite::KeepReason);
        self.drains.drain(&ranks, event.timestamp, Some(&reason), Overwrite::KeepReason.number());
        self.commit(cx, &[event], false, Waiting::Ignored);
        self.tell_scheduler(cx);
    }

    /// Those that told before it was known what is expected of them.
    pub(crate) fn compare_all(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.method, Method::DynamicDiscovery) {
            return;
        }
        let own = self.found.set.clone();
        let reports: Vec<ResourceSet> = std::mem::take(&mut self.reports).into_values().collect();
        for found in std::iter::once(&own).chain(&reports) {
            self.compare(cx, found);
        }
    }

    pub(crate) fn drain_event(
        &mut self,
        cx: &mut Cx<'_>,
        ranks: &Idset,
        reason: Option<&str>,
        mode: Overwrite,
    ) -> flux_types::eventlog::Entry {
        let mut context = Map::new();
        context.insert("idset".into(), ranks.to_string().into());
        context.insert("nodelist".into(), nodelist(&self.set, ranks).into());
        if let Some(reason) = reason {
            context.insert("reason".into(), reason.into());
        }
        context.insert("overwrite".into(), mode.number().into());
        self.event(cx, "drain", Value::Object(context))
    }

    /// # Errors
    /// EINVAL and the key that makes no sense.
    pub(crate) fn configure(&mut self, cx: &Cx<'_>) -> Result<(), Fault> {
        self.conf = crate::conf::Conf::read(&cx.node.config)?;
        self.journal_max = self.conf.journal_max;
        Ok(())
    }
}
