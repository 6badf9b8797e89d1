//! Pipeline files and their results. Each folder of `plan_cases/` holds a `pipeline.toml` and an
//! `expected.txt`: a summary of the plan, or all errors. `UPDATE_CASES=1 cargo test --test plan_cases` rewrites
//! the expected files.
//!
//! A component gets its facts from its file name: `map.wasm`, `key-by-carrier.wasm`, `process.wasm` (with a
//! side output `late`), `source.wasm` (with a side output `errors`), and so on. Other components are missing. A
//! name that ends in `-described` has a description of its configuration, `-stateless` keeps no state, and
//! `-large` starts with 1 MiB.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share, where a panic is how a test fails"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use sage_plan::config::{
    ComponentUse, Operator, Partitioning, Pipeline, Sink, SinkKind, Source, SourceKind, component_paths, parse,
};
use sage_plan::{Catalog, ComponentFacts, Description, Kind, Plan, Work, validate, validate_parsed};

#[test]
fn every_pipeline_file_gives_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan_cases");
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let mut wrong = Vec::new();
    let mut refused = 0;
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read(case.join("pipeline.toml")).unwrap();
        let found = outcome(&text);
        refused += usize::from(found.contains("error"));
        assert_eq!(name.starts_with("good-"), !found.contains("error:"), "{name}: by its name\n{found}");
        let expected_file = case.join("expected.txt");
        if update {
            std::fs::write(&expected_file, &found).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&expected_file).unwrap_or_default();
        if found != expected {
            wrong.push(format!("=== {name}\n--- expected\n{expected}\n--- found\n{found}"));
        }
    }
    assert!(refused >= 30 && cases.len() > refused, "{} cases, {refused} refused: are they all there?", cases.len());
    assert!(wrong.is_empty(), "{}\n{} of {} differ", wrong.join("\n"), wrong.len(), cases.len());
}

#[test]
fn the_errors_as_json_have_lines_columns_and_hints() {
    let text = b"[[source]]\nname = \"in\"\nstdin = {}\n\n[[sink]]\nname = \"out\"\ninput = \"im\"\nstdout = {}\n";
    let parsed = parse("p.toml", text);
    let errors = validate_parsed(parsed, &Catalog::new(), Path::new("/")).unwrap_err();
    assert_eq!(
        serde_json::to_value(&errors).unwrap(),
        serde_json::json!({
            "file": "p.toml",
            "errors": [{
                "message": "sink \"out\" reads \"im\", which is not there",
                "hint": "did you mean \"in\"?",
                "labels": [{"line": 7, "column": 9, "start": 65, "end": 69, "text": ""}],
            }],
            "total": 1,
        })
    );
    let colored = errors.render(true);
    assert!(colored.contains("\u{1b}[") && colored.contains('^'), "{colored}");
}

#[test]
fn a_pipeline_built_from_rust_is_checked_the_same_and_needs_no_file() {
    let mut component = ComponentUse::new("process.wasm");
    component.parallelism = Some(2.into());
    component.resources.num_cpus = Some(1.5.into());
    let operator = Operator {
        name: Some("count".into()),
        inputs: Some(vec!["inn".into()]),
        partition: Partitioning::All("key".into()),
        component: Some(component),
        ..Operator::default()
    };
    let mut pipeline = Pipeline {
        sources: vec![Source {
            name: Some("in".into()),
            kind: Some(SourceKind::Provided("mine".to_owned())),
            ..Source::default()
        }],
        operators: vec![operator],
        sinks: vec![Sink {
            name: Some("out".into()),
            inputs: Some(vec!["count".into()]),
            kind: Some(SinkKind::Discard),
            ..Sink::default()
        }],
        ..Pipeline::default()
    };
    let base = Path::new("/x");
    let known = catalog(&pipeline, base);
    let errors = validate(&pipeline, &known, base).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "  error: num_cpus of operator \"count\" is 1.5\n  hint: whole, or a fraction below 1: 1 or 2\n\n  \
         error: operator \"count\" reads \"inn\", which is not there\n  hint: did you mean \"in\"?\n\n\
         2 errors in the pipeline\n"
    );

    pipeline.operators[0].inputs = Some(vec!["in".into()]);
    pipeline.operators[0].component.as_mut().unwrap().resources.num_cpus = Some(1.0.into());
    let plan = validate(&pipeline, &known, base).unwrap();
    assert_eq!(describe(&plan).lines().next_back().unwrap(), "   <- count Main RoundRobin", "{}", describe(&plan));

    pipeline.sinks[0].kind = None;
    assert!(validate(&pipeline, &known, base).unwrap_err().to_string().contains("lacks"), "half a pipeline is no plan");
}

