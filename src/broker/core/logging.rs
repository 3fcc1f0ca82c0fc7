//! `log.*`: appending to the ring, showing it, following it.

use flux_service::Fault;
use flux_wire::{Errno, Message, Payload, Rank, Target};
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
    /// Keeps a line of this broker, and passes it on to whom it concerns.
    pub(crate) fn append_log(&mut self, line: LogLine) {
        let config = self.core.log_config;
        let (level, is_root) = (i32::from(line.level), self.info.rank.is_root());
        let here = is_root || config.stderr_is_local;
        if level <= config.critical_level || here && level <= config.stderr_level {
            self.outputs.push(Output::Stderr { line: self.stderr_line(&line) });
        }
        self.copy_log(&line);
        if !is_root && level <= config.forward_level {
            let payload = Payload::raw(line.text.clone().into_bytes());
            self.core_cx(|cx| cx.notify("log.append", Target::Rank(Rank::ROOT), payload));
        }
        if level > config.level {
            return;
        }
        for request in self.core.dmesg_followers.clone() {
            self.answer(&request, Ok(Payload::text(&line.text)));
        }
        self.core.log.append(line, config.ring);
    }

    /// Where each broker speaks for itself, systemd reads the severity off the line (sd-daemon(3)).
    fn stderr_line(&self, line: &LogLine) -> String {
        match self.core.log_config.stderr_is_local {
            true => format!("<{}>{}", line.level, line.plain()),
            false => line.timed(),
        }
    }

    /// To the file and to syslog, if these are wanted.
    fn copy_log(&mut self, line: &LogLine) {
        let config = self.core.log_config;
        if config.has_file && self.info.rank.is_root() {
            self.outputs.push(Output::LogFile { line: line.timed() });
        }
        if config.syslog_level.is_some_and(|max| i32::from(line.level) <= max) {
            self.outputs.push(Output::Syslog { level: line.level, line: line.plain() });
        }
    }

    /// From a client or a service; on rank 0 also from brokers that pass on what is grave. What these have said is on their
    /// rank for `flux dmesg`, and here for stderr.
    pub(crate) fn log_append(&mut self, request: &Message) -> Answer {
        let bytes = request.payload.to_wire().unwrap_or_default();
        let line = LogLine::from_client(&bytes);
        if self.info.rank.is_root() && line.rank().is_some_and(|rank| rank != self.info.rank.0) {
            self.core.log.remote += 1;
            let config = self.core.log_config;
            self.copy_log(&line);
            if i32::from(line.level) <= config.stderr_level && !config.stderr_is_local {
                self.outputs.push(Output::Stderr { line: line.timed() });
            }
            return Ok(Some(Payload::None));
        }
        self.append_log(line);
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
        let body = json!({"ring-used": log.len(), "count": log.count, "local": log.count, "remote": log.remote,
                          "followers": self.core.dmesg_followers.len()});
        Ok(Some(body.into()))
    }
}
