use std::path::Path;

use super::config_check::check_config;
use super::role::Role;
use super::sink_text::sink_text;
use super::window_rules::window_rules;
use super::written_schema::no_schema;
use super::{
    Catalog, ComponentSpec, DeadLetters, Kind, Limits, OnError, RecordShape, Resources, SinkSpec, Unusable,
    WatermarkSpec, Work, amounts, connectors, grants, limits, text_source,
};
use crate::config::{
    self, ComponentUse, Diagnostic, Diagnostics, Input, Partitioning, Pipeline, SinkKind, SourceKind, Span, Spanned,
    resolve,
};
use sage_text::exact_size;

/// A stage by itself, with all parts of it that are valid.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// The table of the stage in the file.
    pub(super) role: Role,
    /// Position in that table, from 1.
    number: usize,
    /// Place of its header.
    pub(super) span: Option<Span>,
    /// Name of the stage. `None` if it has an error, which was reported.
    pub(super) name: Option<&'a Spanned<String>>,
    /// The stage's work. `None` if it has an error, which was reported.
    pub(super) work: Option<Work>,
    /// Side outputs. `None` if the component is not known.
    pub(super) ports: Option<&'a [String]>,
    /// Fields that the component reads and gives. `None` for a component that receives bytes.
    pub(super) shape: Option<&'a RecordShape>,
    /// The `schema` of a source, as it was written.
    pub(super) schema: Option<&'a config::SourceSchema>,
    /// The component, if the stage is one.
    pub(super) component: Option<&'a ComponentUse>,
    /// Outputs that the stage reads. `None` if they have an error, which was reported. Empty for a source.
    pub(super) inputs: Option<&'a [Input]>,
    /// Partitioning as written.
    pub(super) partition: &'a Partitioning,
    pub(super) parallelism: u32,
    pub(super) resources: Resources,
    pub(super) limits: Limits,
    pub(super) on_error: OnError,
    /// Whether the stage is a source that continues after an unreadable file.
    pub(super) passes_files: bool,
    /// Whether the stage is a source whose readers set the error policy for an unreadable row.
    pub(super) inherits_on_error: bool,
    pub(super) retries: u32,
    /// The watermark of a source.
    pub(super) watermark: Option<WatermarkSpec>,
}

/// Largest number of instances of one stage. Far more than a machine has cores; each instance takes memory from
/// the start.
const MAX_PARALLELISM: u64 = 1024;
/// Largest number of retries of a batch as a whole. More would only delay halving, which finds the failing
/// record in a few steps.
const MAX_RETRIES: u64 = 100;

impl<'a> Draft<'a> {
    /// Every stage of the pipeline: sources, operators, sinks, each in the order of the file.
    pub(super) fn all(
        pipeline: &'a Pipeline,
        catalog: &'a Catalog,
        base: &Path,
        errors: &mut Diagnostics,
    ) -> Vec<Self> {
        let mut drafts = Vec::new();
        for (i, source) in pipeline.sources.iter().enumerate() {
            let mut draft = Self::new(Role::Source, i + 1, source.span, source.name.as_ref());
            draft.inputs = Some(&[]);
            draft.schema = source.schema.as_ref();
            draft.watermark = WatermarkSpec::of(&draft.place(), source, errors);
            match &source.kind {
                Some(SourceKind::Component(component)) => {
                    draft.add_component(component, catalog, base, errors);
                    text_source::no_stamps(&draft.place(), "a record of a component", source, errors);
                    no_schema(&draft.place(), "a record of a component", source, errors);
                }
                Some(builtin) => {
                    let place = draft.place();
                    draft.ports = Some(&[]);
                    draft.passes_files = text_source::passes_files(source);
                    let reads = matches!(builtin, SourceKind::File(_) | SourceKind::Stdin(_) | SourceKind::Socket(_));
                    draft.inherits_on_error = source.on_error.is_none() && reads;
                    let written = source.on_error.as_ref().unwrap_or(&config::OnError::Fail);
                    draft.on_error = on_error(&place, written, base, errors);
                    draft.work = connectors::source(&place, source, builtin, base, errors).map(Work::Source);
                }
                None => {}
            }
            drafts.push(draft);
        }
        for (i, operator) in pipeline.operators.iter().enumerate() {
            let mut draft = Self::new(Role::Operator, i + 1, operator.span, operator.name.as_ref());
            (draft.inputs, draft.partition) = (operator.inputs.as_deref(), &operator.partition);
            if let Some(component) = &operator.component {
                draft.add_component(component, catalog, base, errors);
            }
            let component = draft.component.and_then(|component| component.path.span).or(draft.name_span());
            let of = (draft.place(), draft.kind(), component);
            let rules = window_rules((&of.0, of.1, of.2), operator.window.as_ref(), operator.late.as_ref(), errors);
            if let Some(Work::Component(spec, _)) = &mut draft.work {
                spec.windows = rules;
            }
            drafts.push(draft);
        }
        for (i, sink) in pipeline.sinks.iter().enumerate() {
            let mut draft = Self::new(Role::Sink, i + 1, sink.span, sink.name.as_ref());
            (draft.inputs, draft.partition) = (sink.inputs.as_deref(), &sink.partition);
            draft.ports = Some(&[]);
            draft.work = match &sink.kind {
                Some(SinkKind::Component(component)) => {
                    draft.add_component(component, catalog, base, errors);
                    draft.work
                }
                Some(SinkKind::File(file)) => connectors::file_sink(&draft.place(), file, base, errors).map(Work::Sink),
                Some(SinkKind::Stdout(text)) => {
                    sink_text(&draft.place(), text, errors).map(|text| Work::Sink(SinkSpec::Stdout(text)))
                }
                Some(SinkKind::Socket(socket)) => {
                    connectors::socket_sink(&draft.place(), socket, base, errors).map(Work::Sink)
                }
                Some(SinkKind::Discard) => Some(Work::Sink(SinkSpec::Discard)),
                Some(SinkKind::Provided(name)) => Some(Work::Sink(SinkSpec::Provided(name.clone()))),
                None => None,
            };
            if let Some(written) = &sink.on_error {
                draft.on_error = on_error(&draft.place(), written, base, errors);
                draft.requires_fields(written, errors);
            }
            drafts.push(draft);
        }
        drafts
    }

