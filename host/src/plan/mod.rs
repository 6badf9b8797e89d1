//! From configuration to a validated graph. Pure: no file is opened, no clock read; what it must know of components comes
//! in as a [`Catalog`]. All errors are reported at once.
//!
//! Invariants: a [`Plan`] is acyclic, every input exists, names are unique, every stage that makes records has somebody who
//! takes them, and numbers are in range. Whoever holds a `Plan` does not check these again.

mod graph;
mod kind;
mod settings;

pub use graph::{Edge, EdgeId, Partition, Plan, Port, Stage, StageId, Work};
pub use kind::{Catalog, ComponentFacts, Kind};
pub use settings::{
    Capabilities, ClockPrecision, ComponentSpec, Compression, CpuRequest, FileSinkSpec, FileSourceSpec, FolderGrant,
    Format, GenerateSpec, Limits, OnError, Resources, SinkSpec, SourceSpec,
};
