//! Models that a library answers differently from ONNX are refused by name, wherever in the file the operator
//! is.

use sage_models::{Backend as _, Tract, Trial, examine};
use sage_test_support::{Need, skip};
use sage_tests::onnx::{Dim, Message, Onnx, attribute, graph_attribute, tensor, word_attribute};

use crate::backends::{OPTIONS, load, onnxruntime};

const ROW: [Dim<'_>; 2] = [Dim::Is(2), Dim::Is(3)];

/// A graph with input `x` and output `y` of this element type.
fn graph(element: u64) -> Onnx {
    Onnx::default().input("x", element, &ROW).output("y", element, &ROW)
}

fn one(element: u64, operator: &str, attributes: &[Message]) -> Vec<u8> {
    graph(element).node(operator, &["x"], &["y"], attributes).file()
}

/// A model that applies the operator to `x` inside a branch.
fn in_a_branch(operator: &str) -> Vec<u8> {
    let branch = Onnx::default().output("z", 1, &ROW).node(operator, &["x"], &["z"], &[]).graph();
    let branches = [graph_attribute("then_branch", &branch), graph_attribute("else_branch", &branch)];
    graph(1).weight(&tensor("yes", 9, &[], &[1])).node("If", &["yes"], &["y"], &branches).file()
}

fn lstm(direction: &str) -> Vec<u8> {
    let zeros = |name, dims: &[i64]| {
        let bytes = 4 * usize::try_from(dims.iter().product::<i64>()).unwrap();
        tensor(name, 1, dims, &vec![0; bytes])
    };
    let shape = |sizes: [i64; 3]| sizes.map(Dim::Is);
    Onnx::default()
        .input("x", 1, &shape([5, 2, 3]))
        .output("y", 1, &[Dim::Free("a"), Dim::Free("b"), Dim::Free("c"), Dim::Free("d")])
        .weight(&zeros("w", &[1, 16, 3]))
        .weight(&zeros("r", &[1, 16, 4]))
        .node("LSTM", &["x", "w", "r"], &["y"], &[attribute("hidden_size", 4), word_attribute("direction", direction)])
        .file()
}

#[test]
fn what_tract_answers_wrong_is_refused_by_operator_attribute_type_and_set() {
    let half_pool = [sage_tests::onnx::numbers_attribute("kernel_shape", &[1])];
    let cases = [
        (lstm("reverse"), "operator LSTM with direction = reverse (supported: forward, bidirectional)"),
        (one(1, "Hardmax", &[]), "operator Hardmax: tract does not compute that as ONNX defines"),
        (one(10, "Softmax", &[]), "operator Softmax on f16 (supported: f32, f64)"),
        (one(1, "Relu", &[attribute("slope", 2)]), "operator Relu with attribute slope"),
        (one(1, "ReduceMean", &half_pool), "operator ReduceMean with attribute kernel_shape"),
        (in_a_branch("Hardmax"), "operator Hardmax"),
        (
            graph(1).node("Relu", &["x"], &["y"], &[]).file_of_set(29),
            "operator set ai.onnx 29: tract was tested with 7 to 28",
        ),
        (graph(1).node("Relu", &["x"], &["y"], &[]).file_of_set(6), "operator set ai.onnx 6"),
        (graph(1).node_of("com.example", "Relu", &["x"], &["y"]).file(), "operator Relu is of domain com.example"),
        (graph(1).node("TopK", &["x", "x"], &["", "y"], &[]).file(), "operator TopK on f32 (supported: i32, i64, u8)"),
        (
            graph(1).node("Split", &["x"], &["", "y"], &[]).file(),
            "operator Split with an output that is left out before another",
        ),
        (
            graph(1).node("Gemm", &["x", "", "x"], &["y"], &[]).file(),
            "operator Gemm with an input that is left out before another",
        ),
    ];
    for (file, said) in cases {
        let error = Tract.load(&file, &OPTIONS).unwrap_err();
        assert_eq!(error.code(), "unsupported", "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.to_string().ends_with("ONNX Runtime may: backend = \"onnxruntime\""), "{error}");
        let examined = examine(&file, Trial::Wanted, || None).unwrap().accepted().unwrap_err();
        assert!(examined.to_string().contains(said), "{examined}");
    }
}

#[test]
fn what_tract_answers_right_is_let_through() {
    for file in
        [lstm("forward"), one(1, "Relu", &[]), one(10, "Relu", &[]), in_a_branch("Relu"), one(1, "Softplus", &[])]
    {
        load(&Tract, &file);
    }
}

#[test]
fn what_onnx_runtime_answers_wrong_is_refused_too() {
    let backend = match onnxruntime() {
        Ok(backend) => backend,
        Err(why) => return skip(Need::Onnxruntime, why),
    };
    let training = graph(1)
        .weight(&tensor("ratio", 1, &[], &0.5_f32.to_le_bytes()))
        .weight(&tensor("training", 9, &[], &[1]))
        .node("Dropout", &["x", "ratio", "training"], &["y"], &[])
        .file();
    let ends_the_process = graph(1).node("Split", &["x"], &["", "y"], &[]).file();
    for (file, said) in [
        (
            training,
            "operator Dropout with 3 inputs (supported: 1 to 2): ONNX Runtime does not compute that as ONNX defines",
        ),
        (ends_the_process, "operator Split with an output that is left out before another"),
    ] {
        let error = backend.load(&file, &OPTIONS).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    load(&*backend, &lstm("reverse"));
}
