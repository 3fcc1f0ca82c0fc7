//! From words to commands.

use super::help::COMMANDS;
use super::{Host, Session};
use std::io;

impl<H: Host> Session<'_, H> {
    /// Runs one line; false to end. Unknown commands are passed over, so that command files may have comments.
    pub(super) fn execute(&mut self, words: &[&str]) -> io::Result<bool> {
        let known = COMMANDS.iter().find(|(name, short, _)| words[0] == *name || words[0] == *short);
        let Some((name, ..)) = known else { return Ok(true) };
        let count = words.len();
        match (*name, count) {
            ("match", 3) => self.match_one(words),
            ("multi-match", 4..) => self.match_many(words),
            ("update", 7) => self.update(words),
            ("attach", 2) => self.attach(words),
            ("remove", 3) => self.remove(words),
            ("find", 2..) => self.find(words),
            ("cancel", 2..=3) => self.cancel(words),
            ("partial-cancel", 4..=5) => self.partial_cancel(words),
            ("set-property", 3) => self.set_property(words),
            ("get-property", 2) => self.get_property(words),
            ("set-status", 3) => self.set_status(words),
            ("get-status", 2) => self.get_status(words),
            ("list", _) => self.list(),
            ("info", 2) => self.info(words),
            ("stat", 1) => self.stat(),
            ("cat", 2..) => self.cat(words),
            ("help", _) => self.help(words),
            ("quit", _) => Ok(false),
            _ => self.error("malformed command"),
        }
    }
}
