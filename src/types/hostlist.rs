//! Ordered lists of host names (RFC 29).

mod run;
mod sort;
mod text;

use std::fmt;

use crate::idset::Idset;
use crate::limits::HOSTLIST_HOSTS_MAX;

use run::Run;
pub use text::HostlistError;

/// An ordered list of host names, repeats kept. Names that count up (`foo[1-1000]`) are stored as one run.
///
/// Two lists are equal if their names are. `Display` and serde write the RFC 29 text.
#[derive(Clone, Default)]
pub struct Hostlist {
    runs: Vec<Run>,
    count: u64,
}

impl Hostlist {
    /// The empty list.
    pub const fn new() -> Hostlist {
        Hostlist { runs: Vec::new(), count: 0 }
    }

    /// How many names the list holds, repeats counted.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The `n`-th name, counted from 0.
    pub fn nth(&self, n: usize) -> Option<String> {
        let (at, offset) = self.locate(n)?;
        Some(self.runs[at].name(offset))
    }

    pub fn first(&self) -> Option<String> {
        self.nth(0)
    }

    pub fn last(&self) -> Option<String> {
        self.nth(self.count().checked_sub(1)?)
    }

    /// Where `name` first stands, counted from 0. Zero padding counts: `foo1` is not `foo01`.
    pub fn find(&self, name: &str) -> Option<usize> {
        let mut before = 0;
        for run in &self.runs {
            if let Some(offset) = run.find(name) {
                return Some((before + offset) as usize);
            }
            before += run.count();
        }
        None
    }

    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        self.runs.iter().flat_map(|run| (0..run.count()).map(|offset| run.name(offset)))
    }

    /// Adds one name at the end.
    ///
    /// # Errors
    /// The name is empty, too long, or has a bracket, comma, space or other byte that RFC 29 keeps out of names.
    pub fn push(&mut self, name: &str) -> Result<(), HostlistError> {
        text::check_name(name)?;
        self.add(Run::from_name(name))
    }

    /// Adds the names of RFC 29 `text` at the end, and says how many those were. On error nothing is added.
    ///
    /// # Errors
    /// As `parse`.
    pub fn append(&mut self, text: &str) -> Result<usize, HostlistError> {
        let more = Hostlist::parse(text)?;
        self.append_list(&more)?;
        Ok(more.count())
    }

    /// Adds all of `other` at the end. On error nothing is added.
    ///
    /// # Errors
    /// `TooManyHosts`.
    pub fn append_list(&mut self, other: &Hostlist) -> Result<(), HostlistError> {
        if self.count + other.count > HOSTLIST_HOSTS_MAX {
            return Err(HostlistError::TooManyHosts);
        }
        other.runs.iter().try_for_each(|run| self.add(run.clone()))
    }

    /// Takes out, for each name in RFC 29 `text`, the first place it stands; says how many were found.
    ///
    /// # Errors
    /// As `parse`.
    pub fn delete(&mut self, text: &str) -> Result<usize, HostlistError> {
        let names = Hostlist::parse(text)?;
        let mut deleted = 0;
        for name in names.iter() {
            if let Some(n) = self.find(&name) {
                self.remove(n);
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Takes out the `n`-th name; false if there is none.
    pub fn remove(&mut self, n: usize) -> bool {
        let Some((at, offset)) = self.locate(n) else { return false };
        let tail = self.runs.split_off(at);
        self.count = self.runs.iter().map(Run::count).sum();
        for (i, run) in tail.into_iter().enumerate() {
            let pieces =
                if i == 0 { [run.slice(0, offset), run.slice(offset + 1, run.count())] } else { [Some(run), None] };
            pieces.into_iter().flatten().for_each(|piece| self.put(piece));
        }
        true
    }

    /// The names at these places, in order; places past the end are left out.
    pub fn select(&self, places: &Idset) -> Hostlist {
        let mut picked = Hostlist::new();
        let mut before = 0;
        let mut ranges = places.ranges().iter().map(|(lo, hi)| (u64::from(*lo), u64::from(*hi) + 1)).peekable();
        for run in &self.runs {
            let end = before + run.count();
            while let Some((lo, hi)) = ranges.peek().filter(|(lo, _)| *lo < end) {
                let piece = run.slice(lo.max(&before) - before, hi.min(&end) - before);
                piece.into_iter().for_each(|piece| picked.put(piece));
                if *hi > end {
                    break; // This range reaches into the next run.
                }
                ranges.next();
            }
            before = end;
        }
        picked
    }

    /// Orders the names: by prefix, then shorter numbers first, then by number. Repeats stay.
    pub fn sort(&mut self) {
        *self = sort::sorted(self, false);
    }

    /// Orders the names and takes repeats out.
    pub fn uniq(&mut self) {
        *self = sort::sorted(self, true);
    }

    /// The run that holds the `n`-th name, and its place in there.
    fn locate(&self, n: usize) -> Option<(usize, u64)> {
        let mut offset = n as u64;
        for (at, run) in self.runs.iter().enumerate() {
            if offset < run.count() {
                return Some((at, offset));
            }
            offset -= run.count();
        }
        None
    }

    /// Puts `run` at the end if there is room for its names.
    fn add(&mut self, run: Run) -> Result<(), HostlistError> {
        if self.count + run.count() > HOSTLIST_HOSTS_MAX {
            return Err(HostlistError::TooManyHosts);
        }
        self.put(run);
        Ok(())
    }

    /// Puts `run` at the end, where it melts into the last run if it continues that one.
    fn put(&mut self, run: Run) {
        self.count += run.count();
        let melted = self.runs.last_mut().is_some_and(|last| last.continue_with(&run));
        if !melted {
            self.runs.push(run);
        }
    }
}

/// `a0[3]` and `a03` are kept differently and are the same name, so where runs differ the names decide.
impl PartialEq for Hostlist {
    fn eq(&self, other: &Hostlist) -> bool {
        self.count == other.count && (self.runs == other.runs || self.iter().eq(other.iter()))
    }
}

impl Eq for Hostlist {}

impl fmt::Debug for Hostlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hostlist({self})")
    }
}

#[cfg(test)]
mod tests;
