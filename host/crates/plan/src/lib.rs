//! From configuration to a validated graph. Pure: no file is opened and no clock is read. Facts about
//! components come in as a [`Catalog`]. All errors are reported at once.
//!
//! Invariants: a [`Plan`] is acyclic, every input exists, names are unique, every stage that produces records
//! has a reader, and numbers are in range. Code that holds a `Plan` does not check these again.
//!
//! Flow of [`validate`]:
//!
//! 1. Each stage by itself becomes a draft: settings in range, component of the right kind.
//! 2. Names are checked.
//! 3. Stages are connected to their inputs; the name, fields and key of each input are checked by themselves.
//! 4. The stages are ordered; a cycle is an error.
//! 5. Each connection gets its partitioning.
//! 6. The fields on each connection are found, and compared with the fields that operators read.
//! 7. The readers of standard input are checked.
//!
//! Each step reports its errors and continues with the valid parts, so that one mistake gives one error.
//!
//! Left to others: whether the machine has the requested resources (`admission`), and whether files can be
//! opened and whether two paths lead to the same file (`connector`).

pub mod config;

mod amounts;
mod checkpoints;
mod chosen_fields;
mod config_check;
mod config_schema;
mod connectors;
mod description;
mod draft;
mod edge_schemas;
mod event_time;
mod field_name;
mod field_path;
mod grants;
mod graph;
mod graph_rows;
mod ids;
mod inputs;
mod kind;
mod limits;
mod models;
mod names;
mod output_shape;
mod partitions;
mod path_rules;
mod pattern_path;
mod port;
mod record_shape;
mod role;
mod schema;
mod secrets;
mod settings;
mod sink_text;
mod source_schema;
mod standard_input;
mod text;
mod text_source;
mod topology;
mod validate;
mod watermarks;
mod window_rules;
mod windows;
mod wiring;
mod written_schema;
mod written_type;

pub use crate::config::{BackendChoice, ChosenField, ChosenFields, ModelSpec, RowsChoice};
pub use checkpoints::Checkpoints;
pub use config_schema::{ConfigSchema, Fields, Range, SchemaError, Shape};
pub use description::{Description, DescriptionError};
pub use edge_schemas::{EdgeSchema, Projection, Schemas, StageSchemas, WrittenField};
pub use event_time::{EventTimeSpec, TimeFormat};
pub use field_name::FieldNameError;
pub use field_path::{FieldPath, FieldPathError};
pub use graph::{Edge, EdgeKey, Partition, Plan, Stage, Work};
pub use graph_rows::GraphRows;
pub use ids::{EdgeId, StageId};
pub use kind::{Catalog, ComponentFacts, Kind, Unusable};
pub use path_rules::{GrantedFolder, PathRules};
pub use pattern_path::{escape_pattern, pattern_path};
pub use port::Port;
pub use record_shape::{RecordShape, Rest, ShapeError, SideShape};
pub use schema::{HOST_SCHEMA, PIPELINE_SCHEMA};
pub use secrets::{SecretText, no_secret, refused_by_a_server};
pub use settings::{
    Capabilities, ClockPrecision, ComponentSpec, CpuRequest, DeadLetters, FileSinkSpec, FileSourceSpec, FolderGrant,
    GenerateSpec, GeneratedTimes, Limits, OnError, OutputShape, Resources, RollSpec, SinkSpec, SocketSinkSpec,
    SocketSpec, SourceSpec, WholeFilesSpec,
};
pub use sink_text::{CsvSink, SinkForm, SinkText};
pub use source_schema::SourceSchema;
pub use text::{
    Compression, CsvSpec, Duplicates, Format, HeaderSpec, LineEnd, StampSpec, TextEncoding, TextSpec, Unnamed,
};
pub use validate::{validate, validate_parsed};
pub use watermarks::WatermarkSpec;
