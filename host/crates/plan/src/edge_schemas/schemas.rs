use std::sync::Arc;

use sage_batch::fields::Schema;

use crate::{EdgeId, Port, RecordShape, SourceSchema, StageId};

/// Fields on all edges of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schemas {
    /// By [`StageId`].
    pub stages: Vec<StageSchemas>,
    /// By [`EdgeId`].
    pub edges: Vec<EdgeSchema>,
}

/// Fields that a stage reads, gives and parses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageSchemas {
    /// Fields that the component reads and gives. `None` for a built-in stage, and for a component that receives
    /// bytes.
    pub shape: Option<RecordShape>,
    /// Fields that the host parses from the text that the stage sends, by output. An output without an entry has
    /// no reader of columns, or sends columns already.
    pub parses: Vec<(Port, Arc<SourceSchema>)>,
    /// Fields that a built-in sink writes. `None` for a sink that writes records as they are.
    pub writes: Option<Vec<WrittenField>>,
}

/// A field that a built-in sink writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenField {
    /// Name of the field in the records.
    pub field: String,
    /// Name in the output.
    pub name: String,
    /// Whether nothing names the type of the field. It is then any JSON value, or the text of a CSV cell.
    pub untyped: bool,
}

/// Fields of the records on an edge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdgeSchema {
    /// Fields that every record on the edge has. The type of a record's own field widens to the type here; it
    /// may be narrower where several outputs meet. `None` for text of which no field is known.
    pub fields: Option<Arc<Schema>>,
    /// Whether a record may have other fields, which travel on with it.
    pub others: bool,
    /// Fields that the receiver or a stage behind it reads.
    pub read: Projection,
}

/// Fields of a record that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// The whole record: a stage that receives bytes reads it.
    All,
    /// The fields with these names, in alphabetical order.
    Fields(Vec<String>),
}

impl Default for Projection {
    fn default() -> Self {
        Self::Fields(Vec::new())
    }
}

impl Projection {
    /// Whether the field with this name is read.
    #[must_use]
    pub fn reads(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Fields(names) => names.binary_search_by(|other| other.as_str().cmp(name)).is_ok(),
        }
    }
}

impl Schemas {
    /// The fields of a stage.
    #[must_use]
    pub fn stage(&self, id: StageId) -> Option<&StageSchemas> {
        self.stages.get(id.0)
    }

    /// The fields of an edge.
    #[must_use]
    pub fn edge(&self, id: EdgeId) -> Option<&EdgeSchema> {
        self.edges.get(id.0)
    }

    /// Whether a stage receives or sends columns. Otherwise every record of the pipeline is bytes.
    #[must_use]
    pub fn has_columns(&self) -> bool {
        self.stages.iter().any(|stage| stage.shape.is_some() || !stage.parses.is_empty() || stage.writes.is_some())
    }
}

impl StageSchemas {
    /// The fields that the host parses from the text on this output.
    #[must_use]
    pub fn parses(&self, port: &Port) -> Option<&Arc<SourceSchema>> {
        self.parses.iter().find(|(other, _)| other == port).map(|(_, schema)| schema)
    }
}
