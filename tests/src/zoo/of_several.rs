use sage_models::DType;

use super::animal::Length::{Is, Other, Rows};
use super::animal::{Animal, Length, Passed};
use super::parts::{FLOAT, INT, N, NONE, animal, axes, axis, constants, keep, none, plain, with};
use crate::onnx::{Dim, Onnx, attribute};

/// Graphs with several inputs or outputs, of equal or different length.
pub(super) fn of_several() -> Vec<Animal> {
    let pair = |first, second, a: Dim<'_>, b: Dim<'_>, out: (u64, &[Dim<'_>])| {
        let onnx = Onnx::default().input(first, FLOAT, &[a, Dim::Is(2)]).input(second, FLOAT, &[b, Dim::Is(2)]);
        constants(onnx.output("y", out.0, out.1))
    };
    let passed = |name, shape| Passed { name, dtype: DType::F32, shape };
    let nearest = |name, a, b, out: Dim<'_>| Animal {
        name,
        file: with(
            pair("q", "db", a, b, (INT, &[out])),
            vec![
                ("Unsqueeze", &["q", "[one]"], &["u"], none()),
                ("Sub", &["u", "db"], &["d"], none()),
                ("Mul", &["d", "d"], &["s"], none()),
                ("ReduceSum", &["s", "[two]"], &["r"], keep(0)),
                ("ArgMin", &["r"], &["y"], vec![attribute("axis", 1), attribute("keepdims", 0)]),
            ],
        ),
        is_shown: false,
        inputs: vec![passed("q", &[Rows, Is(2)]), passed("db", &[Other, Is(2)])],
    };
    let sum = |name, is_shown, dim: Dim<'_>, other: &'static [Length]| Animal {
        name,
        file: with(pair("a", "b", dim, dim, (FLOAT, &[dim, Dim::Is(2)])), vec![("Add", &["a", "b"], &["y"], none())]),
        is_shown,
        inputs: vec![passed("a", &[Rows, Is(2)]), passed("b", other)],
    };
    let lookup = Onnx::default().input("table", FLOAT, &[NONE, Dim::Is(2)]).input("i", INT, &[NONE]);
    let two = plain(N, (FLOAT, &[N, Dim::Is(4)])).output("z", INT, &[N]);
    let unequal = plain(NONE, (FLOAT, &[NONE, Dim::Is(4)])).output("z", FLOAT, &[NONE, Dim::Is(4)]);
    vec![
        nearest("nearest of two tables without names", NONE, NONE, NONE),
        nearest("nearest of two tables with empty names", Dim::Free(""), Dim::Free(""), Dim::Free("")),
        nearest(
            "nearest of two tables with numbers for names",
            Dim::Free("unk__1"),
            Dim::Free("unk__2"),
            Dim::Free("unk__3"),
        ),
        nearest("nearest of two tables of negative sizes", Dim::Is(-1), Dim::Is(-1), Dim::Is(-1)),
        nearest("nearest of two tables with names", Dim::Free("a"), Dim::Free("b"), Dim::Free("a")),
        sum("a sum of rows", true, N, &[Rows, Is(2)]),
        sum("a sum of rows without names", true, NONE, &[Rows, Is(2)]),
        sum("a sum with one row for all, without names", true, NONE, &[Is(1), Is(2)]),
        Animal {
            name: "rows of one table picked by another",
            file: with(
                constants(lookup.output("y", FLOAT, &[NONE, Dim::Is(2)])),
                vec![("Gather", &["table", "i"], &["y"], axis(0))],
            ),
            is_shown: false,
            inputs: vec![passed("table", &[Other, Is(2)]), Passed { name: "i", dtype: DType::I64, shape: &[Rows] }],
        },
        Animal {
            name: "less the mean of another table",
            file: with(
                pair("a", "b", N, Dim::Free("m"), (FLOAT, &[N, Dim::Is(2)])),
                vec![("ReduceMean", &["b"], &["m"], axes(&[0])), ("Sub", &["a", "m"], &["y"], none())],
            ),
            is_shown: false,
            inputs: vec![passed("a", &[Rows, Is(2)]), passed("b", &[Other, Is(2)])],
        },
        animal(
            "two outputs",
            true,
            with(
                two,
                vec![
                    ("Relu", &["x"], &["y"], none()),
                    ("ArgMax", &["x"], &["z"], vec![attribute("axis", 1), attribute("keepdims", 0)]),
                ],
            ),
        ),
        animal(
            "two outputs of unequal rows",
            false,
            with(unequal, vec![("Relu", &["x"], &["y"], none()), ("Concat", &["x", "row"], &["z"], axis(0))]),
        ),
    ]
}
