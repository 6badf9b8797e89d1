use std::path::{Path, PathBuf};
use std::time::Duration;

use super::job::Job;
use super::job_error::JobError;
use super::job_options::JobOptions;
use super::parts::Provided;
use crate::connector;
use sage_plan::config;
use sage_plan::config::{
    Capabilities, Checkpoint, ComponentUse, EventTime, FileSink, FileSource, Generate, Input, Limits, OnError,
    Operator, Parsed, Partitioning, Pipeline, Resources, SinkKind, Source, SourceKind, TextFormat, Watermark,
};

/// A pipeline built in Rust. It is the same as a pipeline file, with the same checks and messages.
///
/// Each call adds a stage that reads the stage before it; [`PipelineBuilder::reading`] chooses other inputs.
/// The calls after a stage (`parallelism`, `resources`, …) configure that stage.
///
/// ```no_run
/// use sage_plan::config::Resources;
/// use sage_runtime::engine::{JobOptions, PipelineBuilder, SinkOf, SourceOf};
///
/// let summary = PipelineBuilder::new("celsius")
///     .from_source("readings", SourceOf::file("readings.jsonl", "jsonl"))
///     .map("celsius", "operators/target/wasm32-wasip2/release/json_celsius.wasm")
///     .parallelism(4)
///     .resources(Resources { num_cpus: Some(0.5.into()), memory: Some((64 << 20).into()), ..Resources::default() })
///     .sink("out", SinkOf::file("celsius.jsonl"))
///     .build(JobOptions::default())?
///     .start()?
///     .wait();
/// println!("{summary}");
/// # Ok::<(), sage_runtime::engine::JobError>(())
/// ```
#[derive(Default)]
pub struct PipelineBuilder {
    pipeline: Pipeline,
    provided: Provided,
    base: PathBuf,
    /// The stage that the next stage reads.
    last: Option<Vec<Input>>,
    /// The kind of stage that the next configuration call changes.
    about: About,
}

/// The kind of the stage added last.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum About {
    #[default]
    Nothing,
    Source,
    Operator,
    Sink,
}

