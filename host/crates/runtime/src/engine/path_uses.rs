use std::path::Path;

use super::JobOptions;
use crate::connector::{PathRole, PathUse, StandardStreams};
use sage_plan::config::{self, ComponentUse, HostSettings, Pipeline, SinkKind, SourceKind, Spanned, resolve};
use sage_plan::pattern_path;

/// Every path that a run of the pipeline reads or writes, and the folders in which its guests may write.
pub(super) fn path_uses(
    pipeline: &Pipeline,
    (file, base): (Option<&Path>, &Path),
    settings: &HostSettings,
    options: &JobOptions,
) -> Vec<PathUse> {
    let mut uses = Vec::new();
    let mut add = |role, path: &Path, span| uses.push(PathUse { role, path: path.to_owned(), span });
    for source in &pipeline.sources {
        if let Some(config::OnError::DeadLetter(config::DeadLetters { path, .. })) = &source.on_error {
            let stage = format!("source \"{}\"", name(source.name.as_ref()));
            add(PathRole::DeadLetters(stage), &resolve(base, &path.value), path.span);
        }
        match (&source.kind, name(source.name.as_ref())) {
            (Some(SourceKind::File(file)), name) => {
                add(PathRole::Source(name), &pattern_path(base, &file.path.value), file.path.span);
            }
            (Some(SourceKind::Component(component)), name) => add_component(&mut add, "source", &name, component, base),
            _ => {}
        }
    }
    for operator in &pipeline.operators {
        if let Some(component) = &operator.component {
            add_component(&mut add, "operator", &name(operator.name.as_ref()), component, base);
        }
    }
    for sink in &pipeline.sinks {
        match (&sink.kind, name(sink.name.as_ref())) {
            (Some(SinkKind::File(file)), name) => {
                let appends = file.append.as_ref().is_some_and(|append| append.value);
                let role = match (&file.roll, appends) {
                    (Some(_), _) => PathRole::SinkParts(name),
                    (None, true) => PathRole::SinkAppends(name),
                    (None, false) => PathRole::Sink(name),
                };
                add(role, &resolve(base, &file.path.value), file.path.span);
            }
            (Some(SinkKind::Component(component)), name) => add_component(&mut add, "sink", &name, component, base),
            _ => {}
        }
    }
    for model in &pipeline.models {
        add(PathRole::Model(model.spec.name.clone()), &resolve(base, &model.spec.path), model.path_span);
    }
    // Their spans belong to another file.
    for model in &pipeline.host_models {
        add(PathRole::Model(model.spec.name.clone()), &model.spec.path, None);
    }
    let host_file = options.host_file.as_deref().map(|path| (PathRole::HostFile, path));
    let library = settings.onnxruntime_library.as_deref().map(|path| (PathRole::Library, path));
    let pipeline_file = file.map(|path| (PathRole::PipelineFile, path));
    for (role, path) in pipeline_file.into_iter().chain(host_file).chain(library) {
        add(role, path, None);
    }
    if let Some(cache) = options.cache_folder(settings) {
        add(PathRole::OwnFolder("the cache of compiled components"), &cache, None);
    }
    if let Some(checkpoint) = &pipeline.checkpoint {
        let folder = resolve(base, &checkpoint.folder.value);
        add(PathRole::OwnFolder("the folder of checkpoints"), &folder, checkpoint.folder.span);
    }
    for leases in options.lease_folders(settings) {
        add(PathRole::OwnFolder("the lease folder"), &leases, None);
    }
    // An empty path was already reported, and resolves to the pipeline's folder.
    uses.retain(|path_use| !path_use.path.as_os_str().is_empty() && path_use.path != base);
    uses
}

/// The standard streams that the run uses.
pub(super) fn standard_streams(pipeline: &Pipeline, options: &JobOptions) -> StandardStreams {
    let input = pipeline.sources.iter().find(|source| matches!(source.kind, Some(SourceKind::Stdin(_))));
    let records = pipeline.sinks.iter().find(|sink| matches!(sink.kind, Some(SinkKind::Stdout(_))));
    StandardStreams {
        input: input.map(|source| name(source.name.as_ref())),
        records: records.map(|sink| name(sink.name.as_ref())),
        output: options.speaks,
        error: options.speaks,
    }
}

fn add_component(
    add: &mut impl FnMut(PathRole, &Path, Option<config::Span>),
    what: &str,
    name: &str,
    component: &ComponentUse,
    base: &Path,
) {
    let stage = format!("{what} \"{name}\"");
    if let config::OnError::DeadLetter(config::DeadLetters { path, .. }) = &component.on_error {
        add(PathRole::DeadLetters(stage.clone()), &resolve(base, &path.value), path.span);
    }
    for folder in component.capabilities.folders.iter().filter(|folder| folder.write) {
        add(PathRole::Granted(stage.clone()), &resolve(base, &folder.host.value), folder.host.span);
    }
    add(PathRole::Component(stage), &resolve(base, &component.path.value), component.path.span);
}

/// A missing stage name was already reported.
fn name(name: Option<&Spanned<String>>) -> String {
    name.map(|name| name.value.clone()).unwrap_or_default()
}
