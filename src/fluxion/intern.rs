//! Names that repeat a million times become small numbers once.

use crate::limits::{SUBSYSTEM_COUNT_MAX, TYPE_COUNT_MAX};
use indexmap::IndexSet;

/// A resource type, `core` or `node`. The order of the ids is the order of first sight, the well-known ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeId(pub u16);

impl TypeId {
    pub const CLUSTER: TypeId = TypeId(0);
    pub const CORE: TypeId = TypeId(1);
    pub const SOCKET: TypeId = TypeId(2);
    pub const GPU: TypeId = TypeId(3);
    pub const NODE: TypeId = TypeId(4);
    pub const RACK: TypeId = TypeId(5);
    pub const SLOT: TypeId = TypeId(6);
    pub const XOR_SLOT: TypeId = TypeId(7);
    pub const SSD: TypeId = TypeId(8);
    pub const STORAGE_NODE: TypeId = TypeId(9);
    /// A type that no vertex has.
    pub const NONE: TypeId = TypeId(u16::MAX);
}

const WELL_KNOWN: &[&str] =
    &["cluster", "core", "socket", "gpu", "node", "rack", "slot", "xor_slot", "ssd", "storage_node"];

/// A subsystem: one hierarchy of edges over the vertices, such as `containment` or `power` (RFC 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subsystem(pub u8);

impl Subsystem {
    pub const CONTAINMENT: Subsystem = Subsystem(0);
}

/// The names behind `TypeId`, `Subsystem` and interned texts.
#[derive(Clone, Debug)]
pub struct Names {
    types: IndexSet<Box<str>>,
    subsystems: IndexSet<Box<str>>,
    texts: IndexSet<Box<str>>,
}

/// An interned text: basename or unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub u32);

impl Default for Names {
    fn default() -> Self {
        Names {
            types: WELL_KNOWN.iter().map(|name| Box::from(*name)).collect(),
            subsystems: std::iter::once(Box::from("containment")).collect(),
            texts: std::iter::once(Box::from("")).collect(),
        }
    }
}

impl Names {
    /// The id of a type, made if it is new; `None` once the table is full.
    pub fn intern_type(&mut self, name: &str) -> Option<TypeId> {
        if let Some(at) = self.types.get_index_of(name) {
            return Some(TypeId(at as u16));
        }
        if self.types.len() >= TYPE_COUNT_MAX {
            return None;
        }
        Some(TypeId(self.types.insert_full(Box::from(name)).0 as u16))
    }

    /// The id of a type some vertex has had, or of a well-known one.
    pub fn find_type(&self, name: &str) -> Option<TypeId> {
        self.types.get_index_of(name).map(|at| TypeId(at as u16))
    }

    pub fn type_name(&self, id: TypeId) -> &str {
        self.types.get_index(usize::from(id.0)).map_or("", |name| name)
    }

    /// The id of a subsystem, made if it is new; `None` once the table is full.
    pub fn intern_subsystem(&mut self, name: &str) -> Option<Subsystem> {
        if let Some(at) = self.subsystems.get_index_of(name) {
            return Some(Subsystem(at as u8));
        }
        if self.subsystems.len() >= SUBSYSTEM_COUNT_MAX {
            return None;
        }
        Some(Subsystem(self.subsystems.insert_full(Box::from(name)).0 as u8))
    }

    pub fn find_subsystem(&self, name: &str) -> Option<Subsystem> {
        self.subsystems.get_index_of(name).map(|at| Subsystem(at as u8))
    }

    pub fn subsystem_name(&self, id: Subsystem) -> &str {
        self.subsystems.get_index(usize::from(id.0)).map_or("", |name| name)
    }

    /// Texts are bounded by the vertices that carry them.
    pub fn intern_text(&mut self, text: &str) -> Text {
        if let Some(at) = self.texts.get_index_of(text) {
            return Text(at as u32);
        }
        Text(self.texts.insert_full(Box::from(text)).0 as u32)
    }

    pub fn text(&self, id: Text) -> &str {
        self.texts.get_index(id.0 as usize).map_or("", |text| text)
    }
}