impl PipelineBuilder {
    /// Makes a pipeline without stages.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let pipeline = Pipeline { name: Some(name.into().into()), ..Pipeline::default() };
        Self { pipeline, ..Self::default() }
    }

    /// Sets the folder for relative paths; the default is the working folder of the process.
    #[must_use]
    pub fn relative_to(mut self, folder: impl Into<PathBuf>) -> Self {
        self.base = folder.into();
        self
    }

    /// Saves the state of the run into `folder` once in each interval, so that a later run goes on from there.
    #[must_use]
    pub fn checkpoint(mut self, folder: impl Into<String>, interval: Duration) -> Self {
        let (folder, interval) = (folder.into().into(), Some(interval.into()));
        self.pipeline.checkpoint = Some(Checkpoint { span: None, folder, interval, keep: None });
        self
    }

    /// Adds a source.
    #[must_use]
    pub fn from_source(mut self, name: &str, source: SourceOf) -> Self {
        let kind = match source {
            SourceOf::Built(kind) => kind,
            SourceOf::Provided(source) => {
                self.provided.sources.insert(name.to_owned(), source);
                SourceKind::Provided(name.to_owned())
            }
        };
        self.pipeline.sources.push(Source { name: Some(name.into()), kind: Some(kind), ..Source::default() });
        self.follow(name, About::Source)
    }

    /// Adds an operator: a component of any kind except source and sink.
    #[must_use]
    pub fn operator(mut self, name: &str, component: impl AsRef<Path>) -> Self {
        let component = ComponentUse::new(component.as_ref().display().to_string());
        let operator = Operator {
            span: None,
            name: Some(name.into()),
            inputs: self.inputs(),
            partition: Partitioning::Default,
            component: Some(component),
            ..Operator::default()
        };
        self.pipeline.operators.push(operator);
        self.follow(name, About::Operator)
    }

    /// Adds a map. Same as [`PipelineBuilder::operator`]: the component itself declares its kind.
    #[must_use]
    pub fn map(self, name: &str, component: impl AsRef<Path>) -> Self {
        self.operator(name, component)
    }

    /// Adds a filter, as [`PipelineBuilder::map`] does.
    #[must_use]
    pub fn filter(self, name: &str, component: impl AsRef<Path>) -> Self {
        self.operator(name, component)
    }

    /// Adds a flat-map, as [`PipelineBuilder::map`] does.
    #[must_use]
    pub fn flat_map(self, name: &str, component: impl AsRef<Path>) -> Self {
        self.operator(name, component)
    }

    /// Adds a key-by, as [`PipelineBuilder::map`] does.
    #[must_use]
    pub fn key_by(self, name: &str, component: impl AsRef<Path>) -> Self {
        self.operator(name, component)
    }

    /// Adds a process, as [`PipelineBuilder::map`] does.
    #[must_use]
    pub fn process(self, name: &str, component: impl AsRef<Path>) -> Self {
        self.operator(name, component)
    }

    /// Adds a sink. The next stage reads the same input as the sink.
    #[must_use]
    pub fn sink(mut self, name: &str, sink: SinkOf) -> Self {
        let kind = match sink {
            SinkOf::Built(kind) => kind,
            SinkOf::Provided(sink) => {
                self.provided.sinks.insert(name.to_owned(), sink);
                SinkKind::Provided(name.to_owned())
            }
        };
        let inputs = self.inputs();
        let sink = config::Sink {
            span: None,
            name: Some(name.into()),
            inputs,
            partition: Partitioning::Default,
            kind: Some(kind),
            on_error: None,
        };
        self.pipeline.sinks.push(sink);
        self.about = About::Sink;
        self
    }

    /// Sets the inputs (`"parse"`, `"parse.rejects"`) of the stage added last. After a source or at the start,
    /// it sets the input of the next stage.
    #[must_use]
    pub fn reading<'a>(self, inputs: impl IntoIterator<Item = &'a str>) -> Self {
        self.reading_edges(inputs.into_iter().map(Input::from).collect())
    }

    /// As [`reading`](Self::reading), with edges that have names, choose fields, or make keys.
    #[must_use]
    pub fn reading_edges(mut self, inputs: Vec<Input>) -> Self {
        match self.about {
            About::Operator => {
                if let Some(operator) = self.pipeline.operators.last_mut() {
                    operator.inputs = Some(inputs);
                }
            }
            About::Sink => {
                if let Some(sink) = self.pipeline.sinks.last_mut() {
                    sink.inputs = Some(inputs);
                }
            }
            About::Source | About::Nothing => self.last = Some(inputs),
        }
        self
    }

    /// Sets how the instances of the last stage share their input: `forward`, `round-robin`, `key` or
    /// `broadcast`.
    #[must_use]
    pub fn partition(mut self, partition: &str) -> Self {
        let all = Partitioning::All(partition.into());
        match self.about {
            About::Operator => self.pipeline.operators.last_mut().map(|operator| operator.partition = all),
            About::Sink => self.pipeline.sinks.last_mut().map(|sink| sink.partition = all),
            About::Source | About::Nothing => None,
        };
        self
    }

    /// Sets the number of instances of the last stage.
    #[must_use]
    pub fn parallelism(self, instances: u32) -> Self {
        self.component(|component| component.parallelism = Some(u64::from(instances).into()))
    }

    /// Sets the resources of each instance of the last stage.
    #[must_use]
    pub fn resources(self, resources: Resources) -> Self {
        self.component(|component| component.resources = resources)
    }

    /// Sets the limits of each call of the last stage.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        self.component(|component| component.limits = limits)
    }

    /// Sets the error policy for records of the last stage that fail, are rejected, or cannot be read (if the
    /// stage is a source).
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self = self.source(|source| source.on_error = Some(on_error.clone()));
        self.component(|component| component.on_error = on_error)
    }

    /// Sets the field of the event time of the last stage's records, if it is a source of text.
    #[must_use]
    pub fn event_time(self, event_time: EventTime) -> Self {
        self.source(|source| source.event_time = Some(event_time))
    }

    /// Sets how the event times of the last stage's records tell how far event time is, if it is a source.
    #[must_use]
    pub fn watermark(self, watermark: Watermark) -> Self {
        self.source(|source| source.watermark = Some(watermark))
    }

    /// Sets how often a failed batch of the last stage is tried again as a whole.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        self.component(|component| component.retries = Some(u64::from(retries).into()))
    }

    /// Sets the configuration that the last stage's component gets in `open`.
    #[must_use]
    pub fn config(self, config: serde_json::Map<String, serde_json::Value>) -> Self {
        self.component(|component| component.config = config)
    }

    /// Sets the capabilities of the last stage's component.
    #[must_use]
    pub fn capabilities(self, capabilities: Capabilities) -> Self {
        self.component(|component| component.capabilities = capabilities)
    }

    /// Loads the components and checks everything that can be checked without running.
    ///
    /// # Errors
    /// All errors at once.
    pub fn build(self, options: JobOptions) -> Result<Job, JobError> {
        let settings = options.host_settings()?;
        let diagnostics = config::Diagnostics::new(None);
        let parsed = Parsed { pipeline: self.pipeline, diagnostics };
        Job::from_parsed(parsed, (None, &self.base), settings, options, self.provided)
    }

    fn inputs(&self) -> Option<Vec<Input>> {
        self.last.clone()
    }

    fn follow(mut self, name: &str, about: About) -> Self {
        self.last = Some(vec![name.into()]);
        self.about = about;
        self
    }

    fn source(mut self, change: impl FnOnce(&mut Source)) -> Self {
        if self.about == About::Source {
            self.pipeline.sources.last_mut().map(change);
        }
        self
    }

    fn component(mut self, change: impl FnOnce(&mut ComponentUse)) -> Self {
        let component = match self.about {
            About::Operator => self.pipeline.operators.last_mut().and_then(|operator| operator.component.as_mut()),
            About::Source => self.pipeline.sources.last_mut().and_then(|source| match &mut source.kind {
                Some(SourceKind::Component(component)) => Some(component),
                _ => None,
            }),
            About::Sink => self.pipeline.sinks.last_mut().and_then(|sink| match &mut sink.kind {
                Some(SinkKind::Component(component)) => Some(component),
                _ => None,
            }),
            About::Nothing => None,
        };
        component.map(change);
        self
    }
}

