//! RFC 31 constraints: which nodes a job may use. [`query`] is RFC 35, the text form of the same.

mod error;
mod json;
pub mod query;

pub use error::ConstraintError;
pub use query::{QueryError, QuerySyntax};

use crate::hostlist::Hostlist;
use crate::idset::Idset;

/// What a constraint is tried on: usually a node.
pub trait Subject {
    /// The execution target's rank.
    fn rank(&self) -> u32;
    fn hostname(&self) -> Option<&str>;
    fn has_property(&self, name: &str) -> bool;
}

/// A constraint, ready to be tried on many subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// `{}`: always matches.
    Any,
    /// All of them must hold.
    Properties(Vec<Property>),
    Hosts(Hostlist),
    Ranks(Idset),
    /// Matches if all do; so also if there are none.
    And(Vec<Constraint>),
    /// Matches if one does, or if there are none (RFC 31).
    Or(Vec<Constraint>),
    /// Matches if not all do; so never if there are none (RFC 31).
    Not(Vec<Constraint>),
}

/// One value of `properties`. A property also matches the host of that name, as in flux-core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub name: String,
    /// Written with a leading `^`: the subject must not have it.
    pub negated: bool,
}

impl Constraint {
    /// Whether `subject` satisfies the constraint.
    pub fn matches(&self, subject: &impl Subject) -> bool {
        let all = |list: &[Constraint]| list.iter().all(|one| one.matches(subject));
        match self {
            Constraint::Any => true,
            Constraint::Properties(list) => list.iter().all(|property| property.matches(subject)),
            Constraint::Hosts(hosts) => subject.hostname().is_some_and(|name| hosts.contains(name)),
            Constraint::Ranks(ranks) => ranks.contains(subject.rank()),
            Constraint::And(list) => all(list),
            Constraint::Or(list) => list.is_empty() || list.iter().any(|one| one.matches(subject)),
            Constraint::Not(list) => !all(list),
        }
    }
}

impl Property {
    fn matches(&self, subject: &impl Subject) -> bool {
        let has = subject.has_property(&self.name) || subject.hostname() == Some(self.name.as_str());
        has != self.negated
    }
}

#[cfg(test)]
mod tests;