    fn new(role: Role, number: usize, span: Option<Span>, name: Option<&'a Spanned<String>>) -> Self {
        Self {
            role,
            number,
            span,
            name,
            work: None,
            ports: None,
            shape: None,
            schema: None,
            component: None,
            inputs: None,
            partition: &Partitioning::Default,
            parallelism: 1,
            resources: Resources::default(),
            limits: Limits::default(),
            on_error: OnError::default(),
            passes_files: false,
            inherits_on_error: false,
            retries: 1,
            watermark: None,
        }
    }

    /// Name of the stage in messages: `operator "parse"`.
    pub(super) fn place(&self) -> String {
        match self.name {
            Some(name) => format!("{} \"{}\"", self.role.name(), name.value),
            None => format!("{} {}", self.role.name(), self.number),
        }
    }

    /// Place of the stage's name, or of its header if it has no name.
    pub(super) fn name_span(&self) -> Option<Span> {
        self.name.and_then(|name| name.span).or(self.span)
    }

    /// Whether a plan can be made from the stage.
    pub(super) fn is_whole(&self) -> bool {
        self.name.is_some() && self.work.is_some() && self.inputs.is_some()
    }

    /// Whether the stage is a valid component that may keep keyed state.
    pub(super) fn keeps_state(&self) -> bool {
        matches!(&self.work, Some(Work::Component(spec, _)) if spec.keeps_state)
    }

    /// The component's kind, if the stage is a valid component.
    pub(super) fn kind(&self) -> Option<Kind> {
        match &self.work {
            Some(Work::Component(_, kind)) => Some(*kind),
            _ => None,
        }
    }

    /// Reports the error policy of a sink that writes records as they are: it can write each of them.
    fn requires_fields(&self, written: &config::OnError, errors: &mut Diagnostics) {
        let text = self.work.as_ref().and_then(Work::sink_text);
        let mut inputs = self.inputs.unwrap_or_default().iter();
        let changes = inputs.any(|input| input.fields.is_some() || input.key.is_some());
        if text.is_some_and(|text| !text.has_fields() && !changes) {
            let message = format!("on_error of {} has no effect: it writes records as they are", self.place());
            let at = match written {
                config::OnError::DeadLetter(letters) => letters.path.span,
                config::OnError::Fail | config::OnError::Skip => self.span,
            };
            errors.push(
                Diagnostic::new(message)
                    .at(at)
                    .hint("it goes with fields = [\"…\"], format = \"csv\", or an input with fields or key"),
            );
        }
    }

