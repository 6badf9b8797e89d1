use super::attributes::Node;
use super::content::{LONGEST, constant, whole};
use super::value::{Found, Size, Value, broadcast, place, product};

/// `Constant`.
pub(super) fn of_the_file(node: &Node<'_>) -> Found<Value> {
    if let Some(tensor) = node.raw("value").and_then(|attribute| attribute.t.as_ref()) {
        return Ok(constant(tensor));
    }
    let list = |numbers: Vec<Size>| match numbers.len() {
        0..=LONGEST => Value::numbers(numbers, false),
        length => Value { shape: Some(vec![Size::known(length)]), content: None },
    };
    if let Some(attribute) = node.raw("value_int") {
        return Ok(Value::numbers(vec![Size::Known(attribute.i)], true));
    }
    if let Some(attribute) = node.raw("value_ints") {
        return Ok(list(attribute.ints.iter().map(|&number| Size::Known(number)).collect()));
    }
    if let Some(attribute) = node.raw("value_float") {
        return Ok(Value::numbers(vec![whole(attribute.f)], true));
    }
    if let Some(attribute) = node.raw("value_floats") {
        return Ok(list(attribute.floats.iter().map(|&number| whole(number)).collect()));
    }
    Ok(Value::same())
}

/// `Shape`.
pub(super) fn shape(node: &Node<'_>) -> Found<Value> {
    let Some(shape) = &node.input(0)?.shape else { return Ok(Value::same()) };
    let signed = i64::try_from(shape.len()).unwrap_or(i64::MAX);
    let end_of = |at: i64| {
        let at = if at < 0 { at.saturating_add(signed) } else { at };
        usize::try_from(at.clamp(0, signed)).unwrap_or(0)
    };
    let (start, end) = (end_of(node.number("start", 0)), end_of(node.number("end", i64::MAX)));
    Ok(Value::numbers(shape.get(start..end.max(start)).unwrap_or_default().to_vec(), false))
}

/// `Size`: the number of elements.
pub(super) fn size(node: &Node<'_>) -> Found<Value> {
    match node.input(0)?.is_same() {
        true => Value::of(Vec::new()),
        false => Err("uses the number of rows as a number".to_owned()),
    }
}

/// `Reshape`: elements keep their order, so rows stay rows if the number of elements before the row dimension
/// does not change.
pub(super) fn reshape(node: &Node<'_>) -> Found<Value> {
    let (input, wanted) = (node.input(0)?, node.input(1)?);
    let zero_copies = node.number("allowzero", 0) == 0;
    if input.counts_rows() {
        // A list of sizes stays a list of sizes, or a list of one size becomes one size.
        return match (wanted.known_numbers().as_deref(), &input.content) {
            (Some([-1]), Some(content)) => Ok(Value::numbers(content.clone(), false)),
            (Some([]), Some(content)) => Ok(Value::numbers(content.clone(), true)),
            _ => Err("uses the number of rows as a number".to_owned()),
        };
    }
    let Some(rows) = input.row_axis() else {
        if wanted.counts_rows() {
            return Err("shapes values without rows by the number of rows".to_owned());
        }
        let sizes = wanted.content.as_ref().map(|content| {
            let size = |size: &Size| if matches!(size, Size::Known(1..)) { *size } else { Size::Unknown };
            content.iter().map(size).collect()
        });
        return Ok(Value { shape: sizes, content: input.content.clone().filter(|_| is_flat(wanted)) });
    };
    let from = input.dimensions()?;
    let content = wanted.content.as_ref().ok_or("computes the shape that it makes")?;
    let copied = |(at, size): (usize, &Size)| match size {
        Size::Known(0) if zero_copies => from.get(at).copied().unwrap_or(Size::Unknown),
        size => *size,
    };
    let mut to: Vec<Size> = content.iter().enumerate().map(copied).collect();
    let rest = to.iter().position(|size| *size == Size::Known(-1));
    if !to.contains(&Size::Rows) {
        // The remaining dimension is the rows if the product of all others is the number of elements of a
        // row.
        let at = rest.ok_or("makes a shape without rows")?;
        let others = |sizes: &[Size], but: usize| {
            product(&sizes.iter().enumerate().filter(|(i, _)| *i != but).map(|(_, size)| *size).collect::<Vec<_>>())
        };
        let (of_row, of_rest) = (others(from, rows), others(&to, at));
        if of_row.is_none() || of_row != of_rest {
            return Err("makes a shape whose first dimension is not known to be the rows".to_owned());
        }
        if let Some(size) = to.get_mut(at) {
            *size = Size::Rows;
        }
    }
    for size in &mut to {
        if matches!(size, Size::Known(..=0)) {
            *size = Size::Unknown;
        }
    }
    let now = to.iter().position(|size| *size == Size::Rows).unwrap_or(0);
    let before = |sizes: &[Size], rows: usize| product(sizes.get(..rows).unwrap_or_default());
    let (was, is) = (before(from, rows), before(&to, now));
    if was.is_none() || was != is {
        return Err("moves rows among other dimensions".to_owned());
    }
    Value::of(to)
}

/// Whether a list of numbers with this shape stays a list, or becomes one number.
fn is_flat(wanted: &Value) -> bool {
    matches!(wanted.known_numbers().as_deref(), Some([-1] | []))
}

