use super::attributes::Node;
use super::elementwise::same_shape;
use super::value::{Found, Size, Value, along_the_rows, place};

/// `Transpose`.
pub(super) fn transpose(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    let Some(shape) = input.shape.as_ref().filter(|_| !input.counts_rows()) else { return same_shape(input) };
    let order: Vec<usize> = match node.numbers("perm") {
        Some(order) => order.iter().map(|axis| place(*axis, shape.len())).collect::<Found<_>>()?,
        None => (0..shape.len()).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..shape.len()) {
        return Err("has an invalid order of dimensions".to_owned());
    }
    Value::of(order.iter().filter_map(|axis| shape.get(*axis).copied()).collect())
}

/// `Concat`: concatenates along an axis that is not the rows, or concatenates lists of numbers.
pub(super) fn concatenate(node: &Node<'_>) -> Found<Value> {
    let inputs: Vec<&Value> = node.inputs().collect();
    let lists = inputs.iter().map(|input| match (input.shape.as_deref(), &input.content) {
        (Some([_]), Some(content)) => Some(content.as_slice()),
        _ => None,
    });
    if let Some(lists) = lists.collect::<Option<Vec<_>>>() {
        let all = lists.concat();
        if all.len() <= super::content::LONGEST {
            return Ok(Value::numbers(all, false));
        }
    }
    if inputs.iter().all(|input| input.is_same()) && inputs.iter().any(|input| input.shape.is_none()) {
        return Ok(Value::same());
    }
    let shapes: Vec<&[Size]> = inputs.iter().map(|input| input.dimensions()).collect::<Found<_>>()?;
    let first = shapes.first().copied().unwrap_or_default();
    let axis = place(node.number("axis", 0), first.len())?;
    let rows = first.iter().position(|size| *size == Size::Rows);
    if rows == Some(axis) || shapes.iter().any(|shape| shape.get(axis) == Some(&Size::Rows)) {
        return Err("puts rows one after the other".to_owned());
    }
    if shapes
        .iter()
        .any(|shape| shape.iter().position(|size| *size == Size::Rows) != rows || shape.len() != first.len())
    {
        return Err("concatenates rows with values that are not rows".to_owned());
    }
    let sizes: Option<i64> = shapes.iter().map(|shape| shape.get(axis).and_then(|size| size.number())).sum();
    let mut shape = first.to_vec();
    if let Some(size) = shape.get_mut(axis) {
        *size = sizes.map_or(Size::Unknown, Size::Known);
    }
    Value::of(shape)
}

/// `Split`, along an axis that is not the rows.
pub(super) fn split(node: &Node<'_>) -> Found<Vec<Value>> {
    let input = node.input(0)?;
    node.others_are_same(1)?;
    let count = node.all_outputs();
    let Some(rows) = input.row_axis() else {
        return match input.counts_rows() {
            true => Err("uses the number of rows as a number".to_owned()),
            false => Ok(vec![Value::same(); count]),
        };
    };
    let shape = input.dimensions()?;
    let axis = place(node.number("axis", 0), shape.len())?;
    if axis == rows {
        return Err(along_the_rows(rows));
    }
    let parts = node.numbers_of("split", 1, 13).ok().flatten();
    let all = shape.get(axis).and_then(|size| size.number());
    let even = all.zip(i64::try_from(count).ok()).filter(|(all, count)| *count > 0 && all % count == 0);
    let part = |at: usize| {
        let said = parts.as_ref().map(|parts| parts.get(at).copied());
        let size = said.unwrap_or_else(|| even.map(|(all, count)| all / count));
        let mut shape = shape.to_vec();
        if let Some(place) = shape.get_mut(axis) {
            *place = size.map_or(Size::Unknown, Size::Known);
        }
        Value::of(shape)
    };
    (0..count).map(part).collect()
}

/// The smallest end of a slice that is past the end of all rows. A call has fewer rows.
const PAST_ALL_ROWS: i64 = 1 << 20;

