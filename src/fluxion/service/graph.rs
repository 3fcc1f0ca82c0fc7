//! `sched-fluxion-resource`: the graph, filled by the resource service (RFC 28) or from a file.

use super::config::{merged, resource_config};
use super::queues::RETRY;
use super::{Shared, Sharing, refused, seconds};
use crate::fluxion::{Fluxion, FluxionConfig};
use crate::limits::NOTIFY_COUNT_MAX;
use crate::matcher::{Script, is_script};
use crate::reader::Reader;
use flux_sched::Acquired;
use flux_service::{Completion, Cx, Fault, FileOp, Handler, LogLevel, Mono, Outcome, Service, Tag, stopwatch};
use flux_types::Idset;
use flux_wire::{Errno, Message, Target};
use serde_json::{Map, Value, json};

/// Keeps the graph and answers questions about it.
pub(super) struct FluxionResource {
    pub(super) shared: Shared,
    args: Vec<String>,
    pub(super) options: Map<String, Value>,
    config: FluxionConfig,
    /// The match policy in Lua that is being read.
    script: Option<Tag>,
    /// The stream of resources.
    acquire: Option<Tag>,
    /// When resources are asked for again.
    retry: Option<Mono>,
    stopped: bool,
    /// The file the graph is read from, and the resources that wait for it.
    load: Option<(Tag, Acquired)>,
    load_file: Option<String>,
    /// R of everything, and what of it is up: what those hear who ask for it.
    resources: Option<Value>,
    up: Idset,
    expiration: Option<f64>,
    /// Who wants to hear what changes, and whether of every change.
    notified: Vec<(Message, bool)>,
}

impl Service for FluxionResource {
    const NAME: &'static str = "sched-fluxion-resource";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("sched-fluxion-resource.match", FluxionResource::match_one),
        Handler::owner("sched-fluxion-resource.match_multi", FluxionResource::match_multi),
        Handler::owner("sched-fluxion-resource.update", FluxionResource::update),
        Handler::owner("sched-fluxion-resource.cancel", FluxionResource::cancel),
        Handler::owner("sched-fluxion-resource.partial-cancel", FluxionResource::partial_cancel),
        Handler::owner("sched-fluxion-resource.info", FluxionResource::info),
        Handler::user("sched-fluxion-resource.stats-get", FluxionResource::stats_get),
        Handler::owner("sched-fluxion-resource.stats-clear", FluxionResource::stats_clear),
        Handler::owner("sched-fluxion-resource.next_jobid", FluxionResource::next_jobid),
        Handler::owner("sched-fluxion-resource.find", FluxionResource::find),
        Handler::owner("sched-fluxion-resource.status", FluxionResource::status),
        Handler::owner("sched-fluxion-resource.ns-info", FluxionResource::ns_info),
        Handler::owner("sched-fluxion-resource.params", FluxionResource::params),
        Handler::owner("sched-fluxion-resource.set_status", FluxionResource::set_status),
        Handler::owner("sched-fluxion-resource.set_property", FluxionResource::set_property),
        Handler::owner("sched-fluxion-resource.remove_property", FluxionResource::remove_property),
        Handler::owner("sched-fluxion-resource.get_property", FluxionResource::get_property),
        Handler::owner("sched-fluxion-resource.add_subgraph", FluxionResource::add_subgraph),
        Handler::owner("sched-fluxion-resource.remove_subgraph", FluxionResource::remove_subgraph),
        Handler::owner("sched-fluxion-resource.satisfiability", FluxionResource::satisfiability),
        Handler::owner("sched-fluxion-resource.notify", FluxionResource::notify),
        Handler::owner("sched-fluxion-resource.disconnect", FluxionResource::disconnect),
    ];

    fn options(&mut self, args: &[String]) -> Result<(), Fault> {
        self.args = args.to_vec();
        Ok(())
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.options = merged(cx, "sched-fluxion-resource", &self.args)?;
        let (config, file) = resource_config(&self.options).map_err(refused)?;
        (self.config, self.load_file) = (config, file);
        self.begin(cx);
        Ok(())
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.stopped = true;
        self.forget(cx);
    }

    fn next_timer(&self) -> Option<Mono> {
        self.retry
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.retry.take_if(|at| *at <= cx.now.mono).is_some() {
            self.begin(cx);
        }
    }

    fn is_ready(&self) -> bool {
        self.shared.is_there()
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if self.acquire != Some(tag) {
            return;
        }
        if let Some(fault) = Fault::of(reply) {
            self.acquire = None;
            if self.stopped {
                return;
            }
            if fault.errno != Errno::ESTALE && self.resources.is_some() {
                cx.log(LogLevel::Warning, format!("no resources to schedule: {fault}; they are asked for again"));
            }
            // There is more now, or the resource module is being reloaded: a graph of it all is a new graph.
            self.forget(cx);
            match fault.errno {
                Errno::ESTALE => self.begin(cx),
                _ => self.retry = Some(cx.now.mono.after(RETRY)),
            }
            return;
        }
        if let Err(why) = Acquired::of(reply).and_then(|acquired| self.acquired(cx, acquired)) {
            cx.log(LogLevel::Err, format!("resource.acquire: {why}"));
        }
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        if self.script.take_if(|of| *of == tag).is_some() {
            return self.script_read(cx, completion);
        }
        let Some((_, acquired)) = self.load.take_if(|(of, _)| *of == tag) else { return };
        let text = match completion {
            Completion::File(bytes) => String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string()),
            Completion::Failed(fault) => Err(fault.message()),
            _ => return,
        };
        let reader = self.config.load_format.unwrap_or(Reader::Rv1exec);
        let began = stopwatch();
        let loaded = text
            .and_then(|text| Fluxion::from_document(reader, &text, &self.config).map_err(|error| error.to_string()));
        match loaded {
            Ok(fluxion) => self.loaded(cx, fluxion, acquired, stopwatch() - began),
            Err(why) => cx.log(LogLevel::Err, format!("load-file: {why}")),
        }
    }

    /// A graph under a new configuration is a new graph: whoever follows it begins again, as after a reload of the module.
    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        let options = merged(cx, "sched-fluxion-resource", &self.args)?;
        let (config, file) = resource_config(&options).map_err(refused)?;
        if options != self.options {
            cx.log(LogLevel::Notice, "the graph is made anew under the new [sched-fluxion-resource]".to_owned());
            self.forget(cx);
            (self.options, self.config, self.load_file) = (options, config, file);
            self.retry = None;
            self.begin(cx);
        }
        Ok(())
    }

    fn check(&self) {
        assert!(self.notified.len() <= NOTIFY_COUNT_MAX);
    }
}

