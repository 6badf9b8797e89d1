use std::sync::Arc;

use super::{Cell, FieldColumn, RawField, RawTable, RawValues, SameField, Schema};
use crate::Bitmap;

/// Rows of fields in columns: records of which the fields are read.
///
/// Every column has as many rows as the table, the layout of its type, and nulls only where the schema allows
/// them. While a row is built (from the first push to [`Table::finish_row`] or [`Table::truncate`]) some columns
/// are one row longer.
///
/// ```
/// use std::sync::Arc;
/// use sage_batch::fields::{Cell, DataType, FieldType, Schema, Table};
///
/// let field = |name: &str, data_type, nullable| FieldType {
///     name: name.to_owned(),
///     data_type,
///     nullable,
///     docs: String::new(),
/// };
/// let fields = vec![field("sensor", DataType::String, false), field("celsius", DataType::F64, true)];
/// let mut table = Table::new(Arc::new(Schema::new(fields)?));
/// if let Some(sensor) = table.field_mut(0) {
///     sensor.push_str("roof");
/// }
/// if let Some(celsius) = table.field_mut(1) {
///     celsius.push_null();
/// }
/// assert!(table.finish_row());
/// assert_eq!(table.cell(0, 0), Some(Cell::Bytes(b"roof")));
/// assert_eq!(table.cell(1, 0), Some(Cell::Null));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub(super) schema: Arc<Schema>,
    pub(super) rows: usize,
    pub(super) fields: Vec<FieldColumn>,
}

impl Table {
    /// A table of this schema without rows.
    #[must_use]
    pub fn new(schema: Arc<Schema>) -> Self {
        let fields = schema.fields().iter().map(|field| FieldColumn::new(&field.data_type)).collect();
        Self { schema, rows: 0, fields }
    }

    /// Names and types of the fields.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The columns, in the order of the schema.
    #[must_use]
    pub fn fields(&self) -> &[FieldColumn] {
        &self.fields
    }

    /// The columns as a guest would send them, those of `same` as fields of the input.
    #[must_use]
    pub fn as_raw(&self, same: &[SameField]) -> RawTable<'_> {
        let mut table = RawTable::default();
        let mut numbers = self.schema.children();
        for (at, column) in self.fields.iter().enumerate() {
            if let Some(same) = same.iter().find(|same| same.to == at) {
                let number = u32::try_from(same.from).unwrap_or(u32::MAX);
                table.fields.push(RawField { values: RawValues::Same(number), validity: None });
                continue;
            }
            let mut field = column.as_raw();
            let (own, rest) = numbers.split_at_checked(column.inside().len()).unwrap_or((numbers, &[]));
            numbers = rest;
            match (&mut field.values, own) {
                (RawValues::Lists(_, child), [number]) => *child = *number,
                (RawValues::Structs(members), own) => *members = own,
                _ => {}
            }
            table.fields.push(field);
            table.children.extend(column.inside().iter().map(FieldColumn::as_raw));
        }
        table
    }

    /// Column `at`, for pushes.
    #[inline]
    pub fn field_mut(&mut self, at: usize) -> Option<&mut FieldColumn> {
        self.fields.get_mut(at)
    }

    /// Value of field `field` in row `row`.
    #[must_use]
    #[inline]
    pub fn cell(&self, field: usize, row: usize) -> Option<Cell<'_>> {
        self.fields.get(field)?.cell(row)
    }

    /// Ends a row of which each field has been pushed once. Returns `false` and drops the row if a field has no
    /// value or two, if a value had the wrong layout, or if a field that is not nullable has a null.
    #[inline]
    #[must_use]
    pub fn finish_row(&mut self) -> bool {
        let rows = self.rows + 1;
        let mut columns = self.fields.iter().zip(self.schema.fields());
        let whole = columns
            .clone()
            .all(|(column, field)| column.len() == rows && (field.nullable || column.validity().is_none()))
            && (self.schema.children().is_empty()
                || columns.all(|(column, field)| column.is_whole_inside(&field.data_type)));
        if whole {
            self.rows = rows;
        } else {
            self.truncate(self.rows);
        }
        whole
    }

    /// Keeps the first `rows` rows. `truncate(len())` drops a row that is half built.
    pub fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        self.fields.iter_mut().for_each(|field| field.truncate(self.rows));
    }

    /// Removes the rows and keeps the buffers.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.fields.iter_mut().for_each(FieldColumn::clear);
    }

    /// Becomes an empty table of this schema. Buffers of columns whose layout stays are kept.
    pub fn reset(&mut self, schema: &Arc<Schema>) {
        self.rows = 0;
        if Arc::ptr_eq(&self.schema, schema) {
            return self.clear();
        }
        self.fields.truncate(schema.fields().len());
        for (at, field) in schema.fields().iter().enumerate() {
            match self.fields.get_mut(at) {
                Some(column) => column.reset(&field.data_type),
                None => self.fields.push(FieldColumn::new(&field.data_type)),
            }
        }
        self.schema = Arc::clone(schema);
    }

    /// Gives the fields other names. `schema` must have the same types.
    pub fn rename(&mut self, schema: &Arc<Schema>) {
        debug_assert_eq!(schema.fields().len(), self.fields.len(), "a name for each field");
        self.schema = Arc::clone(schema);
    }

    /// Adds rows `start..end` of `other`. Rows past the end of `other` are left out.
    ///
    /// # Panics
    /// `other` has other types of fields, or allows nulls where this table does not. Also as
    /// [`Column::push`](crate::Column::push).
    pub fn append_range(&mut self, other: &Self, start: usize, end: usize) {
        self.expect_types_of(other);
        let end = end.min(other.rows);
        for (to, from) in self.fields.iter_mut().zip(&other.fields) {
            to.append_range(from, start, end);
        }
        self.rows += end.saturating_sub(start);
    }

    /// Adds the rows of `other` that have a set bit in the bitmap `kept`.
    ///
    /// # Panics
    /// As [`Table::append_range`].
    pub fn append_kept(&mut self, other: &Self, kept: Bitmap<'_>) {
        self.expect_types_of(other);
        let mut count = 0;
        kept.runs(other.rows, |start, end| count += end.min(other.rows).saturating_sub(start));
        for (to, from) in self.fields.iter_mut().zip(&other.fields) {
            to.append_kept(from, kept, count);
        }
        self.rows += count;
    }

    /// Bytes that the rows count for on an edge: values, offsets, and bitmaps.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.fields.iter().map(FieldColumn::weight).sum()
    }

    /// Bytes of memory that the buffers occupy, used or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.fields.iter().map(FieldColumn::capacity).sum()
    }

    fn expect_types_of(&self, other: &Self) {
        let (ours, theirs) = (self.schema.fields(), other.schema.fields());
        let fit = Arc::ptr_eq(&self.schema, &other.schema)
            || ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(theirs)
                    .all(|(our, their)| our.data_type == their.data_type && (our.nullable || !their.nullable));
        assert!(fit, "rows are added to a table of other fields");
    }
}