    fn add_component(
        &mut self,
        component: &'a ComponentUse,
        catalog: &'a Catalog,
        base: &Path,
        errors: &mut Diagnostics,
    ) {
        let place = self.place();
        self.component = Some(component);
        self.ports = None;
        if let Some(written) = &component.parallelism {
            self.parallelism = parallelism(&place, written, errors);
        }
        if let Some(written) = &component.retries {
            self.retries = retries(&place, written, errors);
        }
        self.resources = amounts::resources(&place, self.role, &component.resources, errors);
        self.limits = limits::limits(&place, self.role, &component.limits, errors);
        self.on_error = on_error(&place, &component.on_error, base, errors);
        let capabilities = grants::capabilities(&place, &component.capabilities, base, errors);

        let written = &component.path;
        if written.value.is_empty() {
            errors.push(Diagnostic::new(format!("component of {place} is an empty path")).on(written));
            return;
        }
        let path = resolve(base, &written.value);
        let facts = match catalog.get(&path) {
            Some(Ok(facts)) => facts,
            Some(Err(Unusable { why, hint })) => {
                let message = format!("{place}: component {} cannot be used: {why}", written.value);
                let error = Diagnostic::new(message).on(written);
                errors.push(hint.iter().fold(error, Diagnostic::hint));
                return;
            }
            None => {
                let message = format!("{place}: component {} was not loaded", written.value);
                errors.push(Diagnostic::new(message).on(written));
                return;
            }
        };
        self.ports = Some(&facts.ports);
        self.shape = facts.description.as_ref().and_then(|description| description.shape.as_ref());
        if !self.role.takes(facts.kind) {
            let right = [Role::Source, Role::Operator, Role::Sink].into_iter().find(|role| role.takes(facts.kind));
            let right = right.map_or("operator", Role::name);
            let message = format!("{place}: component {} is a {}", written.value, facts.kind);
            errors.push(Diagnostic::new(message).on(written).hint(format!("a {} stands in [[{right}]]", facts.kind)));
            return;
        }
        if let (Some(memory), Some(asked)) = (&component.resources.memory, self.resources.memory)
            && asked < facts.initial_bytes
        {
            let (asked, least) = (exact_size(asked), exact_size(facts.initial_bytes));
            let message = format!("memory of {place} is {asked}, and its component starts with {least}");
            errors.push(Diagnostic::new(message).on(memory).hint(format!("ask for more than {least}")));
        }
        if let Some(schema) = facts.description.as_ref().and_then(|description| description.config_schema()) {
            check_config(&place, component, &schema, errors);
        }
        let config = serde_json::Value::Object(component.config.clone());
        let keeps_state = facts.keeps_state();
        self.work =
            Some(Work::Component(ComponentSpec { path, config, capabilities, keeps_state, windows: None }, facts.kind));
    }
}

fn parallelism(place: &str, written: &Spanned<u64>, errors: &mut Diagnostics) -> u32 {
    match u32::try_from(written.value) {
        Ok(count @ 1..) if written.value <= MAX_PARALLELISM => count,
        _ => {
            let message = format!("parallelism of {place} is {}", written.value);
            errors.push(Diagnostic::new(message).on(written).hint(format!("1 to {MAX_PARALLELISM} instances")));
            1
        }
    }
}

fn retries(place: &str, written: &Spanned<u64>, errors: &mut Diagnostics) -> u32 {
    match u32::try_from(written.value) {
        Ok(count) if written.value <= MAX_RETRIES => count,
        _ => {
            let message = format!("retries of {place} is {}", written.value);
            let hint = format!("0 to {MAX_RETRIES}; after them the batch is halved until the bad record stands alone");
            errors.push(Diagnostic::new(message).on(written).hint(hint));
            1
        }
    }
}

fn on_error(place: &str, written: &config::OnError, base: &Path, errors: &mut Diagnostics) -> OnError {
    match written {
        config::OnError::Fail => OnError::Fail,
        config::OnError::Skip => OnError::Skip,
        config::OnError::DeadLetter(letters) => OnError::DeadLetter(dead_letters(place, letters, base, errors)),
    }
}

fn dead_letters(place: &str, written: &config::DeadLetters, base: &Path, errors: &mut Diagnostics) -> DeadLetters {
    let path = &written.path;
    if path.value.is_empty() {
        errors.push(Diagnostic::new(format!("dead_letter of {place} is an empty path")).on(path));
    }
    let max_bytes = written.max_bytes.as_ref().map_or(DeadLetters::DEFAULT_MAX_BYTES, |max_bytes| {
        if max_bytes.value < DeadLetters::LEAST_MAX_BYTES {
            let (found, least) = (exact_size(max_bytes.value), exact_size(DeadLetters::LEAST_MAX_BYTES));
            let message = format!("max_bytes of the dead letters of {place} is {found}");
            let hint = format!("at least {least}: a letter has its record and a message of up to 8KiB");
            errors.push(Diagnostic::new(message).on(max_bytes).hint(hint));
        }
        max_bytes.value
    });
    DeadLetters { path: resolve(base, &path.value), max_bytes }
}
