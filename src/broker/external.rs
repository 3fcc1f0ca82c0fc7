//! Modules in processes of their own: any program that speaks the framing of the local connector over an inherited socket (RFC 5).
//!
//! To the router such a module is a client with a service; what is special is how its bytes travel (a channel of a child
//! process instead of a socket of the runtime's) and its life: `welcome`, `module.status`, `NAME.shutdown`.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_service::{Completion, Fault, LogLevel, ProcessEvent, ProcessOp, SpawnSpec, StdStream, Tag};
use flux_wire::{Errno, Flags, FrameReader, Message, Payload, RouteId, Target};
use serde_json::{Value, json};

use crate::core::Waiting;
use crate::node::{ConnId, Node, Output};
use crate::route::Endpoint;
use crate::state::RunLevel;

/// Connections with this bit are external modules; the runtime's own count from 0.
const EXTERNAL_BIT: u64 = 1 << 63;
/// The channel's number in the child: the runtime numbers channels from 3.
const MODULE_URI: &str = "fd://3";
const MODULE_CHANNEL: &str = "FLUX_MODULE_FD";

/// What `module.status` reports (RFC 5).
const STATUS_RUNNING: i64 = 1;
const STATUS_FINALIZING: i64 = 2;
const STATUS_EXITED: i64 = 3;

struct External {
    name: String,
    path: String,
    process: Tag,
    reader: FrameReader,
    uuid: RouteId,
    status: i64,
    errnum: i32,
    /// Who waits for it to run, and who for it to end.
    loading: Option<Message>,
    removing: Option<Message>,
}

/// The external modules of a node.
#[derive(Default)]
pub(crate) struct Externals {
    modules: BTreeMap<ConnId, External>,
    last: u64,
}

/// What to start, as `module.load` says.
pub(crate) struct ExternalSpec {
    pub(crate) path: String,
    pub(crate) name: Option<String>,
    pub(crate) loader: Option<String>,
    pub(crate) args: Vec<String>,
}

impl Externals {
    pub(crate) fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    fn find(&self, name: &str) -> Option<ConnId> {
        self.modules.iter().find(|(_, module)| module.name == name).map(|(conn, _)| *conn)
    }

    pub(crate) fn rows(&self) -> Vec<Value> {
        let row = |module: &External| {
            json!({"name": module.name, "path": module.path, "idle": 0, "status": module.status,
                "services": [module.name], "recvqueue": 0, "sendqueue": 0, "uuid": &*module.uuid})
        };
        self.modules.values().map(row).collect()
    }
}

impl Node {
    /// Starts the program; `request` is answered when it reports that it runs, or cannot.
    pub(crate) fn load_external(&mut self, spec: ExternalSpec, request: &Message) -> Result<(), Fault> {
        let base = spec.path.rsplit('/').next().unwrap_or(&spec.path);
        let stem = base.strip_suffix(".py").or(base.strip_suffix(".so")).unwrap_or(base);
        let name = spec.name.unwrap_or_else(|| stem.to_owned());
        if self.names.contains_key(&name) {
            return Err(Fault::new(Errno::EEXIST, format!("service {name} is already registered")));
        }
        let mut argv: Vec<String> = spec.loader.into_iter().collect();
        argv.push(spec.path.clone());
        let mut env = self.command_env();
        env.push(("FLUX_MODULE_URI".to_owned(), MODULE_URI.to_owned()));
        let spawn = SpawnSpec {
            argv,
            env: Some(env),
            stdin: Some([].into()),
            channels: vec![MODULE_CHANNEL.into()],
            own_group: true,
            ..SpawnSpec::default()
        };
        let process = self.core_cx(|cx| cx.process(ProcessOp::Spawn(Box::new(spawn))));
        self.core.externals.last += 1;
        let conn = ConnId(EXTERNAL_BIT | self.core.externals.last);
        self.core.waiting.insert(process, Waiting::External(conn));
        self.connected(conn, self.owner_cred());
        let uuid = self.clients[&conn].uuid.clone();
        let external = External {
            name: name.clone(),
            path: spec.path,
            process,
            reader: FrameReader::default(),
            uuid: uuid.clone(),
            status: 0,
            errnum: 0,
            loading: Some(request.clone()),
            removing: None,
        };
        self.core.externals.modules.insert(conn, external);
        let client = self.clients.get_mut(&conn).expect("it was just connected");
        client.services.insert(name.clone());
        self.names.insert(name.clone(), Endpoint::Client(conn));
        // The byte that the local connector sends to a client it lets in (RFC 12), then the first message (RFC 5).
        self.write_external(process, vec![0]);
        let body = json!({"args": spec.args, "attrs": self.info.attrs, "conf": *self.info.config, "name": name, "uuid": &*uuid});
        self.send_external(conn, "welcome", body.into());
        Ok(())
    }

