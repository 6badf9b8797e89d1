//! Proposals of a schema for records that are there.

use std::collections::HashMap;

use sage_batch::fields::{DataType, FieldType, Schema};

use crate::json::{syntax_error, unescape};
use crate::scan::{self, Open, at};
use crate::{FieldError, number, time};

/// Collects what the fields of records are, and proposes a schema.
///
/// - A field of integers is `s64`, or `u64` if one is too large for that, or `decimal(38, 0)`. The type is never
///   `f64`, which would round. With a fraction or an exponent anywhere it is `f64`.
/// - A field of texts is `timestamp` if every text is RFC 3339 with a zone, otherwise `string`.
/// - A field of arrays, of objects, of nulls only, or of several of these kinds is `json`; in CSV it is `string`.
/// - A field is nullable if it is null or missing anywhere.
///
/// Fields come in the order in which they first appear.
#[derive(Debug, Default)]
pub struct Inference {
    fields: Vec<(String, Seen)>,
    numbers: HashMap<String, usize>,
    records: u64,
    /// Whether the values are cells of CSV, which all are texts.
    cells: bool,
    open: Open,
    text: Vec<u8>,
}

/// Kinds of values of a field. The number of records tells whether the field is missing somewhere; the record of the
/// last value keeps a field that stands twice in a record from being counted twice.
#[derive(Debug, Default, Clone)]
struct Seen {
    records: u64,
    last: u64,
    nulls: bool,
    bools: bool,
    signed: bool,
    unsigned: bool,
    huge: bool,
    /// Integers that even a decimal cannot hold.
    endless: bool,
    negative: bool,
    floats: bool,
    timestamps: bool,
    texts: bool,
    nested: bool,
}

impl Inference {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at a JSON object.
    ///
    /// # Errors
    /// The record is not an object of JSON in UTF-8. Such a record does not count.
    pub fn add_json(&mut self, record: &[u8]) -> Result<(), FieldError> {
        let (mut open, mut key) = (std::mem::take(&mut self.open), std::mem::take(&mut self.text));
        // The first walk only checks, so that half a record is not counted.
        let mut checked = str::from_utf8(record).is_ok();
        for count in [false, true] {
            self.records += u64::from(count && checked);
            checked = checked
                && scan::walk::<()>(record, |i| {
                    let (end, start, _) = scan::key(record, i).ok_or(None)?;
                    key.clear();
                    unescape(record.get(i..=end).unwrap_or_default(), &mut key).map_err(|_| None)?;
                    let end = scan::value(record, start, &mut open).ok_or(None)?;
                    if count {
                        let number = self.number_of(&key);
                        self.look(number, |seen, text| seen.json(record.get(start..end).unwrap_or_default(), text));
                    }
                    Ok(end)
                })
                .is_ok();
        }
        (self.open, self.text) = (open, key);
        if checked { Ok(()) } else { Err(syntax_error(record)) }
    }

    /// Names the columns of CSV rows. Call this before the first row, so that the fields are in the order of the
    /// header.
    pub fn add_csv_header<'a>(&mut self, header: impl IntoIterator<Item = &'a [u8]>) {
        self.cells = true;
        for name in header {
            self.number_of(name);
        }
    }

    /// Looks at the cells of a CSV row, in the order of the header. A cell beyond the header is not looked at.
    pub fn add_csv_row<'a>(&mut self, cells: impl IntoIterator<Item = &'a [u8]>) {
        self.records += 1;
        for (number, cell) in cells.into_iter().enumerate().take(self.fields.len()) {
            self.look(number, |seen, _| seen.cell(cell));
        }
    }

    /// The proposed schema.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let fields = self.fields.iter().map(|(name, seen)| FieldType {
            name: name.clone(),
            data_type: seen.data_type(self.cells),
            nullable: seen.nulls || seen.records < self.records,
            docs: String::new(),
        });
        // Names are unique, because they are keys of the map.
        Schema::new(fields.collect()).unwrap_or_default()
    }

    fn number_of(&mut self, name: &[u8]) -> usize {
        let name = String::from_utf8_lossy(name);
        if let Some(&number) = self.numbers.get(&*name) {
            return number;
        }
        let number = self.fields.len();
        self.fields.push((name.clone().into_owned(), Seen::default()));
        self.numbers.insert(name.into_owned(), number);
        number
    }

    fn look(&mut self, number: usize, add: impl FnOnce(&mut Seen, &mut Vec<u8>)) {
        let Some((_, seen)) = self.fields.get_mut(number) else { return };
        // A field that stands twice in a record counts once.
        if seen.last != self.records {
            seen.last = self.records;
            seen.records += 1;
        }
        add(seen, &mut self.text);
    }
}

/// The schema of JSON records.
///
/// # Errors
/// As [`Inference::add_json`].
pub fn infer_json<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Result<Schema, FieldError> {
    let mut inference = Inference::new();
    for record in records {
        inference.add_json(record)?;
    }
    Ok(inference.schema())
}

impl Seen {
    fn json(&mut self, value: &[u8], text: &mut Vec<u8>) {
        match at(value, 0) {
            b'n' => self.nulls = true,
            b't' | b'f' => self.bools = true,
            b'[' | b'{' => self.nested = true,
            b'"' => {
                text.clear();
                // A text that is none (a lone surrogate) can only be kept as it stands.
                match unescape(value, text) {
                    Ok(()) => self.text(text),
                    Err(_) => self.nested = true,
                }
            }
            _ => self.number(value),
        }
    }

