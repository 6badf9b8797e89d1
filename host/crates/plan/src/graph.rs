use super::{ComponentSpec, Kind, Limits, ModelSpec, OnError, Resources, SinkSpec, SourceSpec};

/// A validated pipeline.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The pipeline's name: from the file, or the file's stem.
    pub name: String,
    /// Sources, operators and sinks, upstream before downstream.
    pub stages: Vec<Stage>,
    /// Who feeds whom.
    pub edges: Vec<Edge>,
    /// The models that may be opened, each once.
    pub models: Vec<ModelSpec>,
}

/// Index into [`Plan::stages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub usize);

/// Index into [`Plan::edges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(pub usize);

/// A source, an operator or a sink of the pipeline.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Unique in the pipeline.
    pub name: String,
    /// What it does.
    pub work: Work,
    /// How many instances; 1 for a built-in source or sink.
    pub parallelism: u32,
    /// What each instance gets.
    pub resources: Resources,
    /// Which models its instances may open, by name.
    pub models: Vec<String>,
    /// What each call may take.
    pub limits: Limits,
    /// What becomes of a record that fails or is rejected, or that a source cannot read.
    pub on_error: OnError,
    /// A source that goes on behind a file that it cannot read, as `on_error` says.
    pub passes_files: bool,
    /// How often a failed batch is tried again as a whole before it is halved.
    pub retries: u32,
    /// Edges that come in.
    pub inputs: Vec<EdgeId>,
    /// Edges that go out.
    pub outputs: Vec<EdgeId>,
}

/// What a stage does.
#[derive(Debug, Clone)]
pub enum Work {
    /// A built-in source.
    Source(SourceSpec),
    /// A component: an operator, or a source or sink of the user's.
    Component(ComponentSpec, Kind),
    /// A built-in sink.
    Sink(SinkSpec),
}

/// From one stage's port to another stage.
#[derive(Debug, Clone)]
pub struct Edge {
    /// Who sends.
    pub from: StageId,
    /// On which output.
    pub port: Port,
    /// Who receives.
    pub to: StageId,
    /// Which instance receives what.
    pub partition: Partition,
}

/// An output of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// The main output: `input = "parse"`.
    Main,
    /// Records the stage rejected, as they came in: `input = "parse.rejects"`.
    Rejects,
    /// A side output the component declares, by its number (from 1) and name: `input = "sessions.late"`.
    Side(u32, String),
}

/// Which instance of the receiver gets a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Partition {
    /// Instance i sends to instance i; as many on both sides.
    Forward,
    /// Batch by batch to each in turn.
    RoundRobin,
    /// By a stable hash of the key; equal keys meet in one instance.
    Key,
    /// Every instance gets every record.
    Broadcast,
}

impl Partition {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("forward", Self::Forward),
        ("round-robin", Self::RoundRobin),
        ("key", Self::Key),
        ("broadcast", Self::Broadcast),
    ];
}

impl Plan {
    /// The stage of an id of this plan.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "ids are made with the plan and never leave it")]
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.0]
    }

    /// The edge of an id of this plan.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "ids are made with the plan and never leave it")]
    pub fn edge(&self, id: EdgeId) -> &Edge {
        &self.edges[id.0]
    }

    /// Ids and stages, upstream before downstream.
    pub fn stages(&self) -> impl Iterator<Item = (StageId, &Stage)> {
        self.stages.iter().enumerate().map(|(i, stage)| (StageId(i), stage))
    }
}

impl Stage {
    /// The component's kind, if the stage is one.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.work {
            Work::Component(_, kind) => Some(kind),
            Work::Source(_) | Work::Sink(_) => None,
        }
    }

    /// Whether it is a component that may keep keyed state.
    #[must_use]
    pub fn keeps_state(&self) -> bool {
        matches!(&self.work, Work::Component(spec, _) if spec.keeps_state)
    }
}