    fn send_external(&mut self, conn: ConnId, topic: &str, payload: Payload) {
        let mut message = Message::request(topic, Target::Any, 0, payload);
        message.flags = Flags(Flags::NORESPONSE);
        message.cred = self.owner_cred();
        message.route = Some(vec![self.info.uuid.clone()]);
        self.outputs.push(Output::Send { conn, message });
    }

    fn write_external(&mut self, of: Tag, bytes: Vec<u8>) {
        let stream = StdStream::Channel(MODULE_CHANNEL.into());
        self.core_cx(|cx| cx.process(ProcessOp::Write { of, stream, bytes: bytes.into(), eof: false }));
    }

    /// Messages for external modules become bytes of their channels; all else stays as it is.
    pub(crate) fn encode_external(&mut self, outputs: Vec<Output>) -> Vec<Output> {
        if self.core.externals.is_empty() {
            return outputs;
        }
        let mut all = Vec::with_capacity(outputs.len());
        for output in outputs {
            let Output::Send { conn, message } = &output else {
                all.push(output);
                continue;
            };
            match self.core.externals.modules.get(conn).map(|module| module.process) {
                Some(process) => {
                    let mut bytes = Vec::new();
                    flux_wire::write_frame(&mut bytes, |out| flux_wire::encode_into(message, out));
                    self.write_external(process, bytes);
                    all.append(&mut self.outputs);
                }
                None if conn.0 & EXTERNAL_BIT != 0 => {} // It has just ended.
                None => all.push(output),
            }
        }
        all
    }

    pub(crate) fn external_event(&mut self, conn: ConnId, tag: Tag, completion: Completion) {
        let event = match completion {
            Completion::Process(event) => event,
            Completion::Failed(fault) => ProcessEvent::NotStarted { errno: fault.errno },
            _ => return,
        };
        match event {
            ProcessEvent::NotStarted { errno } => self.external_gone(conn, errno.0),
            ProcessEvent::Exited { status } => self.external_gone(conn, if status == 0 { 0 } else { Errno::ECHILD.0 }),
            ProcessEvent::Output { stream: StdStream::Channel(_), bytes, .. } => {
                self.core.waiting.insert(tag, Waiting::External(conn));
                self.external_bytes(conn, &bytes);
            }
            _ => {
                self.core.waiting.insert(tag, Waiting::External(conn));
            }
        }
    }