/// `Flatten`.
pub(super) fn flatten(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    let Some(rows) = input.row_axis() else { return Ok(Value::same()) };
    let shape = input.dimensions()?;
    // The axis may also be just after the last dimension.
    let axis = match node.number("axis", 1) {
        axis @ ..0 => place(axis, shape.len())?,
        axis => place(axis, shape.len().saturating_add(1))?,
    };
    if (rows, axis) != (0, 1) {
        return Err("puts rows into one dimension with others".to_owned());
    }
    let of_row = match product(shape.get(1..).unwrap_or_default()) {
        Some((number, free)) if free.is_empty() => Size::Known(number),
        Some((1, free)) if free.len() == 1 => free.first().map_or(Size::Unknown, |free| Size::Free(*free)),
        _ => Size::Unknown,
    };
    Value::of(vec![Size::Rows, of_row])
}

/// `Squeeze`.
pub(super) fn squeeze(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    if let Some(content) = &input.content {
        return Ok(Value::numbers(content.clone(), content.len() == 1));
    }
    let Some(shape) = &input.shape else { return Ok(Value::same()) };
    let Some(axes) = node.numbers_of("axes", 1, 13)?.filter(|axes| !axes.is_empty()) else {
        return match input.has_rows() {
            true => Err("removes the rows where there is one, since it names no axes".to_owned()),
            false => Ok(Value::same()),
        };
    };
    let axes: Vec<usize> = axes.iter().map(|axis| place(*axis, shape.len())).collect::<Found<_>>()?;
    if axes.iter().any(|axis| shape.get(*axis) == Some(&Size::Rows)) {
        return Err("removes the rows".to_owned());
    }
    Value::of(shape.iter().enumerate().filter(|(at, _)| !axes.contains(at)).map(|(_, size)| *size).collect())
}

/// `Unsqueeze`.
pub(super) fn unsqueeze(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    let axes = node.numbers_of("axes", 1, 13)?.ok_or("names no axes")?;
    if let (Some(content), Some([])) = (&input.content, input.shape.as_deref())
        && axes.len() == 1
    {
        return Ok(Value::numbers(content.clone(), false));
    }
    if input.counts_rows() {
        return Err("uses the number of rows as a number".to_owned());
    }
    let Some(shape) = &input.shape else { return Ok(Value::same()) };
    let rank = shape.len().saturating_add(axes.len());
    let axes: Vec<usize> = axes.iter().map(|axis| place(*axis, rank)).collect::<Found<_>>()?;
    let mut old = shape.iter().copied();
    let size = |at: usize| if axes.contains(&at) { Some(Size::Known(1)) } else { old.next() };
    Value::of((0..rank).map_while(size).collect())
}

/// `Expand`: broadcasts to a shape. A value without rows may be repeated for each row.
pub(super) fn expand(node: &Node<'_>) -> Found<Value> {
    let (input, wanted) = (node.input(0)?, node.input(1)?);
    let sizes = match &wanted.content {
        Some(content) => content,
        None if input.is_same() => return Ok(Value::same()),
        None => return Err("computes the shape that it makes".to_owned()),
    };
    if input.is_same() && input.shape.is_none() && !wanted.counts_rows() {
        return Ok(Value::same());
    }
    Value::of(broadcast([input.dimensions()?, sizes.as_slice()])?)
}

/// `Tile`: does not repeat rows. A value without rows may be repeated for each row.
pub(super) fn tile(node: &Node<'_>) -> Found<Value> {
    let (input, repeats) = (node.input(0)?, node.input(1)?);
    if input.is_same() && !repeats.counts_rows() {
        return Ok(Value::same());
    }
    let repeats = repeats.content.as_ref().ok_or("computes how often it repeats")?;
    let repeated = |(size, times): (&Size, &Size)| match (size, times) {
        (size, Size::Known(1)) => Ok(*size),
        (Size::Known(1), times) => Ok(*times),
        (Size::Rows, _) | (_, Size::Rows) => Err("repeats rows".to_owned()),
        _ => Ok(Size::Unknown),
    };
    let shape = input.dimensions()?;
    if shape.len() != repeats.len() {
        return Err("repeats other dimensions than there are".to_owned());
    }
    Value::of(shape.iter().zip(repeats).map(repeated).collect::<Found<_>>()?)
}

/// `ConstantOfShape`: the same number everywhere, so all rows are equal.
pub(super) fn filled(node: &Node<'_>) -> Found<Value> {
    let wanted = node.input(0)?;
    let Some(sizes) = &wanted.content else {
        return wanted.is_same().then(Value::same).ok_or("has a shape of rows".to_owned());
    };
    let shape = Value::of(sizes.clone())?;
    let number = match node.raw("value").and_then(|attribute| attribute.t.as_ref()) {
        None => Some(Size::Known(0)),
        Some(tensor) => constant(tensor).content.and_then(|content| content.first().copied()),
    };
    let content = match (sizes.as_slice(), number) {
        ([Size::Known(count)], Some(number)) => {
            usize::try_from(*count).ok().filter(|count| *count <= LONGEST).map(|count| vec![number; count])
        }
        _ => None,
    };
    Ok(Value { content, ..shape })
}
