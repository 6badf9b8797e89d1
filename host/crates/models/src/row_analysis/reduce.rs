use super::attributes::Node;
use super::elementwise::same_shape;
use super::value::{Found, Size, Value, along_the_rows, place};

/// `ReduceSum` and similar operators, over axes that are not the rows.
pub(super) fn reduce(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    let rows = input.row_axis();
    if input.is_same() && input.shape.is_none() {
        return Ok(Value::same());
    }
    let shape = input.dimensions()?;
    let axes = node
        .numbers_of("axes", 1, if node.operator() == "ReduceSum" { 13 } else { 18 })?
        .filter(|axes| !axes.is_empty());
    let Some(axes) = axes else {
        return match (node.number("noop_with_empty_axes", 0), rows) {
            (0, Some(rows)) => Err(along_the_rows(rows)),
            (0, None) => Ok(Value::same()),
            _ => same_shape(input),
        };
    };
    let axes: Vec<usize> = axes.iter().map(|axis| place(*axis, shape.len())).collect::<Found<_>>()?;
    reduced(shape, rows, &axes, node.number("keepdims", 1) != 0)
}

/// `ArgMax` and `ArgMin`.
pub(super) fn arg(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    let rows = input.row_axis();
    if input.is_same() && input.shape.is_none() {
        return Ok(Value::same());
    }
    let shape = input.dimensions()?;
    let axis = place(node.number("axis", 0), shape.len())?;
    reduced(shape, rows, &[axis], node.number("keepdims", 1) != 0)
}

fn reduced(shape: &[Size], rows: Option<usize>, axes: &[usize], keep: bool) -> Found<Value> {
    if let Some(rows) = rows.filter(|rows| axes.contains(rows)) {
        return Err(along_the_rows(rows));
    }
    let size = |(at, size): (usize, &Size)| match axes.contains(&at) {
        true => keep.then_some(Size::Known(1)),
        false => Some(*size),
    };
    Value::of(shape.iter().enumerate().filter_map(size).collect())
}

/// `Softmax` and similar operators. Before version 13 all dimensions from the axis on count as one.
pub(super) fn softmax(node: &Node<'_>) -> Found<Value> {
    match node.version < 13 {
        true => from_axis(node, 1),
        false => along_axis(node, -1),
    }
}

/// An operator along one axis, which must not be the rows. The shape does not change.
pub(super) fn along_axis(node: &Node<'_>, otherwise: i64) -> Found<Value> {
    let input = node.input(0)?;
    if let Some(rows) = input.row_axis() {
        let axis = place(node.number("axis", otherwise), input.dimensions()?.len())?;
        if axis == rows {
            return Err(along_the_rows(rows));
        }
    }
    same_shape(input)
}

/// An operator over all dimensions from an axis on, which must not include the rows. The shape does not
/// change.
pub(super) fn from_axis(node: &Node<'_>, otherwise: i64) -> Found<Value> {
    let input = node.input(0)?;
    if let Some(rows) = input.row_axis() {
        let axis = place(node.number("axis", otherwise), input.dimensions()?.len())?;
        if rows >= axis {
            return Err(along_the_rows(rows));
        }
    }
    same_shape(input)
}

/// `LayerNormalization` and `RMSNormalization` with scale and bias from the file. In the further outputs, the
/// normalised dimensions are 1.
pub(super) fn layer_normalization(node: &Node<'_>) -> Found<Vec<Value>> {
    node.others_are_same(1)?;
    let normal = from_axis(node, -1)?;
    let input = node.input(0)?;
    let Some(rows) = input.row_axis() else { return Ok(vec![normal]) };
    let shape = input.dimensions()?;
    for factor in [node.optional(1), node.optional(2)].into_iter().flatten() {
        // A scale as long as the rows would depend on the place of a row.
        let aligned = factor.dimensions()?;
        let at = aligned.len().checked_sub(shape.len() - rows).and_then(|at| aligned.get(at));
        if at.is_some_and(|size| *size != Size::Known(1)) {
            return Err("has a scale for each row".to_owned());
        }
    }
    let axis = place(node.number("axis", -1), shape.len())?;
    let ones = shape.iter().enumerate().map(|(at, size)| if at < axis { *size } else { Size::Known(1) });
    let statistics = Value::of(ones.collect())?;
    Ok(vec![normal, statistics.clone(), statistics])
}

/// `CumSum`, with its axis as an input.
pub(super) fn cumulative(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    if let Some(rows) = input.row_axis() {
        let axis = node.input(1)?.known_numbers().and_then(|axis| axis.first().copied());
        let axis = place(axis.ok_or("computes its axis")?, input.dimensions()?.len())?;
        if axis == rows {
            return Err(along_the_rows(rows));
        }
    }
    node.others_are_same(1)?;
    same_shape(input)
}

/// `TopK`: values and their indices along an axis.
pub(super) fn top(node: &Node<'_>) -> Found<Vec<Value>> {
    let input = node.input(0)?;
    node.others_are_same(1)?;
    let Some(rows) = input.row_axis() else { return Ok(vec![Value::same(), Value::same()]) };
    let mut shape = input.dimensions()?.to_vec();
    let axis = place(node.number("axis", -1), shape.len())?;
    if axis == rows {
        return Err(along_the_rows(rows));
    }
    let count = node.optional(1).and_then(Value::known_numbers).and_then(|count| count.first().copied());
    if let Some(size) = shape.get_mut(axis) {
        *size = count.map_or(Size::Unknown, Size::Known);
    }
    let value = Value::of(shape)?;
    Ok(vec![value.clone(), value])
}
