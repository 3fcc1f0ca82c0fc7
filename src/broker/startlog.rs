//! The instance's own record of its starts and ends, the key `admin.eventlog` that `flux startlog` reads, and the dump
//! of the key-value store that `content.dump` asks for.

use flux_service::SpawnSpec;
use flux_types::Treeobj;
use flux_types::eventlog::Entry;
use flux_wire::Target;
use serde_json::{Value, json};

use crate::core::{VERSION, Waiting};
use crate::node::{Node, Owner};

const KEY: &str = "admin.eventlog";
const KVS: &str = "kvs";
/// What clients understand of the events' contexts.
const EVENT_VERSION: u32 = 1;

impl Node {
    /// Notes that the instance runs. What comes after it in the same queue finds it there.
    pub(crate) fn log_start(&mut self) {
        if self.has_kvs() {
            self.core.state.started = true;
            let context: [(&str, Value); 2] = [("version", EVENT_VERSION.into()), ("core_version", VERSION.into())];
            self.append_event("start", context, Waiting::Ignored);
        }
    }

    /// Notes that the instance ends as it should; the run level waits for the answer.
    pub(crate) fn log_finish(&mut self) {
        if self.core.state.started && self.has_kvs() {
            self.core.state.finishing = true;
            self.append_event("finish", [("version", EVENT_VERSION.into())], Waiting::Finish);
        }
    }

    fn has_kvs(&self) -> bool {
        self.info.rank.is_root() && self.names.contains_key(KVS)
    }

    fn append_event<const N: usize>(&mut self, name: &str, context: [(&str, Value); N], waiting: Waiting) {
        const APPEND: u32 = 32;
        let entry = Entry::with_context(self.now.wall.timestamp(), name, context);
        let value = Treeobj::Val(entry.encode().into_bytes()).to_value();
        let ops = json!([{"key": KEY, "flags": APPEND, "dirent": value}]);
        let body = json!({"namespace": "primary", "flags": 0, "ops": ops});
        let tag = self.core_cx(|cx| cx.request("kvs.commit", Target::Any, body));
        self.core.waiting.insert(tag, waiting);
    }

    /// The store is the last to stop: its dump has what the others wrote while they stopped. `true` when all are gone.
    pub(crate) fn stop_store_last(&mut self) -> bool {
        let others = self.slots.values().any(|slot| slot.service.name() != KVS);
        if others || !self.core.externals.is_empty() {
            return false;
        }
        let store = self.slots.keys().next().copied();
        let Some(store) = store else { return true };
        match self.core.state.dump.take() {
            Some(path) => self.start_dump(path),
            None => self.stop_module(store, None),
        }
        false
    }

    pub(crate) fn stop_all_but_store(&mut self) {
        let others = self.slots.iter().filter(|(_, slot)| slot.service.name() != KVS);
        let mut owners: Vec<Owner> = others.map(|(owner, _)| *owner).collect();
        owners.reverse();
        for owner in owners {
            self.stop_module(owner, None);
        }
    }

    /// Where `content.dump` wants the store's content; clients may have set it as late as with `flux shutdown --gc`.
    pub(crate) fn dump_path(&self) -> Option<String> {
        let path = self.attrs.get("content.dump").filter(|path| !path.is_empty() && self.core.state.started)?;
        self.has_kvs().then(|| path.to_owned())
    }

    /// `flux dump`, as this same program.
    fn start_dump(&mut self, path: String) {
        let statedir = self.attrs.get("statedir").unwrap_or(".");
        let to = if path == "auto" { format!("--auto={statedir}/dump") } else { path };
        let argv = ["flux", "dump", "--quiet", "--ignore-failed-read", &to].map(str::to_owned).to_vec();
        self.core.state.rc_done = false;
        let executable = Some("/proc/self/exe".to_owned());
        self.start_logged(SpawnSpec { argv, executable, ..SpawnSpec::default() });
    }
}
