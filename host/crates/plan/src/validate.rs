use std::collections::BTreeSet;
use std::path::Path;

use super::draft::Draft;
use super::edge_schemas::{self, Resolved};
use super::{
    Catalog, Checkpoints, Edge, EdgeId, EdgeKey, EdgeSchema, ModelSpec, OnError, Plan, Schemas, Stage, StageId, models,
    names, partitions, standard_input, topology, windows, wiring,
};
use crate::config::{Diagnostic, Diagnostics, Input, Parsed, Pipeline};

/// Turns a pipeline as written into a plan. `base` is the folder of the pipeline file; `catalog` holds the
/// components that [`component_paths`](crate::config::component_paths) lists.
///
/// # Errors
/// All errors, in the order of the file.
pub fn validate(pipeline: &Pipeline, catalog: &Catalog, base: &Path) -> Result<Plan, Diagnostics> {
    let (plan, mut errors) = check(pipeline, catalog, base);
    if plan.is_none() && errors.is_empty() {
        let unread =
            Diagnostic::new("a stage lacks its name, its input or its kind, or part of the file could not be read");
        errors.push(unread);
    }
    plan.ok_or(errors)
}

/// [`validate`] for the result of [`parse`](crate::config::parse), with its errors.
///
/// # Errors
/// The errors of `parse` and all further errors, in the order of the file.
pub fn validate_parsed(parsed: Parsed, catalog: &Catalog, base: &Path) -> Result<Plan, Diagnostics> {
    let Parsed { pipeline, mut diagnostics } = parsed;
    if diagnostics.is_empty() {
        return validate(&pipeline, catalog, base);
    }
    let (_, errors) = check(&pipeline, catalog, base);
    diagnostics.append(errors);
    Err(diagnostics)
}

/// The plan, if there is no error. `None` without errors means that parts are missing, which the parser
/// reported.
fn check(pipeline: &Pipeline, catalog: &Catalog, base: &Path) -> (Option<Plan>, Diagnostics) {
    let mut errors = Diagnostics::new(pipeline.source.clone());
    let drafts = Draft::all(pipeline, catalog, base, &mut errors);
    let torn = pipeline.torn || drafts.iter().any(|draft| draft.name.is_none());
    names::check(pipeline, &drafts, &mut errors);
    if !torn {
        names::check_ends(pipeline, &mut errors);
    }
    let wires = wiring::connect(&drafts, torn, &mut errors);
    let sorted = topology::sort(&drafts, &wires, &mut errors);
    let partitions = partitions::assign(&drafts, &wires, &sorted, &mut errors);
    let schemas = edge_schemas::resolve(&drafts, &wires, &sorted, &mut errors);
    windows::check_times(&drafts, &wires, &mut errors);
    standard_input::check(&drafts, &mut errors);
    let models = models::declare(pipeline, &drafts, base, &mut errors);
    let checkpoints = pipeline.checkpoint.as_ref().map(|written| Checkpoints::of(written, base, &mut errors));
    errors.sort();

    let whole = !pipeline.torn && drafts.iter().all(Draft::is_whole);
    let plan = (errors.is_empty() && whole)
        .then(|| build(pipeline, drafts, (&wires, &sorted, &partitions), (models, schemas)));
    (plan.flatten().map(|plan| Plan { checkpoints, ..plan }), errors)
}

