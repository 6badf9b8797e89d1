//! Batches whose records are by field: with their text, or without it.

use std::sync::Arc;

use super::fields::{Schema, Table};
use super::wire::{WireError, WireReader, WireWriter, get_u64, put_u64};
use super::{Batch, Malformed, RawColumns};

impl Batch {
    /// Gives the records the fields in `table`, which must have one row for each record. Their text stays. `table`
    /// gets the former table, whose content has no meaning.
    pub fn set_fields(&mut self, table: &mut Table) {
        debug_assert_eq!(table.len(), self.len(), "a row for each record");
        std::mem::swap(&mut **self.table.get_or_insert_default(), table);
        self.by_field = true;
    }

    /// Replaces the records by the rows of `table`, of which there must be one for each origin: text that they had is
    /// dropped. `table` gets the former table, whose content has no meaning.
    pub fn replace_by_fields(&mut self, table: &mut Table) {
        debug_assert_eq!(table.len(), self.origins().len(), "a row for each record");
        self.take_rows(table);
    }

    /// Checks these columns, of which the payloads are ignored, and becomes the records with these rows, without
    /// text and without origins. `table` gets the former table, whose content has no meaning. On error the batch is
    /// left empty.
    ///
    /// # Errors
    /// The first rule of the contract that a column breaks.
    pub fn assign_by_field(&mut self, table: &mut Table, columns: RawColumns<'_>) -> Result<(), Malformed> {
        self.clear();
        let result = self.assign_beside(columns, table.len());
        match result {
            Ok(()) => self.take_rows(table),
            Err(_) => self.clear(),
        }
        result
    }

    /// The fields, to move columns out of them before [`Batch::replace_by_fields`].
    pub fn table_mut(&mut self) -> Option<&mut Table> {
        self.table.as_deref_mut().filter(|_| self.by_field)
    }

    /// Appends the records by field to a message: the columns of the table with these numbers, then keys, timestamps
    /// and headers. The batch must have fields.
    ///
    /// # Errors
    /// As [`WireWriter::put`]; the batch has no fields.
    pub fn write_by_field(
        &self,
        columns: impl Iterator<Item = usize>,
        to: &mut impl WireWriter,
    ) -> Result<(), WireError> {
        let table = self.table().ok_or_else(|| WireError::broken("records without fields"))?;
        table.write(columns, to)?;
        let shape = self.beside();
        put_u64(to, shape)?;
        self.write_beside(shape, to)
    }

    /// Number of bytes that [`Batch::write_by_field`] appends.
    #[must_use]
    pub fn wire_len_by_field(&self, columns: impl Iterator<Item = usize>) -> usize {
        self.table().map_or(0, |table| table.wire_len(columns) + 8 + self.beside_len())
    }

    /// Becomes the records with fields of this schema that [`Batch::write_by_field`] wrote, without text and without
    /// origins; empty on error. `spare` lends its buffers. Each column has at most `limit` bytes.
    ///
    /// # Errors
    /// As [`WireReader::get`]; the rule that a column breaks.
    pub fn read_by_field(
        &mut self,
        schema: &Arc<Schema>,
        spare: &mut Table,
        from: &mut impl WireReader,
        limit: u64,
    ) -> Result<(), WireError> {
        self.clear();
        spare.read(schema, &[], from, limit)?;
        // The number of rows is not bounded by its columns if there are none.
        let rows = spare.len();
        if 8 * rows as u64 > limit {
            return Err(WireError::broken(format!("{rows} records, at most {} bytes were expected", limit)));
        }
        let shape = get_u64(from)?;
        let read = self.read_beside(shape, rows, from, limit);
        match read {
            Ok(()) => self.take_rows(spare),
            Err(_) => self.clear(),
        }
        read
    }

