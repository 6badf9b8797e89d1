use sage_models::DType;

use super::animal::Length::{Is, Rows};
use super::animal::{Animal, Passed};
use crate::onnx::{Dim, Message, Onnx, attribute, numbers_attribute, tensor};

pub(super) const X: &[Passed] = &[Passed { name: "x", dtype: DType::F32, shape: &[Rows, Is(4)] }];
pub(super) const N: Dim<'static> = Dim::Free("n");
pub(super) const NONE: Dim<'static> = Dim::Free("?");
pub(super) const FLOAT: u64 = 1;
pub(super) const INT: u64 = 7;

/// A graph from `x f32[n, 4]` to `y`, with weights that the nodes refer to by name.
pub(super) fn plain(first: Dim<'static>, output: (u64, &[Dim<'_>])) -> Onnx {
    constants(Onnx::default().input("x", FLOAT, &[first, Dim::Is(4)]).output("y", output.0, output.1))
}

pub(super) fn floats(name: &str, dims: &[i64]) -> Message {
    let count: i64 = dims.iter().product();
    let raw: Vec<u8> = (0..count).flat_map(|i| (((i * 7 + 3) % 11) as f32 / 10.0 - 0.4).to_le_bytes()).collect();
    tensor(name, FLOAT, dims, &raw)
}

pub(super) fn ints(name: &str, dims: &[i64], numbers: &[i64]) -> Message {
    tensor(name, INT, dims, &numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

pub(super) fn constants(onnx: Onnx) -> Onnx {
    let scalars = [
        ("zero", 0),
        ("one", 1),
        ("two", 2),
        ("minus", -1),
        ("much", i64::from(i32::MAX)),
        ("least", -i64::from(i32::MAX)),
    ];
    let onnx = scalars.iter().fold(onnx, |onnx, (name, number)| {
        onnx.weight(&ints(name, &[], &[*number])).weight(&ints(&format!("[{name}]"), &[1], &[*number]))
    });
    let lists = [
        ("flat", &[-1, 2][..]),
        ("halves", &[2, -1]),
        ("four", &[4]),
        ("rows", &[0, 2, 2]),
        ("back", &[0, -1]),
        ("pads", &[1, 0, 0, 0]),
        ("wide", &[0, 1, 0, 1]),
        ("twice", &[2, 1]),
    ];
    let onnx =
        lists.iter().fold(onnx, |onnx, (name, numbers)| onnx.weight(&ints(name, &[numbers.len() as i64], numbers)));
    let onnx = onnx.weight(&tensor("yes", 9, &[], &[1]));
    onnx.weight(&floats("w", &[4, 4])).weight(&floats("bias", &[4])).weight(&floats("row", &[1, 4]))
}

pub(super) type Line<'a> = (&'a str, &'a [&'a str], &'a [&'a str], Vec<Message>);

pub(super) fn with(onnx: Onnx, lines: Vec<Line<'_>>) -> Vec<u8> {
    lines
        .iter()
        .fold(onnx, |onnx, (operator, inputs, outputs, attributes)| onnx.node(operator, inputs, outputs, attributes))
        .file()
}

pub(super) fn axis(axis: i64) -> Vec<Message> {
    vec![attribute("axis", axis)]
}

pub(super) fn keep(keep: i64) -> Vec<Message> {
    vec![attribute("keepdims", keep)]
}

pub(super) fn perm(order: &[i64]) -> Vec<Message> {
    vec![numbers_attribute("perm", order)]
}

pub(super) fn axes(axes: &[i64]) -> Vec<Message> {
    vec![numbers_attribute("axes", axes)]
}

pub(super) fn none() -> Vec<Message> {
    Vec::new()
}

pub(super) fn animal(name: &'static str, is_shown: bool, file: Vec<u8>) -> Animal {
    Animal { name, file, is_shown, inputs: X.to_vec() }
}
