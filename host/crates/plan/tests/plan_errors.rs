//! Plans and errors of pipelines that are no files in `plan_cases/`: built in Rust, made of arbitrary bytes, or with
//! thousands of errors.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share, where a panic is how a test fails"
)]

#[allow(dead_code, reason = "another test program uses the rest")]
mod described;

use std::path::Path;

use described::{catalog, describe, outcome};
use proptest::prelude::*;
use sage_plan::config::{ComponentUse, Operator, Partitioning, Pipeline, Sink, SinkKind, Source, SourceKind, parse};
use sage_plan::{Catalog, validate, validate_parsed};

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

#[test]
fn fields_are_found_in_a_graph_with_more_paths_than_can_be_walked() {
    let mut text = "[[source]]\nname = \"a0\"\nstdin = { format = \"jsonl\" }\nschema = { x = \"s64\" }\n".to_owned();
    let mut input = "[\"a0\"]".to_owned();
    for layer in 1..=60 {
        for side in ["a", "b"] {
            let component = format!("map(x: s64 -> {side}{layer}: u8, ..).wasm");
            text += &format!("[[operator]]\nname = \"{side}{layer}\"\ncomponent = \"{component}\"\ninput = {input}\n");
        }
        input = format!("[\"a{layer}\", \"b{layer}\"]");
    }
    text += &format!("[[sink]]\nname = \"out\"\ninput = {input}\nstdout = {{}}\n");
    let shown = outcome(text.as_bytes());
    assert!(shown.contains("parses Main x: s64\n") && shown.ends_with("  x    s64\n  and other fields\n"), "{shown}");

    let wrong = text.replacen("x: s64 -> b60", "x: bool -> b60", 1);
    let shown = outcome(wrong.as_bytes());
    assert!(shown.contains("operator \"b60\" reads field `x` as bool"), "{shown}");
}

#[test]
fn fields_add_up_along_a_chain_of_operators_that_keep_them() {
    let mut text = "[[source]]\nname = \"n0\"\nstdin = { format = \"jsonl\" }\nschema = { x = \"s64\" }\n".to_owned();
    for at in 1..=50 {
        let given: Vec<String> = (0..200).map(|field| format!("f{at}_{field}: u8")).collect();
        let component = format!("map(x: s64 -> {}, ..).wasm", given.join(", "));
        let input = at - 1;
        text += &format!("[[operator]]\nname = \"n{at}\"\ncomponent = \"{component}\"\ninput = \"n{input}\"\n");
    }
    text += "[[sink]]\nname = \"out\"\ninput = \"n50\"\nstdout = {}\n";
    let shown = outcome(text.as_bytes());
    let last = shown.split("n50 -> out\n").nth(1).unwrap();
    assert_eq!(last.lines().count(), 50 * 200 + 1, "the given fields, and x");
}

/// Files that use every key.
fn seeds() -> Vec<Vec<u8>> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan_cases");
    [
        "good-flights",
        "good-every-source-and-sink",
        "good-partitions",
        "good-fields-of-a-schema",
        "fields-of-the-wrong-type",
        "bad-schemas",
        "wrong-types",
    ]
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
