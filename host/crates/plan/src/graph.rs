use super::{
    Checkpoints, ChosenField, ComponentSpec, EdgeId, Kind, Limits, ModelSpec, OnError, Port, Resources, Schemas,
    SinkSpec, SinkText, SourceSpec, StageId, WatermarkSpec,
};

/// A validated pipeline.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the pipeline: from the file, or the file's stem.
    pub name: String,
    /// Sources, operators and sinks, upstream before downstream.
    pub stages: Vec<Stage>,
    /// Connections between the stages.
    pub edges: Vec<Edge>,
    /// Models that may be opened, each once.
    pub models: Vec<ModelSpec>,
    /// Fields of the records on the edges.
    pub schemas: Schemas,
    /// How often the state of a run is saved, and where. `None`: never.
    pub checkpoints: Option<Checkpoints>,
}

/// A source, an operator or a sink of the pipeline.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Name of the stage, unique in the pipeline.
    pub name: String,
    /// The stage's work: a built-in source or sink, or a component.
    pub work: Work,
    /// Number of instances; 1 for a built-in source or sink.
    pub parallelism: u32,
    /// Resources of each instance.
    pub resources: Resources,
    /// Names of the models that its instances may open.
    pub models: Vec<String>,
    /// Limits of each call.
    pub limits: Limits,
    /// Error policy for a record that fails or is rejected, or that a source cannot read.
    pub on_error: OnError,
    /// Whether a source continues after an unreadable file, as `on_error` says.
    pub passes_files: bool,
    /// Number of retries of a failed batch as a whole before it is halved.
    pub retries: u32,
    /// How the watermark of a source follows from the event times of its records.
    pub watermark: Option<WatermarkSpec>,
    /// Incoming edges.
    pub inputs: Vec<EdgeId>,
    /// Outgoing edges.
    pub outputs: Vec<EdgeId>,
}

/// The work of a stage.
#[derive(Debug, Clone)]
pub enum Work {
    /// A built-in source.
    Source(SourceSpec),
    /// A component: an operator, or a user's source or sink.
    Component(ComponentSpec, Kind),
    /// A built-in sink.
    Sink(SinkSpec),
}

/// A connection from a port of one stage to another stage.
#[derive(Debug, Clone)]
pub struct Edge {
    /// The stage that sends.
    pub from: StageId,
    /// The output on which it sends.
    pub port: Port,
    /// The stage that receives.
    pub to: StageId,
    /// How records are distributed over the receiver's instances.
    pub partition: Partition,
    /// Name of the edge, if the receiver names its inputs.
    pub name: Option<String>,
    /// The fields that the receiver gets. `None` means the records as they are.
    pub fields: Option<Vec<ChosenField>>,
    /// The key that the host gives the records. `None` means the key that they have.
    pub key: Option<EdgeKey>,
}

/// A key that the host makes from fields of the records on an edge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdgeKey {
    /// Names of the fields, as the receiver gets them.
    pub fields: Vec<String>,
    /// Whether the key is a composite key.
    pub composite: bool,
    /// The text that stands for a field without a value. `None` means that such a record is rejected.
    pub null_key: Option<String>,
}

/// How records are distributed over the instances of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Partition {
    /// Instance i sends to instance i; both sides have the same number of instances.
    Forward,
    /// Each batch goes to the next instance in turn.
    RoundRobin,
    /// By a stable hash of the key: records with equal keys go to the same instance.
    Key,
    /// Every instance gets every record.
    Broadcast,
}

impl Partition {
    /// All values, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("forward", Self::Forward),
        ("round-robin", Self::RoundRobin),
        ("key", Self::Key),
        ("broadcast", Self::Broadcast),
    ];
}

impl Plan {
    /// The stage with this id, which must come from this plan.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "ids are made with the plan and never leave it")]
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.0]
    }

    /// The edge with this id, which must come from this plan.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "ids are made with the plan and never leave it")]
    pub fn edge(&self, id: EdgeId) -> &Edge {
        &self.edges[id.0]
    }

    /// All stages with their ids, upstream before downstream.
    pub fn stages(&self) -> impl Iterator<Item = (StageId, &Stage)> {
        self.stages.iter().enumerate().map(|(i, stage)| (StageId(i), stage))
    }
}

impl Work {
    /// The text that a built-in sink writes. `None` for every other stage.
    #[must_use]
    pub fn sink_text(&self) -> Option<&SinkText> {
        match self {
            Self::Sink(SinkSpec::File(file)) => Some(&file.text),
            Self::Sink(SinkSpec::Stdout(text)) => Some(text),
            Self::Sink(SinkSpec::Socket(socket)) => Some(&socket.text),
            Self::Sink(SinkSpec::Discard | SinkSpec::Provided(_)) | Self::Source(_) | Self::Component(..) => None,
        }
    }
}

impl Stage {
    /// The component's kind, if the stage is a component.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.work {
            Work::Component(_, kind) => Some(kind),
            Work::Source(_) | Work::Sink(_) => None,
        }
    }

    /// Whether the stage is a component that may keep keyed state.
    #[must_use]
    pub fn keeps_state(&self) -> bool {
        matches!(&self.work, Work::Component(spec, _) if spec.keeps_state)
    }
}
