//! The PMI-1 server (RFC 13): lines of `key=value` words, a key-value space, and a barrier.

use std::collections::BTreeMap;

use flux_types::Taskmap;

use crate::limits::{PMI_KEY_MAX, PMI_KEYS_MAX, PMI_NAME_MAX, PMI_VALUE_MAX};

/// What a line meant beyond its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Answered,
    /// This task needs PMI no more.
    Finalized,
    /// Every task of this shell is in the barrier: exchange what they put, then call [`Server::release`].
    Barrier,
    /// The program gives up.
    Abort { code: i32, message: String },
    /// RFC 13: the connection is closed and the program aborted.
    Violation(String),
}

/// The state shared by the tasks of one shell.
#[derive(Debug)]
pub struct Server {
    name: String,
    size: usize,
    here: usize,
    /// Given by the shell, and put by tasks of other shells.
    known: BTreeMap<String, String>,
    /// Put by tasks of this shell since the last exchange.
    fresh: BTreeMap<String, String>,
    /// Local indices of the tasks in the barrier.
    waiting: Vec<u32>,
    /// Local indices in the middle of a `spawn`.
    spawning: Vec<u32>,
}

impl Server {
    /// For `here` tasks out of `size`; `name` is the key-value space's, which brokers take for their job id; `level` is that of the instance
    /// whose job this is, if it is one.
    pub fn new(name: String, size: usize, here: usize, map: Option<&Taskmap>, level: Option<u32>) -> Server {
        let mut known = BTreeMap::new();
        if let Some(map) = map {
            // RFC 13: a mapping that does not fit is unknown, the empty string.
            let mapping = map.encode_pmi().ok().filter(|text| text.len() < PMI_VALUE_MAX).unwrap_or_default();
            known.insert("PMI_process_mapping".to_owned(), mapping);
            let taskmap = map.to_wrapped_value().to_string();
            if taskmap.len() < PMI_VALUE_MAX && !map.is_unknown() {
                known.insert("flux.taskmap".to_owned(), taskmap);
            }
        }
        if let Some(level) = level {
            known.insert("flux.instance-level".to_owned(), (level + 1).to_string());
        }
        Server { name, size, here, known, fresh: BTreeMap::new(), waiting: Vec::new(), spawning: Vec::new() }
    }

    /// Handles one line, without its newline, of the task with local index `task`; answers go to `out`.
    pub fn line(&mut self, task: u32, line: &str, out: &mut Vec<(u32, String)>) -> Step {
        if self.spawning.contains(&task) {
            if line == "endcmd" {
                self.spawning.retain(|other| *other != task);
                out.push((task, "cmd=spawn_result rc=-1\n".to_owned()));
            }
            return Step::Answered;
        }
        let answer = match word(line, "cmd") {
            Some("init") => init(line),
            Some("get_maxes") => {
                format!(
                    "cmd=maxes rc=0 kvsname_max={PMI_NAME_MAX} keylen_max={PMI_KEY_MAX} vallen_max={PMI_VALUE_MAX}\n"
                )
            }
            Some("abort") => return abort(line),
            Some("finalize") => {
                out.push((task, "cmd=finalize_ack rc=0\n".to_owned()));
                return Step::Finalized;
            }
            Some("get_universe_size") => format!("cmd=universe_size rc=0 size={}\n", self.size),
            Some("get_appnum") => "cmd=appnum rc=0 appnum=0\n".to_owned(),
            Some("get_my_kvsname") => format!("cmd=my_kvsname rc=0 kvsname={}\n", self.name),
            Some("put") => format!("cmd=put_result rc={}\n", self.put(line)),
            Some("get") => match self.get(line) {
                Ok(value) => format!("cmd=get_result rc=0 value={value}\n"),
                Err(rc) => format!("cmd=get_result rc={rc}\n"),
            },
            Some("barrier_in") => {
                if self.waiting.contains(&task) {
                    return Step::Violation("a task is in the barrier twice".to_owned());
                }
                self.waiting.push(task);
                return if self.waiting.len() == self.here { Step::Barrier } else { Step::Answered };
            }
            Some(name @ ("publish_name" | "unpublish_name" | "lookup_name")) => {
                let verb = name.trim_end_matches("_name");
                format!("cmd={verb}_result rc=-1 msg=command not implemented\n")
            }
            _ if word(line, "mcmd") == Some("spawn") => {
                self.spawning.push(task);
                return Step::Answered;
            }
            _ => return Step::Violation(format!("unknown request {:?}", line.chars().take(64).collect::<String>())),
        };
        out.push((task, answer));
        Step::Answered
    }

