use super::attributes::Node;
use super::content;
use super::value::{Found, Size, Value, broadcast, place};

/// An operator on each element. The shape does not change.
pub(super) fn unary(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    match node.operator() {
        "Identity" => Ok(input.clone()),
        "Cast" => cast(input, node.number("to", 0)),
        _ => same_shape(input),
    }
}

/// The shape of a value, with other elements.
pub(super) fn same_shape(input: &Value) -> Found<Value> {
    if input.has_rows() || input.counts_rows() {
        return Value::of(input.dimensions()?.to_vec());
    }
    Ok(Value { shape: input.shape.clone(), content: None })
}

/// An operator on each element of several inputs, with broadcast shapes.
pub(super) fn several(node: &Node<'_>) -> Found<Value> {
    let inputs: Vec<&Value> = node.inputs().collect();
    if let Some(numbers) = content::combine(node.operator(), &inputs) {
        return Ok(numbers);
    }
    combined(&inputs)
}

/// The value of inputs that are broadcast to each other.
pub(super) fn combined(inputs: &[&Value]) -> Found<Value> {
    if inputs.iter().all(|input| input.is_same()) {
        let shapes: Option<Vec<&[Size]>> = inputs.iter().map(|input| input.shape.as_deref()).collect();
        return Ok(Value { shape: shapes.and_then(|shapes| broadcast(shapes).ok()), content: None });
    }
    let shapes: Vec<&[Size]> = inputs.iter().map(|input| input.dimensions()).collect::<Found<_>>()?;
    Value::of(broadcast(shapes)?)
}

/// The first input's shape. The other inputs are parameters that must not depend on rows.
pub(super) fn first_alone(node: &Node<'_>) -> Found<Value> {
    node.others_are_same(1)?;
    same_shape(node.input(0)?)
}

/// `Dropout` without training, which drops nothing.
pub(super) fn dropout(node: &Node<'_>) -> Found<Value> {
    let trains = match node.optional(2) {
        None => false,
        Some(value) => value.known_numbers().is_none_or(|numbers| numbers != [0]),
    };
    if trains || node.has("is_test") {
        return Err("may drop at random".to_owned());
    }
    node.others_are_same(1)?;
    same_shape(node.input(0)?)
}

/// Scales by numbers of the file. There is a single scale, or a scale for each index of an axis, which must
/// not be the rows.
pub(super) fn quantize(node: &Node<'_>) -> Found<Value> {
    node.others_are_same(1)?;
    let input = node.input(0)?;
    if let Some(rows) = input.row_axis() {
        let rank = input.dimensions()?.len();
        let scale = node.input(1)?.dimensions()?;
        let is_one = scale.iter().all(|size| *size == Size::Known(1));
        if !is_one && place(node.number("axis", 1), rank)? == rows {
            return Err("has a scale for each row".to_owned());
        }
        if node.number("block_size", 0) != 0 || (scale.len() > 1 && !is_one) {
            return Err("has a scale for each block".to_owned());
        }
    }
    same_shape(input)
}

/// ONNX's numbers for types that can hold a small integer exactly.
const FLOAT: i64 = 1;
const INT32: i64 = 6;
const INT64: i64 = 7;
const DOUBLE: i64 = 11;

fn cast(input: &Value, to: i64) -> Found<Value> {
    let exact = |size: &Size| match size {
        Size::Known(number) if to != INT64 && number.unsigned_abs() > 1 << 24 => Size::Unknown,
        size => *size,
    };
    match &input.content {
        Some(content) if matches!(to, FLOAT | INT32 | INT64 | DOUBLE) => {
            Ok(Value { shape: input.shape.clone(), content: Some(content.iter().map(exact).collect()) })
        }
        _ => same_shape(input),
    }
}