    fn external_bytes(&mut self, conn: ConnId, bytes: &Arc<[u8]>) {
        let Some(module) = self.core.externals.modules.get_mut(&conn) else { return };
        module.reader.push(bytes);
        let mut messages = Vec::new();
        let fault = loop {
            match module.reader.next_frame() {
                Ok(Some(frame)) => match flux_wire::decode(frame) {
                    Ok(message) => messages.push(message),
                    Err(error) => break Some(error.to_string()),
                },
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        let (name, process) = (module.name.clone(), module.process);
        for message in messages {
            self.client_message(conn, message);
        }
        if let Some(why) = fault {
            const SIGKILL: i32 = 9;
            self.log(LogLevel::Err, &name, &format!("the module does not speak the protocol: {why}"));
            self.core_cx(|cx| cx.process(ProcessOp::Kill { of: process, signum: SIGKILL, group: true }));
        }
    }

    /// `module.status`, from the module itself.
    pub(crate) fn module_status(&mut self, request: &Message) -> Result<Option<Payload>, Fault> {
        #[derive(serde::Deserialize)]
        struct Body {
            status: i64,
            #[serde(default)]
            errnum: i32,
        }
        let body: Body = request.decode()?;
        let sender = request.sender().cloned();
        let found = self.core.externals.modules.iter_mut().find(|(_, module)| Some(&module.uuid) == sender.as_ref());
        let Some((_, module)) = found else {
            return Err(Fault::new(Errno::EPERM, "only a module may report its status"));
        };
        if !(STATUS_RUNNING..=STATUS_EXITED).contains(&body.status) {
            return Err(Fault::from(Errno::EPROTO));
        }
        module.status = body.status;
        module.errnum = body.errnum;
        let name = module.name.clone();
        let loading = if body.status == STATUS_RUNNING { module.loading.take() } else { None };
        if let Some(waiting) = loading {
            self.log(LogLevel::Debug, "broker", &format!("insmod {name}"));
            self.answer(&waiting, Ok(Payload::None));
        }
        if body.status == STATUS_FINALIZING {
            // From here on nothing new reaches it (RFC 5).
            self.names.remove(&name);
        }
        Ok(Some(Payload::None))
    }

    /// Asks an external module to end; `Err(ENOENT)` if there is none of that name.
    pub(crate) fn remove_external(&mut self, name: &str, cancel: bool, request: Message) -> Result<(), Fault> {
        let conn = self.core.externals.find(name).ok_or(Fault::from(Errno::ENOENT))?;
        let module = self.core.externals.modules.get_mut(&conn).expect("find gives names of the table");
        if module.removing.is_some() {
            return Err(Fault::new(Errno::EBUSY, format!("{name} is already being removed")));
        }
        module.removing = Some(request);
        let process = module.process;
        if cancel {
            const SIGKILL: i32 = 9;
            self.core_cx(|cx| cx.process(ProcessOp::Kill { of: process, signum: SIGKILL, group: true }));
        } else {
            self.send_external(conn, &format!("{name}.shutdown"), Payload::None);
        }
        Ok(())
    }

    /// The instance ends: so do they.
    pub(crate) fn stop_externals(&mut self) {
        let names: Vec<(ConnId, String)> =
            self.core.externals.modules.iter().map(|(conn, module)| (*conn, module.name.clone())).collect();
        for (conn, name) in names {
            self.send_external(conn, &format!("{name}.shutdown"), Payload::None);
        }
    }

    pub(crate) fn kill_externals(&mut self) {
        const SIGKILL: i32 = 9;
        let processes: Vec<Tag> = self.core.externals.modules.values().map(|module| module.process).collect();
        for of in processes {
            self.core_cx(|cx| cx.process(ProcessOp::Kill { of, signum: SIGKILL, group: true }));
        }
    }

    fn external_gone(&mut self, conn: ConnId, errnum: i32) {
        let Some(module) = self.core.externals.modules.remove(&conn) else { return };
        self.disconnected(conn);
        self.log(LogLevel::Debug, "broker", &format!("rmmod {}", module.name));
        let errnum = if module.errnum != 0 { module.errnum } else { errnum };
        if let Some(request) = module.loading {
            let errno = if errnum == 0 { Errno::ECHILD } else { Errno(errnum) };
            let text = format!("{} ended before it reported that it runs: {errno}", module.path);
            self.answer(&request, Err(Fault::new(errno, text)));
        } else if module.removing.is_none() && errnum != 0 && self.core.state.level < RunLevel::Finalize {
            self.log(LogLevel::Err, "broker", &format!("{}: {}", module.name, Errno(errnum)));
            self.log(LogLevel::Crit, "broker", &format!("{} module runtime failure", module.name));
            if self.attrs.get("broker.module-nopanic").is_none_or(|value| value == "0") {
                self.panic();
            }
        }
        if let Some(request) = module.removing {
            self.answer(&request, Ok(Payload::None));
        }
    }
}
