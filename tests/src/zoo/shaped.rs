use sage_models::DType;

use super::animal::Length::{Is, Other, Rows};
use super::animal::{Animal, Passed};
use super::parts::{FLOAT, INT, N, NONE, animal, axis, constants, floats, none, plain, with};
use crate::onnx::{Dim, Onnx, attribute, numbers_attribute};

/// Graphs with computed shapes, images and tables.
pub(super) fn shaped() -> Vec<Animal> {
    let same: (u64, &[Dim<'_>]) = (FLOAT, &[N, Dim::Is(4)]);
    let of = |name, lines| animal(name, true, with(plain(N, same), lines));
    let image = constants(Onnx::default().input("x", FLOAT, &[N, Dim::Is(2), Dim::Is(6), Dim::Is(6)]).output(
        "y",
        FLOAT,
        &[N, Dim::Is(4)],
    ));
    let words = constants(Onnx::default().input("ids", INT, &[NONE, Dim::Free("length")]).output(
        "y",
        FLOAT,
        &[NONE, Dim::Is(4)],
    ));
    vec![
        of(
            "a shape that is computed",
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Slice", &["s", "[zero]", "[one]", "[zero]"], &["k"], none()),
                ("Concat", &["k", "[two]", "[minus]"], &["t"], axis(0)),
                ("Reshape", &["x", "t"], &["r"], none()),
                ("Reshape", &["r", "back"], &["y"], none()),
            ],
        ),
        of(
            "a constant given to each row",
            vec![
                ("Shape", &["x"], &["s"], none()),
                ("Expand", &["row", "s"], &["e"], none()),
                ("Concat", &["x", "e"], &["c"], axis(1)),
                ("Slice", &["c", "[two]", "[much]", "[one]"], &["p"], none()),
                ("Slice", &["p", "[zero]", "four", "[one]"], &["y"], none()),
            ],
        ),
        Animal {
            name: "pictures",
            file: with(
                image.weight(&floats("filter", &[4, 2, 3, 3])),
                vec![
                    ("Conv", &["x", "filter"], &["c"], none()),
                    ("Relu", &["c"], &["r"], none()),
                    ("GlobalAveragePool", &["r"], &["g"], none()),
                    ("Flatten", &["g"], &["f"], axis(1)),
                    ("Gemm", &["f", "w", "bias"], &["y"], none()),
                ],
            ),
            is_shown: true,
            inputs: vec![Passed { name: "x", dtype: DType::F32, shape: &[Rows, Is(2), Is(6), Is(6)] }],
        },
        Animal {
            name: "words of sentences",
            file: with(
                words,
                vec![
                    ("Gather", &["w", "ids"], &["e"], none()),
                    ("ReduceMean", &["e"], &["y"], vec![numbers_attribute("axes", &[1]), attribute("keepdims", 0)]),
                ],
            ),
            is_shown: true,
            inputs: vec![Passed { name: "ids", dtype: DType::I64, shape: &[Rows, Other] }],
        },
    ]
}
