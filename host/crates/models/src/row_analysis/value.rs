/// The size of a dimension, or a number in a list of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// This number.
    Known(i64),
    /// The number of rows of the call.
    Rows,
    /// A free dimension of an input, by its number.
    Free(usize),
    /// An unknown size that depends neither on the rows nor on their number.
    Unknown,
}

/// Largest number of dimensions of a value that the analysis follows. A call's tensors have at most 32.
pub(super) const MOST_DIMENSIONS: usize = 64;

/// The known facts about a value of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Value {
    /// The dimensions, of which at most one is the rows. `None` only if the value does not depend on rows.
    pub(super) shape: Option<Vec<Size>>,
    /// The elements, if they are a number or a short list of numbers.
    pub(super) content: Option<Vec<Size>>,
}

/// A result, or the reason why the operator is not known to work row by row. The reason is a predicate, as in
/// "Softmax *works along the rows*".
pub(super) type Found<T> = Result<T, String>;

impl Value {
    /// A value with these dimensions.
    ///
    /// # Errors
    /// More than one dimension is the rows, so each row meets each other row; or there are more dimensions
    /// than a tensor can have.
    pub(super) fn of(shape: Vec<Size>) -> Found<Self> {
        if shape.len() > MOST_DIMENSIONS {
            return Err(format!("makes more than {MOST_DIMENSIONS} dimensions"));
        }
        if shape.iter().filter(|size| **size == Size::Rows).count() > 1 {
            return Err("puts each row beside each other row".to_owned());
        }
        Ok(Self { shape: Some(shape), content: None })
    }

    /// A value that is the same for any rows, with no other known fact.
    pub(super) fn same() -> Self {
        Self::default()
    }

    /// A list of numbers, or a single number.
    pub(super) fn numbers(content: Vec<Size>, is_one: bool) -> Self {
        let shape = if is_one { Vec::new() } else { vec![Size::known(content.len())] };
        Self { shape: Some(shape), content: Some(content) }
    }

    /// The index of the row dimension.
    pub(super) fn row_axis(&self) -> Option<usize> {
        self.shape.as_ref()?.iter().position(|size| *size == Size::Rows)
    }

    /// Whether a dimension is the rows.
    pub(super) fn has_rows(&self) -> bool {
        self.row_axis().is_some()
    }

    /// Whether the number of rows is among the elements.
    pub(super) fn counts_rows(&self) -> bool {
        self.content.as_ref().is_some_and(|content| content.contains(&Size::Rows))
    }

    /// Whether the value is the same for any rows.
    pub(super) fn is_same(&self) -> bool {
        !self.has_rows() && !self.counts_rows()
    }

    /// The dimensions.
    ///
    /// # Errors
    /// The dimensions are unknown, or the value contains the number of rows, which only operators that build
    /// shapes may use as a number.
    pub(super) fn dimensions(&self) -> Found<&[Size]> {
        if self.counts_rows() {
            return Err("uses the number of rows as a number".to_owned());
        }
        self.shape.as_deref().ok_or_else(|| "takes a value of unknown shape".to_owned())
    }

    /// The elements, if all of them are known numbers.
    pub(super) fn known_numbers(&self) -> Option<Vec<i64>> {
        self.content.as_ref()?.iter().map(|size| size.number()).collect()
    }
}

impl Size {
    /// A count as a size.
    pub(super) fn known(count: usize) -> Self {
        i64::try_from(count).map_or(Self::Unknown, Self::Known)
    }

    /// The number, if it is known.
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Known(number) => Some(number),
            _ => None,
        }
    }

    /// Broadcasts two sizes to one.
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

/// Broadcasts shapes to one as ONNX does, aligned at their last dimension.
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

/// The product of sizes: the product of the numbers, and the free dimensions. `None` if a size is unknown,
/// zero, negative or the rows.
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

/// The index of an axis among `rank` dimensions.
///
/// # Errors
/// The axis is out of range.
pub(super) fn place(axis: i64, rank: usize) -> Found<usize> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let axis = if axis < 0 { axis.saturating_add(signed) } else { axis };
    usize::try_from(axis).ok().filter(|place| *place < rank).ok_or_else(|| format!("has axis {axis} of {rank}"))
}

/// The reason for an operator that works along the rows.
pub(super) fn along_the_rows(axis: usize) -> String {
    format!("works along the rows (axis {axis})")
}
