use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Description;
use super::record_shape::RecordShape;

/// The kind of an operator: the world of `sage:operator` that its component targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Turns each record into one record.
    Map,
    /// Passes or drops each record.
    Filter,
    /// Turns each record into any number of records.
    FlatMap,
    /// Assigns a key to each record.
    KeyBy,
    /// Turns batches into any records, with keyed state.
    Process,
    /// Sums up windows of records, which the host keeps.
    Window,
    /// Produces records.
    Source,
    /// Consumes records.
    Sink,
}

impl Kind {
    /// All kinds, in the order of the contract.
    pub const ALL: [Self; 8] =
        [Self::Map, Self::Filter, Self::FlatMap, Self::KeyBy, Self::Process, Self::Window, Self::Source, Self::Sink];

    /// The name of the kind, which is also the name of its world.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Filter => "filter",
            Self::FlatMap => "flat-map",
            Self::KeyBy => "key-by",
            Self::Process => "process",
            Self::Window => "window",
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
            Self::Window => "aggregator",
            Self::Source => "reader",
            Self::Sink => "writer",
        }
    }
}

impl Kind {
    /// The interface that a component of this kind exports if its records come by field.
    #[must_use]
    pub fn interface_by_field(self) -> &'static str {
        match self {
            Self::Map => "fields-mapper",
            Self::Filter => "fields-predicate",
            Self::FlatMap => "fields-flat-mapper",
            Self::KeyBy => "fields-key-selector",
            Self::Process => "fields-processor",
            Self::Window => "fields-aggregator",
            Self::Source => "fields-reader",
            Self::Sink => "fields-writer",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The facts about a component that planning needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentFacts {
    /// Kind of the component.
    pub kind: Kind,
    /// Names of its side outputs, in the order of their numbers (from 1).
    pub ports: Vec<String>,
    /// Description that the component gives of itself. `None` if it gives none.
    pub description: Option<Arc<Description>>,
    /// Bytes of linear memory with which one instance begins.
    pub initial_bytes: u64,
    /// Whether records come by field: the component exports [`Kind::interface_by_field`].
    pub by_field: bool,
}

impl ComponentFacts {
    /// A component without a description and without initial memory.
    #[must_use]
    pub fn new(kind: Kind, ports: Vec<String>) -> Self {
        Self { kind, ports, description: None, initial_bytes: 0, by_field: false }
    }

    /// The fields that the component reads and gives, if its records come by field.
    #[must_use]
    pub fn shape(&self) -> Option<&RecordShape> {
        self.description.as_ref()?.shape.as_ref().filter(|_| self.by_field)
    }

    /// Whether the component may keep keyed state: true for a `process` whose description does not deny it, and for a
    /// `window`, whose state is its windows.
    #[must_use]
    pub fn keeps_state(&self) -> bool {
        self.kind == Kind::Window
            || self.kind == Kind::Process && self.description.as_ref().is_none_or(|description| description.keeps_state)
    }
}

/// The components that a pipeline names, by path, each with its facts or with the reason why it cannot be used.
pub type Catalog = BTreeMap<PathBuf, Result<ComponentFacts, Unusable>>;

/// The reason why a component cannot be used, as reported by its loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The reason.
    pub why: String,
    /// Advice on how to correct it.
    pub hint: Option<String>,
}

impl From<&str> for Unusable {
    fn from(why: &str) -> Self {
        Self { why: why.to_owned(), hint: None }
    }
}