    /// The rows of `table` become the records, without text.
    fn take_rows(&mut self, table: &mut Table) {
        self.payloads.clear();
        self.payloads.push_empty(table.len());
        std::mem::swap(&mut **self.table.get_or_insert_default(), table);
        self.by_field = true;
        (self.shape.textless, self.rows) = (true, None);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fields::{Cell, DataType, FieldType};
    use crate::{Origin, Record};

    fn schema() -> Arc<Schema> {
        let field = |name: &str, data_type, nullable| FieldType {
            name: name.to_owned(),
            data_type,
            nullable,
            docs: String::new(),
        };
        Arc::new(Schema::new(vec![field("word", DataType::String, false), field("n", DataType::U16, true)]).unwrap())
    }

    fn table(words: &[String]) -> Table {
        let mut table = Table::new(schema());
        for word in words {
            table.field_mut(0).unwrap().push_str(word);
            match word.len() {
                0 => table.field_mut(1).unwrap().push_null(),
                length => table.field_mut(1).unwrap().push_u16(length as u16),
            }
            assert!(table.finish_row());
        }
        table
    }

    proptest! {
        #[test]
        fn records_by_field_are_read_as_they_were_written(
            words in prop::collection::vec(".{0,5}", 0..20),
            (keys, times, headers) in any::<(bool, bool, bool)>(),
        ) {
            let mut batch = Batch::new();
            for word in &words {
                let record = Record {
                    key: keys.then_some(word.as_bytes()),
                    timestamp: times.then_some(word.len() as i64),
                    headers: headers.then_some(b"header"),
                    ..Record::of(b"text", Origin::NONE)
                };
                prop_assert!(batch.push(record));
            }
            batch.set_fields(&mut table(&words));
            let mut wire = Vec::new();
            batch.write_by_field(0..2, &mut wire).unwrap();
            prop_assert_eq!(wire.len(), batch.wire_len_by_field(0..2));
            let (mut read, mut spare, mut rest) = (Batch::new(), Table::default(), wire.as_slice());
            read.read_by_field(&schema(), &mut spare, &mut rest, 1 << 20).unwrap();
            prop_assert!(rest.is_empty() && !read.has_text() && read.len() == words.len());
            prop_assert_eq!(
                (read.keys(), read.timestamps(), read.headers()),
                (batch.keys(), batch.timestamps(), batch.headers())
            );
            for (row, word) in words.iter().enumerate() {
                prop_assert_eq!(read.table().unwrap().cell(0, row), Some(Cell::Bytes(word.as_bytes())));
            }
        }
    }

    #[test]
    fn a_column_of_another_length_is_refused_and_leaves_nothing() {
        let words = ["a".to_owned(), "b".to_owned()];
        for (name, columns) in [
            ("keys", RawColumns { keys: Some((&[0, 1], b"k")), ..RawColumns::default() }),
            ("timestamps", RawColumns { timestamps: Some(&[1, 2, 3]), ..RawColumns::default() }),
            ("headers", RawColumns { headers: Some((&[0], b"")), ..RawColumns::default() }),
        ] {
            let mut batch = Batch::new();
            let refused = batch.assign_by_field(&mut table(&words), columns).unwrap_err();
            assert!(matches!(refused, Malformed::Count { column, expected: 2, .. } if column == name), "{refused:?}");
            assert!(batch.is_empty() && batch.table().is_none(), "{name}");
        }
        let mut batch = Batch::new();
        let columns = RawColumns { timestamps: Some(&[1, 2]), ..RawColumns::default() };
        batch.assign_by_field(&mut table(&words), columns).unwrap();
        assert_eq!((batch.len(), batch.timestamps(), batch.has_text()), (2, Some(&[1, 2][..]), false));
    }

    #[test]
    fn rows_that_no_column_bears_out_take_no_memory() {
        let mut wire: Vec<u8> = Vec::new();
        put_u64(&mut wire, u32::MAX.into()).unwrap();
        put_u64(&mut wire, u64::MAX).unwrap();
        let (mut batch, mut spare) = (Batch::new(), Table::default());
        let refused = batch.read_by_field(&Arc::default(), &mut spare, &mut wire.as_slice(), 1 << 20).unwrap_err();
        assert!(refused.to_string().contains("4294967295 records"), "{refused}");
    }
}
