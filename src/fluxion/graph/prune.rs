//! Which types are counted at which vertices.

use crate::intern::{Names, TypeId};
use std::collections::{BTreeMap, BTreeSet};

/// The pruning filters: a high-level type counts the low-level types below it; `None` stands for every type.
#[derive(Clone, Debug, Default)]
pub struct PruneTypes {
    anchors: BTreeMap<Option<TypeId>, BTreeSet<TypeId>>,
    all: BTreeSet<TypeId>,
}

impl PruneTypes {
    /// Parses `HIGH:LOW[,HIGH:LOW...]`, where HIGH may be `ALL`.
    ///
    /// # Errors
    /// The part that is not a pair of names.
    pub fn parse(spec: &str, names: &mut Names) -> Result<PruneTypes, String> {
        let mut prune = PruneTypes::default();
        for part in spec.split(',') {
            let bad = || format!("prune filter '{part}' is not of the form HIGH:LOW");
            let (high, low) = part.split_once(':').ok_or_else(bad)?;
            let strip = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let (high, low) = (strip(high), strip(low));
            if high.is_empty() || low.is_empty() {
                return Err(bad());
            }
            let anchor =
                if high == "ALL" || high == "*" { None } else { Some(names.intern_type(&high).ok_or_else(bad)?) };
            prune.add(anchor, names.intern_type(&low).ok_or_else(bad)?);
        }
        Ok(prune)
    }

    /// Counts `kind` at every `anchor`. What every vertex counts is not listed again under a type.
    pub fn add(&mut self, anchor: Option<TypeId>, kind: TypeId) {
        let is_everywhere = self.anchors.get(&None).is_some_and(|set| set.contains(&kind));
        match anchor {
            None => {
                self.anchors.values_mut().for_each(|set| _ = set.remove(&kind));
                self.anchors.entry(None).or_default().insert(kind);
            }
            Some(_) if is_everywhere => {}
            Some(_) => _ = self.anchors.entry(anchor).or_default().insert(kind),
        }
        self.all.insert(kind);
    }

    /// Whether any vertex counts `kind`.
    pub fn has(&self, kind: TypeId) -> bool {
        self.all.contains(&kind)
    }

    /// What a vertex of type `anchor` counts: its own list, then what every vertex counts.
    pub fn counted_at(&self, anchor: TypeId) -> Vec<TypeId> {
        let own = self.anchors.get(&Some(anchor)).into_iter().flatten().copied();
        let common = self.anchors.get(&None).into_iter().flatten().copied().filter(|kind| *kind != anchor);
        own.chain(common).collect()
    }
}
