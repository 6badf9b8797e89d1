use super::{
    Capabilities, ConfigPlaces, EventTime, Limits, Model, OnError, Resources, SourceText, Span, Spanned, TextFormat,
};

/// A pipeline as it was written. An embedder builds one too; then nothing has a span and `source` is `None`.
///
/// Fields that are `Option` although every pipeline needs them are `None` only where the file lacked them or held something
/// else there, which has then been reported.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    /// The file, for messages.
    pub source: Option<SourceText>,
    /// What it is called.
    pub name: Option<Spanned<String>>,
    /// Where records come from.
    pub sources: Vec<Source>,
    /// What is done to them.
    pub operators: Vec<Operator>,
    /// Where they go.
    pub sinks: Vec<Sink>,
    /// The models that operators may run.
    pub models: Vec<Model>,
    /// Those that the host declares for every pipeline; never from the pipeline's file.
    pub host_models: Vec<Model>,
    /// The file could not be read as TOML throughout: stages may be missing, so that what is not there says nothing.
    pub torn: bool,
}

/// A `[[source]]`.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Its header in the file.
    pub span: Option<Span>,
    /// Its name.
    pub name: Option<Spanned<String>>,
    /// What it is.
    pub kind: Option<SourceKind>,
    /// What becomes of what it cannot read; a component has its own. `None`: the file does not say.
    pub on_error: Option<OnError>,
    /// The field that is a record's key: a name or a JSON pointer.
    pub key: Option<Spanned<String>>,
    /// The field that says of which moment a record is.
    pub event_time: Option<EventTime>,
    /// Headers of a record by name, and the field that each is taken from.
    pub headers: Vec<(Spanned<String>, Spanned<String>)>,
}

/// Where a source has its records from.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a pipeline has a handful, and who builds one should not have to box")]
pub enum SourceKind {
    /// Files.
    File(FileSource),
    /// Standard input, in this format.
    Stdin(TextFormat),
    /// Made up.
    Generate(Generate),
    /// A source component.
    Component(ComponentUse),
    /// Handed over from Rust under this name; never from a file.
    Provided(String),
}

/// Files to read.
#[derive(Debug, Clone, Default)]
pub struct FileSource {
    /// A path or glob, relative to the pipeline file.
    pub path: Spanned<String>,
    /// How records lie in them.
    pub text: TextFormat,
}

/// Records to make up.
#[derive(Debug, Clone, Default)]
pub struct Generate {
    /// How many; without end otherwise.
    pub count: Option<Spanned<u64>>,
    /// How many a second; as fast as possible otherwise.
    pub rate: Option<Spanned<u64>>,
    /// Bytes of each; 128 otherwise.
    pub payload_bytes: Option<Spanned<u64>>,
    /// How many different keys; no keys otherwise.
    pub keys: Option<Spanned<u64>>,
    /// Where the sequence starts; 0 otherwise.
    pub seed: Option<Spanned<u64>>,
}

/// An `[[operator]]`.
#[derive(Debug, Clone, Default)]
pub struct Operator {
    /// Its header in the file.
    pub span: Option<Span>,
    /// Its name.
    pub name: Option<Spanned<String>>,
    /// Who feeds it.
    pub inputs: Option<Vec<Input>>,
    /// Who gets what of it.
    pub partition: Partitioning,
    /// What it runs.
    pub component: Option<ComponentUse>,
}

/// A `[[sink]]`.
#[derive(Debug, Clone, Default)]
pub struct Sink {
    /// Its header in the file.
    pub span: Option<Span>,
    /// Its name.
    pub name: Option<Spanned<String>>,
    /// Who feeds it.
    pub inputs: Option<Vec<Input>>,
    /// Who gets what of it.
    pub partition: Partitioning,
    /// What it is.
    pub kind: Option<SinkKind>,
}

/// Where a sink puts its records.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a pipeline has a handful, and who builds one should not have to box")]
pub enum SinkKind {
    /// A file.
    File(FileSink),
    /// Standard output.
    Stdout,
    /// Nowhere.
    Discard,
    /// A sink component.
    Component(ComponentUse),
    /// Handed over from Rust under this name; never from a file.
    Provided(String),
}

/// A file to write.
#[derive(Debug, Clone, Default)]
pub struct FileSink {
    /// Relative to the pipeline file.
    pub path: Spanned<String>,
    /// `gzip`, `zstd` or `none`; by the file's name otherwise.
    pub compression: Option<Spanned<String>>,
}

/// The name of an output: `parse`, `parse.rejects`, `sessions.late`.
pub type Input = Spanned<String>;

/// How the instances of a stage share their input.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Partitioning {
    /// As fits the stage.
    #[default]
    Default,
    /// The same for every input.
    All(Spanned<String>),
    /// One each, by the input's name.
    Each(Vec<(Spanned<String>, Spanned<String>)>),
}

/// A component and how the pipeline uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentUse {
    /// The .wasm file, relative to the pipeline file.
    pub path: Spanned<String>,
    /// How many instances; 1 otherwise.
    pub parallelism: Option<Spanned<u64>>,
    /// What each gets.
    pub resources: Resources,
    /// What each call may take.
    pub limits: Limits,
    /// What becomes of records that fail.
    pub on_error: OnError,
    /// How often a failed batch is tried again as a whole; once otherwise.
    pub retries: Option<Spanned<u64>>,
    /// What the component gets as JSON; an object.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Where that is written.
    pub config_places: ConfigPlaces,
    /// What it may reach.
    pub capabilities: Capabilities,
    /// Which models it may open.
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
}
