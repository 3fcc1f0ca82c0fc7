//! The resource eventlog (RFC 44): in memory for the journal, its lasting events in the KVS.

use std::collections::VecDeque;

use flux_types::eventlog::Entry;
use serde_json::{Value, json};

/// In-memory events, bounded; what is dropped leaves a `truncate` event.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    entries: VecDeque<Entry>,
    truncated: Option<f64>,
}

impl EventLog {
    pub(crate) fn append(&mut self, entry: Entry, max: usize) {
        self.entries.push_back(entry);
        while self.entries.len() > max.max(1) {
            self.truncated = self.entries.pop_front().map(|entry| entry.timestamp);
        }
    }

    pub(crate) fn to_values(&self) -> Vec<Value> {
        let truncate = self.truncated.map(|timestamp| json!({"timestamp": timestamp, "name": "truncate"}));
        truncate.into_iter().chain(self.entries.iter().map(entry_value)).collect()
    }
}

pub(crate) fn entry_value(entry: &Entry) -> Value {
    let mut value = json!({"timestamp": entry.timestamp, "name": entry.name});
    if let Some(context) = &entry.context {
        value["context"] = Value::Object(context.clone());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_events_leave_a_mark() {
        let mut log = EventLog::default();
        for at in 0..5 {
            log.append(Entry::new(f64::from(at), "online"), 2);
        }
        let names: Vec<(f64, String)> = log
            .to_values()
            .iter()
            .map(|v| (v["timestamp"].as_f64().unwrap(), v["name"].as_str().unwrap().to_owned()))
            .collect();
        let want = [(2.0, "truncate"), (3.0, "online"), (4.0, "online")].map(|(t, n)| (t, n.to_owned()));
        assert_eq!(names, want);
    }
}
