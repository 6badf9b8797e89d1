use std::time::Duration;

use super::{
    Capabilities, Checkpoint, ChosenFields, ConfigPlaces, ConfigReference, EventTime, Input, Late, Limits, Model,
    OnError, Resources, SinkText, SourceSchema, SourceText, Span, Spanned, TextFormat, Watermark, Window,
};

/// A pipeline as it was written. An embedder builds one too; then nothing has a span and `source` is `None`.
///
/// Some fields are `Option` although every pipeline needs them. Such a field is `None` only if the file lacked
/// it or held a wrong value; that error has been reported.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    /// The file, for messages.
    pub source: Option<SourceText>,
    /// Name of the pipeline.
    pub name: Option<Spanned<String>>,
    /// How often the state of a run is saved. `None`: a run that stops forgets everything.
    pub checkpoint: Option<Checkpoint>,
    /// Sources, which read records.
    pub sources: Vec<Source>,
    /// Operators, which process records.
    pub operators: Vec<Operator>,
    /// Sinks, which write records.
    pub sinks: Vec<Sink>,
    /// Models that operators may run.
    pub models: Vec<Model>,
    /// Models that the host declares for every pipeline; never from the pipeline's file.
    pub host_models: Vec<Model>,
    /// Whether a part of the file could not be read as TOML. Stages may then be missing, so a missing name is
    /// no error.
    pub torn: bool,
}

/// A `[[source]]`.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Place of its header in the file.
    pub span: Option<Span>,
    /// Its name.
    pub name: Option<Spanned<String>>,
    /// Kind of the source.
    pub kind: Option<SourceKind>,
    /// Error policy for input that the source cannot read. A component has an error policy of its own. `None`
    /// means that the file does not set it.
    pub on_error: Option<OnError>,
    /// Field that holds a record's key: a name or a JSON pointer.
    pub key: Option<Spanned<String>>,
    /// Field that holds a record's event time.
    pub event_time: Option<EventTime>,
    /// How event times tell how far event time is. `None`: the source has no watermark.
    pub watermark: Option<Watermark>,
    /// Headers of a record by name, with the field that each is taken from.
    pub headers: Vec<(Spanned<String>, Spanned<String>)>,
    /// Fields of a record and their types. `None` lets the operators decide.
    pub schema: Option<SourceSchema>,
}

/// Kind of a source: where its records come from.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a pipeline has a handful, and an embedder should not have to box")]
pub enum SourceKind {
    /// Files.
    File(FileSource),
    /// Standard input, in this format.
    Stdin(TextFormat),
    /// Generated records.
    Generate(Generate),
    /// Batches from a program of the same user, over a socket.
    Socket(Socket),
    /// A source component.
    Component(ComponentUse),
    /// A source that an embedder provides from Rust under this name; never from a file.
    Provided(String),
}

/// Files to read.
#[derive(Debug, Clone, Default)]
pub struct FileSource {
    /// A path or glob, relative to the pipeline file.
    pub path: Spanned<String>,
    /// Format of the records in the files.
    pub text: TextFormat,
    /// Whether the source waits for more lines and files. `None` means not.
    pub follow: Option<Spanned<bool>>,
}

/// A socket of a program that gives or takes batches.
#[derive(Debug, Clone, Default)]
pub struct Socket {
    /// Path of the unix socket at which the program listens, relative to the pipeline file.
    pub path: Spanned<String>,
}

/// A socket of a program that takes batches.
#[derive(Debug, Clone, Default)]
pub struct SocketSink {
    /// As for [`Socket`].
    pub path: Spanned<String>,
    /// Whether records cross as columns, and not as text.
    pub columns: bool,
    /// Fields that cross. `None` means all.
    pub fields: Option<ChosenFields>,
}

/// Settings of generated records.
#[derive(Debug, Clone, Default)]
pub struct Generate {
    /// Number of records. `None` means no end.
    pub count: Option<Spanned<u64>>,
    /// Records per second. `None` means as fast as possible.
    pub rate: Option<Spanned<u64>>,
    /// Bytes of each record's payload. `None` means 128.
    pub payload_bytes: Option<Spanned<u64>>,
    /// Number of different keys. `None` means records without keys.
    pub keys: Option<Spanned<u64>>,
    /// Seed of the sequence. `None` means 0.
    pub seed: Option<Spanned<u64>>,
    /// Event times of the records. `None` means records without.
    pub times: Option<GeneratedTimes>,
}

/// Event times of generated records: each a step after the one before.
#[derive(Debug, Clone, Default)]
pub struct GeneratedTimes {
    /// Time of the first record, as RFC 3339. `None` means 2020-01-01T00:00:00Z.
    pub start: Option<Spanned<String>>,
    /// Time between two records. `None` means 1 ms.
    pub step: Option<Spanned<Duration>>,
    /// How much earlier a record may be. `None` means that times never fall.
    pub disorder: Option<Spanned<Duration>>,
}

/// An `[[operator]]`.
#[derive(Debug, Clone, Default)]
pub struct Operator {
    /// Place of its header in the file.
    pub span: Option<Span>,
    /// Its name.
    pub name: Option<Spanned<String>>,
    /// Outputs that the operator reads.
    pub inputs: Option<Vec<Input>>,
    /// How its instances share the input.
    pub partition: Partitioning,
    /// The component that it runs.
    pub component: Option<ComponentUse>,
    /// The windows of a component of kind window.
    pub window: Option<Window>,
    /// How late records may come to their windows.
    pub late: Option<Late>,
}

