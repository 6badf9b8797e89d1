use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

use super::value::{MOST_DIMENSIONS, Size, Value};

/// Longest list of numbers that the analysis follows. Shapes have only a few dimensions.
pub(super) const LONGEST: usize = 64;

/// A constant of the file: its shape, and its elements if they are a few integers.
pub(super) fn constant(tensor: &TensorProto) -> Value {
    if tensor.dims.len() > MOST_DIMENSIONS {
        return Value::same();
    }
    let size = |&dimension: &i64| if dimension < 0 { Size::Unknown } else { Size::Known(dimension) };
    let shape: Vec<Size> = tensor.dims.iter().map(size).collect();
    let count = tensor.dims.iter().try_fold(1_usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?));
    let content = count.filter(|count| *count <= LONGEST && shape.len() <= 1).and_then(|count| elements(tensor, count));
    Value { shape: Some(shape), content }
}

fn elements(tensor: &TensorProto, count: usize) -> Option<Vec<Size>> {
    if tensor.data_location == Some(DataLocation::External as i32) || tensor.segment.is_some() {
        return None;
    }
    let raw = &tensor.raw_data;
    let found: Vec<Size> = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Int64 if raw.is_empty() => tensor.int64_data.iter().map(|&number| Size::Known(number)).collect(),
        DataType::Int64 => raw.as_chunks().0.iter().map(|bytes| Size::Known(i64::from_le_bytes(*bytes))).collect(),
        DataType::Int32 if raw.is_empty() => {
            tensor.int32_data.iter().map(|&number| Size::Known(number.into())).collect()
        }
        DataType::Int32 => {
            raw.as_chunks().0.iter().map(|bytes| Size::Known(i32::from_le_bytes(*bytes).into())).collect()
        }
        DataType::Bool if raw.is_empty() => tensor.int32_data.iter().map(|&bit| Size::Known(bit.into())).collect(),
        DataType::Bool => raw.iter().map(|&bit| Size::Known(bit.into())).collect(),
        DataType::Float if raw.is_empty() => tensor.float_data.iter().map(|&number| whole(number)).collect(),
        DataType::Float => raw.as_chunks().0.iter().map(|bytes| whole(f32::from_le_bytes(*bytes))).collect(),
        _ => return None,
    };
    (found.len() == count).then_some(found)
}

/// The value of a float, if it is an integer and small enough to be exact.
pub(super) fn whole(number: f32) -> Size {
    const EXACT: f32 = 16_777_216.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and at most 2^24")]
        return Size::Known(number as i64);
    }
    Size::Unknown
}

/// The numbers that an operator computes from numbers, element by element. `None` if the analysis does not
/// follow the operator, or if the number of rows would become another number.
pub(super) fn combine(operator: &str, inputs: &[&Value]) -> Option<Value> {
    let lists: Vec<&Vec<Size>> = inputs.iter().map(|value| value.content.as_ref()).collect::<Option<_>>()?;
    let longest = lists.iter().map(|list| list.len()).max()?;
    let is_one = inputs.iter().all(|value| value.shape.as_ref().is_some_and(Vec::is_empty));
    let at = |list: &Vec<Size>, place: usize| match list.len() {
        1 => list.first().copied(),
        length if length == longest => list.get(place).copied(),
        _ => None,
    };
    let element = |place: usize| {
        let row: Vec<Size> = lists.iter().map(|list| at(list, place)).collect::<Option<_>>()?;
        element(operator, &row)
    };
    let content = (0..longest).map(element).collect::<Option<Vec<_>>>()?;
    Some(Value::numbers(content, is_one))
}

fn element(operator: &str, of: &[Size]) -> Option<Size> {
    use Size::{Free, Known, Rows, Unknown};
    Some(match (operator, of) {
        ("Add", [Known(a), Known(b)]) => a.checked_add(*b).map_or(Unknown, Known),
        ("Sub", [Known(a), Known(b)]) => a.checked_sub(*b).map_or(Unknown, Known),
        ("Mul", [Known(a), Known(b)]) => a.checked_mul(*b).map_or(Unknown, Known),
        // Only an exact division gives the same result for integers and floats.
        ("Div", [Known(a), Known(b)]) if *b != 0 && a % b == 0 => Known(a / b),
        ("Max", [Known(a), Known(b)]) => Known(*a.max(b)),
        ("Min", [Known(a), Known(b)]) => Known(*a.min(b)),
        ("Equal", [Known(a), Known(b)]) => Known((a == b).into()),
        // Sizes are never negative.
        ("Equal", [Rows | Free(_), Known(a)] | [Known(a), Rows | Free(_)]) if *a < 0 => Known(0),
        ("Where", [Known(condition), a, b]) => {
            if *condition == 0 {
                *b
            } else {
                *a
            }
        }
        ("Add", [size, Known(0)] | [Known(0), size]) | ("Sub", [size, Known(0)]) => *size,
        ("Mul", [size, Known(1)] | [Known(1), size]) | ("Div", [size, Known(1)]) => *size,
        (_, sizes) if sizes.contains(&Rows) => return None,
        _ => Unknown,
    })
}
