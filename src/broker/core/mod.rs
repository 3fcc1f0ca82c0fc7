//! Services of the node itself: those that need its own tables.

mod attrs;
mod conf;
mod events;
mod logging;
mod process;

use std::collections::BTreeMap;

use flux_service::{Completion, Effect, Fault, Mono, Now, Outbox, Tag};
use flux_wire::{Errno, Message, Payload, RouteId, role};
use serde::Deserialize;

pub use self::attrs::VERSION;
pub(crate) use self::attrs::complete_attrs;
use crate::external::Externals;
use crate::log::{LogConfig, LogRing};
use crate::node::{ConnId, Node, NodeSetup, Output, Owner};
use crate::refusals::Refusals;
use crate::route::Endpoint;
use crate::state::State;
use crate::trace::Traces;

#[derive(Deserialize)]
pub(crate) struct TopicBody {
    pub(crate) topic: String,
}

#[derive(Deserialize)]
pub(crate) struct ServiceBody {
    pub(crate) service: String,
}

/// `Ok(None)`: answered later, or already.
pub(crate) type Answer = Result<Option<Payload>, Fault>;

/// One method of the node's own services.
struct CoreRow {
    topic: &'static str,
    roles: u32,
    run: fn(&mut Node, &Message) -> Answer,
}

const fn owner(topic: &'static str, run: fn(&mut Node, &Message) -> Answer) -> CoreRow {
    CoreRow { topic, roles: role::OWNER, run }
}

const fn user(topic: &'static str, run: fn(&mut Node, &Message) -> Answer) -> CoreRow {
    CoreRow { topic, roles: role::OWNER | role::USER, run }
}

const fn all(topic: &'static str, run: fn(&mut Node, &Message) -> Answer) -> CoreRow {
    CoreRow { topic, roles: role::ALL, run }
}

const TABLE: &[CoreRow] = &[
    all("attr.get", Node::attr_get),
    all("attr.list", Node::attr_list),
    owner("attr.set", Node::attr_set),
    owner("attr.rm", Node::attr_remove),
    user("broker.ping", |node, request| node.ping(request).map(Some)),
    user("broker.rusage", Node::start_rusage),
    all("broker.stats-get", Node::broker_stats),
    user("connector-local.ping", |node, request| node.ping(request).map(Some)),
    owner("connector-local.stats-get", Node::connector_stats),
    user("config.ping", |node, request| node.ping(request).map(Some)),
    owner("broker.getenv", Node::getenv),
    owner("broker.setenv", Node::setenv),
    all("broker.conf-builtin", Node::conf_builtin),
    owner("broker.disconnect", |_, _| Ok(None)),
    user("event.publish", Node::event_publish),
    owner("overlay.subscribed", Node::event_subscribed),
    user("event.disconnect", |_, _| Ok(None)),
    user("service.disconnect", |_, _| Ok(None)),
    owner("log.append", Node::log_append),
    owner("log.clear", Node::log_clear),
    owner("log.dmesg", Node::log_dmesg),
    owner("log.cancel", Node::log_cancel),
    owner("log.disconnect", Node::log_cancel),
    owner("log.stats-get", Node::log_stats),
    owner("module.load", Node::module_load),
    owner("module.remove", Node::module_remove),
    user("module.list", Node::module_list),
    owner("module.debug", Node::module_debug),
    owner("module.status", Node::module_status),
    owner("module.trace", Node::module_trace),
    owner("module.disconnect", Node::module_disconnect),
    owner("module.cancel", Node::module_disconnect),
    user("config.get", Node::config_get),
    owner("config.load", Node::config_load),
    owner("config.reload", Node::config_reload),
    user("config.disconnect", Node::config_cancel),
    user("config.get-cancel", Node::config_cancel),
    user("config.cancel", Node::config_cancel),
    user("overlay.ping", |node, request| node.ping(request).map(Some)),
    user("overlay.health", Node::overlay_health),
    user("overlay.topology", Node::overlay_topology),
    user("overlay.stats-get", Node::overlay_stats),
    owner("overlay.monitor", Node::overlay_monitor),
    owner("overlay.trace", Node::overlay_trace),
    owner("overlay.disconnect", Node::overlay_disconnect),
    owner("overlay.disconnect-parent", Node::overlay_disconnect_parent),
    owner("overlay.disconnect-subtree", Node::overlay_disconnect_subtree),
    owner("runat.push", Node::runat_push),
    owner("shutdown.start", Node::shutdown_start),
    owner("shutdown.disconnect", Node::shutdown_disconnect),
    owner("state-machine.post", Node::state_post),
    owner("state-machine.monitor", Node::state_monitor),
    user("state-machine.wait", Node::state_wait),
    user("state-machine.get", Node::state_get),
    owner("state-machine.sd-notify", |_, _| Ok(Some(Payload::None))),
    owner("state-machine.disconnect", Node::state_disconnect),
];