    fn cell(&mut self, cell: &[u8]) {
        match cell {
            [] => self.nulls = true,
            b"true" | b"false" => self.bools = true,
            _ if scan::number(cell, 0) == Some(cell.len()) => self.number(cell),
            _ => self.text(cell),
        }
    }

    fn text(&mut self, text: &[u8]) {
        match time::timestamp(text) {
            Some(_) => self.timestamps = true,
            None => self.texts = true,
        }
    }

    fn number(&mut self, value: &[u8]) {
        if value.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            self.floats = true;
        } else if let Ok(value) = number::signed(value) {
            self.signed = true;
            self.negative |= value < 0;
        } else if number::unsigned(value).is_ok() {
            self.unsigned = true;
        } else if number::decimal(value, 38, 0).is_ok() {
            self.huge = true;
        } else {
            self.endless = true;
        }
    }

    /// The type. Values of several kinds, or of none, are JSON; as cells of CSV they are texts.
    fn data_type(&self, cells: bool) -> DataType {
        let mixed = if cells { DataType::String } else { DataType::Json };
        let integers = self.signed || self.unsigned || self.huge || self.endless;
        let kinds = [self.bools, integers || self.floats, self.timestamps || self.texts, self.nested];
        if kinds.iter().filter(|kind| **kind).count() != 1 {
            return mixed;
        }
        match self {
            _ if self.nested => mixed,
            _ if self.bools => DataType::Bool,
            _ if self.floats => DataType::F64,
            _ if self.endless => mixed,
            _ if self.huge || self.unsigned && self.negative => DataType::Decimal { precision: 38, scale: 0 },
            _ if self.unsigned => DataType::U64,
            _ if self.signed => DataType::S64,
            _ if self.texts => DataType::String,
            _ => DataType::Timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sage_batch::fields::Table;

    use super::*;
    use crate::json::JsonReader;

    fn shown(schema: &Schema) -> Vec<String> {
        let shown =
            |field: &FieldType| format!("{} {}{}", field.name, field.data_type, if field.nullable { "?" } else { "" });
        schema.fields().iter().map(shown).collect()
    }

    #[test]
    fn the_values_of_a_field_give_its_type() {
        // Values of the records; the type.
        let cases: &[(&[&str], &str)] = &[
            (&["1", "-2"], "s64"),
            (&["1", "9007199254740993"], "s64"),
            (&["1", "18446744073709551615"], "u64"),
            (&["-1", "18446744073709551615"], "decimal(38, 0)"),
            (&["18446744073709551616"], "decimal(38, 0)"),
            (&["1000000000000000000000000000000000000000"], "json"),
            (&["1", "1.0"], "f64"),
            (&["1e3"], "f64"),
            (&["true", "false"], "bool"),
            (&["\"a\"", "\"\\u0062\""], "string"),
            (&["\"2026-01-31T00:00:00Z\"", "\"2026-01-31T00:00:00.5+01:00\""], "timestamp"),
            (&["\"2026-01-31T00:00:00Z\"", "\"2026-01-31T00:00:00\""], "string"),
            (&["\"2026-01-31T00:00:00Z\"", "1"], "json"),
            (&["[1]"], "json"),
            (&["{}", "1"], "json"),
            (&["1", "\"1\""], "json"),
            (&["true", "1"], "json"),
            (&["\"\\ud800\""], "json"),
            (&["1", "null"], "s64?"),
            (&["null"], "json?"),
        ];
        for (values, expected) in cases {
            let records: Vec<String> = values.iter().map(|value| format!("{{\"x\":{value}}}")).collect();
            let schema = infer_json(records.iter().map(|record| record.as_bytes())).unwrap();
            assert_eq!(shown(&schema), [format!("x {expected}")], "{values:?}");
            // The proposed schema reads the records.
            let schema = Arc::new(schema);
            let mut table = Table::new(Arc::clone(&schema));
            let mut reader = JsonReader::new(&schema);
            for record in &records {
                reader.read(record.as_bytes(), &mut table).unwrap();
            }
        }
    }

    #[test]
    fn fields_come_in_the_order_of_appearance_and_may_be_missing() {
        let records = [r#"{"b":1,"a":"x"}"#, r#"{"\u0061":"y","c":[],"b":2,"b":3}"#];
        let schema = infer_json(records.map(str::as_bytes)).unwrap();
        assert_eq!(shown(&schema), ["b s64", "a string", "c json?"]);
        assert!(
            infer_json([b"{\"a\":1}".as_slice(), b"{\"b\":}"]).unwrap_err().to_string().starts_with("expected value")
        );
    }

    #[test]
    fn cells_give_the_types_of_their_column() {
        let mut inference = Inference::new();
        let cells = |row: &'static str| row.split(',').map(str::as_bytes);
        inference.add_csv_header(cells("id,share,ok,at,name,more"));
        inference.add_csv_row(cells("1,0.5,true,2026-01-31T00:00:00Z,x,1"));
        inference.add_csv_row(cells("2,1,false,2026-01-31T00:00:00Z,7,,8"));
        let expected = ["id s64", "share f64", "ok bool", "at timestamp", "name string", "more s64?"];
        assert_eq!(shown(&inference.schema()), expected);
    }
}
