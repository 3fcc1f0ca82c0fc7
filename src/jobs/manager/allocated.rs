//! What all jobs hold, as one resource set (RFC 20).

use flux_types::ResourceSet;
use serde_json::Value;

/// The union of many R. One that does not read as such is left out: it is no scheduler's.
pub(super) fn union<'a>(parts: impl Iterator<Item = &'a Value>) -> Value {
    let mut all = ResourceSet::new();
    for part in parts.filter_map(|part| ResourceSet::from_value(part).ok()) {
        let _ = all.add(&part);
    }
    all.to_value()
}