/// The rows of the node's own services: topic and allowed roles.
#[cfg(test)]
pub(crate) fn core_table() -> impl Iterator<Item = (&'static str, u32)> {
    TABLE.iter().map(|row| (row.topic, row.roles))
}

/// What waits for an answer to one of the node's own requests.
#[derive(Clone, Debug)]
pub(crate) enum Waiting {
    /// A step of the clean-up.
    Cleanup,
    /// The initial program or another run-level command.
    Command,
    /// `config.reload`: the files are being read.
    Reload(conf::Reload),
    Rusage(Message),
    /// The process of an external module.
    External(ConnId),
    /// The parent's answer to our hello.
    Hello,
    /// What we told rank 0 of this node has arrived there.
    Announced,
    /// A stream: the parent's run level.
    ParentState,
    /// A stream: the parent's configuration.
    ParentConfig,
    /// A stream: the ranks in `broker.online`.
    Online,
    /// The end of the instance is in the key-value store.
    Finish,
    Ignored,
}

/// The state of the node's own services.
pub(crate) struct Core {
    pub(crate) connector_uuid: RouteId,
    pub(crate) event_seq: u32,
    pub(crate) log: LogRing,
    pub(crate) log_config: LogConfig,
    pub(crate) dmesg_followers: Vec<Message>,
    pub(crate) config_watchers: Vec<Message>,
    pub(crate) config_path: Option<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) rc_dirs: Vec<String>,
    pub(crate) waiting: BTreeMap<Tag, Waiting>,
    pub(crate) traces: Traces,
    pub(crate) externals: Externals,
    pub(crate) refusals: Refusals,
    pub(crate) outbox: Outbox,
    pub(crate) state: State,
}

impl Core {
    pub(crate) fn new(setup: NodeSetup, connector_uuid: RouteId, log_config: LogConfig, now: Now) -> Core {
        Core {
            connector_uuid,
            event_seq: 0,
            log: LogRing::default(),
            log_config,
            dmesg_followers: Vec::new(),
            config_watchers: Vec::new(),
            config_path: setup.config_path,
            env: setup.env.into_iter().collect(),
            rc_dirs: setup.rc_dirs,
            waiting: BTreeMap::new(),
            externals: Externals::default(),
            traces: Traces::default(),
            refusals: Refusals::default(),
            outbox: Outbox::default(),
            state: State::new(setup.program, setup.interactive, now),
        }
    }

    pub(crate) fn next_tag(&mut self) -> Tag {
        self.outbox.next_tag()
    }

    /// Nobody new is let in any more.
    pub(crate) fn is_leaving(&self) -> bool {
        self.state.is_leaving()
    }

    pub(crate) fn next_timer(&self) -> Option<Mono> {
        self.state.next_timer()
    }
}

impl Node {
    pub(crate) fn register_core_names(&mut self) {
        // Events get their numbers on rank 0, so that is where they are published.
        let here = |row: &&CoreRow| self.info.rank.is_root() || !row.topic.starts_with("event.");
        for row in TABLE.iter().filter(here) {
            let service = row.topic.rsplit_once('.').expect("core topics have a method").0;
            self.names.insert(service.to_owned(), Endpoint::Core);
        }
    }

