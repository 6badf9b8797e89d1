use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Description;

/// What an operator is: which world of `sage:operator` its component targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// One record in, one out.
    Map,
    /// One record in, the same or none out.
    Filter,
    /// One record in, any number out.
    FlatMap,
    /// Gives each record a key.
    KeyBy,
    /// Batches in, anything out, with keyed state.
    Process,
    /// Makes records.
    Source,
    /// Takes records out.
    Sink,
}

impl Kind {
    /// All kinds, in the order of the contract.
    pub const ALL: [Self; 7] =
        [Self::Map, Self::Filter, Self::FlatMap, Self::KeyBy, Self::Process, Self::Source, Self::Sink];

    /// The kind's name, which is its world's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Filter => "filter",
            Self::FlatMap => "flat-map",
            Self::KeyBy => "key-by",
            Self::Process => "process",
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }

    /// The interface that a component of this kind exports.
    #[must_use]
    pub fn interface(self) -> &'static str {
        match self {
            Self::Map => "mapper",
            Self::Filter => "predicate",
            Self::FlatMap => "flat-mapper",
            Self::KeyBy => "key-selector",
            Self::Process => "processor",
            Self::Source => "reader",
            Self::Sink => "writer",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What planning must know of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentFacts {
    /// What it is.
    pub kind: Kind,
    /// Its side outputs, in the order of their numbers (from 1).
    pub ports: Vec<String>,
    /// What it says of itself, where it does.
    pub description: Option<Arc<Description>>,
    /// Bytes of linear memory that one copy of it begins with.
    pub initial_bytes: u64,
}

impl ComponentFacts {
    /// A component that says nothing of itself, and of which no more is known.
    #[must_use]
    pub fn new(kind: Kind, ports: Vec<String>) -> Self {
        Self { kind, ports, description: None, initial_bytes: 0 }
    }

    /// Whether it may keep keyed state: a `process` that does not say otherwise.
    #[must_use]
    pub fn keeps_state(&self) -> bool {
        self.kind == Kind::Process && self.description.as_ref().is_none_or(|description| description.keeps_state)
    }
}

/// The components that a pipeline names, by path, each with its facts or with why it cannot be used.
pub type Catalog = BTreeMap<PathBuf, Result<ComponentFacts, Unusable>>;

/// Why a component cannot be used, in the words of whoever looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What is wrong with it.
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<&str> for Unusable {
    fn from(why: &str) -> Self {
        Self { why: why.to_owned(), hint: None }
    }
}
