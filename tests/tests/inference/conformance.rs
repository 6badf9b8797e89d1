use sage_models::{Backend, DType, Dimension, InferenceError, Tensor, TensorData};
use sage_plan::GraphRows;
use sage_tests::onnx::{Dim, Onnx, attribute, element, tensor, tensor_elsewhere};

use crate::backends::{OPTIONS, all, load, run};

/// A model that returns its rows of three elements unchanged.
fn identity(dtype: DType) -> Vec<u8> {
    let (of, shape) = (element(dtype), [Dim::Free("rows"), Dim::Is(3)]);
    Onnx::default().input("x", of, &shape).output("y", of, &shape).node("Identity", &["x"], &["y"], &[]).file()
}

/// Rows of small numbers, which every type can represent.
fn rows(dtype: DType, rows: usize) -> Tensor {
    let count = rows * 3;
    let number = |i: usize| (i % 2) as f32;
    let data = match dtype {
        DType::Bool => TensorData::Bool((0..count).map(|i| (i % 2) as u8).collect()),
        DType::U8 => TensorData::U8((0..count).map(|i| i as u8).collect()),
        DType::I32 => TensorData::I32((0..count).map(|i| i as i32 - 2).collect()),
        DType::I64 => TensorData::I64((0..count).map(|i| i as i64 - (1 << 40)).collect()),
        DType::F16 => TensorData::F16((0..count).map(|i| half(number(i))).collect()),
        DType::Bf16 => TensorData::Bf16((0..count).map(|i| bhalf(number(i))).collect()),
        DType::F32 => TensorData::F32((0..count).map(|i| i as f32 / 3.0).collect()),
        DType::F64 => TensorData::F64((0..count).map(|i| i as f64 / 3.0).collect()),
    };
    Tensor::new(vec![rows, 3], data).unwrap()
}

#[test]
fn every_type_passes_through_unchanged() {
    for backend in all() {
        for dtype in DType::ALL {
            let name = backend.name();
            if dtype == DType::Bf16 && name == "tract" {
                let error = backend.load(&identity(dtype), &OPTIONS).unwrap_err();
                let reason = "input \"x\" is bf16, which tract does not read".to_owned();
                assert_eq!(error, InferenceError::Unsupported(reason));
                continue;
            }
            let model = load(&*backend, &identity(dtype));
            assert_eq!(model.facts().inputs[0].dtype, dtype, "{name}");
            for count in [1, 2, 7] {
                let passed = rows(dtype, count);
                assert_eq!(run(&*model, &[("x", &passed)]), [passed], "{name}: {count} rows of {dtype}");
            }
        }
    }
}

#[test]
fn every_type_can_be_the_answer() {
    let shape = [Dim::Free("rows"), Dim::Is(3)];
    for backend in all() {
        for dtype in DType::ALL {
            let name = backend.name();
            if dtype == DType::Bf16 && name == "tract" {
                continue;
            }
            let to = attribute("to", element(dtype).cast_signed());
            let file = Onnx::default().input("x", 1, &shape).output("y", element(dtype), &shape);
            let model = load(&*backend, &file.node("Cast", &["x"], &["y"], &[to]).file());
            let zeros = Tensor::new(vec![2, 3], TensorData::F32(vec![0.0; 6])).unwrap();
            let answer = run(&*model, &[("x", &zeros)]);
            let expected = Tensor::read(dtype, vec![2, 3], &vec![0; 6 * dtype.size()]).unwrap();
            assert_eq!(answer, [expected], "{name}: {dtype}");
        }
    }
}

/// A model with two outputs: `y = x + w`, and `z`, the sum of each row of `y`.
fn two_outputs() -> Vec<u8> {
    let weights: Vec<u8> = [0.5_f32, 1.0, 2.0].iter().flat_map(|w| w.to_le_bytes()).collect();
    let axes = 1_i64.to_le_bytes();
    Onnx::default()
        .input("x", 1, &[Dim::Free("rows"), Dim::Is(3)])
        .weight(&tensor("w", 1, &[3], &weights))
        .weight(&tensor("axes", 7, &[1], &axes))
        .node("Add", &["x", "w"], &["y"], &[])
        .node("ReduceSum", &["y", "axes"], &["z"], &[attribute("keepdims", 0)])
        .output("z", 1, &[Dim::Free("rows")])
        .output("y", 1, &[Dim::Free("rows"), Dim::Is(3)])
        .file()
}

#[test]
fn facts_are_the_files_in_its_order() {
    for backend in all() {
        let model = load(&*backend, &two_outputs());
        let facts = model.facts();
        let shown = |specs: &[sage_models::TensorSpec]| -> Vec<String> {
            specs.iter().map(|spec| format!("{}: {spec}", spec.name)).collect()
        };
        assert_eq!(shown(&facts.inputs), ["x: f32[rows, 3]"], "{}: weights are no inputs", backend.name());
        assert_eq!(shown(&facts.outputs), ["z: f32[rows]", "y: f32[rows, 3]"], "{}", backend.name());
        assert_eq!(facts.weight_bytes, 3 * 4 + 8, "{}", backend.name());
        assert_eq!(facts.rows, GraphRows::ByOperators, "{}", backend.name());
    }
}

