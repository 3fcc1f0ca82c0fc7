//! What guests are refused leaves a line in the log: who asked, for what, and why not.

use std::time::Duration;

use flux_service::{LogLevel, Mono};
use flux_wire::{Errno, Message};

use crate::limits::{REFUSAL_CHARS_MAX, REFUSALS_TOLD_MAX};
use crate::node::{ConnId, Node};

const SPAN: Duration = Duration::from_secs(1);

/// How many were told of in this second: the log is for others, too.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    since: Option<Mono>,
    told: usize,
}

impl Refusals {
    fn may_tell(&mut self, now: Mono) -> bool {
        if self.since.is_none_or(|since| now >= since.after(SPAN)) {
            *self = Refusals { since: Some(now), told: 0 };
        }
        self.told += 1;
        self.told <= REFUSALS_TOLD_MAX
    }
}

impl Node {
    /// Looks at an answer to a client of ours.
    pub(crate) fn note_refusal(&mut self, conn: ConnId, response: &Message) {
        let guest = self.clients.get(&conn).filter(|client| !client.cred.is_owner()).map(|client| client.cred.userid);
        let Some(userid) = guest.filter(|_| response.errno() == Some(Errno::EPERM)) else { return };
        if !self.core.refusals.may_tell(self.now.mono) {
            return;
        }
        let why = response.payload.as_text().unwrap_or("Operation not permitted");
        let text = format!("refused user {userid}: {}: {why}", response.topic());
        let plain = |c: char| if c.is_control() { '?' } else { c };
        let text: String = text.chars().map(plain).take(REFUSAL_CHARS_MAX).collect();
        self.log(LogLevel::Notice, "broker", &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_asks_for_ever_does_not_fill_the_log() {
        let mut refusals = Refusals::default();
        let begin = Mono(Duration::from_secs(5));
        let told = |refusals: &mut Refusals, now| (0..1000).filter(|_| refusals.may_tell(now)).count();
        assert_eq!(told(&mut refusals, begin), REFUSALS_TOLD_MAX);
        assert_eq!(told(&mut refusals, begin.after(SPAN / 2)), 0);
        assert_eq!(told(&mut refusals, begin.after(SPAN)), REFUSALS_TOLD_MAX);
    }
}