/// The source of an embedded pipeline's records.
#[expect(clippy::large_enum_variant, reason = "few exist, and only while a pipeline is built")]
pub enum SourceOf {
    /// A source that a pipeline file can name too.
    Built(SourceKind),
    /// A source that the embedder provides.
    Provided(Box<dyn connector::Source>),
}

impl SourceOf {
    /// Files, by path or glob; `format` is `lines`, `jsonl` or `csv`.
    #[must_use]
    pub fn file(path: &str, format: &str) -> Self {
        let file = FileSource { path: path.into(), text: TextFormat::named(format), follow: None };
        Self::Built(SourceKind::File(file))
    }

    /// Generated records.
    #[must_use]
    pub fn generate(generate: Generate) -> Self {
        Self::Built(SourceKind::Generate(generate))
    }

    /// A source component.
    #[must_use]
    pub fn component(path: impl AsRef<Path>) -> Self {
        Self::Built(SourceKind::Component(ComponentUse::new(path.as_ref().display().to_string())))
    }

    /// A source written in Rust. For an iterator, see [`connector::IterSource`].
    #[must_use]
    pub fn provided(source: impl connector::Source + 'static) -> Self {
        Self::Provided(Box::new(source))
    }
}

/// The sink of an embedded pipeline's records.
#[expect(clippy::large_enum_variant, reason = "few exist, and only while a pipeline is built")]
pub enum SinkOf {
    /// A sink that a pipeline file can name too.
    Built(SinkKind),
    /// A sink that the embedder provides.
    Provided(Box<dyn connector::Sink>),
}

impl SinkOf {
    /// A file, which is complete only when the run is complete.
    #[must_use]
    pub fn file(path: &str) -> Self {
        Self::Built(SinkKind::File(FileSink { path: path.into(), ..FileSink::default() }))
    }

    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::Built(SinkKind::Stdout(config::SinkText::default()))
    }

    /// Discards the records and counts them.
    #[must_use]
    pub fn discard() -> Self {
        Self::Built(SinkKind::Discard)
    }

    /// A sink component.
    #[must_use]
    pub fn component(path: impl AsRef<Path>) -> Self {
        Self::Built(SinkKind::Component(ComponentUse::new(path.as_ref().display().to_string())))
    }

    /// A sink written in Rust. To collect records in memory, see [`connector::CollectSink`].
    #[must_use]
    pub fn provided(sink: impl connector::Sink + 'static) -> Self {
        Self::Provided(Box::new(sink))
    }
}