impl Sharing for FluxionResource {
    /// What goes down must be known before a turn under way is told of.
    const REPLIES_WAIT: bool = false;

    fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl FluxionResource {
    pub(super) fn new(shared: Shared) -> FluxionResource {
        FluxionResource {
            shared,
            args: Vec::new(),
            options: Map::new(),
            config: FluxionConfig::default(),
            script: None,
            acquire: None,
            retry: None,
            stopped: false,
            load: None,
            load_file: None,
            resources: None,
            up: Idset::new(),
            expiration: None,
            notified: Vec::new(),
        }
    }

    /// The graph is none any more: whoever follows it begins again.
    fn forget(&mut self, cx: &mut Cx<'_>) {
        if let Some(tag) = self.acquire.take() {
            cx.notify("resource.acquire-cancel", Target::Any, json!({"matchtag": tag.0}));
        }
        for (request, _) in std::mem::take(&mut self.notified) {
            cx.end_stream(&request);
        }
        (self.load, self.resources, self.up) = (None, None, Idset::new());
        self.shared.set(None);
    }

    /// Reads the match policy, if it is a script, then asks for resources.
    fn begin(&mut self, cx: &mut Cx<'_>) {
        match self.config.match_policy.as_str() {
            path if is_script(path) => self.script = Some(cx.file(FileOp::Read { path: path.to_owned() })),
            _ => self.acquire = Some(cx.request_stream("resource.acquire", Target::Any, json!({}))),
        }
    }

    fn script_read(&mut self, cx: &mut Cx<'_>, completion: Completion) {
        let text = match completion {
            Completion::File(bytes) => String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string()),
            Completion::Failed(fault) => Err(fault.message()),
            _ => return,
        };
        let path = self.config.match_policy.clone();
        match text.and_then(|text| Script::load(&path, &text).map(|_| text)) {
            Ok(text) => self.config.match_script = Some((path, text)),
            // Jobs rather run by another policy than not at all.
            Err(why) => {
                cx.log(LogLevel::Err, format!("match-policy {path}: {why}; 'first' is used instead"));
                self.config.match_policy = "first".into();
            }
        }
        self.acquire = Some(cx.request_stream("resource.acquire", Target::Any, json!({})));
    }

