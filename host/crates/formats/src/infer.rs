//! Proposals of a schema for records that are there.

use std::collections::HashMap;

use sage_batch::fields::{FieldType, Schema};

use crate::FieldError;
use crate::json::{syntax_error, unescape};
use crate::scan::{self, Open};
use crate::seen::Seen;

/// Collects what the fields of records are, and proposes a schema.
///
/// - A field of integers is `s64`, or `u64` if one is too large for that, or `decimal(38, 0)`. The type is never
///   `f64`, which would round. With a fraction or an exponent anywhere it is `f64`.
/// - A field of texts is `timestamp` if every text is RFC 3339 with a zone, otherwise `string`.
/// - A field of arrays is a list if all elements have one type, and a field of objects is a struct if all objects have
///   the same members, each of one type. These types are neither lists nor structs.
/// - A field of other arrays and objects, of nulls only, or of several of these kinds is `json`; in CSV it is `string`.
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
            nullable: seen.is_nullable(self.records),
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
        seen.count(self.records);
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
            (&["[1]"], "list<s64>"),
            (&["[1]", "[]", "[-2, 3.5, null]"], "list<f64?>"),
            (&["[1]", "null"], "list<s64>?"),
            (&["[\"a\"]", "[\"2026-01-31T00:00:00Z\"]"], "list<string>"),
            (&["[]"], "json"),
            (&["[null]"], "json"),
            (&["[1]", "[\"a\"]"], "json"),
            (&["[1]", "[[1]]"], "json"),
            (&["[{}]"], "json"),
            (&["[1]", "1"], "json"),
            (&["[1]", "{\"a\":1}"], "json"),
            (&["{\"a\":1,\"b\":\"x\"}", "{\"b\":null,\"a\":2.5}"], "struct { a: f64, b: string? }"),
            (&["{\"a\":1}", "null"], "struct { a: s64 }?"),
            (&["{\"\\u0061\":1}", "{\"a\":2}"], "struct { a: s64 }"),
            (&["{\"a\":1}", "{\"a\":1,\"b\":1}"], "json"),
            (&["{\"a\":1,\"b\":1}", "{\"a\":1}"], "json"),
            (&["{\"a\":1,\"a\":1}"], "json"),
            (&["{\"a\":null}"], "json"),
            (&["{\"a\":1}", "{\"a\":true}"], "json"),
            (&["{\"a\":[1]}"], "json"),
            (&["{}"], "json"),
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
        let records = [r#"{"b":1,"a":"x"}"#, r#"{"\u0061":"y","c":[],"b":2,"b":3,"d":[true]}"#];
        let schema = infer_json(records.map(str::as_bytes)).unwrap();
        assert_eq!(shown(&schema), ["b s64", "a string", "c json?", "d list<bool>?"]);
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
