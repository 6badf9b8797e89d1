/// How large a dimension is, or a number in a list of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// This number.
    Known(i64),
    /// As many as the call has rows.
    Rows,
    /// A free dimension of an input, by its number.
    Free(usize),
    /// Something that does not depend on the rows or their number.
    Unknown,
}

/// Dimensions of a value that is followed; a call's tensors have at most 32.
pub(super) const MOST_DIMENSIONS: usize = 64;

/// What is known of a value of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Value {
    /// Its dimensions, of which at most one is the rows; `None` only where the value does not depend on rows.
    pub(super) shape: Option<Vec<Size>>,
    /// Its elements, where they are a number or a short list of numbers.
    pub(super) content: Option<Vec<Size>>,
}

/// What is found, or why the operator is not known to go row by row: a predicate, as in "Softmax *works along the rows*".
pub(super) type Found<T> = Result<T, String>;

impl Value {
    /// With these dimensions.
    ///
    /// # Errors
    /// More than one of them is the rows: each row with each other. More dimensions than a tensor has.
    pub(super) fn of(shape: Vec<Size>) -> Found<Self> {
        if shape.len() > MOST_DIMENSIONS {
            return Err(format!("makes more than {MOST_DIMENSIONS} dimensions"));
        }
        if shape.iter().filter(|size| **size == Size::Rows).count() > 1 {
            return Err("puts each row beside each other row".to_owned());
        }
        Ok(Self { shape: Some(shape), content: None })
    }

    /// The same whatever rows there are, and nothing else known.
    pub(super) fn same() -> Self {
        Self::default()
    }

    /// A list of numbers, or one number.
    pub(super) fn numbers(content: Vec<Size>, is_one: bool) -> Self {
        let shape = if is_one { Vec::new() } else { vec![Size::known(content.len())] };
        Self { shape: Some(shape), content: Some(content) }
    }

    /// Which dimension is the rows.
    pub(super) fn row_axis(&self) -> Option<usize> {
        self.shape.as_ref()?.iter().position(|size| *size == Size::Rows)
    }

    /// Whether it has rows.
    pub(super) fn has_rows(&self) -> bool {
        self.row_axis().is_some()
    }

    /// Whether the number of rows is among its elements.
    pub(super) fn counts_rows(&self) -> bool {
        self.content.as_ref().is_some_and(|content| content.contains(&Size::Rows))
    }

    /// Whether it is the same whatever rows there are.
    pub(super) fn is_same(&self) -> bool {
        !self.has_rows() && !self.counts_rows()
    }

    /// Its dimensions.
    ///
    /// # Errors
    /// They are not known, or it counts rows, which no operator may take for a number but those that make shapes.
    pub(super) fn dimensions(&self) -> Found<&[Size]> {
        if self.counts_rows() {
            return Err("takes the number of rows for a number".to_owned());
        }
        self.shape.as_deref().ok_or_else(|| "takes a value of unknown shape".to_owned())
    }

    /// Its elements, all of them known numbers.
    pub(super) fn known_numbers(&self) -> Option<Vec<i64>> {
        self.content.as_ref()?.iter().map(|size| size.number()).collect()
    }
}

impl Size {
    /// A number of things.
    pub(super) fn known(count: usize) -> Self {
        i64::try_from(count).map_or(Self::Unknown, Self::Known)
    }

    /// Its number, if that is known.
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Known(number) => Some(number),
            _ => None,
        }
    }

    /// Two dimensions that are broadcast to one.
    fn broadcast(self, other: Self) -> Found<Self> {
        Ok(match (self, other) {
            (one, other) if one == other => one,
            (Self::Known(1), size) | (size, Self::Known(1)) => size,
            (Self::Rows, _) | (_, Self::Rows) => {
                return Err("combines rows with a dimension that is not the rows".to_owned());
            }
            (Self::Known(size), _) | (_, Self::Known(size)) => Self::Known(size),
            _ => Self::Unknown,
        })
    }
}

/// Shapes that are broadcast to one as ONNX does it, aligned at their last dimension.
pub(super) fn broadcast<'a>(shapes: impl IntoIterator<Item = &'a [Size]>) -> Found<Vec<Size>> {
    let mut all: Vec<Size> = Vec::new();
    for shape in shapes {
        let missing = shape.len().saturating_sub(all.len());
        all.splice(0..0, std::iter::repeat_n(Size::Known(1), missing));
        for (one, other) in all.iter_mut().rev().zip(shape.iter().rev()) {
            *one = one.broadcast(*other)?;
        }
    }
    Ok(all)
}

/// The product of sizes: the numbers, and which free dimensions. `None` where one is unknown or the rows, or there is nothing of it.
pub(super) fn product(sizes: &[Size]) -> Option<(i64, Vec<usize>)> {
    let (mut numbers, mut free) = (1_i64, Vec::new());
    for size in sizes {
        match size {
            Size::Known(number) if *number > 0 => numbers = numbers.checked_mul(*number)?,
            Size::Free(number) => free.push(*number),
            Size::Known(_) | Size::Rows | Size::Unknown => return None,
        }
    }
    free.sort_unstable();
    Some((numbers, free))
}

/// An axis as a place among so many dimensions.
///
/// # Errors
/// It is outside of them.
pub(super) fn place(axis: i64, rank: usize) -> Found<usize> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let axis = if axis < 0 { axis.saturating_add(signed) } else { axis };
    usize::try_from(axis).ok().filter(|place| *place < rank).ok_or_else(|| format!("has axis {axis} of {rank}"))
}

/// What an operator does that goes along the rows.
pub(super) fn along_the_rows(axis: usize) -> String {
    format!("works along the rows (axis {axis})")
}
