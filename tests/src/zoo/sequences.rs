use sage_models::DType;

use super::animal::Length::{Is, Rows};
use super::animal::{Animal, Passed};
use super::parts::{FLOAT, Line, N, constants, floats, none, perm, with};
use crate::onnx::{Dim, Onnx, attribute};

/// Recurrent graphs: the first dimension is time, the second is rows.
pub(super) fn sequences() -> Vec<Animal> {
    let weighted = |operator: &str, onnx: Onnx| {
        let gates: i64 = match operator {
            "LSTM" => 4,
            "GRU" => 3,
            _ => 1,
        };
        let onnx = constants(onnx).weight(&floats("W", &[1, gates * 2, 3]));
        onnx.weight(&floats("R", &[1, gates * 2, 2])).weight(&floats("B", &[1, gates * 4]))
    };
    let time: &[Passed] = &[Passed { name: "x", dtype: DType::F32, shape: &[Rows, Is(1), Is(3)] }];
    let batch: &[Passed] = &[Passed { name: "x", dtype: DType::F32, shape: &[Rows, Is(5), Is(3)] }];
    let hidden = || vec![attribute("hidden_size", 2)];
    let mut all = Vec::new();
    for (operator, first, turned) in [
        ("LSTM", "LSTM over time", "LSTM of each row"),
        ("GRU", "GRU over time", "GRU of each row"),
        ("RNN", "RNN over time", "RNN of each row"),
    ] {
        let onnx = Onnx::default().input("x", FLOAT, &[Dim::Free("t"), Dim::Is(1), Dim::Is(3)]);
        let onnx = onnx.output("y", FLOAT, &[Dim::Free("t"), Dim::Is(1), Dim::Is(1), Dim::Is(2)]);
        let lines: Vec<Line<'_>> = vec![(operator, &["x", "W", "R", "B"], &["y"], hidden())];
        all.push(Animal {
            name: first,
            file: with(weighted(operator, onnx), lines),
            is_shown: false,
            inputs: time.to_vec(),
        });

        let onnx = Onnx::default().input("x", FLOAT, &[N, Dim::Is(5), Dim::Is(3)]).output(
            "y",
            FLOAT,
            &[N, Dim::Is(5), Dim::Is(2)],
        );
        let lines: Vec<Line<'_>> = vec![
            ("Transpose", &["x"], &["t"], perm(&[1, 0, 2])),
            (operator, &["t", "W", "R", "B"], &["a"], hidden()),
            ("Squeeze", &["a", "[one]"], &["s"], none()),
            ("Transpose", &["s"], &["y"], perm(&[1, 0, 2])),
        ];
        all.push(Animal {
            name: turned,
            file: with(weighted(operator, onnx), lines),
            is_shown: true,
            inputs: batch.to_vec(),
        });
    }
    all
}
