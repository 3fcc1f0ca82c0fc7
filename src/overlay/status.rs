//! How much of a subtree is there (flux-overlay(1)).

/// The state of a broker with all below it. The numbers travel between brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Status {
    /// It and all below it are there.
    Full = 1,
    /// Some below it are not there yet, or have left.
    Partial = 2,
    /// Some below it were lost.
    Degraded = 3,
    /// It was there, and went without a word.
    Lost = 4,
    /// It was not there yet, or has left.
    #[default]
    Offline = 5,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Degraded => "degraded",
            Self::Lost => "lost",
            Self::Offline => "offline",
        }
    }

    /// The status of a number between brokers; `None` for one that a later broker may know.
    pub fn from_number(number: u32) -> Option<Status> {
        [Self::Full, Self::Partial, Self::Degraded, Self::Lost, Self::Offline]
            .into_iter()
            .find(|status| *status as u32 == number)
    }

    /// Is a broker with this status connected?
    pub fn is_online(self) -> bool {
        self <= Self::Degraded
    }

    /// A broker's own status from those of its children.
    pub fn of_children(children: impl IntoIterator<Item = Status>) -> Status {
        let of = |child| match child {
            Self::Full => Self::Full,
            Self::Partial | Self::Offline => Self::Partial,
            Self::Degraded | Self::Lost => Self::Degraded,
        };
        children.into_iter().map(of).max().unwrap_or(Self::Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_as_its_worst_child_makes_it() {
        use Status::*;
        let rows: &[(&[Status], Status)] = &[
            (&[], Full),
            (&[Full, Full], Full),
            (&[Full, Offline], Partial),
            (&[Partial, Full], Partial),
            (&[Offline, Lost], Degraded),
            (&[Degraded], Degraded),
        ];
        for (children, want) in rows {
            assert_eq!(Status::of_children(children.iter().copied()), *want, "{children:?}");
        }
        for number in 0..8 {
            assert_eq!(Status::from_number(number).map_or(number, |status| status as u32), number);
        }
    }
}
