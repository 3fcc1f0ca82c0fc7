//! What is up, down and in use, by rank.

use super::Fluxion;
use crate::error::{GraphError, MatchError};
use crate::graph::Status;
use crate::reader::Reader;
use crate::traverser::Expression;
use crate::writer::{Format, Writer};
use flux_types::Idset;
use serde_json::Value;
use std::collections::BTreeSet;

fn ranks_of(ranks: &Idset) -> impl Iterator<Item = i32> + '_ {
    ranks.iter().filter_map(|rank| i32::try_from(rank).ok())
}

impl Fluxion {
    /// These ranks take new jobs again.
    pub fn set_up(&mut self, ranks: &Idset) {
        self.engine.set_rank_status(ranks_of(ranks), Status::Up);
    }

    /// These ranks take no new jobs. What runs there goes on.
    pub fn set_down(&mut self, ranks: &Idset) {
        self.engine.set_rank_status(ranks_of(ranks), Status::Down);
    }

    /// All ranks of the graph.
    pub fn ranks(&self) -> Idset {
        let mut ranks = Idset::default();
        self.engine.graph.ranks().for_each(|rank| _ = u32::try_from(rank).map(|rank| ranks.insert(rank)));
        ranks
    }

    /// Adds the ranks of R that are new, or the subgraph in its scheduling part.
    ///
    /// # Errors
    /// What is wrong with R.
    pub fn grow(&mut self, r: &Value) -> Result<(), GraphError> {
        let (reader, text) = super::reader_of(r)?;
        self.engine.grow(reader, &text)
    }

    /// Takes ranks out for good. Jobs lose what they hold there.
    ///
    /// # Errors
    /// `Missing` if a rank owns nothing.
    pub fn shrink(&mut self, ranks: &Idset) -> Result<(), GraphError> {
        self.engine.remove_ranks(&ranks_of(ranks).collect())
    }

    /// Adds a subgraph in JGF.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add_subgraph(&mut self, jgf: &str) -> Result<(), GraphError> {
        self.engine.grow(Reader::Jgf, jgf)
    }

    /// Takes everything at and below a path out for good.
    ///
    /// # Errors
    /// `Missing` if there is no such path.
    pub fn remove_subgraph(&mut self, path: &str) -> Result<(), GraphError> {
        self.engine.remove_path(path)
    }

    /// The resources an expression is true of; `None` if there are none. The default format is the configured one.
    ///
    /// # Errors
    /// `Invalid` for an expression that is not understood.
    pub fn find(&self, criteria: &str, format: Option<Format>, now: i64) -> Result<Option<Value>, MatchError> {
        let expression = Expression::parse(criteria)?;
        let mut writer = Writer::new(format.unwrap_or(self.format));
        self.engine.find(&expression, now, &mut writer)?;
        writer.finish().map_err(MatchError::Invalid)
    }

    /// All resources, those that are down and those in use, each as R or null: the answer of `sched.resource-status`.
    ///
    /// # Errors
    /// `NotFound` if the graph is empty.
    pub fn resource_status(&self, now: i64) -> Result<[Option<Value>; 3], MatchError> {
        let find = |criteria| self.find(criteria, Some(Format::Rv1Nosched), now);
        Ok([find("status=up or status=down")?, find("status=down")?, find("sched-now=allocated")?])
    }

    /// Whether a rank has a resource of this type and id.
    pub fn has(&self, rank: u64, kind: &str, id: u64) -> bool {
        let graph = &self.engine.graph;
        let (Ok(rank), Some(kind)) = (i32::try_from(rank), graph.names.find_type(kind)) else { return false };
        let mut vertices = graph.of_rank(rank).iter().map(|at| graph.vertex(*at));
        vertices.any(|vertex| vertex.kind == kind && u64::try_from(vertex.id) == Ok(id))
    }

    /// Marks everything at a path up or down. False if there is no such path.
    pub fn set_path_status(&mut self, path: &str, status: Status) -> bool {
        self.engine.set_path_status(path, status)
    }

    /// Sets a property of everything at a path. False if there is no such path.
    pub fn set_property(&mut self, path: &str, key: &str, value: &str) -> bool {
        let found = self.engine.graph.at_path(path);
        found.iter().for_each(|at| self.engine.graph.set_property(*at, key, value));
        !found.is_empty()
    }

    /// Removes a property of everything at a path. False if there is no such path.
    pub fn remove_property(&mut self, path: &str, key: &str) -> bool {
        let found = self.engine.graph.at_path(path);
        found.iter().for_each(|at| _ = self.engine.graph.remove_property(*at, key));
        !found.is_empty()
    }

    /// The values a property has at a path; `None` if there is no such path.
    pub fn get_property(&mut self, path: &str, key: &str) -> Option<Vec<String>> {
        let found: BTreeSet<_> = self.engine.graph.at_path(path).into_iter().collect();
        let values = found.iter().filter_map(|at| self.engine.graph.vertex(*at).property(key).map(str::to_string));
        (!found.is_empty()).then(|| values.collect())
    }
}