    pub(crate) fn core_request(&mut self, message: &Message) {
        let Some(row) = TABLE.iter().find(|row| row.topic == message.topic()) else {
            let text = format!("No service matching {} is registered", message.topic());
            return self.answer(message, Err(Fault::new(Errno::ENOSYS, text)));
        };
        if message.cred.rolemask & (row.roles | role::OWNER) == 0 {
            let text = match row.roles {
                role::OWNER => "Request requires owner credentials",
                _ => "Request rejected due to insufficient privilege",
            };
            return self.answer(message, Err(Fault::new(Errno::EPERM, text)));
        }
        match (row.run)(self, message) {
            Ok(Some(payload)) => self.answer(message, Ok(payload)),
            Ok(None) => {}
            Err(fault) => self.answer(message, Err(fault)),
        }
    }

    /// Runs `f` with the node's own context, performs what it wants, and returns its result.
    pub(crate) fn core_cx<R>(&mut self, f: impl FnOnce(&mut flux_service::Cx<'_>) -> R) -> R {
        let mut outbox = std::mem::take(&mut self.core.outbox);
        let mut cx = flux_service::Cx { now: self.now, node: &self.info, rng: &mut self.rng, out: &mut outbox };
        let result = f(&mut cx);
        let effects = std::mem::take(&mut outbox.effects);
        self.core.outbox = outbox;
        for effect in effects {
            match effect {
                Effect::Send(message) => self.queue.push_back((crate::node::Hop::Core, message)),
                Effect::File { tag, op } => self.outputs.push(Output::File { owner: Owner::CORE, tag, op }),
                Effect::Process { tag, op } => self.outputs.push(Output::Process { owner: Owner::CORE, tag, op }),
                other => panic!("the node itself has no use for {other:?}"),
            }
        }
        result
    }

    /// An answer to one of the node's own requests.
    pub(crate) fn core_reply(&mut self, message: &Message) {
        let tag = Tag(message.matchtag());
        match self.core.waiting.remove(&tag) {
            Some(Waiting::Cleanup) => self.cleanup_step_done(Fault::of(message)),
            Some(Waiting::Hello) => self.hello_answered(message),
            Some(Waiting::Announced) => self.announced(message),
            Some(stream @ (Waiting::ParentState | Waiting::ParentConfig | Waiting::Online)) => {
                match &stream {
                    Waiting::ParentState => self.parent_state(message),
                    Waiting::ParentConfig => self.parent_config(message),
                    _ => self.online_changed(message),
                }
                if message.errno().is_none() {
                    self.core.waiting.insert(tag, stream);
                }
            }
            Some(Waiting::Finish) => self.core.state.finishing = false,
            Some(Waiting::Ignored) => {}
            Some(other) => {
                self.core.waiting.insert(tag, other);
            }
            None => {}
        }
    }

    pub(crate) fn core_completion(&mut self, tag: Tag, completion: Completion) {
        match self.core.waiting.remove(&tag) {
            Some(Waiting::Command) => self.command_event(tag, completion),
            Some(Waiting::Reload(reload)) => self.reload_step(reload, completion),
            Some(Waiting::Rusage(request)) => self.finish_rusage(&request, completion),
            Some(Waiting::External(conn)) => self.external_event(conn, tag, completion),
            _ => {}
        }
    }
}

/// Ends (ENODATA) the streams in `list` that `message`, a cancel or a disconnect, is about.
///
/// A cancel names a matchtag; a disconnect means all of the sender's.
pub(crate) fn end_streams(list: &mut Vec<Message>, message: &Message) -> Vec<Message> {
    #[derive(Deserialize)]
    struct Cancel {
        matchtag: u32,
    }
    let tag = message.decode::<Cancel>().ok().map(|cancel| cancel.matchtag);
    let ended = |request: &Message| message.same_sender(request) && tag.is_none_or(|tag| tag == request.matchtag());
    let (gone, kept) = std::mem::take(list).into_iter().partition(ended);
    *list = kept;
    gone
}
