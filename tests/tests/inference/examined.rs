use std::time::{Duration, Instant};

use sage_models::{ExamineElsewhere as _, ExamineLimits, Examined, ModelError, Trial, Tried};
use sage_runtime::worker::inspect_model::OneShotInspector;
use sage_tests::onnx::{Dim, Message, Onnx, attribute, graph_attribute, tensor, tensor_attribute, tensor_elsewhere};
use sage_tests::program;

use crate::backends::model_file;

const LIMITS: ExamineLimits = ExamineLimits { timeout: Duration::from_secs(20), memory: 256 << 20 };

fn examine(file: &[u8]) -> Result<Examined, ModelError> {
    let begun = Instant::now();
    let outcome = OneShotInspector::new(program()).examine(file, Trial::Wanted, LIMITS);
    assert!(begun.elapsed() < LIMITS.timeout + Duration::from_secs(5), "it took {:?}", begun.elapsed());
    outcome
}

const ROWS: [Dim<'_>; 2] = [Dim::Free("rows"), Dim::Is(2)];

/// A model `y = x + what`, in which the given graph computes `what`.
fn plus(what: Onnx) -> Vec<u8> {
    what.input("x", 1, &ROWS).output("y", 1, &ROWS).node("Add", &["x", "what"], &["y"], &[]).file()
}

#[test]
fn a_model_that_runs_is_measured() {
    for path in ["examples/file-types/magika.onnx", "tests/models/ocr-classifier.onnx"] {
        let examined = examine(&model_file(path)).unwrap();
        let Some(Tried::Loaded { run: Some(_), takes_rows: true, memory: Some(memory), .. }) = &examined.tried else {
            panic!("{path}: {:?}", examined.tried);
        };
        assert!((1 << 20..1 << 30).contains(memory), "{path}: {memory}");
        let weights = examined.inspection.facts.weight_bytes;
        assert!((500_000..3_200_000).contains(&weights), "{path}: {weights}");
        examined.accepted().unwrap();
    }
}

#[test]
fn a_model_for_another_backend_is_only_read() {
    let custom = Onnx::default().input("x", 16, &ROWS).output("y", 16, &ROWS);
    let custom = custom.node("Frobnicate", &["x"], &["y"], &[]).file();
    let examined = OneShotInspector::new(program()).examine(&custom, Trial::NotWanted, LIMITS).unwrap();
    assert_eq!(
        (examined.tried.as_ref(), examined.inspection.operators.as_slice()),
        (None, &["Frobnicate".to_owned()][..])
    );
    assert_eq!(examined.accepted().unwrap().inputs[0].to_string(), "bf16[rows, 2]");
}

#[test]
fn what_is_no_model_is_refused() {
    let magika = model_file("examples/file-types/magika.onnx");
    let mut corrupt = magika.clone();
    corrupt.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x5a);
    let elsewhere = plus(Onnx::default().weight(&tensor_elsewhere("what", 1, &[2], "/etc/passwd")));
    let cases = [
        ("nothing", Vec::new(), "no ONNX model"),
        ("text", b"models = 1".to_vec(), "no ONNX model"),
        ("truncated", magika[..magika.len() / 2].to_vec(), "no ONNX model"),
        ("corrupt", corrupt, "no ONNX model"),
        ("weights in another file", elsewhere, "lies in another file"),
    ];
    for (what, file, part) in cases {
        match examine(&file) {
            Err(ModelError::Refused(reason)) => assert!(reason.contains(part), "{what}: {reason}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// The reason of a refusal, by the examination or by the process that runs it.
fn refusal(what: &str, file: &[u8]) -> String {
    match examine(file).and_then(Examined::accepted) {
        Err(error @ (ModelError::Refused(_) | ModelError::OutOfMemory(_) | ModelError::Died(_))) => error.to_string(),
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn what_a_file_claims_costs_only_the_process_that_looks_at_it() {
    const HUGE: i64 = 1 << 40;
    let filled = |shape: &[i64]| {
        let bytes: Vec<u8> = shape.iter().flat_map(|size| size.to_le_bytes()).collect();
        let shape = tensor("shape", 7, &[i64::try_from(shape.len()).unwrap()], &bytes);
        let value = tensor_attribute("value", &tensor("", 1, &[1], &1_f32.to_le_bytes()));
        plus(Onnx::default().weight(&shape).node("ConstantOfShape", &["shape"], &["what"], &[value]))
    };
    // Adds up all whole numbers up to `to`, so that they must be computed.
    let counted = |to: i64| {
        let number = |name: &str, value: i64| tensor(name, 7, &[], &value.to_le_bytes());
        let weights = [number("from", 0), number("to", to), number("step", 1)];
        let graph = weights.iter().fold(Onnx::default(), |graph, weight| graph.weight(weight));
        let graph = graph.node("Range", &["from", "to", "step"], &["all"], &[]);
        let graph = graph.node("ReduceSum", &["all"], &["sum"], &[attribute("keepdims", 1)]);
        plus(graph.node("Cast", &["sum"], &["what"], &[attribute("to", 1)]))
    };
    let input = |size: i64| {
        let shape = [Dim::Is(size), Dim::Is(size)];
        let graph = Onnx::default().input("x", 1, &shape).output("y", 1, &shape);
        graph.node("Relu", &["x"], &["y"], &[]).file()
    };
    let dimensions: Vec<i64> = vec![i64::MAX; 64];
    let cases = [
        ("a weight that claims more than it has", plus(Onnx::default().weight(&tensor("what", 1, &[HUGE], &[0; 8])))),
        ("a weight whose size overflows", plus(Onnx::default().weight(&tensor("what", 1, &dimensions, &[0; 8])))),
        ("a weight of less than nothing", plus(Onnx::default().weight(&tensor("what", 1, &[-1, 2], &[0; 8])))),
        ("a constant made larger than memory", counted(HUGE)),
        ("a constant whose size overflows", filled(&[i64::MAX, i64::MAX])),
        ("a constant of less than nothing", filled(&[-5, 2])),
        ("an input as large as memory", input(1 << 20)),
        ("an input that no memory holds", input(i64::MAX)),
        ("an operator that nobody has", plus(Onnx::default().node("Frobnicate", &["x"], &["what"], &[]))),
        ("a value that nothing makes", plus(Onnx::default())),
        ("an output that nothing makes", Onnx::default().input("x", 1, &ROWS).output("y", 1, &ROWS).file()),
        ("a circle", plus(Onnx::default().node("Relu", &["y"], &["what"], &[]))),
    ];
    for (what, file) in cases {
        println!("{what}: {}", refusal(what, &file));
    }
}

#[test]
fn a_graph_nested_too_deep_is_refused() {
    for depth in [10, 100, 10_000] {
        let mut graph = Onnx::default().output("y", 1, &[]).node("Identity", &["condition"], &["y"], &[]).graph();
        for _ in 0..depth {
            let branches =
                [graph_attribute("then_branch", &graph), graph_attribute("else_branch", &Message::default())];
            graph = Onnx::default().output("y", 1, &[]).node("If", &["condition"], &["y"], &branches).graph();
        }
        let branch = [graph_attribute("then_branch", &graph), graph_attribute("else_branch", &graph)];
        let file = Onnx::default().input("condition", 9, &[]).output("y", 1, &[]);
        let said = refusal("nested", &file.node("If", &["condition"], &["y"], &branch).file());
        println!("{depth}: {said}");
    }
}

#[test]
fn a_model_that_takes_too_long_is_given_up() {
    // Multiplies matrices of 2048 by 2048 numbers hundreds of times, either while constants are folded or at
    // run time.
    let side = 2048_i64;
    let shape: Vec<u8> = [side, side].iter().flat_map(|size| size.to_le_bytes()).collect();
    let mut graph = Onnx::default().weight(&tensor("shape", 7, &[2], &shape)).input("x", 1, &ROWS);
    let value = tensor_attribute("value", &tensor("", 1, &[1], &1e-3_f32.to_le_bytes()));
    graph = graph.node("ConstantOfShape", &["shape"], &["m0"], &[value]);
    for i in 0..500 {
        let (from, to) = (format!("m{i}"), format!("m{}", i + 1));
        graph = graph.node("MatMul", &[&from, "m0"], &[&to], &[]);
    }
    let sum = [attribute("keepdims", 1)];
    let graph = graph.node("ReduceSum", &["m500"], &["sum"], &sum).node("Add", &["x", "sum"], &["y"], &[]);
    let limits = ExamineLimits { timeout: Duration::from_millis(500), memory: 1 << 30 };
    let file = graph.output("y", 1, &ROWS).file();
    let begun = Instant::now();
    let error = OneShotInspector::new(program()).examine(&file, Trial::Wanted, limits).unwrap_err();
    assert_eq!(error, ModelError::TimedOut(limits.timeout));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_program_that_is_none_is_said_to_be_none() {
    let file = plus(Onnx::default());
    for (program, part) in [("/nonexistent", "No such file"), ("/bin/false", "")] {
        let error = OneShotInspector::new(program).examine(&file, Trial::Wanted, LIMITS).unwrap_err();
        let ModelError::Unavailable(reason) = &error else { panic!("{program}: {error}") };
        assert!(reason.contains(part), "{program}: {reason}");
    }
    let error = OneShotInspector::new("/bin/true").examine(&file, Trial::Wanted, LIMITS).unwrap_err();
    assert_eq!(error, ModelError::Died("sent an invalid reply".to_owned()));
}

/// Not a test: prints the cost of examining a large model, from which the default limits were chosen.
#[test]
#[ignore = "prints figures"]
fn figures_of_a_large_model() {
    let side = 4096_i64;
    let count = usize::try_from(side * side).unwrap();
    for layers in [1, 4] {
        let shape = [Dim::Free("rows"), Dim::Is(side)];
        let mut graph = Onnx::default().input("m0", 1, &shape);
        for i in 0..layers {
            let weights: Vec<u8> = (0..count).flat_map(|n| ((n + i) as f32).sin().to_le_bytes()).collect();
            let (name, from, to) = (format!("w{i}"), format!("m{i}"), format!("m{}", i + 1));
            graph = graph.weight(&tensor(&name, 1, &[side, side], &weights));
            graph = graph.node("MatMul", &[&from, &name], &[&to], &[]);
        }
        let file = graph.output(&format!("m{layers}"), 1, &shape).file();
        let limits = ExamineLimits { timeout: Duration::from_secs(120), memory: 8 << 30 };
        let begun = Instant::now();
        let examined = OneShotInspector::new(program()).examine(&file, Trial::Wanted, limits).unwrap();
        println!("{} MiB: {:?}, {:?}", file.len() >> 20, begun.elapsed(), examined.tried);
    }
}
