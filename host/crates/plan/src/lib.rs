//! From configuration to a validated graph. Pure: no file is opened, no clock read; what it must know of components comes
//! in as a [`Catalog`]. All errors are reported at once.
//!
//! Invariants: a [`Plan`] is acyclic, every input exists, names are unique, every stage that makes records has somebody who
//! takes them, and numbers are in range. Whoever holds a `Plan` does not check these again.
//!
//! Flow of [`validate`]: every stage by itself becomes a draft (settings in range, component of the right kind); names; then who
//! feeds whom; an order without cycles; what is partitioned how; and who reads standard input. Each step reports
//! what it finds and goes on with what is sound, so that one slip is one error.
//!
//! Left to others: whether the machine has what is asked for (`admission`), whether files can be opened and whether two paths lead to one
//! (`connector`).

pub mod config;

mod amounts;
mod config_check;
mod config_schema;
mod connectors;
mod description;
mod draft;
mod field_path;
mod grants;
mod graph;
mod graph_rows;
mod kind;
mod limits;
mod models;
mod names;
mod partitions;
mod settings;
mod standard_input;
mod text;
mod text_source;
mod topology;
mod validate;
mod wiring;

pub use crate::config::{BackendChoice, RowsChoice};
pub use config_schema::{ConfigSchema, Fields, Range, SchemaError, Shape};
pub use connectors::{escape_pattern, pattern_path};
pub use description::{Description, DescriptionError};
pub use field_path::{FieldPath, FieldPathError};
pub use graph::{Edge, EdgeId, Partition, Plan, Port, Stage, StageId, Work};
pub use graph_rows::GraphRows;
pub use kind::{Catalog, ComponentFacts, Kind, Unusable};
pub use settings::{
    Capabilities, ClockPrecision, ComponentSpec, CpuRequest, DeadLetters, FileSinkSpec, FileSourceSpec, FolderGrant,
    GenerateSpec, Limits, ModelSpec, OnError, Resources, SinkSpec, SourceSpec, WholeFilesSpec,
};
pub use text::{
    Compression, CsvSpec, Duplicates, Format, HeaderSpec, LineEnd, StampSpec, TextEncoding, TextSpec, TimeFormat,
    Unnamed,
};
pub use validate::{validate, validate_parsed};
