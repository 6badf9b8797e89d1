use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::effective_limits::effective_limits;
use super::error::RunError;
use super::parts::{Parts, Provided};
use super::provenance::Provenance;
use super::saved_run::SavedRun;
use super::source_lane::SharedSource;
use crate::connector::{ConnectorError, DeadLetterFile, Sink, SinkStart, Source, open_sink, open_source};
use sage_plan::{FileSourceSpec, Format, OnError, Port, SinkSpec, SourceSchema, SourceSpec, StageId, Work};
use sage_store::FrameKind;

/// Opens the built-in sources. Those of a run that goes on must find the input as it was.
pub(super) fn open_sources(
    parts: &mut Parts,
    provenance: &mut Provenance,
) -> Result<BTreeMap<StageId, SharedSource>, RunError> {
    let mut sources = BTreeMap::new();
    for (id, stage) in parts.plan.stages() {
        let Work::Source(spec) = &stage.work else { continue };
        let limit = effective_limits(parts, stage).record_bytes;
        let number = provenance.next();
        let source = match take_provided_source(spec, &mut parts.provided) {
            Some(source) => source,
            None => {
                let fields = parts.plan.schemas.stage(id).and_then(|schemas| schemas.parses(&Port::Main));
                let spec = with_fields(spec, fields);
                open_source(&spec, number, limit).map_err(|error| RunError::connector(&stage.name, error))?
            }
        };
        if let Some(saved) = &mut parts.saved {
            compare(&*source, &stage.name, saved).map_err(|error| RunError::connector(&stage.name, error))?;
        }
        provenance.add(&stage.name, source.places());
        sources.insert(id, Arc::new(Mutex::new(source)));
    }
    Ok(sources)
}

fn take_provided_source(spec: &SourceSpec, provided: &mut Provided) -> Option<Box<dyn crate::connector::Source>> {
    match spec {
        SourceSpec::Provided(name) => provided.sources.remove(name),
        _ => None,
    }
}

/// Opens the built-in sinks, behind what an earlier run had saved.
pub(super) fn open_sinks(parts: &mut Parts) -> Result<BTreeMap<StageId, Box<dyn Sink>>, RunError> {
    let mut sinks = BTreeMap::new();
    for (id, stage) in parts.plan.stages() {
        let Work::Sink(spec) = &stage.work else { continue };
        let provided = match spec {
            SinkSpec::Provided(name) => parts.provided.sinks.remove(name),
            _ => None,
        };
        let sink = match provided {
            Some(sink) => sink,
            None => {
                let names = parts.plan.schemas.stage(id).and_then(|schemas| schemas.writes.as_ref());
                let names = names.into_iter().flatten().map(|field| field.name.clone()).collect();
                let saved = parts.saved.as_ref();
                let start = SinkStart {
                    has_epochs: saved.is_some(),
                    saved: saved.and_then(|saved| saved.part(FrameKind::Sink, &stage.name, 0)),
                };
                open_sink(spec, names, &parts.guard, start).map_err(|error| RunError::connector(&stage.name, error))?
            }
        };
        sinks.insert(id, sink);
    }
    Ok(sinks)
}

/// Opens the dead-letter files. Stages that use one file, even under different paths, share it.
pub(super) fn open_dead_letters(parts: &Parts) -> Result<BTreeMap<StageId, Arc<DeadLetterFile>>, RunError> {
    let mut by_stage: BTreeMap<StageId, Arc<DeadLetterFile>> = BTreeMap::new();
    for (id, stage) in parts.plan.stages() {
        let OnError::DeadLetter(letters) = &stage.on_error else { continue };
        let file = DeadLetterFile::open(&letters.path, &parts.guard)
            .map_err(|error| RunError::connector(&stage.name, error))?;
        if let Some(saved) = &parts.saved
            && let (Some(run), Some(letters)) = (saved.run(), saved.part(FrameKind::Letters, &stage.name, 0))
        {
            let cut = file.cut_back(letters, run).map_err(|error| RunError::connector(&stage.name, error))?;
            if !cut {
                tracing::warn!(
                    operator = stage.name,
                    "dead letters after the last epoch stay, because others have written to the file too: some come twice"
                );
            }
        }
        let shared = by_stage.values().find(|other| other.is_same(&file)).cloned();
        by_stage.insert(id, shared.unwrap_or_else(|| Arc::new(file)));
    }
    Ok(by_stage)
}

/// Notes the input of a source for later runs, and compares it with that of the run before.
fn compare(source: &dyn Source, stage: &str, saved: &mut SavedRun) -> Result<(), ConnectorError> {
    let Some(now) = source.identity()? else {
        let what = "no later run can read this input again, so a run with checkpoints could not go on";
        return Err(ConnectorError::new(what).hint("read files, or leave checkpoint out of [pipeline]"));
    };
    if let Some(before) = saved.input(stage) {
        source.require_same(before)?;
    }
    saved.manifest.inputs.insert(stage.to_owned(), String::from_utf8_lossy(&now).into_owned());
    Ok(())
}

/// The same source; a source of CSV reads the fields that stages downstream read.
fn with_fields(spec: &SourceSpec, fields: Option<&Arc<SourceSchema>>) -> SourceSpec {
    let mut spec = spec.clone();
    if let SourceSpec::File(FileSourceSpec { text, .. }) | SourceSpec::Stdin(text) = &mut spec
        && text.format == Format::Csv
    {
        text.reads = fields.cloned();
    }
    spec
}