#[test]
fn errors_beyond_the_first_hundred_are_counted() {
    let text: String = (0..250).map(|i| format!("key{i} = 1\n")).collect();
    let shown = outcome(text.as_bytes());
    assert!(shown.ends_with("250 errors in pipeline.toml, the first 100 are shown\n"), "{shown}");
    assert_eq!(shown.matches("error:").count(), 100);

    // A similar name is searched only while errors are shown. Otherwise this test takes minutes.
    let stage = |i| format!("[[operator]]\nname = \"n{i}\"\ncomponent = \"map.wasm\"\ninput = \"other{i}\"\n");
    let text: String = (0..3000).map(stage).collect();
    let shown = outcome(text.as_bytes());
    assert!(
        shown.ends_with("3002 errors in pipeline.toml, the first 100 are shown\n"),
        "{}",
        &shown[shown.len() - 200..]
    );
}

/// Files that use every key.
fn seeds() -> Vec<Vec<u8>> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan_cases");
    ["good-flights", "good-every-source-and-sink", "good-partitions", "wrong-types"]
        .map(|case| std::fs::read(cases.join(case).join("pipeline.toml")).unwrap())
        .into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_a_plan_or_errors(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        outcome(&bytes);
    }

    /// A piece of a real file is cut out or moved, as by a broken edit.
    #[test]
    fn a_torn_pipeline_file_is_a_plan_or_errors(
        seed in prop::sample::select(seeds()),
        cuts in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()),
            1..4,
        ),
    ) {
        let mut text = seed;
        for (from, length, to, keep) in cuts {
            let from = from.index(text.len() + 1);
            let end = (from + length.index(40)).min(text.len());
            let piece = if keep { text[from..end].to_vec() } else { text.drain(from..end).collect() };
            let to = to.index(text.len() + 1);
            if keep {
                text.splice(to..to, piece);
            }
        }
        outcome(&text);
    }
}

fn outcome(text: &[u8]) -> String {
    let base = Path::new("/pipelines");
    let parsed = parse("pipeline.toml", text);
    let catalog = catalog(&parsed.pipeline, base);
    match validate_parsed(parsed, &catalog, base) {
        Ok(plan) => describe(&plan),
        Err(errors) => errors.render(false),
    }
}

/// The description of a component, by the end of its name.
fn description(stem: &str) -> Option<Arc<Description>> {
    let text = if stem.ends_with("-stateless") {
        r#"{"version":1,"state":"none"}"#
    } else if stem.ends_with("-described") {
        r#"{
            "version": 1,
            "config": {
                "type": "object",
                "properties": {
                    "delimiter": { "type": "string", "description": "What stands between fields." },
                    "field": { "type": "integer", "minimum": 0, "maximum": 4294967295 },
                    "names": { "type": "array", "items": { "type": "string" } }
                },
                "required": ["delimiter"],
                "additionalProperties": false
            }
        }"#
    } else {
        return None;
    };
    Some(Arc::new(Description::read(text.as_bytes()).unwrap()))
}

fn catalog(pipeline: &Pipeline, base: &Path) -> Catalog {
    let facts = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let kind = Kind::ALL.into_iter().find(|kind| stem.starts_with(kind.name())).ok_or("no such file")?;
        let ports: &[&str] = match kind {
            Kind::Process => &["late", "dropped"],
            Kind::Source => &["errors"],
            _ => &[],
        };
        let facts = ComponentFacts::new(kind, ports.iter().map(|&port| port.to_owned()).collect());
        let initial_bytes = if stem.ends_with("-large") { 1 << 20 } else { 0 };
        Ok(ComponentFacts { description: description(stem.as_ref()), initial_bytes, ..facts })
    };
    component_paths(pipeline, base).into_iter().map(|path| (path.clone(), facts(&path))).collect()
}

/// Prints a line for each stage with its settings that are not the default, and a line for each of its inputs.
fn describe(plan: &Plan) -> String {
    let mut out = format!("pipeline {}\n", plan.name);
    for (id, stage) in plan.stages() {
        let work = match &stage.work {
            Work::Source(source) => format!("{source:?}"),
            Work::Component(component, kind) => {
                let mut text = format!("{kind} {}", component.path.display());
                if component.config != serde_json::json!({}) {
                    let _ = write!(text, "\n   config {}", component.config);
                }
                if component.capabilities != Default::default() {
                    let _ = write!(text, "\n   {:?}", component.capabilities);
                }
                text
            }
            Work::Sink(sink) => format!("{sink:?}"),
        };
        let _ = writeln!(out, "{} {} x{}: {work}", id.0, stage.name, stage.parallelism);
        if stage.resources != Default::default() {
            let _ = writeln!(out, "   {:?}", stage.resources);
        }
        if stage.limits != Default::default() {
            let _ = writeln!(out, "   {:?}", stage.limits);
        }
        if stage.on_error != Default::default() || stage.retries != 1 {
            let files = if stage.passes_files { ", and of files" } else { "" };
            let _ = writeln!(out, "   on error {:?}{files}, {} retries", stage.on_error, stage.retries);
        }
        for &input in &stage.inputs {
            let edge = plan.edge(input);
            assert_eq!(edge.to, id);
            assert!(edge.from < id, "upstream before downstream");
            assert!(plan.stage(edge.from).outputs.contains(&input));
            let _ = writeln!(out, "   <- {} {:?} {:?}", plan.stage(edge.from).name, edge.port, edge.partition);
        }
    }
    out
}
