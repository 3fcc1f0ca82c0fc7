//! What the operator was told: a node that is drained and a queue that is stopped give nothing to jobs, whatever restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use flux_types::JobId;

/// What is turned off and on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Switch {
    /// The node of a rank.
    Node(u32),
    Queue,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    On,
    Off {
        since: Duration,
    },
    /// An answer was lost, or is still to come.
    Unknown,
}

/// One operator asks for one thing at a time, so that the order of what happened is that of the answers.
#[derive(Debug, Default)]
pub(crate) struct Site {
    states: BTreeMap<Switch, State>,
    /// When it was certainly off: from, to.
    off: Vec<(Switch, Duration, Duration)>,
    pub(crate) busy: bool,
}

/// A grant may be on its way as the scheduler hears of it.
const MARGIN: Duration = Duration::from_millis(100);

impl Site {
    fn state(&mut self, switch: Switch) -> &mut State {
        self.states.entry(switch).or_default()
    }

    pub(crate) fn is_off(&mut self, switch: Switch) -> bool {
        *self.state(switch) != State::On
    }

    pub(crate) fn begin(&mut self, switch: Switch, now: Duration) {
        self.busy = true;
        if let State::Off { since } = std::mem::replace(self.state(switch), State::Unknown) {
            self.off.push((switch, since, now));
        }
    }

    /// `on`: what was asked for; `None`: it was refused, or nobody knows.
    pub(crate) fn done(&mut self, switch: Switch, on: Option<bool>, now: Duration) {
        self.busy = false;
        *self.state(switch) = match on {
            Some(true) => State::On,
            Some(false) => State::Off { since: now },
            None => State::Unknown,
        };
    }

    /// The drained ranks as the resource service tells them, each with whether the operator drained it. Answers what is wrong.
    pub(crate) fn told_drained(&mut self, drained: &[(u32, bool)]) -> Option<String> {
        let wrong = self.states.iter().find_map(|(switch, state)| {
            let Switch::Node(rank) = switch else { return None };
            let told = drained.iter().find(|(known, _)| known == rank);
            match (state, told) {
                (State::Off { .. }, None) => Some(format!("rank {rank} was drained, and is not among {drained:?}")),
                (State::On, Some((_, true))) => Some(format!("rank {rank} was undrained, and is among {drained:?}")),
                _ => None,
            }
        });
        for (rank, _) in drained {
            let state = self.state(Switch::Node(*rank));
            if *state == State::On {
                *state = State::Unknown; // Somebody else did it.
            }
        }
        wrong
    }

    /// A job got its resources at that time, on these ranks.
    pub(super) fn judge(&self, id: JobId, at: Duration, ranks: &[u32]) -> Option<String> {
        let concerns = |switch: &Switch| match switch {
            Switch::Node(rank) => ranks.contains(rank),
            Switch::Queue => true,
        };
        let hit = self.off.iter().find(|(switch, from, to)| concerns(switch) && *from + MARGIN < at && at < *to);
        hit.map(|(switch, from, to)| {
            let (at, from, to) = (at.as_secs_f64(), from.as_secs_f64(), to.as_secs_f64());
            format!("job {id} got its resources at {at:.3} s, but {switch:?} was off from {from:.3} s to {to:.3} s")
        })
    }
}
