//! Tables as bytes in order: the number of rows, then for each field whether it has a validity bitmap, the
//! bitmap, and the values. The values of lists are their offsets; the columns inside of a list or a struct follow in
//! their order. Parts are padded as in [`crate::wire`]. The schema is not written; the reader has it.

use std::sync::Arc;

use super::check::check_read;
use super::{DataType, FieldColumn, FieldType, SameField, Schema, Table, Values};
use crate::check_offsets;
use crate::wire::{
    WireError, WireReader, WireWriter, get_bytes, get_column, get_small, get_u32s, put_bytes, put_column, put_u32s,
    put_u64,
};

impl FieldColumn {
    /// Appends the column to a message, without its type.
    ///
    /// # Errors
    /// As [`WireWriter::put`].
    pub fn write(&self, to: &mut impl WireWriter) -> Result<(), WireError> {
        put_u64(to, u64::from(self.with_validity))?;
        if let Some(validity) = self.validity() {
            put_bytes(to, validity.bytes())?;
        }
        match (&self.values, self.fixed_bytes()) {
            (Values::Strings(strings), _) => put_column(to, strings)?,
            (Values::Lists(offsets), _) => put_u32s(to, offsets.numbers())?,
            (Values::Structs(_), _) => {}
            (_, bytes) => put_bytes(to, bytes.unwrap_or_default())?,
        }
        self.inside().iter().try_for_each(|column| column.write(to))
    }

    /// Number of bytes that [`FieldColumn::write`] appends.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        let padded = |len: usize| 8 + len.next_multiple_of(8);
        let values = match &self.values {
            Values::Strings(strings) => padded(4 * strings.offsets().len()) + padded(strings.byte_len()),
            Values::Lists(offsets) => padded(4 * offsets.numbers().len()),
            Values::Structs(_) => 0,
            _ => padded(self.fixed_bytes().map_or(0, <[u8]>::len)),
        };
        let inside = self.inside().iter().map(Self::wire_len).sum::<usize>();
        8 + self.validity().map_or(0, |bits| padded(bits.bytes().len())) + values + inside
    }

    /// Becomes the column of `rows` rows that [`FieldColumn::write`] wrote, after all checks. It has at most `limit`
    /// bytes of values (of strings: of offsets, and of content), and so has each column inside. After an error its
    /// content has no meaning.
    fn read_field(
        &mut self,
        field: &FieldType,
        rows: usize,
        from: &mut impl WireReader,
        limit: u64,
    ) -> Result<(), WireError> {
        self.reset(&field.data_type);
        self.read(&field.name, (&field.data_type, field.nullable), rows, from, limit)?;
        match (&field.data_type, &self.values) {
            (DataType::List(element), Values::Lists(offsets)) => {
                let elements = offsets.end();
                let name = format!("{}[]", field.name);
                let types = (element.data_type(), element.is_nullable());
                self.inside.iter_mut().try_for_each(|column| column.read(&name, types, elements, from, limit))
            }
            (DataType::Struct(members), _) => {
                self.inside.iter_mut().zip(members.fields()).try_for_each(|(column, member)| {
                    let name = format!("{}.{}", field.name, member.name);
                    column.read(&name, (&member.data_type, member.nullable), rows, from, limit)
                })
            }
            _ => Ok(()),
        }
    }

    /// Reads the column without the columns inside.
    fn read(
        &mut self,
        name: &str,
        (data_type, nullable): (&DataType, bool),
        rows: usize,
        from: &mut impl WireReader,
        limit: u64,
    ) -> Result<(), WireError> {
        match get_small::<u8>(from)? {
            0 => {}
            1 => {
                self.validity.refill(rows, |bytes| get_bytes(from, limit, bytes))?;
                self.with_validity = true;
            }
            found => return Err(WireError::broken(format!("{found} stands where a field says if it has nulls"))),
        }
        read_values(&mut self.values, rows, from, limit)?;
        check_read(name, data_type, nullable, &self.as_raw(), rows)
            .map_err(|problem| WireError::broken(problem.to_string()))
    }
}

