use super::values::each_layout;
use super::{Bits, Cell, DataType, RawField, RawValues, Values};
use crate::Bitmap;

/// Values of a field and, if any row lacks a value, the rows that have one.
///
/// The elements of lists, and the members of structs, are columns inside of the column. A struct's members have a row
/// for each row, also where there is no struct; that value means nothing.
///
/// A column without nulls has no bitmap and pays nothing for it; the first null makes the bitmap. The buffers
/// stay when the column is cleared.
#[derive(Debug, Clone)]
pub struct FieldColumn {
    pub(super) values: Values,
    /// The bits, while `with_validity`; otherwise a buffer for later.
    pub(super) validity: Bits,
    pub(super) with_validity: bool,
    /// The elements of lists, or the members of structs.
    pub(super) inside: Vec<Self>,
}

/// A push for each layout. A value of another layout is not added, and [`Table::finish_row`](super::Table) then
/// drops the row.
macro_rules! pushes {
    ($($(#[$docs:meta])* $name:ident($kind:ident: $value:ty);)*) => {
        $(
            $(#[$docs])*
            #[inline]
            pub fn $name(&mut self, value: $value) {
                if let Values::$kind(values) = &mut self.values {
                    values.push(value);
                    self.mark();
                }
            }
        )*
    };
}

impl FieldColumn {
    /// A column of this type without rows.
    #[must_use]
    pub fn new(data_type: &DataType) -> Self {
        let inside = match data_type {
            DataType::List(element) => vec![Self::new(element.data_type())],
            DataType::Struct(members) => members.fields().iter().map(|field| Self::new(&field.data_type)).collect(),
            _ => Vec::new(),
        };
        Self { values: Values::new(data_type.storage()), validity: Bits::default(), with_validity: false, inside }
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The rows that have a value; `None` if all have one.
    #[must_use]
    pub fn validity(&self) -> Option<&Bits> {
        self.with_validity.then_some(&self.validity)
    }

    /// The column as a guest would send it, without the numbers of the columns inside.
    pub(super) fn as_raw(&self) -> RawField<'_> {
        RawField { values: self.values.as_raw(), validity: self.validity().map(Bits::bytes) }
    }

    /// Bytes of the value in row `row`: of the text, or of a number of this type.
    #[must_use]
    pub fn value_bytes(&self, row: usize) -> usize {
        match &self.values {
            Values::Strings(strings) => strings.get(row).map_or(0, <[u8]>::len),
            Values::Bools(_) | Values::S8(_) | Values::U8(_) => 1,
            Values::S16(_) | Values::U16(_) => 2,
            Values::S32(_) | Values::U32(_) | Values::F32(_) => 4,
            Values::S64(_) | Values::U64(_) | Values::F64(_) => 8,
            Values::Decimals(_) => 16,
            Values::Lists(_) | Values::Structs(_) => self.bytes_inside(row),
        }
    }

    /// Number of rows.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether row `row` has no value.
    #[must_use]
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.with_validity && !self.validity.get(row)
    }

    /// The value of row `row`, if there is such a row.
    #[must_use]
    #[inline]
    pub fn cell(&self, row: usize) -> Option<Cell<'_>> {
        if self.is_null(row) {
            return (row < self.len()).then_some(Cell::Null);
        }
        Some(match &self.values {
            Values::Bools(v) => Cell::Bool((row < v.len()).then(|| v.get(row))?),
            Values::S8(v) => Cell::Signed((*v.get(row)?).into()),
            Values::S16(v) => Cell::Signed((*v.get(row)?).into()),
            Values::S32(v) => Cell::Signed((*v.get(row)?).into()),
            Values::S64(v) => Cell::Signed(*v.get(row)?),
            Values::U8(v) => Cell::Unsigned((*v.get(row)?).into()),
            Values::U16(v) => Cell::Unsigned((*v.get(row)?).into()),
            Values::U32(v) => Cell::Unsigned((*v.get(row)?).into()),
            Values::U64(v) => Cell::Unsigned(*v.get(row)?),
            Values::F32(v) => Cell::F32(*v.get(row)?),
            Values::F64(v) => Cell::F64(*v.get(row)?),
            Values::Decimals(v) => Cell::Decimal(decimal(v.get(2 * row..2 * row + 2)?)),
            Values::Strings(v) => Cell::Bytes(v.get(row)?),
            Values::Lists(v) if row < v.len() => Cell::List { start: v.start(row), end: v.start(row + 1) },
            Values::Structs(v) if row < v.len() => Cell::Struct,
            Values::Lists(_) | Values::Structs(_) => return None,
        })
    }

    pushes! {
        /// Adds a truth value.
        push_bool(Bools: bool);
        /// Adds an integer of 8 bits.
        push_s8(S8: i8);
        /// Adds an integer of 16 bits.
        push_s16(S16: i16);
        /// Adds an integer of 32 bits, or a date in days since the Unix epoch.
        push_s32(S32: i32);
        /// Adds an integer of 64 bits, or a timestamp in microseconds since the Unix epoch.
        push_s64(S64: i64);
        /// Adds an integer of 8 bits.
        push_u8(U8: u8);
        /// Adds an integer of 16 bits.
        push_u16(U16: u16);
        /// Adds an integer of 32 bits.
        push_u32(U32: u32);
        /// Adds an integer of 64 bits.
        push_u64(U64: u64);
        /// Adds a number of 32 bits.
        push_f32(F32: f32);
        /// Adds a number of 64 bits.
        push_f64(F64: f64);
        /// Adds bytes. For a field of text, the caller has made sure that they are UTF-8.
        push_bytes(Strings: &[u8]);
    }

    /// Adds a text.
    #[inline]
    pub fn push_str(&mut self, value: &str) {
        self.push_bytes(value.as_bytes());
    }

    /// Adds the bytes that `write` appends. For a field of text, the caller makes sure that they are UTF-8.
    /// `write` must only append. Returns `None` for a column that holds no strings.
    #[inline]
    pub fn push_bytes_with<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        let Values::Strings(values) = &mut self.values else { return None };
        let result = values.push_with(write);
        self.mark();
        Some(result)
    }

    /// Adds a decimal, as the number without its point.
    #[inline]
    pub fn push_decimal(&mut self, value: i128) {
        if let Values::Decimals(values) = &mut self.values {
            values.extend(words(value));
            self.mark();
        }
    }

    /// Adds a row without a value.
    pub fn push_null(&mut self) {
        self.need_validity();
        self.values.push_nothing();
        self.validity.push(false);
        if matches!(self.values, Values::Structs(_)) {
            self.inside.iter_mut().for_each(Self::push_nothing);
        }
    }

    /// Adds a value that means nothing: that of a member where there is no struct.
    fn push_nothing(&mut self) {
        self.values.push_nothing();
        self.mark();
    }

    #[inline]
    pub(super) fn mark(&mut self) {
        if self.with_validity {
            self.validity.push(true);
        }
    }

    /// Makes the bitmap, with a bit for each row so far.
    fn need_validity(&mut self) {
        if !self.with_validity {
            self.with_validity = true;
            self.validity.clear();
            self.validity.push_ones(self.values.len());
        }
    }

    pub(super) fn weight(&self) -> usize {
        let inside = self.inside.iter().map(Self::weight).sum::<usize>();
        self.values.weight() + self.validity().map_or(0, |bits| bits.bytes().len()) + inside
    }

    pub(super) fn capacity(&self) -> usize {
        self.values.capacity() + self.validity.capacity() + self.inside.iter().map(Self::capacity).sum::<usize>()
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.validity.clear();
        self.with_validity = false;
        self.inside.iter_mut().for_each(Self::clear);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        if self.with_validity {
            self.validity.truncate(rows);
            self.with_validity = self.validity.zeros() > 0;
        }
        if !self.inside.is_empty() {
            self.truncate_inside();
        }
    }

    pub(super) fn append_range(&mut self, other: &Self, start: usize, end: usize) {
        self.append_own(other, start, end);
        if !other.inside.is_empty() {
            self.append_inside(other, start, end);
        }
    }

    /// Adds all rows of a column of lists or structs, without those of the columns inside.
    pub(super) fn append_rows(&mut self, other: &Self) {
        self.append_own(other, 0, other.len());
    }

    #[inline]
    fn append_own(&mut self, other: &Self, start: usize, end: usize) {
        let end = end.min(other.len());
        if other.with_validity && other.validity.has_zero(start, end) {
            self.need_validity();
            self.validity.append_range(&other.validity, start, end);
        } else if self.with_validity {
            self.validity.push_ones(end.saturating_sub(start));
        }
        self.values.append_range(&other.values, start, end);
    }

    /// `count` is the number of kept rows.
    pub(super) fn append_kept(&mut self, other: &Self, kept: Bitmap<'_>, count: usize) {
        if other.with_validity {
            self.need_validity();
            kept.runs(other.len(), |start, end| self.validity.append_range(&other.validity, start, end));
        } else if self.with_validity {
            self.validity.push_ones(count);
        }
        self.values.append_kept(&other.values, kept);
        if !other.inside.is_empty() {
            kept.runs(other.len(), |start, end| self.append_inside(other, start, end));
        }
    }

    /// Becomes a copy of columns that have been checked, have this layout, and are no field of the input. `children`
    /// are the columns inside lists and structs.
    pub(super) fn assign_checked(&mut self, field: &RawField<'_>, rows: usize, children: &[RawField<'_>]) {
        self.clear();
        if let Some(validity) = field.validity {
            self.validity.assign_checked(validity, rows);
            self.with_validity = true;
        }
        match (&mut self.values, field.values) {
            (Values::Bools(to), RawValues::Bools(from)) => to.assign_checked(from, rows),
            (Values::S8(to), RawValues::S8(from)) => to.extend_from_slice(from),
            (Values::S16(to), RawValues::S16(from)) => to.extend_from_slice(from),
            (Values::S32(to), RawValues::S32(from)) => to.extend_from_slice(from),
            (Values::S64(to), RawValues::S64(from)) => to.extend_from_slice(from),
            (Values::U8(to), RawValues::U8(from)) => to.extend_from_slice(from),
            (Values::U16(to), RawValues::U16(from)) => to.extend_from_slice(from),
            (Values::U32(to), RawValues::U32(from)) => to.extend_from_slice(from),
            (Values::U64(to), RawValues::U64(from)) => to.extend_from_slice(from),
            (Values::F32(to), RawValues::F32(from)) => to.extend_from_slice(from),
            (Values::F64(to), RawValues::F64(from)) => to.extend_from_slice(from),
            (Values::Decimals(to), RawValues::Decimals(from)) => to.extend_from_slice(from),
            (Values::Strings(to), RawValues::Strings(offsets, bytes)) => to.append_checked(offsets, bytes),
            (Values::Lists(to), RawValues::Lists(offsets, child)) => {
                to.assign_checked(offsets);
                let elements = to.end();
                self.assign_inside(&[child], elements, children);
            }
            (Values::Structs(to), RawValues::Structs(members)) => {
                to.assign_checked(rows);
                self.assign_inside(members, rows, children);
            }
            _ => {}
        }
    }

    /// Takes over the buffers if the layout is that of the type, otherwise starts anew. The column is empty afterwards.
    pub(super) fn reset(&mut self, data_type: &DataType) {
        if self.has_layout(data_type) {
            self.clear();
        } else {
            *self = Self::new(data_type);
        }
    }

    fn has_layout(&self, data_type: &DataType) -> bool {
        let same = |column: &Self, data_type: &DataType| column.values.storage() == data_type.storage();
        same(self, data_type)
            && match data_type {
                DataType::List(element) => self.inside.iter().all(|column| same(column, element.data_type())),
                DataType::Struct(members) => {
                    let fields = members.fields();
                    let mut pairs = self.inside.iter().zip(fields);
                    self.inside.len() == fields.len() && pairs.all(|(column, field)| same(column, &field.data_type))
                }
                _ => true,
            }
    }

    /// Bytes of a row of numbers, on the wire.
    pub(super) fn fixed_bytes(&self) -> Option<&[u8]> {
        match &self.values {
            Values::Bools(bits) => return Some(bits.bytes()),
            Values::Lists(_) | Values::Structs(_) => return None,
            _ => {}
        }
        Some(each_layout!(
            &self.values,
            v => bytemuck::cast_slice(v),
            _ => return None,
            d => bytemuck::cast_slice(d),
            _ => return None
        ))
    }
}

