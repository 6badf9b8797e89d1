use std::collections::HashMap;
use std::path::Path;

use super::draft::Draft;
use super::{ModelSpec, Work};
use crate::config::{Diagnostic, Diagnostics, Model, Pipeline, closest, resolve};

/// The models of the pipeline: all that the pipeline itself declares, then those of the host that an operator
/// lists; each group in the order of its declarations.
pub(super) fn declare(
    pipeline: &Pipeline,
    drafts: &[Draft<'_>],
    base: &Path,
    errors: &mut Diagnostics,
) -> Vec<ModelSpec> {
    let mut known: HashMap<&str, &Model> = HashMap::new();
    for model in pipeline.host_models.iter().chain(&pipeline.models) {
        if known.insert(&model.spec.name, model).is_some() {
            let message = format!("the host declares a model \"{}\" too", model.spec.name);
            errors
                .push(Diagnostic::new(message).at(model.name_span).hint("give this one another name, or leave it out"));
        }
    }
    let mut listed = Vec::new();
    for draft in drafts {
        let Some(component) = draft.component else { continue };
        for name in &component.models {
            if known.contains_key(name.value.as_str()) {
                listed.push(name.value.as_str());
                continue;
            }
            let message = format!("{} lists model \"{}\", which is not declared", draft.place(), name.value);
            let hint = match closest(&name.value, known.keys().copied()) {
                Some(close) => format!("did you mean \"{close}\"?"),
                None => format!("declare it: [model.{}] with path = \"model.onnx\"", name.value),
            };
            errors.push(Diagnostic::new(message).on(name).hint(hint));
        }
        // A wrong number was reported before.
        let asked = component.resources.num_gpus.as_ref().map(|written| written.value);
        if let (Some(name), None, None | Some(0.0)) = (component.models.first(), draft.resources.num_gpus, asked) {
            let of_none = asked.map_or("", |_| " (num_gpus = 0 asks for none)");
            let message = format!("{} lists models and asks for no device to run them on{of_none}", draft.place());
            let hint = "resources = { num_gpus = 1 }, or a fraction below 1; without, every call would be refused";
            errors.push(Diagnostic::new(message).on(name).hint(hint));
        }
    }
    let own =
        pipeline.models.iter().map(|Model { spec, .. }| ModelSpec { path: resolve(base, &spec.path), ..spec.clone() });
    // The host's models are already resolved against the host file's folder.
    let of_host = pipeline.host_models.iter().filter(|model| listed.contains(&model.spec.name.as_str()));
    own.chain(of_host.map(|model| model.spec.clone())).collect()
}

/// Names of the models that a stage may open.
pub(super) fn allowed(draft: &Draft<'_>) -> Vec<String> {
    let listed = draft.component.map(|component| component.models.as_slice()).unwrap_or_default();
    match draft.work {
        Some(Work::Component(..)) => listed.iter().map(|name| name.value.clone()).collect(),
        _ => Vec::new(),
    }
}
