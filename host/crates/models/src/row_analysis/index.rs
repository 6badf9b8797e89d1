use super::attributes::Node;
use super::value::{Found, Size, Value, along_the_rows, place};

/// `Gather`: rows of indices look up shared data, or constant indices look up data within each row.
pub(super) fn gather(node: &Node<'_>) -> Found<Value> {
    let (data, indices) = (node.input(0)?, node.input(1)?);
    if indices.counts_rows() {
        return Err("uses the number of rows as a number".to_owned());
    }
    if let (Some(content), Some([_])) = (&data.content, data.shape.as_deref())
        && let Some(places) = indices.known_numbers()
    {
        let is_one = indices.shape.as_ref().is_some_and(Vec::is_empty);
        let at = |at: &i64| place(*at, content.len()).ok().and_then(|at| content.get(at).copied());
        let content = places.iter().map(at).collect::<Option<Vec<_>>>();
        return content.map(|content| Value::numbers(content, is_one)).ok_or_else(|| "has no such place".to_owned());
    }
    if data.is_same() && indices.is_same() && (data.shape.is_none() || indices.shape.is_none()) {
        return Ok(Value::same());
    }
    let (from, by) = (data.dimensions()?, indices.dimensions()?);
    let axis = place(node.number("axis", 0), from.len())?;
    if data.row_axis() == Some(axis) {
        return Err("picks among the rows".to_owned());
    }
    let (before, behind) = (from.get(..axis).unwrap_or_default(), from.get(axis + 1..).unwrap_or_default());
    Value::of([before, by, behind].concat())
}

/// `Range`: a list of numbers. Its length follows from the inputs.
pub(super) fn range(node: &Node<'_>) -> Found<Value> {
    match node.inputs().all(Value::is_same) {
        true => Value::of(vec![Size::Unknown]),
        false => Err("uses the number of rows as a number".to_owned()),
    }
}

/// `GatherElements`: each row looks up within itself.
pub(super) fn gather_elements(node: &Node<'_>) -> Found<Value> {
    let (data, indices) = (node.input(0)?, node.input(1)?);
    if data.is_same() && indices.is_same() {
        return Ok(Value::same());
    }
    let (from, by) = (data.dimensions()?, indices.dimensions()?);
    let axis = place(node.number("axis", 0), from.len())?;
    match (data.row_axis(), indices.row_axis()) {
        (Some(rows), Some(other)) if rows == other && from.len() == by.len() => match rows == axis {
            true => Err(along_the_rows(rows)),
            false => Value::of(by.to_vec()),
        },
        _ => Err("looks rows up by their place".to_owned()),
    }
}

/// `OneHot`: each index becomes a list.
pub(super) fn one_hot(node: &Node<'_>) -> Found<Value> {
    node.others_are_same(1)?;
    let indices = node.input(0)?;
    if indices.is_same() {
        return Ok(Value::same());
    }
    let mut shape = indices.dimensions()?.to_vec();
    let axis = place(node.number("axis", -1), shape.len().saturating_add(1))?;
    let depth = node.input(1)?.known_numbers().and_then(|depth| depth.first().copied());
    shape.insert(axis, depth.map_or(Size::Unknown, Size::Known));
    Value::of(shape)
}
