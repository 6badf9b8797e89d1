//! Any bytes as a pipeline file or `host.toml` give either a plan that keeps its promises, or errors that can
//! be shown.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sage_plan::config::{Diagnostics, component_paths, parse, parse_host};
use sage_plan::{Catalog, ComponentFacts, Kind, Plan, Unusable, validate_parsed};

fuzz_target!(|bytes: &[u8]| {
    let base = Path::new("/pipelines");
    let parsed = parse("pipeline.toml", bytes);
    let mut catalog = Catalog::new();
    for path in component_paths(&parsed.pipeline, base) {
        let facts = facts(&path);
        catalog.insert(path, facts);
    }
    match validate_parsed(parsed, &catalog, base) {
        Ok(plan) => check_plan(&plan),
        Err(errors) => check_errors(&errors),
    }
    if let Err(errors) = parse_host("host.toml", bytes, base) {
        check_errors(&errors);
    }
});

/// The facts of a component whose kind is the beginning of its file name, so that every kind can occur.
fn facts(path: &Path) -> Result<ComponentFacts, Unusable> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let kind = Kind::ALL.into_iter().find(|kind| stem.starts_with(kind.name())).ok_or("no such file")?;
    Ok(ComponentFacts::new(kind, vec!["late".to_owned()]))
}

fn check_plan(plan: &Plan) {
    let mut names: Vec<&str> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), plan.stages.len(), "names are unique");
    for (id, stage) in plan.stages() {
        assert!((1..=1024).contains(&stage.parallelism));
        assert!(stage.limits.cpu_time_per_call <= stage.limits.call_timeout);
        assert!(stage.limits.record_bytes <= stage.limits.output_bytes_per_call);
        assert!(stage.inputs.iter().all(|&edge| plan.edge(edge).to == id && plan.edge(edge).from < id));
        assert!(stage.outputs.iter().all(|&edge| plan.edge(edge).from == id && plan.edge(edge).to > id));
    }
    assert_eq!(plan.stages.iter().map(|stage| stage.inputs.len()).sum::<usize>(), plan.edges.len());
}

fn check_errors(errors: &Diagnostics) {
    assert!(!errors.is_empty());
    let shown = errors.render(false);
    assert!(shown.ends_with(&format!("{}\n", errors.count())), "{shown}");
    serde_json::to_string(errors).expect("errors are JSON");
}