impl Table {
    /// Appends the rows to a message, without the schema. `columns` are the numbers of the columns to write.
    ///
    /// # Errors
    /// As [`WireWriter::put`].
    pub fn write(&self, columns: impl Iterator<Item = usize>, to: &mut impl WireWriter) -> Result<(), WireError> {
        put_u64(to, self.rows as u64)?;
        columns.filter_map(|column| self.fields.get(column)).try_for_each(|column| column.write(to))
    }

    /// Number of bytes that [`Table::write`] appends.
    #[must_use]
    pub fn wire_len(&self, columns: impl Iterator<Item = usize>) -> usize {
        8 + columns.filter_map(|column| self.fields.get(column)).map(FieldColumn::wire_len).sum::<usize>()
    }

    /// Becomes the rows that [`Table::write`] wrote, after all checks. Fields of `same` were left out, and their
    /// columns stay empty. A field has at most `limit` bytes of values (of a string field: of offsets, and of
    /// content). On error the table is left empty.
    ///
    /// # Errors
    /// As [`WireReader::get`]; the rule that a field breaks.
    pub fn read(
        &mut self,
        schema: &Arc<Schema>,
        same: &[SameField],
        from: &mut impl WireReader,
        limit: u64,
    ) -> Result<(), WireError> {
        self.reset(schema);
        let read = self.read_fields(same, from, limit);
        if read.is_err() {
            self.clear();
        }
        read
    }

    fn read_fields(&mut self, same: &[SameField], from: &mut impl WireReader, limit: u64) -> Result<(), WireError> {
        // No memory is taken for the number itself: each field brings its own lengths.
        let rows = get_small::<u32>(from)? as usize;
        for (at, (column, field)) in self.fields.iter_mut().zip(self.schema.fields()).enumerate() {
            if !same.iter().any(|same| same.to == at) {
                column.read_field(field, rows, from, limit)?;
            }
        }
        self.rows = rows;
        Ok(())
    }
}

fn read_values(values: &mut Values, rows: usize, from: &mut impl WireReader, limit: u64) -> Result<(), WireError> {
    match values {
        Values::Bools(bits) => bits.refill(rows, |bytes| get_bytes(from, limit, bytes)),
        Values::S8(values) => get_numbers(from, rows, limit, values),
        Values::S16(values) => get_numbers(from, rows, limit, values),
        Values::S32(values) => get_numbers(from, rows, limit, values),
        Values::S64(values) => get_numbers(from, rows, limit, values),
        Values::U8(values) => get_numbers(from, rows, limit, values),
        Values::U16(values) => get_numbers(from, rows, limit, values),
        Values::U32(values) => get_numbers(from, rows, limit, values),
        Values::U64(values) => get_numbers(from, rows, limit, values),
        Values::F32(values) => get_numbers(from, rows, limit, values),
        Values::F64(values) => get_numbers(from, rows, limit, values),
        Values::Decimals(values) => get_numbers(from, rows.saturating_mul(2), limit, values),
        Values::Strings(strings) => get_column(from, "values", limit, strings).map(|_| ()),
        Values::Lists(offsets) => offsets.refill(
            |numbers| get_u32s(from, limit, numbers),
            |numbers| {
                let end = numbers.last().map_or(0, |&end| end as usize);
                check_offsets("values", numbers, end).map(|_| ()).map_err(WireError::from)
            },
        ),
        Values::Structs(structs) => {
            structs.assign_checked(rows);
            Ok(())
        }
    }
}

/// Reads `count` numbers of at most `limit` bytes in total.
fn get_numbers<T: bytemuck::Pod>(
    from: &mut impl WireReader,
    count: usize,
    limit: u64,
    into: &mut Vec<T>,
) -> Result<(), WireError> {
    let length = from.get_number()?;
    let expected = count.saturating_mul(size_of::<T>());
    if length > limit || length != expected as u64 {
        return Err(WireError::broken(format!("a field of {length} bytes, {expected} are needed, {limit} allowed")));
    }
    into.clear();
    into.resize(count, T::zeroed());
    from.get(bytemuck::cast_slice_mut(into))?;
    from.get([0; 8].get_mut(..expected.next_multiple_of(8) - expected).unwrap_or_default())
}