/// `Slice` that keeps all rows, or takes a part of a list of numbers.
pub(super) fn slice(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    if !input.counts_rows() {
        node.others_are_same(1)?;
    }
    let by_input = node.version >= 10;
    let numbers = |name: &str, at: usize| match by_input {
        true => Ok(node.optional(at).and_then(Value::known_numbers)),
        false => Ok::<_, String>(node.numbers(name).map(<[i64]>::to_vec)),
    };
    let (starts, ends) = (numbers("starts", 1)?, numbers("ends", 2)?);
    let steps = match (by_input, node.optional(4)) {
        (true, Some(steps)) => steps.known_numbers(),
        _ => starts.as_ref().map(|starts| vec![1; starts.len()]),
    };
    let axes = match (by_input, node.optional(3)) {
        (true, Some(axes)) => axes.known_numbers(),
        _ => numbers("axes", 3)?.or_else(|| starts.as_ref().map(|starts| (0..).take(starts.len()).collect())),
    };
    if let (Some(content), Some([_])) = (&input.content, input.shape.as_deref()) {
        let part = match (starts.as_deref(), ends.as_deref(), steps.as_deref()) {
            (Some([start]), Some([end]), Some([1])) => part(content, *start, *end),
            _ => None,
        };
        return match part {
            Some(part) => Ok(Value::numbers(part, false)),
            None if input.is_same() => Ok(Value::same()),
            None => Err("uses the number of rows as a number".to_owned()),
        };
    }
    let rows = input.row_axis();
    let (Some(shape), Some(axes)) = (&input.shape, axes) else {
        return if rows.is_some() { Err("computes its axes".to_owned()) } else { Ok(Value::same()) };
    };
    let mut shape = shape.clone();
    for (i, axis) in axes.iter().enumerate() {
        let axis = place(*axis, shape.len())?;
        let at = |numbers: &Option<Vec<i64>>| numbers.as_ref().and_then(|numbers| numbers.get(i).copied());
        let (start, end, step) = (at(&starts), at(&ends), at(&steps));
        if Some(axis) == rows {
            if start != Some(0) || step != Some(1) || end.is_none_or(|end| end < PAST_ALL_ROWS) {
                return Err("leaves rows out by their place".to_owned());
            }
            continue;
        }
        if let Some(size) = shape.get_mut(axis) {
            *size = sliced(*size, start, end, step);
        }
    }
    Value::of(shape)
}

fn sliced(size: Size, start: Option<i64>, end: Option<i64>, step: Option<i64>) -> Size {
    let (Some(start), Some(end), Some(1)) = (start, end, step) else { return Size::Unknown };
    match size {
        Size::Known(length) => {
            let at = |at: i64| if at < 0 { at.saturating_add(length) } else { at }.clamp(0, length.max(0));
            Size::Known(at(end).saturating_sub(at(start)).max(0))
        }
        size if start == 0 && end >= i64::from(i32::MAX) => size,
        _ => Size::Unknown,
    }
}

fn part(content: &[Size], start: i64, end: i64) -> Option<Vec<Size>> {
    let length = i64::try_from(content.len()).ok()?;
    let at = |at: i64| usize::try_from(if at < 0 { at.saturating_add(length) } else { at }.clamp(0, length)).ok();
    let (start, end) = (at(start)?, at(end)?);
    Some(content.get(start..end.max(start))?.to_vec())
}

/// `Pad` that adds no rows.
pub(super) fn pad(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    let pads = match node.version >= 11 {
        true => {
            node.others_are_same(1)?;
            node.input(1)?.known_numbers()
        }
        false => node.numbers("pads").map(<[i64]>::to_vec),
    };
    let Some(rows) = input.row_axis() else { return Ok(Value::same()) };
    let shape = input.dimensions()?;
    let pads = pads.ok_or("computes what it adds")?;
    let axes: Vec<usize> = match node.optional(3).filter(|_| node.version >= 18) {
        Some(axes) => {
            let axes = axes.known_numbers().ok_or("computes its axes")?;
            axes.iter().map(|axis| place(*axis, shape.len())).collect::<Found<_>>()?
        }
        None => (0..shape.len()).collect(),
    };
    let mut to = shape.to_vec();
    for (i, axis) in axes.iter().enumerate() {
        let added = pads.get(i).zip(pads.get(i.saturating_add(axes.len())));
        let (before, after) = added.ok_or("adds to other dimensions than there are")?;
        if *axis == rows {
            if (*before, *after) != (0, 0) {
                return Err("adds rows".to_owned());
            }
        } else if let Some(size) = to.get_mut(*axis) {
            let sum = |size: i64| size.checked_add(*before)?.checked_add(*after);
            *size = size.number().and_then(sum).map_or(Size::Unknown, Size::Known);
        }
    }
    Value::of(to)
}

/// `Trilu`: keeps a triangle of each matrix.
pub(super) fn triangle(node: &Node<'_>) -> Found<Value> {
    node.others_are_same(1)?;
    let input = node.input(0)?;
    if let Some(rows) = input.row_axis()
        && rows.saturating_add(2) >= input.dimensions()?.len()
    {
        return Err(along_the_rows(rows));
    }
    same_shape(input)
}