/// Builds the plan from its parts. `None` if they do not fit together; an earlier error has said so.
fn build(
    pipeline: &Pipeline,
    drafts: Vec<Draft<'_>>,
    (wires, sorted, partitions): (&[wiring::Wire], &[usize], &[super::Partition]),
    (models, schemas): (Vec<ModelSpec>, Resolved),
) -> Option<Plan> {
    let mut place = vec![None; drafts.len()];
    for (id, &draft) in sorted.iter().enumerate() {
        *place.get_mut(draft)? = Some(StageId(id));
    }
    let inheriting: BTreeSet<usize> =
        drafts.iter().enumerate().filter(|(_, draft)| draft.inherits_on_error).map(|(place, _)| place).collect();
    let inputs: Vec<&[Input]> = drafts.iter().map(|draft| draft.inputs.unwrap_or_default()).collect();
    let mut drafts: Vec<Option<Draft<'_>>> = drafts.into_iter().map(Some).collect();
    let mut stages = Vec::with_capacity(drafts.len());
    for &draft in sorted {
        stages.push(drafts.get_mut(draft)?.take()?.into_stage()?);
    }
    let mut edges = Vec::with_capacity(wires.len());
    for ((wire, &partition), schema) in wires.iter().zip(partitions).zip(schemas.edges) {
        let from = (*place.get(wire.from)?)?;
        let to = (*place.get(wire.to)?)?;
        let input = inputs.get(wire.to)?.get(wire.input)?;
        let fields = input.fields.as_ref().map(|fields| fields.list.iter().map(|item| item.value.clone()).collect());
        let key = input.key.as_ref().map(|key| EdgeKey {
            fields: key.fields.iter().map(|field| field.value.clone()).collect(),
            composite: key.composite,
            null_key: key.null_key.as_ref().map(|text| text.value.clone()),
        });
        let name = input.name.as_ref().map(|name| name.value.clone());
        edges.push((Edge { from, port: wire.port.clone(), to, partition, name, fields, key }, schema));
    }
    // The edges are sorted by receiver, so that ids follow the order of the stages. The sort is stable, so that
    // inputs keep the order of the file.
    edges.sort_by_key(|(edge, _)| edge.to);
    let (edges, edge_schemas): (Vec<Edge>, Vec<EdgeSchema>) = edges.into_iter().unzip();
    let mut stage_schemas = schemas.stages;
    let stage_schemas = sorted.iter().map(|&draft| stage_schemas.get_mut(draft).map(std::mem::take));
    let schemas = Schemas { stages: stage_schemas.collect::<Option<_>>()?, edges: edge_schemas };
    for (id, edge) in edges.iter().enumerate() {
        stages.get_mut(edge.from.0)?.outputs.push(EdgeId(id));
        stages.get_mut(edge.to.0)?.inputs.push(EdgeId(id));
    }
    for (id, &draft) in sorted.iter().enumerate() {
        if inheriting.contains(&draft)
            && let Some(on_error) = readers_on_error(&stages, &edges, StageId(id))
        {
            stages.get_mut(id)?.on_error = on_error;
        }
    }
    (stages.len() == drafts.len()).then(|| Plan {
        name: plan_name(pipeline),
        stages,
        edges,
        models,
        schemas,
        checkpoints: None,
    })
}

/// The error policy that all readers of a stage share. `None` if they differ.
fn readers_on_error(stages: &[Stage], edges: &[Edge], source: StageId) -> Option<OnError> {
    let mut readers = edges.iter().filter(|edge| edge.from == source).map(|edge| stages.get(edge.to.0));
    let first = &readers.next()??.on_error;
    readers.all(|reader| reader.is_some_and(|reader| reader.on_error == *first)).then(|| first.clone())
}

fn plan_name(pipeline: &Pipeline) -> String {
    if let Some(name) = &pipeline.name {
        return name.value.clone();
    }
    let stem = pipeline.source.as_ref().and_then(|source| Path::new(source.name()).file_stem());
    stem.map_or_else(|| "pipeline".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

impl Draft<'_> {
    fn into_stage(self) -> Option<Stage> {
        let models = models::allowed(&self);
        Some(Stage {
            name: self.name?.value.clone(),
            work: self.work?,
            parallelism: self.parallelism,
            resources: self.resources,
            models,
            limits: self.limits,
            on_error: self.on_error,
            passes_files: self.passes_files,
            retries: self.retries,
            watermark: self.watermark,
            inputs: Vec::new(),
            outputs: Vec::new(),
        })
    }
}
