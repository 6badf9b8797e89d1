use std::sync::Arc;

use sage_batch::fields::{Schema, Table};

use super::keys::Keys;
use super::reference::{syntax_error, unescape};
use super::value::{Fault, Value};
use crate::error::{FieldError, Reason};
use crate::scan::{self, Open};

/// Reads the fields of a schema from JSON objects. A field's name is its key.
///
/// The keys of other fields and their values are checked for the grammar only: duplicates, the range of numbers,
/// and lone surrogates in strings pass. A key with escapes is the key that it stands for. A duplicate of a read
/// field is refused.
///
/// The work for a record is linear in its length (times the number of fields, for keys in an unusual order, and times
/// the number of members in a struct), and nothing recurses. Tables that share the reader's `Arc` of the schema are
/// recognised at once.
///
/// ```
/// use std::sync::Arc;
/// use sage_batch::fields::{Cell, DataType, FieldType, Schema, Table};
/// use sage_formats::json::JsonReader;
///
/// let celsius =
///     FieldType { name: "celsius".to_owned(), data_type: DataType::F64, nullable: false, docs: String::new() };
/// let schema = Arc::new(Schema::new(vec![celsius])?);
/// let mut table = Table::new(Arc::clone(&schema));
/// let mut reader = JsonReader::new(&schema);
/// reader.read(br#"{"site":"roof","celsius":21.5}"#, &mut table).map_err(|error| error.to_string())?;
/// assert_eq!(table.cell(0, 0), Some(Cell::F64(21.5)));
///
/// let error = reader.read(br#"{"celsius":"warm"}"#, &mut table).unwrap_err();
/// assert_eq!(error.to_string(), "field \"celsius\" is a string, not f64 (line 1, column 12)");
/// assert_eq!(table.len(), 1);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct JsonReader {
    schema: Arc<Schema>,
    /// Each field's name, and the number of the last record in which it stood.
    fields: Vec<(Vec<u8>, u64)>,
    record: u64,
    keys: Keys,
    open: Open,
    /// Text of strings with escapes, decoded.
    text: Vec<u8>,
}

impl JsonReader {
    /// A reader of the fields in `schema`.
    #[must_use]
    pub fn new(schema: &Arc<Schema>) -> Self {
        let fields = schema.fields().iter().map(|field| (field.name.clone().into_bytes(), 0)).collect();
        Self {
            schema: Arc::clone(schema),
            fields,
            record: 0,
            keys: Keys::default(),
            open: Open::default(),
            text: Vec::new(),
        }
    }

    /// The fields that are read.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Appends the record as a row of `table`, whose schema is the reader's.
    ///
    /// # Errors
    /// The record is not an object of JSON in UTF-8 (the reason is serde_json's), or a field breaks a rule. The
    /// table is then as it was.
    pub fn read(&mut self, record: &[u8], table: &mut Table) -> Result<(), FieldError> {
        let rows = table.len();
        let read = self.row(record, table);
        if read.is_err() {
            table.truncate(rows);
        }
        read
    }

    #[inline]
    fn row(&mut self, record: &[u8], table: &mut Table) -> Result<(), FieldError> {
        if !Arc::ptr_eq(table.schema(), &self.schema) && **table.schema() != *self.schema {
            return Err(FieldError { field: None, reason: Reason::Table, place: None });
        }
        if simdutf8::basic::from_utf8(record).is_err() {
            return Err(syntax_error(record));
        }
        self.record += 1;
        let (stamp, mut place, mut found) = (self.record, 0, 0);
        let (fields, keys, open, text) = (&mut self.fields, &mut self.keys, &mut self.open, &mut self.text);
        let types = self.schema.fields();
        let walked = scan::walk(record, |i| {
            let (number, start) = match keys.expected(place, record, i) {
                Some((number, start)) => (number, scan::space(record, start)),
                None => {
                    let (end, start, escaped) = scan::key(record, i).ok_or(None)?;
                    text.clear();
                    let key = if escaped {
                        unescape(record.get(i..=end).unwrap_or_default(), text).map_err(|_| None)?;
                        text.as_slice()
                    } else {
                        record.get(i + 1..end).unwrap_or_default()
                    };
                    let number = fields.iter().position(|(name, _)| name == key);
                    if !escaped {
                        keys.learn(place, record.get(i..=end).unwrap_or_default(), number);
                    }
                    (number, start)
                }
            };
            place += 1;
            let Some(number) = number else {
                return scan::value(record, start, open).ok_or(None);
            };
            let (Some((_, last)), Some(field), Some(column)) =
                (fields.get_mut(number), types.get(number), table.field_mut(number))
            else {
                return Err(None);
            };
            if *last == stamp {
                return Err(of_field(Fault::of(start, Reason::Twice), number));
            }
            *last = stamp;
            found += 1;
            Value { record, start, data_type: &field.data_type, nullable: field.nullable, level: 1, open, text }
                .put(column)
                .map_err(|fault| of_field(fault, number))
        });
        if let Err(fault) = walked {
            return Err(self.error(record, fault));
        }
        if found < self.fields.len() {
            self.fill(record, table)?;
        }
        match table.finish_row() {
            true => Ok(()),
            false => Err(FieldError { field: None, reason: Reason::Table, place: None }),
        }
    }

    /// Adds a null for each field that was not in the record.
    fn fill(&self, record: &[u8], table: &mut Table) -> Result<(), FieldError> {
        for (number, ((_, last), field)) in self.fields.iter().zip(self.schema.fields()).enumerate() {
            if *last != self.record {
                if !field.nullable {
                    return Err(FieldError::of(&field.name, Reason::Missing, record, record.len()));
                }
                if let Some(column) = table.field_mut(number) {
                    column.push_null();
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn error(&self, record: &[u8], fault: Option<(usize, Box<Fault>)>) -> FieldError {
        let Some((number, fault)) = fault else { return syntax_error(record) };
        let name = self.schema.fields().get(number).map_or("", |field| &field.name);
        FieldError::of(&format!("{name}{}", fault.inside), fault.reason, record, fault.at)
    }
}

/// The fault of a field.
#[cold]
fn of_field(fault: Option<Box<Fault>>, number: usize) -> Option<(usize, Box<Fault>)> {
    fault.map(|fault| (number, fault))
}
