use std::path::PathBuf;

use sage_plan::config::Span;

/// A path that a run reads or writes, with its purpose.
#[derive(Debug, Clone)]
pub struct PathUse {
    /// Purpose of the path.
    pub role: PathRole,
    /// Path as the host opens it; for a source also a pattern.
    pub path: PathBuf,
    /// Place in the pipeline file, if the file names the path.
    pub span: Option<Span>,
}

/// The purpose of a path in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRole {
    /// The source of this name reads the path, or the files that match it.
    Source(String),
    /// The pipeline file itself.
    PipelineFile,
    /// `host.toml`.
    HostFile,
    /// The component of a stage; the text is the stage's name in messages: `operator "parse"`.
    Component(String),
    /// The file of the model of this name.
    Model(String),
    /// A library that the host loads.
    Library,
    /// The sink of this name writes the path.
    Sink(String),
    /// The sink of this name writes parts, whose paths have a number in place of `{part}`.
    SinkParts(String),
    /// The sink of this name appends to the path.
    SinkAppends(String),
    /// The path receives the dead letters of a stage; the text is the stage's name in messages.
    DeadLetters(String),
    /// A folder in which the guests of a stage may write; the text is the stage's name in messages.
    Granted(String),
    /// A folder of the host's own state; the text names it for users: `the lease folder`.
    OwnFolder(&'static str),
}

/// The standard streams of the process that belong to the run.
#[derive(Debug, Clone, Default)]
pub struct StandardStreams {
    /// Name of the source that reads standard input.
    pub input: Option<String>,
    /// Whether the run writes to standard output.
    pub output: bool,
    /// Name of the sink that writes its records to standard output.
    pub records: Option<String>,
    /// Whether the run writes to standard error.
    pub error: bool,
}