    /// What the tasks of this shell have put since the last exchange.
    pub fn fresh(&self) -> &BTreeMap<String, String> {
        &self.fresh
    }

    /// The exchange is done: `others` is what other shells' tasks put. The tasks in the barrier go on.
    pub fn release(&mut self, others: BTreeMap<String, String>, out: &mut Vec<(u32, String)>) {
        self.known.append(&mut self.fresh);
        self.known.extend(others);
        for task in self.waiting.drain(..) {
            out.push((task, "cmd=barrier_out rc=0\n".to_owned()));
        }
    }

    fn put(&mut self, line: &str) -> i32 {
        if let Err(rc) = self.right_space(line) {
            return rc;
        }
        let Some(key) = word(line, "key").filter(|key| !key.is_empty()) else { return INVALID_KEY };
        if key.len() >= PMI_KEY_MAX {
            return INVALID_KEY_LENGTH;
        }
        let Some(value) = text(line, "value") else { return INVALID_VALUE };
        if value.len() >= PMI_VALUE_MAX {
            return INVALID_VALUE_LENGTH;
        }
        if self.known.len() + self.fresh.len() >= PMI_KEYS_MAX {
            return FAIL;
        }
        self.fresh.insert(key.to_owned(), value.to_owned());
        0
    }

    fn get(&self, line: &str) -> Result<&str, i32> {
        self.right_space(line)?;
        let key = word(line, "key").ok_or(INVALID_KEY)?;
        if key.len() >= PMI_KEY_MAX {
            return Err(INVALID_KEY_LENGTH);
        }
        self.fresh.get(key).or_else(|| self.known.get(key)).map(String::as_str).ok_or(INVALID_KEY)
    }

    fn right_space(&self, line: &str) -> Result<(), i32> {
        if word(line, "kvsname") == Some(&self.name) { Ok(()) } else { Err(INVALID_ARG) }
    }
}

/// Return codes of RFC 13.
const FAIL: i32 = -1;
const INVALID_ARG: i32 = 3;
const INVALID_KEY: i32 = 4;
const INVALID_KEY_LENGTH: i32 = 5;
const INVALID_VALUE: i32 = 6;
const INVALID_VALUE_LENGTH: i32 = 7;

fn init(line: &str) -> String {
    let number = |key| word(line, key).and_then(|text| text.parse::<u32>().ok());
    match (number("pmi_version"), number("pmi_subversion")) {
        (Some(1..), Some(_)) => "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1\n".to_owned(),
        _ => "cmd=response_to_init rc=-1\n".to_owned(),
    }
}

fn abort(line: &str) -> Step {
    let code = word(line, "exitcode").or_else(|| word(line, "exit_code")).and_then(|text| text.parse().ok());
    let message = text(line, "error_msg").unwrap_or("").to_owned();
    Step::Abort { code: code.unwrap_or(1), message }
}

/// The value of `key` up to the next blank. Words may come in any order (RFC 13).
fn word<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// The value of `key` up to the end of the line.
fn text<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(at) = line[from..].find(key).map(|at| at + from) {
        let starts_word = at == 0 || line.as_bytes()[at - 1].is_ascii_whitespace();
        let after = &line[at + key.len()..];
        if starts_word && let Some(value) = after.strip_prefix('=') {
            return Some(value);
        }
        from = at + key.len();
    }
    None
}
