//! Who is silent: a broker that has nothing to say tells its parent that it is alive, and the parent counts a child that says
//! nothing for too long as torpid (`tbon.torpid_min`, `tbon.torpid_max`).

use std::time::Duration;

use flux_service::LogLevel;
use flux_types::format_fsd;
use flux_wire::{Message, Target};
use serde_json::json;

use super::{LinkId, control};
use crate::node::Node;
use crate::service::TORPID;
use crate::tbon;

/// Silence is looked for at least this often, so that settings that change take effect.
const CHECK_MAX: Duration = Duration::from_secs(5);
/// And at most this often.
const CHECK_MIN: Duration = Duration::from_millis(50);

impl Node {
    /// Looks who was silent for too long; and is not silent itself.
    pub(crate) fn check_silence(&mut self) {
        let now = self.now.mono;
        if self.links.check_at.is_none_or(|at| now < at) {
            return;
        }
        let (alive_after, silent_max) =
            (tbon::duration(&self.attrs, "tbon.torpid_min"), tbon::duration(&self.attrs, "tbon.torpid_max"));
        // Who is let in meanwhile must not wait longer than these allow.
        let mut next = now.after([alive_after, silent_max].into_iter().flatten().fold(CHECK_MAX, Duration::min));
        if let (Some(link), Some(alive_after)) = (self.links.parent, alive_after) {
            if now >= self.links.sent_up.after(alive_after) {
                self.send_link(link, Message::control(control::HEARTBEAT, 0));
            }
            next = next.min(self.links.sent_up.after(alive_after));
        }
        let heard = |link: &LinkId| self.links.links.get(link).map(|state| state.heard);
        let children: Vec<_> =
            self.links.children.iter().filter_map(|(rank, link)| Some((*rank, heard(link)?))).collect();
        for (rank, heard) in children {
            let silent = now.since(heard);
            match silent_max {
                Some(max) if silent >= max => self.set_torpid(rank, Some(silent)),
                other => {
                    self.set_torpid(rank, None);
                    next = other.map_or(next, |max| next.min(heard.after(max)));
                }
            }
        }
        let idle = self.links.links.is_empty();
        self.links.check_at = (!idle).then(|| next.max(now.after(CHECK_MIN)));
    }

    /// A child is torpid since so long, or is not.
    fn set_torpid(&mut self, rank: u32, silent: Option<Duration>) {
        if !self.links.family.set_torpid(rank, silent.is_some()) {
            return;
        }
        let host = self.host_of(rank);
        let text = match silent {
            Some(span) => {
                let span = format_fsd(span.as_secs_f64()).unwrap_or_default();
                format!("broker on {host} (rank {rank}) has been unresponsive for {span}")
            }
            None => format!("broker on {host} (rank {rank}) is responsive now"),
        };
        self.log(LogLevel::Err, "overlay", &text);
        let body = json!({"update": [{"name": TORPID, "ranks": rank.to_string(), "join": silent.is_some()}]});
        // Without a module of groups here, the broker above takes it.
        self.core_cx(|cx| cx.notify("groups.update", Target::Any, body));
        self.tell_monitors(rank);
    }

    /// Something came over the link of this child: if it was torpid, it is looked at soon.
    pub(super) fn heard_of(&mut self, rank: u32) {
        if self.links.family.child(rank).is_some_and(|child| child.torpid) {
            self.set_torpid(rank, None);
        }
    }
}
