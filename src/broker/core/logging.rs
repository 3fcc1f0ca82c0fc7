//! `log.*`: appending to the ring, showing it, following it.

use flux_service::Fault;
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, end_streams};
use crate::limits::WAITERS_MAX;
use crate::log::LogLine;
use crate::node::{Node, Output};

#[derive(Deserialize)]
struct Dmesg {
    #[serde(default)]
    follow: bool,
    #[serde(default)]
    nobacklog: bool,
}

impl Node {
    pub(crate) fn append_log(&mut self, line: LogLine) {
        if i32::from(line.level) <= self.core.log_config.stderr_level {
            self.outputs.push(Output::Stderr { line: line.for_stderr() });
        }
        for request in self.core.dmesg_followers.clone() {
            self.answer(&request, Ok(Payload::text(&line.text)));
        }
        let max = self.core.log_config.ring;
        self.core.log.append(line, max);
    }

    pub(crate) fn log_append(&mut self, request: &Message) -> Answer {
        let bytes = request.payload.to_wire().unwrap_or_default();
        self.append_log(LogLine::from_client(&bytes));
        Ok(Some(Payload::None))
    }

    pub(crate) fn log_clear(&mut self, _request: &Message) -> Answer {
        self.core.log.clear();
        Ok(Some(Payload::None))
    }

    pub(crate) fn log_dmesg(&mut self, request: &Message) -> Answer {
        let body: Dmesg = request.decode()?;
        if !request.is_streaming() {
            return Err(Fault::from(Errno::EPROTO));
        }
        if !body.nobacklog {
            let lines: Vec<String> = self.core.log.lines().map(|line| line.text.clone()).collect();
            for line in lines {
                self.answer(request, Ok(Payload::text(&line)));
            }
        }
        if !body.follow {
            return Err(Fault::from(Errno::ENODATA));
        }
        if self.core.dmesg_followers.len() >= WAITERS_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("{WAITERS_MAX} clients follow the log already")));
        }
        self.core.dmesg_followers.push(request.clone());
        Ok(None)
    }

    /// `log.cancel` and `log.disconnect`.
    pub(crate) fn log_cancel(&mut self, request: &Message) -> Answer {
        for ended in end_streams(&mut self.core.dmesg_followers, request) {
            self.answer(&ended, Err(Fault::from(Errno::ENODATA)));
        }
        Ok(None)
    }

    pub(crate) fn log_stats(&mut self, _request: &Message) -> Answer {
        let log = &self.core.log;
        let body = json!({"ring-used": log.len(), "count": log.count, "local": log.count, "remote": 0});
        Ok(Some(body.into()))
    }
}
