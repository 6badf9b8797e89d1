//! A column as an operator on whole batches sees it.

use std::fmt;

use super::FromField;
use super::columns::ColumnOf;
use super::numbers::Number;

/// The values of a field, one for each record of a [`Batch`](crate::Batch).
///
/// A column of numbers is a slice too: see [`as_slice`](Self::as_slice).
pub struct ColumnView<'a, T: FromField<'a>> {
    column: T::Column,
    rows: usize,
}

impl<'a, T: FromField<'a>> ColumnView<'a, T> {
    /// Takes the column.
    #[doc(hidden)]
    pub fn of(from: ColumnOf<'a>) -> Self {
        Self { rows: from.rows(), column: T::column(from) }
    }

    /// Returns 32 rows, from row `32 * at`.
    #[doc(hidden)]
    #[inline(always)]
    pub fn chunk(&self, at: usize) -> T::Chunk {
        T::chunk(&self.column, at)
    }

    /// Returns the value of a row. A row past the end has an empty value.
    #[doc(hidden)]
    #[inline(always)]
    pub fn at(&self, row: usize) -> T {
        T::get(&self.column, row)
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Returns the value of record `row`, if there is such a record.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<T> {
        (row < self.rows).then(|| self.at(row))
    }

    /// Iterates over the values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> {
        (0..self.rows).map(|row| self.at(row))
    }
}

impl<'a, N: Number + FromField<'a, Column = &'a [N]>> ColumnView<'a, N> {
    /// The numbers.
    #[must_use]
    pub fn as_slice(&self) -> &'a [N] {
        self.column
    }
}

impl<'a, T: FromField<'a, Column: Copy>> Clone for ColumnView<'a, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T: FromField<'a, Column: Copy>> Copy for ColumnView<'a, T> {}

impl<'a, T: FromField<'a> + fmt::Debug> fmt::Debug for ColumnView<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
