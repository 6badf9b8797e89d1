use super::animal::Animal;
use super::parts::{FLOAT, N, NONE, animal, axes, axis, none, perm, plain, with};
use crate::onnx::{Dim, attribute, numbers_attribute, word_attribute};

/// Graphs of `x f32[n, 4]` with independent rows.
pub(super) fn independent() -> Vec<Animal> {
    let same: (u64, &[Dim<'_>]) = (FLOAT, &[N, Dim::Is(4)]);
    let of = |name, lines| animal(name, true, with(plain(N, same), lines));
    vec![
        of("as it came", vec![("Identity", &["x"], &["y"], none())]),
        animal(
            "as it came, without a name",
            true,
            with(plain(NONE, (FLOAT, &[NONE, Dim::Is(4)])), vec![("Relu", &["x"], &["y"], none())]),
        ),
        of(
            "two layers",
            vec![
                ("MatMul", &["x", "w"], &["a"], none()),
                ("Add", &["a", "bias"], &["c"], none()),
                ("Tanh", &["c"], &["d"], none()),
                ("Gemm", &["d", "w", "bias"], &["y"], vec![attribute("transB", 1)]),
            ],
        ),
        of("Softmax of each row", vec![("Softmax", &["x"], &["y"], axis(-1))]),
        of("LayerNormalization of each row", vec![("LayerNormalization", &["x", "bias"], &["y"], axis(-1))]),
        of(
            "a mean of each row taken off",
            vec![("ReduceMean", &["x"], &["m"], axes(&[1])), ("Sub", &["x", "m"], &["y"], none())],
        ),
        of("CumSum along each row", vec![("CumSum", &["x", "one"], &["y"], none())]),
        of("the best of each row first", vec![("TopK", &["x", "four"], &["y", "i"], axis(1))]),
        of(
            "each row looks up within itself",
            vec![("TopK", &["x", "four"], &["v", "i"], axis(1)), ("GatherElements", &["x", "i"], &["y"], axis(1))],
        ),
        of(
            "Einsum with a matrix",
            vec![("Einsum", &["x", "w"], &["y"], vec![word_attribute("equation", "bi,ij->bj")])],
        ),
        of(
            "attention within each row",
            vec![
                ("Reshape", &["x", "rows"], &["r"], none()),
                ("Transpose", &["r"], &["t"], perm(&[0, 2, 1])),
                ("MatMul", &["r", "t"], &["s"], none()),
                ("Softmax", &["s"], &["a"], axis(-1)),
                ("MatMul", &["a", "r"], &["m"], none()),
                ("Reshape", &["m", "back"], &["y"], none()),
            ],
        ),
        of(
            "pads and a pool",
            vec![
                ("Pad", &["x", "wide"], &["p"], none()),
                ("Unsqueeze", &["p", "[one]"], &["u"], none()),
                ("MaxPool", &["u"], &["m"], vec![numbers_attribute("kernel_shape", &[3])]),
                ("Squeeze", &["m", "[one]"], &["y"], none()),
            ],
        ),
    ]
}