/// A `[[sink]]`.
#[derive(Debug, Clone, Default)]
pub struct Sink {
    /// Place of its header in the file.
    pub span: Option<Span>,
    /// Its name.
    pub name: Option<Spanned<String>>,
    /// Outputs that the sink reads.
    pub inputs: Option<Vec<Input>>,
    /// How its instances share the input.
    pub partition: Partitioning,
    /// Kind of the sink.
    pub kind: Option<SinkKind>,
    /// Error policy for records that cannot be written as fields. A component has an error policy of its own. `None`
    /// means that the file does not set it.
    pub on_error: Option<OnError>,
}

/// Kind of a sink: where its records go.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a pipeline has a handful, and an embedder should not have to box")]
pub enum SinkKind {
    /// A file.
    File(FileSink),
    /// Standard output, in this form.
    Stdout(SinkText),
    /// Records are discarded.
    Discard,
    /// Batches to a program of the same user, over a socket.
    Socket(SocketSink),
    /// A sink component.
    Component(ComponentUse),
    /// A sink that an embedder provides from Rust under this name; never from a file.
    Provided(String),
}

/// A file to write.
#[derive(Debug, Clone, Default)]
pub struct FileSink {
    /// Path, relative to the pipeline file.
    pub path: Spanned<String>,
    /// `gzip`, `zstd` or `none`. `None` chooses by the file's name.
    pub compression: Option<Spanned<String>>,
    /// The form of the records in the file.
    pub text: SinkText,
    /// When a part of the output is closed and the next one begun. `None` writes one file.
    pub roll: Option<Roll>,
    /// Whether records are written behind what the file holds. `None` means not.
    pub append: Option<Spanned<bool>>,
}

/// When a part of an output is closed: what comes first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roll {
    /// Place of its table in the file.
    pub span: Option<Span>,
    /// Bytes of the file.
    pub size: Option<Spanned<u64>>,
    /// Time since its first record.
    pub every: Option<Spanned<Duration>>,
    /// Time since its last record.
    pub idle: Option<Spanned<Duration>>,
}

/// How the instances of a stage share their input.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Partitioning {
    /// The default of the stage.
    #[default]
    Default,
    /// The same for every input.
    All(Spanned<String>),
    /// A separate choice for each input, by the input's name.
    Each(Vec<(Spanned<String>, Spanned<String>)>),
}

/// A component and how the pipeline uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentUse {
    /// The .wasm file, relative to the pipeline file.
    pub path: Spanned<String>,
    /// Number of instances. `None` means 1.
    pub parallelism: Option<Spanned<u64>>,
    /// Resources of each instance.
    pub resources: Resources,
    /// Limits of each call.
    pub limits: Limits,
    /// Error policy for records that fail.
    pub on_error: OnError,
    /// Number of retries of a failed batch as a whole. `None` means 1.
    pub retries: Option<Spanned<u64>>,
    /// Configuration that the component gets as JSON; an object.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Places of the configuration's keys and values.
    pub config_places: ConfigPlaces,
    /// Values of the configuration that are not written in the file.
    pub references: Vec<ConfigReference>,
    /// Folders, variables, addresses and clock that the component may reach.
    pub capabilities: Capabilities,
    /// Models that the component may open.
    pub models: Vec<Spanned<String>>,
}

impl ComponentUse {
    /// A component with every setting at its default.
    pub fn new(path: impl Into<Spanned<String>>) -> Self {
        Self {
            path: path.into(),
            parallelism: None,
            resources: Resources::default(),
            limits: Limits::default(),
            on_error: OnError::default(),
            retries: None,
            config: serde_json::Map::new(),
            config_places: ConfigPlaces::default(),
            references: Vec::new(),
            capabilities: Capabilities::default(),
            models: Vec::new(),
        }
    }
}

impl Pipeline {
    /// Every component the pipeline uses.
    pub fn components(&self) -> impl Iterator<Item = &ComponentUse> {
        let sources = self.sources.iter().filter_map(|source| match &source.kind {
            Some(SourceKind::Component(component)) => Some(component),
            _ => None,
        });
        let operators = self.operators.iter().filter_map(|operator| operator.component.as_ref());
        let sinks = self.sinks.iter().filter_map(|sink| match &sink.kind {
            Some(SinkKind::Component(component)) => Some(component),
            _ => None,
        });
        sources.chain(operators).chain(sinks)
    }

    /// The same, to change them.
    pub(super) fn components_mut(&mut self) -> impl Iterator<Item = &mut ComponentUse> {
        let sources = self.sources.iter_mut().filter_map(|source| match &mut source.kind {
            Some(SourceKind::Component(component)) => Some(component),
            _ => None,
        });
        let operators = self.operators.iter_mut().filter_map(|operator| operator.component.as_mut());
        let sinks = self.sinks.iter_mut().filter_map(|sink| match &mut sink.kind {
            Some(SinkKind::Component(component)) => Some(component),
            _ => None,
        });
        sources.chain(operators).chain(sinks)
    }
}
