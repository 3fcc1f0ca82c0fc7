//! `job-manager.jobtap`: the plugins there are. All are built in; none can be loaded or removed.

use flux_service::{Cx, Fault, Outcome};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::json;

use super::JobManager;

/// Rules that stand in this crate under the names that flux-core gives them.
const BUILTIN: [&str; 11] = [
    ".priority-default",
    ".limit-job-size",
    ".limit-duration",
    ".dependency-after",
    ".dependency-singleton",
    ".begin-time",
    ".update-duration",
    ".history",
    ".post-event",
    ".update-queue",
    ".perilog",
];

#[derive(Deserialize)]
struct Jobtap {
    load: Option<String>,
    remove: Option<String>,
}

#[derive(Deserialize)]
struct Query {
    name: String,
}

impl JobManager {
    pub(super) fn jobtap(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Jobtap = request.decode()?;
        if let Some(path) = body.load {
            return Err(Fault::new(Errno::ENOSYS, format!("{path}: shared objects cannot be loaded as plugins")));
        }
        if let Some(name) = body.remove {
            let (errno, why) = match BUILTIN.contains(&name.as_str()) {
                true => (Errno::EINVAL, "is built in and cannot be removed"),
                false => (Errno::ENOENT, "is not loaded"),
            };
            return Err(Fault::new(errno, format!("plugin {name} {why}")));
        }
        cx.respond(request, json!({"plugins": BUILTIN}));
        Ok(())
    }

    pub(super) fn jobtap_query(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Query = request.decode()?;
        if matches!(body.name.as_str(), "perilog.so" | ".perilog") {
            self.perilog_query(cx, request, &body.name);
            return Ok(());
        }
        if !BUILTIN.contains(&body.name.as_str()) {
            return Err(Fault::new(Errno::ENOENT, format!("plugin {} is not loaded", body.name)));
        }
        cx.respond(request, json!({"name": body.name, "path": "builtin"}));
        Ok(())
    }
}
