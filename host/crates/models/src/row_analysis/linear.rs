use super::attributes::Node;
use super::elementwise::{combined, same_shape};
use super::value::{Found, Size, Value, broadcast};

const CONTRACTS: &str = "adds up over the rows";

/// `MatMul`: contracts the last dimension of the first input with the second-to-last dimension of the second.
/// The dimensions before them are broadcast.
pub(super) fn matmul(node: &Node<'_>) -> Found<Value> {
    let (left, right) = (node.input(0)?, node.input(1)?);
    if left.is_same() && right.is_same() && (left.shape.is_none() || right.shape.is_none()) {
        return Ok(Value::same());
    }
    let (left, right) = (left.dimensions()?, right.dimensions()?);
    let (before, height, inner) = match left {
        [before @ .., height, inner] => (before, Some(*height), *inner),
        [inner] => (&[][..], None, *inner),
        [] => return Err("multiplies a number".to_owned()),
    };
    let (behind, outer, width) = match right {
        [behind @ .., outer, width] => (behind, *outer, Some(*width)),
        [outer] => (&[][..], *outer, None),
        [] => return Err("multiplies a number".to_owned()),
    };
    if inner == Size::Rows || outer == Size::Rows {
        return Err(CONTRACTS.to_owned());
    }
    let mut shape = broadcast([before, behind])?;
    shape.extend(height.into_iter().chain(width));
    Value::of(shape)
}

/// `Gemm`: the product of a matrix of rows and a matrix of the file, plus an optional third input.
pub(super) fn gemm(node: &Node<'_>) -> Found<Value> {
    let (left, right) = (node.input(0)?, node.input(1)?);
    let turned = |value: &Value, attribute: &str| -> Found<(Size, Size)> {
        match (value.dimensions()?, node.number(attribute, 0)) {
            ([height, width], 0) => Ok((*height, *width)),
            ([height, width], _) => Ok((*width, *height)),
            _ => Err("multiplies values that are not matrices".to_owned()),
        }
    };
    if node.inputs().all(Value::is_same) {
        return Ok(Value::same());
    }
    let ((height, inner), (outer, width)) = (turned(left, "transA")?, turned(right, "transB")?);
    if inner == Size::Rows || outer == Size::Rows {
        return Err(CONTRACTS.to_owned());
    }
    let product = Value::of(vec![height, width])?;
    match node.optional(2) {
        Some(added) => combined(&[&product, added]),
        None => Ok(product),
    }
}

/// `Einsum` with only letters and an explicit output.
pub(super) fn einsum(node: &Node<'_>) -> Found<Value> {
    let unclear = || "has an equation that is not followed".to_owned();
    let equation: String = node.text("equation").ok_or_else(unclear)?.split_whitespace().collect();
    let (from, to) = equation.split_once("->").ok_or_else(unclear)?;
    let terms: Vec<&str> = from.split(',').collect();
    let inputs: Vec<&Value> = node.inputs().collect();
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !terms.iter().chain([&to]).all(|text| is_plain(text)) || terms.len() != inputs.len() {
        return Err(unclear());
    }
    if inputs.iter().all(|input| input.is_same()) {
        return Ok(Value::same());
    }
    let mut sizes: Vec<(u8, Size)> = Vec::new();
    for (term, input) in terms.iter().zip(inputs) {
        let shape = input.dimensions()?;
        if shape.len() != term.len() {
            return Err(unclear());
        }
        for (letter, size) in term.bytes().zip(shape) {
            match sizes.iter_mut().find(|(known, _)| *known == letter) {
                // A letter has a single size, also if it is 1 in one of the inputs.
                Some((_, known)) => {
                    *known = broadcast([&[*known][..], &[*size][..]])?.first().copied().unwrap_or(*size)
                }
                None => sizes.push((letter, *size)),
            }
        }
    }
    let rows: Vec<u8> = sizes.iter().filter(|(_, size)| *size == Size::Rows).map(|(letter, _)| *letter).collect();
    if rows.iter().any(|letter| !to.bytes().any(|other| other == *letter)) {
        return Err(CONTRACTS.to_owned());
    }
    let size = |letter: u8| sizes.iter().find(|(known, _)| *known == letter).map(|(_, size)| *size);
    Value::of(to.bytes().map(size).collect::<Option<_>>().ok_or_else(unclear)?)
}

/// `LSTM`, `GRU`, `RNN`: a sequence for each row.
pub(super) fn recurrent(node: &Node<'_>) -> Found<Vec<Value>> {
    let input = node.input(0)?;
    let (sequence, batch) = if node.number("layout", 0) == 0 { (0, 1) } else { (1, 0) };
    let [_, _, _] = input.dimensions()? else { return Err("takes an input without three dimensions".to_owned()) };
    if node.inputs().all(Value::is_same) {
        return Ok(vec![Value::same(); 3]);
    }
    if input.row_axis() != Some(batch) {
        return Err("goes from row to row: its sequence is the rows".to_owned());
    }
    // Weights, recurrent weights and biases, and the peepholes of an LSTM.
    for at in [1, 2, 3, 7] {
        if node.optional(at).is_some_and(|value| !value.is_same()) {
            return Err("has weights of each row".to_owned());
        }
    }
    let per_row = [(4, 0), (5, batch), (6, batch)];
    for (at, axis) in per_row {
        if node.optional(at).is_some_and(|value| value.row_axis() != Some(axis)) {
            return Err("has an initial state that is not one for each row".to_owned());
        }
    }
    let directions = match node.text("direction") {
        Some("bidirectional") => Size::Known(2),
        _ => Size::Known(1),
    };
    let hidden = if node.has("hidden_size") { Size::Known(node.number("hidden_size", 0)) } else { Size::Unknown };
    let length = input.dimensions()?.get(sequence).copied().unwrap_or(Size::Unknown);
    let (all, last) = match batch {
        1 => (vec![length, directions, Size::Rows, hidden], vec![directions, Size::Rows, hidden]),
        _ => (vec![Size::Rows, length, directions, hidden], vec![Size::Rows, directions, hidden]),
    };
    let last = Value::of(last)?;
    Ok(vec![Value::of(all)?, last.clone(), last])
}

/// `BatchNormalization` with the numbers of the file.
pub(super) fn batch_normalization(node: &Node<'_>) -> Found<Value> {
    node.others_are_same(1)?;
    let input = node.input(0)?;
    if node.number("training_mode", 0) != 0 || node.outputs() > 1 {
        return Err("is training: it normalises by the rows that there are".to_owned());
    }
    per_channel(input)
}

/// `InstanceNormalization` and similar operators: normalise over the dimensions of each row's channels.
pub(super) fn by_instance(node: &Node<'_>) -> Found<Value> {
    node.others_are_same(1)?;
    match node.input(0)?.row_axis() {
        Some(0) | None => same_shape(node.input(0)?),
        Some(axis) => Err(super::value::along_the_rows(axis)),
    }
}

fn per_channel(input: &Value) -> Found<Value> {
    match (input.row_axis(), input.dimensions().map(<[Size]>::len)) {
        (Some(0), Ok(2..)) | (None, _) => same_shape(input),
        (Some(axis), _) => Err(super::value::along_the_rows(axis)),
    }
}