/// The two words of a decimal, the low one first.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the two halves of a number")]
fn words(value: i128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

/// The decimal in two words.
pub(super) fn decimal(words: &[u64]) -> i128 {
    let word = |at: usize| u128::from(words.get(at).copied().unwrap_or(0));
    (word(0) | word(1) << 64).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_null_makes_a_bitmap() {
        let mut column = FieldColumn::new(&DataType::F64);
        column.push_f64(1.5);
        assert!(column.validity().is_none());
        column.push_null();
        column.push_f64(2.5);
        assert_eq!(column.validity().map(Bits::bytes), Some(&[0b101][..]));
        assert_eq!(column.cell(1), Some(Cell::Null));
        assert_eq!(column.cell(2), Some(Cell::F64(2.5)));
        assert_eq!(column.cell(3), None);
        column.truncate(1);
        assert!(column.validity().is_none());
    }

    #[test]
    fn a_value_of_another_layout_is_not_added() {
        let mut column = FieldColumn::new(&DataType::F64);
        column.push_s64(1);
        assert!(column.is_empty());
    }

    #[test]
    fn a_decimal_is_read_as_it_was_pushed() {
        let mut column = FieldColumn::new(&DataType::Decimal { precision: 38, scale: 0 });
        for value in [0, -1, i128::MAX, i128::MIN, 1 << 64] {
            column.push_decimal(value);
            assert_eq!(column.cell(column.len() - 1), Some(Cell::Decimal(value)));
        }
    }
}
