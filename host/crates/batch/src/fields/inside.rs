//! The columns inside of a column: the elements of its lists, or the members of its structs.

use super::{DataType, FieldColumn, RawField, Values};

impl FieldColumn {
    /// The columns inside: the elements of all lists as one column, or a column for each member of the structs.
    #[must_use]
    pub fn inside(&self) -> &[FieldColumn] {
        &self.inside
    }

    /// The elements of all lists, to push those of the next list. Then follows [`FieldColumn::end_list`].
    #[inline]
    pub fn elements_mut(&mut self) -> Option<&mut FieldColumn> {
        match self.values {
            Values::Lists(_) => self.inside.first_mut(),
            _ => None,
        }
    }

    /// Adds a list of the elements that were pushed since the list before.
    #[inline]
    pub fn end_list(&mut self) {
        if let (Values::Lists(offsets), Some(elements)) = (&mut self.values, self.inside.first()) {
            // A table refuses a row whose elements are more than the offsets say.
            offsets.push(u32::try_from(elements.len()).unwrap_or(u32::MAX));
            self.mark();
        }
    }

    /// The column of member `at`, to push its value in the next struct. Then follows [`FieldColumn::end_struct`].
    #[inline]
    pub fn member_mut(&mut self, at: usize) -> Option<&mut FieldColumn> {
        match self.values {
            Values::Structs(_) => self.inside.get_mut(at),
            _ => None,
        }
    }

    /// Adds a struct, of which each member has been pushed once.
    #[inline]
    pub fn end_struct(&mut self) {
        if let Values::Structs(rows) = &mut self.values {
            rows.push_nothing();
            self.mark();
        }
    }

    /// Whether the columns inside have as many rows as this one says, and nulls only where the type allows them.
    pub(super) fn is_whole_inside(&self, data_type: &DataType) -> bool {
        let fits =
            |column: &Self, rows: usize, nullable| column.len() == rows && (nullable || column.validity().is_none());
        match (data_type, &self.values) {
            (DataType::List(element), Values::Lists(offsets)) => {
                self.inside.iter().all(|elements| fits(elements, offsets.end(), element.is_nullable()))
            }
            (DataType::Struct(members), Values::Structs(rows)) => {
                self.inside.iter().zip(members.fields()).all(|(member, field)| fits(member, rows.len(), field.nullable))
            }
            _ => !data_type.is_nested(),
        }
    }

    /// Bytes of the values in a list or a struct.
    pub(super) fn bytes_inside(&self, row: usize) -> usize {
        if self.is_null(row) {
            return 0;
        }
        let (start, end) = self.range_inside(row, row + 1);
        (start..end).map(|row| self.inside.iter().map(|column| column.value_bytes(row)).sum::<usize>()).sum()
    }

    /// The rows of the columns inside that belong to rows `start..end`.
    fn range_inside(&self, start: usize, end: usize) -> (usize, usize) {
        match &self.values {
            Values::Lists(offsets) => (offsets.start(start), offsets.start(end)),
            Values::Structs(rows) => (start, end.min(rows.len())),
            _ => (0, 0),
        }
    }

    pub(super) fn append_inside(&mut self, other: &Self, start: usize, end: usize) {
        let (start, end) = other.range_inside(start, end);
        self.inside.iter_mut().zip(&other.inside).for_each(|(to, from)| to.append_range(from, start, end));
    }

    /// Keeps the rows inside that belong to the rows of this column.
    pub(super) fn truncate_inside(&mut self) {
        let (_, end) = self.range_inside(0, self.len());
        self.inside.iter_mut().for_each(|column| column.truncate(end));
    }

    /// Takes checked columns over as the columns inside, by their numbers.
    pub(super) fn assign_inside(&mut self, numbers: &[u32], rows: usize, children: &[RawField<'_>]) {
        for (column, number) in self.inside.iter_mut().zip(numbers) {
            if let Some(child) = children.get(*number as usize) {
                column.assign_checked(child, rows, &[]);
            }
        }
    }
}