    /// RFC 28: first all there is, then what changes.
    fn acquired(&mut self, cx: &mut Cx<'_>, acquired: Acquired) -> Result<(), String> {
        if let Some(resources) = &acquired.resources {
            self.expiration = acquired.expiration.or_else(|| resources["execution"]["expiration"].as_f64());
            if let Some(path) = &self.load_file {
                let tag = cx.file(FileOp::Read { path: path.clone() });
                self.load = Some((tag, acquired));
                return Ok(());
            }
            let began = stopwatch();
            let fluxion = Fluxion::from_r(resources, &self.config, seconds(cx)).map_err(|error| error.to_string())?;
            self.loaded(cx, fluxion, acquired, stopwatch() - began);
            return Ok(());
        }
        let first = self.load.as_mut().map(|(_, first)| &mut first.up);
        for up in first.into_iter().chain([&mut self.up]) {
            up.extend_from(&acquired.up);
            *up = up.subtract(&acquired.down);
        }
        self.expiration = acquired.expiration.or(self.expiration);
        let (up, down, expiration, now) =
            (acquired.up.clone(), acquired.down.clone(), acquired.expiration, seconds(cx));
        self.shared.change(&acquired.up, &acquired.down, move |fluxion| {
            fluxion.set_up(&up);
            fluxion.set_down(&down);
            if let Some(expiration) = expiration {
                fluxion.set_expiration(expiration as i64, now);
            }
        });
        let mut body = Map::new();
        for (key, ranks) in [("up", &acquired.up), ("down", &acquired.down)] {
            if !ranks.is_empty() {
                body.insert(key.into(), ranks.to_string().into());
            }
        }
        if let Some(expiration) = acquired.expiration {
            body.insert("expiration".into(), expiration.into());
        }
        let body = Value::Object(body);
        self.notified.iter().for_each(|(request, _)| cx.respond(request, body.clone()));
        Ok(())
    }

    fn loaded(&mut self, cx: &mut Cx<'_>, mut fluxion: Fluxion, acquired: Acquired, load_time: f64) {
        fluxion.set_down(&fluxion.ranks().subtract(&acquired.up));
        // A file says nothing of the instance's end, and R may be older than what came since.
        if let Some(expiration) = self.expiration {
            fluxion.set_expiration(expiration as i64, seconds(cx));
        }
        fluxion.counts_from(seconds(cx), load_time);
        self.shared.set(Some(fluxion));
        (self.resources, self.up) = (acquired.resources, acquired.up);
        for (request, _) in &self.notified {
            cx.respond(request, self.whole());
        }
    }

    fn whole(&self) -> Value {
        json!({"resources": self.resources, "up": self.up.to_string()})
    }

    /// Requests to the graph itself gave something back or changed what there is: the queues must look again.
    pub(super) fn changed(&self, cx: &mut Cx<'_>) {
        for (request, _) in self.notified.iter().filter(|(_, every)| *every) {
            cx.respond(request, json!({"changed": true}));
        }
    }

    /// A stream: all there is, then what changes.
    fn notify(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        if !message.is_streaming() {
            return Err(Fault::from(Errno::EPROTO));
        }
        if self.notified.len() >= NOTIFY_COUNT_MAX {
            return Err(Fault::from(Errno::ENOMEM));
        }
        let every = !message.payload.is_none() && message.decode::<Value>()?["changes"] == true;
        if self.resources.is_some() {
            cx.respond(message, self.whole());
        }
        self.notified.push((message.clone(), every));
        Ok(())
    }

    fn disconnect(&mut self, _cx: &mut Cx<'_>, message: &Message) -> Outcome {
        self.notified.retain(|(request, _)| !message.same_sender(request));
        Ok(())
    }
}
