//! Finding resources by what they are and how they are used.

use super::jobs::Hold;
use crate::engine::Engine;
use crate::error::MatchError;
use crate::graph::{Status, VertexId};
use crate::hosts::expand_hosts;
use crate::limits::EXPRESSION_DEPTH_MAX;
use crate::writer::{Emit, Writer};
use flux_types::JobId;
use indexmap::IndexSet;

/// A condition on vertices: `status=down`, `sched-now=allocated and names=node[1-3]`, with `or` and parentheses.
/// Two conditions side by side must both hold; `and` and `or` bind alike, from the left.
#[derive(Clone, Debug)]
pub enum Expression {
    Is(Predicate),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
}

/// One condition.
#[derive(Clone, Debug)]
pub enum Predicate {
    Status(Status),
    SchedNow {
        is_allocated: bool,
    },
    SchedFuture {
        is_reserved: bool,
    },
    JobAlloc(u64),
    JobReserved(u64),
    JobSpan(u64),
    JobTag(u64),
    /// Always as said; `true` also asks for the use of pruning filters.
    AgFilter(bool),
    Names(IndexSet<String>),
    Property(String),
}

impl Expression {
    /// # Errors
    /// The part that is not understood.
    pub fn parse(text: &str) -> Result<Expression, MatchError> {
        let mut tokens = tokenize(text);
        tokens.reverse();
        let found = parse_list(&mut tokens, 0)?;
        match tokens.pop() {
            None => Ok(found),
            Some(extra) => Err(invalid(&format!("unexpected '{extra}'"))),
        }
    }

    fn predicates<'e>(&'e self, out: &mut Vec<&'e Predicate>) {
        match self {
            Expression::Is(predicate) => out.push(predicate),
            Expression::And(a, b) | Expression::Or(a, b) => {
                a.predicates(out);
                b.predicates(out);
            }
        }
    }
}

fn invalid(what: &str) -> MatchError {
    MatchError::Invalid(format!("invalid criteria: {what}"))
}

fn tokenize(text: &str) -> Vec<String> {
    let spaced: String = text
        .chars()
        .flat_map(|c| match c {
            '(' | ')' => vec![' ', c, ' '],
            c => vec![c],
        })
        .collect();
    spaced.split([' ', '\t']).filter(|word| !word.is_empty()).map(str::to_string).collect()
}

fn parse_list(tokens: &mut Vec<String>, depth: usize) -> Result<Expression, MatchError> {
    let mut left = parse_one(tokens, depth)?;
    while tokens.last().is_some_and(|token| token != ")") {
        let is_or = tokens.last().is_some_and(|token| token == "or");
        if is_or || tokens.last().is_some_and(|token| token == "and") {
            tokens.pop();
        }
        let right = Box::new(parse_one(tokens, depth)?);
        left = match is_or {
            true => Expression::Or(Box::new(left), right),
            false => Expression::And(Box::new(left), right),
        };
    }
    Ok(left)
}

fn parse_one(tokens: &mut Vec<String>, depth: usize) -> Result<Expression, MatchError> {
    let token = tokens.pop().ok_or_else(|| invalid("the expression ends too early"))?;
    if token != "(" {
        return parse_predicate(&token).map(Expression::Is).ok_or_else(|| invalid(&token));
    }
    if depth >= EXPRESSION_DEPTH_MAX {
        return Err(invalid("too many parentheses"));
    }
    let inner = parse_list(tokens, depth + 1)?;
    match tokens.pop() {
        Some(close) if close == ")" => Ok(inner),
        _ => Err(invalid("a parenthesis is not closed")),
    }
}

fn parse_predicate(token: &str) -> Option<Predicate> {
    let (key, raw) = token.split_once('=')?;
    let value = raw.to_lowercase();
    let job = || JobId::parse(raw).ok().map(|id| id.0);
    match (key, value.as_str()) {
        ("status", name) => Status::from_name(name).map(Predicate::Status),
        ("sched-now", "allocated") => Some(Predicate::SchedNow { is_allocated: true }),
        ("sched-now", "free") => Some(Predicate::SchedNow { is_allocated: false }),
        ("sched-future", "reserved") => Some(Predicate::SchedFuture { is_reserved: true }),
        ("sched-future", "free") => Some(Predicate::SchedFuture { is_reserved: false }),
        ("jobid-alloc", _) => job().map(Predicate::JobAlloc),
        ("jobid-reserved", _) => job().map(Predicate::JobReserved),
        ("jobid-span", _) => job().map(Predicate::JobSpan),
        ("jobid-tag", _) => job().map(Predicate::JobTag),
        ("agfilter", "true" | "t") => Some(Predicate::AgFilter(true)),
        ("agfilter", "false" | "f") => Some(Predicate::AgFilter(false)),
        ("names", lower) => {
            let names = expand_hosts(raw)?.into_iter().chain(expand_hosts(lower)?);
            Some(Predicate::Names(names.collect()))
        }
        ("property", "") => None,
        ("property", name) => Some(Predicate::Property(name.to_string())),
        _ => None,
    }
}