#[test]
fn rows_together_answer_as_each_alone_does() {
    for backend in all() {
        let model = load(&*backend, &two_outputs());
        for count in 1..=33 {
            let passed = rows(DType::F32, count);
            let together = run(&*model, &[("x", &passed)]);
            for row in 0..count {
                let alone = run(&*model, &[("x", &passed.slice_rows(row, 1).unwrap())]);
                let part: Vec<Tensor> = together.iter().map(|output| output.slice_rows(row, 1).unwrap()).collect();
                assert_eq!(part, alone, "{}: row {row} of {count}", backend.name());
            }
        }
    }
}

#[test]
fn several_threads_may_run_one_model() {
    for backend in all() {
        let model = load(&*backend, &two_outputs());
        let expected = run(&*model, &[("x", &rows(DType::F32, 4))]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(run(&*model, &[("x", &rows(DType::F32, 4))]), expected));
            }
        });
    }
}

#[test]
fn dimensions_that_are_free_take_any_size() {
    for backend in all() {
        let shape = [Dim::Free("a"), Dim::Free("")];
        let file = Onnx::default().input("x", 1, &shape).output("y", 1, &[Dim::Free(""), Dim::Free("a")]);
        let model = load(&*backend, &file.node("Transpose", &["x"], &["y"], &[]).file());
        assert_eq!(model.facts().inputs[0].shape[1], Dimension::Free(String::new()), "{}", backend.name());
        for (rows, columns) in [(1, 1), (2, 3), (5, 1), (3, 7)] {
            let data = TensorData::F32((0..rows * columns).map(|i| i as f32).collect());
            let answer = run(&*model, &[("x", &Tensor::new(vec![rows, columns], data).unwrap())]);
            assert_eq!(answer[0].shape(), [columns, rows], "{}", backend.name());
        }
    }
}

/// The reason with which `load` refuses a file.
fn refusal(backend: &dyn Backend, file: &[u8]) -> String {
    match backend.load(file, &OPTIONS) {
        Err(InferenceError::Unsupported(reason)) => reason,
        other => panic!("{}: {other:?}", backend.name()),
    }
}

#[test]
fn a_file_that_cannot_be_loaded_is_refused_with_the_reason() {
    let rows = [Dim::Free("rows")];
    let one = |of: u64, operator: &str| {
        Onnx::default().input("x", of, &rows).output("y", of, &rows).node(operator, &["x"], &["y"], &[]).file()
    };
    let elsewhere = tensor_elsewhere("w", 1, &[2], "weights.bin");
    let outside = Onnx::default().input("x", 1, &rows).weight(&elsewhere).output("y", 1, &rows);
    let outside = outside.node("Add", &["x", "w"], &["y"], &[]).file();
    let cases = [
        ("text", b"input = \"f32[4]\"".to_vec(), ""),
        ("nothing", Vec::new(), ""),
        ("half of one", two_outputs()[..60].to_vec(), ""),
        ("a type that is not passed", one(3, "Identity"), "input \"x\" is i"),
        ("strings", one(8, "Identity"), "input \"x\" is s"),
        ("an operator that nobody has", one(1, "Frobnicate"), "Frobnicate"),
        ("weights in another file", outside, "tensor \"w\" lies in another file"),
    ];
    for backend in all() {
        for (what, file, part) in &cases {
            let reason = refusal(&*backend, file);
            assert!(reason.to_lowercase().contains(&part.to_lowercase()), "{}: {what}: {reason}", backend.name());
        }
    }
}

#[test]
fn a_run_that_fails_is_an_error_and_the_model_runs_on() {
    // Two inputs that need equal numbers of rows, although their dimensions have different names.
    let file =
        Onnx::default().input("a", 1, &[Dim::Free("n"), Dim::Is(2)]).input("b", 1, &[Dim::Free("m"), Dim::Is(2)]);
    let file = file.output("y", 1, &[Dim::Free("k"), Dim::Is(2)]).node("Add", &["a", "b"], &["y"], &[]).file();
    let two = |rows: usize| Tensor::new(vec![rows, 2], TensorData::F32(vec![1.0; rows * 2])).unwrap();
    for backend in all() {
        let Ok(model) = backend.load(&file, &OPTIONS) else { continue };
        let error = model.run(vec![two(3), two(2)]).unwrap_err();
        assert!(matches!(error, InferenceError::Backend(_)), "{}: {error}", backend.name());
        assert_eq!(model.run(vec![two(2), two(2)]).unwrap()[0].shape(), [2, 2], "{}", backend.name());
    }
}

fn half(number: f32) -> half::f16 {
    half::f16::from_f32(number)
}

fn bhalf(number: f32) -> half::bf16 {
    half::bf16::from_f32(number)
}
