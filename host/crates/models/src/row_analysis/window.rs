use super::attributes::Node;
use super::elementwise::same_shape;
use super::value::{Found, Size, Value, along_the_rows, place};

/// A convolution of images as rows, with a filter of the file.
pub(super) fn convolution(node: &Node<'_>) -> Found<Value> {
    node.others_are_same(1)?;
    let input = node.input(0)?;
    if input.is_same() {
        return Ok(Value::same());
    }
    let filter = node.input(1)?.shape.as_deref().unwrap_or_default();
    let channels = match node.operator() {
        "Conv" => filter.first().copied().unwrap_or(Size::Unknown),
        _ => Size::Unknown,
    };
    let kernel = node.numbers("kernel_shape").map(<[i64]>::to_vec);
    let of_filter = || filter.iter().skip(2).map(|size| size.number()).collect::<Option<Vec<i64>>>();
    let kernel = if node.operator() == "Conv" { kernel.or_else(of_filter) } else { None };
    windows(node, channels, kernel.as_deref())
}

/// A pool over windows of each image. The second output is refused, because it contains indices over all
/// rows.
pub(super) fn pool(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    if input.is_same() {
        return Ok(Value::same());
    }
    if node.outputs() > 1 {
        return Err("returns indices among all rows".to_owned());
    }
    let channels = input.dimensions()?.get(1).copied().unwrap_or(Size::Unknown);
    let kernel = if node.number("ceil_mode", 0) == 0 { node.numbers("kernel_shape") } else { None };
    windows(node, channels, kernel)
}

/// Images with rows and channels, processed in windows of this size. `None` if the output size is not
/// followed.
fn windows(node: &Node<'_>, channels: Size, kernel: Option<&[i64]>) -> Found<Value> {
    let [Size::Rows, _, inner @ ..] = node.input(0)?.dimensions()? else {
        return Err("uses rows as something other than images".to_owned());
    };
    let size = |(at, size): (usize, &Size)| windowed(node, *size, at, kernel?.get(at).copied()?, inner.len());
    let inner = inner.iter().enumerate().map(|dimension| size(dimension).map_or(Size::Unknown, Size::Known));
    Value::of([Size::Rows, channels].into_iter().chain(inner).collect())
}

/// Number of windows along a dimension.
fn windowed(node: &Node<'_>, size: Size, at: usize, kernel: i64, dimensions: usize) -> Option<i64> {
    let of = |name: &str, at: usize, otherwise: i64| {
        node.numbers(name).map_or(Some(otherwise), |numbers| numbers.get(at).copied())
    };
    let (stride, dilation) = (of("strides", at, 1)?, of("dilations", at, 1)?);
    let size = size.number()?;
    if stride < 1 {
        return None;
    }
    let whole = dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
    let padded = match node.text("auto_pad") {
        None | Some("NOTSET") => {
            let pads = of("pads", at, 0)?.checked_add(of("pads", at.checked_add(dimensions)?, 0)?)?;
            size.checked_add(pads)?
        }
        Some("VALID") => size,
        Some(_) => return None,
    };
    let count = padded.checked_sub(whole)?.checked_div(stride)?.checked_add(1)?;
    (count > 0).then_some(count)
}

/// A single window over each whole channel.
pub(super) fn global_pool(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    if input.is_same() {
        return Ok(Value::same());
    }
    match input.dimensions()? {
        [Size::Rows, channels, inner @ ..] => {
            let ones = inner.iter().map(|_| Size::Known(1));
            Value::of([Size::Rows, *channels].into_iter().chain(ones).collect())
        }
        _ => Err("uses rows as something other than images".to_owned()),
    }
}

/// `DepthToSpace` and `SpaceToDepth`.
pub(super) fn depth(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    if input.is_same() {
        return Ok(Value::same());
    }
    match input.dimensions()? {
        [Size::Rows, _, _, _] => Value::of(vec![Size::Rows, Size::Unknown, Size::Unknown, Size::Unknown]),
        _ => Err("uses rows as something other than images".to_owned()),
    }
}

/// `LRN`: normalises over neighbouring channels.
pub(super) fn local_normalization(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    match input.row_axis() {
        Some(0) | None => same_shape(input),
        Some(axis) => Err(along_the_rows(axis)),
    }
}

/// `Resize` and `Upsample` that do not change the rows.
pub(super) fn resize(node: &Node<'_>) -> Found<Value> {
    let input = node.input(0)?;
    let Some(rows) = input.row_axis() else { return Ok(Value::same()) };
    let rank = input.dimensions()?.len();
    if node.text("coordinate_transformation_mode") == Some("tf_crop_and_resize")
        || node.text("keep_aspect_ratio_policy").is_some_and(|policy| policy != "stretch")
    {
        return Err("resizes in a way that is not followed".to_owned());
    }
    let axes = match node.numbers("axes") {
        Some(axes) => axes.iter().map(|axis| place(*axis, rank)).collect::<Found<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    if let Some(at) = axes.iter().position(|axis| *axis == rows) {
        let is_upsample = node.operator() == "Upsample" || node.version < 11;
        let (scales, sizes) = if is_upsample { (node.optional(1), None) } else { (node.optional(2), node.optional(3)) };
        let of = |value: Option<&Value>| value?.content.as_ref()?.get(at).copied();
        if of(scales) != Some(Size::Known(1)) && of(sizes) != Some(Size::Rows) {
            return Err(along_the_rows(rows));
        }
    }
    let size = |at: usize| if at == rows { Size::Rows } else { Size::Unknown };
    Value::of((0..rank).map(size).collect())
}