/// What is true of a vertex because it is true above it.
#[derive(Clone, Copy, Default)]
struct Inherited {
    is_down: bool,
    is_allocated: bool,
    is_reserved: bool,
}

impl Engine {
    /// Writes every vertex an expression is true of, and all above it.
    ///
    /// # Errors
    /// `NotFound` if the graph is empty.
    pub fn find(&self, expression: &Expression, now: i64, writer: &mut Writer) -> Result<(), MatchError> {
        let root = self.graph.root(self.dominant()).ok_or_else(|| MatchError::NotFound("the graph is empty".into()))?;
        let mut predicates = Vec::new();
        expression.predicates(&mut predicates);
        let filters = predicates.iter().rev().find_map(|predicate| match predicate {
            Predicate::AgFilter(wanted) => Some(*wanted),
            _ => None,
        });
        let job = predicates.iter().rev().find_map(|predicate| match predicate {
            Predicate::JobAlloc(id) | Predicate::JobReserved(id) | Predicate::JobSpan(id) | Predicate::JobTag(id) => {
                Some(*id)
            }
            _ => None,
        });
        let filters = filters.unwrap_or(false).then_some((job, now));
        self.find_below(expression, root, 1, Inherited::default(), filters, writer);
        writer.times(0, 0);
        Ok(())
    }

    /// How many vertices were written.
    fn find_below(
        &self,
        expression: &Expression,
        at: VertexId,
        level: usize,
        above: Inherited,
        filters: Option<(Option<u64>, i64)>,
        writer: &mut Writer,
    ) -> usize {
        let vertex = self.graph.vertex(at);
        let here = Inherited {
            is_down: above.is_down || vertex.status == Status::Down,
            is_allocated: above.is_allocated || vertex.allocation_count > 0,
            is_reserved: above.is_reserved || vertex.reservation_count > 0,
        };
        let mut count = 0;
        for (edge, child) in self.graph.children(at, self.dominant()) {
            let found = self.find_below(expression, child, level + 1, here, filters, writer);
            if found > 0 {
                writer.edge(&self.graph, edge, false);
                count += found;
            }
        }
        if count == 0 && !self.holds(expression, at, here) {
            return 0;
        }
        let filters = match filters {
            None => None,
            Some((job, now)) => match self.filter_use(at, job, now) {
                Some(texts) => Some(texts),
                None => return 0, // A vertex without filters has no use to show.
            },
        };
        let needs = vertex.size;
        let emit = Emit {
            at,
            level,
            needs,
            is_exclusive: true,
            is_parent_exclusive: false,
            label: None,
            filters: filters.as_deref(),
        };
        writer.vertex(&self.graph, &emit);
        count + 1
    }

    fn holds(&self, expression: &Expression, at: VertexId, here: Inherited) -> bool {
        match expression {
            Expression::And(a, b) => self.holds(a, at, here) && self.holds(b, at, here),
            Expression::Or(a, b) => self.holds(a, at, here) || self.holds(b, at, here),
            Expression::Is(predicate) => self.is_true(predicate, at, here),
        }
    }

    fn is_true(&self, predicate: &Predicate, at: VertexId, here: Inherited) -> bool {
        let touch = |id: &u64| self.jobs.get(id).and_then(|job| job.touch(at).map(|touch| (job, touch)));
        let holds =
            |id: &u64, hold: Hold| touch(id).is_some_and(|(job, touch)| job.hold == hold && touch.planned.is_some());
        match predicate {
            Predicate::Status(Status::Down) => here.is_down,
            Predicate::Status(Status::Up) => !here.is_down,
            Predicate::SchedNow { is_allocated } => here.is_allocated == *is_allocated,
            Predicate::SchedFuture { is_reserved } => here.is_reserved == *is_reserved,
            Predicate::JobAlloc(id) => holds(id, Hold::Allocated),
            Predicate::JobReserved(id) => holds(id, Hold::Reserved),
            Predicate::JobSpan(id) => touch(id).is_some_and(|(_, touch)| touch.below.is_some()),
            Predicate::JobTag(id) => touch(id).is_some_and(|(_, touch)| touch.is_tagged),
            Predicate::AgFilter(wanted) => *wanted,
            Predicate::Names(names) => names.contains(&*self.graph.vertex(at).name),
            Predicate::Property(key) => self.graph.vertex(at).has_property(key),
        }
    }

    /// `used:N, total:M` by type: what one job uses below the vertex, or all do now.
    fn filter_use(&self, at: VertexId, job: Option<u64>, now: i64) -> Option<Vec<(String, String)>> {
        let below = self.graph.vertex(at).below.as_ref()?;
        let touched = match job {
            None => None,
            Some(id) => Some(self.jobs.get(&id)?.touch(at)?.below.as_ref()?),
        };
        let mut texts: Vec<(String, String)> = below
            .types()
            .enumerate()
            .map(|(index, kind)| {
                let total = below.total(index);
                let used = match touched {
                    Some(amounts) => amounts.get(index).copied().flatten().unwrap_or(0),
                    None => total - below.free_at(index, now),
                };
                (self.graph.names.type_name(kind).to_string(), format!("used:{used}, total:{total}"))
            })
            .collect();
        texts.sort();
        Some(texts)
    }
}
