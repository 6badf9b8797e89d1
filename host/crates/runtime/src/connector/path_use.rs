use std::path::PathBuf;

use sage_plan::config::Span;

/// A path that a run reads or writes, and for whom.
#[derive(Debug, Clone)]
pub struct PathUse {
    /// What is done with it.
    pub role: PathRole,
    /// As the host opens it; of a source also a pattern.
    pub path: PathBuf,
    /// Where the pipeline file names it, if it does.
    pub span: Option<Span>,
}

/// What a run does with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRole {
    /// The source of this name reads it, or what matches it.
    Source(String),
    /// The pipeline file itself.
    PipelineFile,
    /// `host.toml`.
    HostFile,
    /// The component of a stage, by how messages call the stage: `operator "parse"`.
    Component(String),
    /// The file of the model of this name.
    Model(String),
    /// A library that the host loads.
    Library,
    /// The sink of this name writes it.
    Sink(String),
    /// The dead letters of a stage go there, by how messages call the stage.
    DeadLetters(String),
    /// A folder that is the host's own, in its users' words: `the lease folder`.
    OwnFolder(&'static str),
}

/// Which of the process's standard streams belong to the run.
#[derive(Debug, Clone, Default)]
pub struct StandardStreams {
    /// The source that reads standard input.
    pub input: Option<String>,
    /// Whether anything is written to standard output.
    pub output: bool,
    /// The sink that writes its records to standard output.
    pub records: Option<String>,
    /// Whether anything is said on standard error.
    pub error: bool,
}
