use super::animal::Animal;
use super::parts::{FLOAT, INT, N, NONE, animal, axes, axis, none, perm, plain, with};
use crate::onnx::{Dim, Onnx, attribute, graph_attribute, numbers_attribute, word_attribute};

/// Graphs of `x f32[n, 4]` with rows that depend on each other.
pub(super) fn dependent() -> Vec<Animal> {
    let same: (u64, &[Dim<'_>]) = (FLOAT, &[N, Dim::Is(4)]);
    let of = |name, lines| animal(name, false, with(plain(N, same), lines));
    let to = |name, output: (u64, &[Dim<'_>]), lines| animal(name, false, with(plain(NONE, output), lines));
    let squares = |lines| with(plain(N, (FLOAT, &[N, Dim::Free("m")])), lines);
    vec![
        of("CumSum over time", vec![("CumSum", &["x", "zero"], &["y"], none())]),
        to(
            "CumSum over what has no name",
            (FLOAT, &[NONE, Dim::Is(4)]),
            vec![("CumSum", &["x", "zero"], &["y"], none())],
        ),
        of("Softmax over candidates", vec![("Softmax", &["x"], &["y"], axis(0))]),
        of("LogSoftmax over candidates", vec![("LogSoftmax", &["x"], &["y"], axis(-2))]),
        of(
            "a mean over rows taken off",
            vec![("ReduceMean", &["x"], &["m"], axes(&[0])), ("Sub", &["x", "m"], &["y"], none())],
        ),
        of(
            "divided by the largest of all",
            vec![("ReduceMax", &["x"], &["m"], none()), ("Div", &["x", "m"], &["y"], none())],
        ),
        of(
            "normalised over rows",
            vec![
                ("ReduceMean", &["x"], &["m"], axes(&[0])),
                ("Sub", &["x", "m"], &["d"], none()),
                ("Mul", &["d", "d"], &["q"], none()),
                ("ReduceMean", &["q"], &["v"], axes(&[0])),
                ("Sqrt", &["v"], &["s"], none()),
                ("Add", &["s", "row"], &["t"], none()),
                ("Div", &["d", "t"], &["y"], none()),
            ],
        ),
        of("LayerNormalization over all", vec![("LayerNormalization", &["x", "row"], &["y"], axis(0))]),
        to("the best rows first", (FLOAT, &[NONE, Dim::Is(4)]), vec![("TopK", &["x", "[one]"], &["y", "i"], axis(0))]),
        to("which row is best", (INT, &[Dim::Is(1), Dim::Is(4)]), vec![("ArgMax", &["x"], &["y"], axis(0))]),
        to(
            "which row is best, of no fixed number",
            (INT, &[NONE, Dim::Is(4)]),
            vec![("ArgMax", &["x"], &["y"], axis(0))],
        ),
        to(
            "ranks",
            (INT, &[NONE, Dim::Is(4)]),
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Gather", &["s", "[zero]"], &["k"], none()),
                ("TopK", &["x", "k"], &["v", "y"], axis(0)),
            ],
        ),
        to("turned", (FLOAT, &[Dim::Is(4), NONE]), vec![("Transpose", &["x"], &["y"], perm(&[1, 0]))]),
        to("turned, of no fixed number", (FLOAT, &[NONE, NONE]), vec![("Transpose", &["x"], &["y"], perm(&[1, 0]))]),
        to("twice as many rows", (FLOAT, &[NONE, Dim::Is(2)]), vec![("Reshape", &["x", "flat"], &["y"], none())]),
        to("two halves", (FLOAT, &[NONE, NONE]), vec![("Reshape", &["x", "halves"], &["y"], none())]),
        to("all in one", (FLOAT, &[NONE, NONE]), vec![("Flatten", &["x"], &["y"], axis(0))]),
        animal(
            "each row times each other",
            false,
            squares(vec![("Transpose", &["x"], &["t"], perm(&[1, 0])), ("MatMul", &["x", "t"], &["y"], none())]),
        ),
        animal(
            "Einsum of each row with each other",
            false,
            squares(vec![("Einsum", &["x", "x"], &["y"], vec![word_attribute("equation", "id,jd->ij")])]),
        ),
        of(
            "attention among rows",
            vec![
                ("Transpose", &["x"], &["t"], perm(&[1, 0])),
                ("MatMul", &["x", "t"], &["s"], none()),
                ("Softmax", &["s"], &["a"], axis(-1)),
                ("MatMul", &["a", "x"], &["y"], none()),
            ],
        ),
        to(
            "places that are not zero",
            (INT, &[NONE, Dim::Is(2)]),
            vec![
                ("Relu", &["x"], &["r"], none()),
                ("NonZero", &["r"], &["i"], none()),
                ("Transpose", &["i"], &["y"], perm(&[1, 0])),
            ],
        ),
        to("rows twice", (FLOAT, &[NONE, Dim::Is(4)]), vec![("Concat", &["x", "x"], &["y"], axis(0))]),
        to("a row more", (FLOAT, &[NONE, Dim::Is(4)]), vec![("Concat", &["row", "x"], &["y"], axis(0))]),
        to(
            "without the first",
            (FLOAT, &[NONE, Dim::Is(4)]),
            vec![("Slice", &["x", "[one]", "[much]", "[zero]"], &["y"], none())],
        ),
        of("the last row first", vec![("Slice", &["x", "[minus]", "[least]", "[zero]", "[minus]"], &["y"], none())]),
        of(
            "less the first row",
            vec![("Gather", &["x", "[zero]"], &["f"], axis(0)), ("Sub", &["x", "f"], &["y"], none())],
        ),
        to("rows added", (FLOAT, &[NONE, Dim::Is(4)]), vec![("Pad", &["x", "pads"], &["y"], none())]),
        to("rows repeated", (FLOAT, &[NONE, Dim::Is(4)]), vec![("Tile", &["x", "twice"], &["y"], none())]),
        of(
            "times the number of rows",
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Gather", &["s", "[zero]"], &["k"], none()),
                ("Cast", &["k"], &["f"], vec![attribute("to", 1)]),
                ("Mul", &["x", "f"], &["y"], none()),
            ],
        ),
        of(
            "plus the place of the row",
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Gather", &["s", "zero"], &["k"], none()),
                ("Range", &["zero", "k", "one"], &["r"], none()),
                ("Cast", &["r"], &["f"], vec![attribute("to", 1)]),
                ("Unsqueeze", &["f", "[one]"], &["u"], none()),
                ("Add", &["x", "u"], &["y"], none()),
            ],
        ),
        of(
            "smoothed with neighbours",
            vec![
                ("Unsqueeze", &["x", "[zero]"], &["a"], none()),
                ("Transpose", &["a"], &["t"], perm(&[0, 2, 1])),
                (
                    "AveragePool",
                    &["t"],
                    &["p"],
                    vec![numbers_attribute("kernel_shape", &[3]), numbers_attribute("pads", &[1, 1])],
                ),
                ("Transpose", &["p"], &["q"], perm(&[0, 2, 1])),
                ("Squeeze", &["q", "[zero]"], &["y"], none()),
            ],
        ),
        to(
            "Squeeze without axes",
            (FLOAT, &[NONE]),
            vec![
                ("ReduceMean", &["x"], &["m"], vec![numbers_attribute("axes", &[1]), attribute("keepdims", 1)]),
                ("Squeeze", &["m"], &["y"], none()),
            ],
        ),
        of(
            "a scale that all rows make",
            vec![
                ("DynamicQuantizeLinear", &["x"], &["q", "s", "z"], none()),
                ("DequantizeLinear", &["q", "s", "z"], &["y"], none()),
            ],
        ),
        of(
            "within a condition",
            vec![(
                "If",
                &["yes"],
                &["y"],
                vec![
                    graph_attribute(
                        "then_branch",
                        &Onnx::default()
                            .output("t", FLOAT, &[N, Dim::Is(4)])
                            .node("CumSum", &["x", "zero"], &["t"], &[])
                            .graph(),
                    ),
                    graph_attribute(
                        "else_branch",
                        &Onnx::default().output("e", FLOAT, &[N, Dim::Is(4)]).node("Relu", &["x"], &["e"], &[]).graph(),
                    ),
                ],
            )],
        ),
    ]
}
