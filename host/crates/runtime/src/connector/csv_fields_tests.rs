//! Fields from the cells of a row, against the way over the row's text: the two give equal tables and equal errors.

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use sage_batch::fields::{Cell, DataType, FieldType, Schema, Table};
use sage_batch::{Batch, Column};
use sage_formats::csv::CsvCells;
use sage_formats::json::JsonReader;
use sage_plan::{FieldPath, FileSourceSpec, Format, SourceSchema, SourceSpec, StampSpec, TextSpec};

use super::{ConnectorError, Filled, ReadFields, open_source};

const FIELDS: [(&str, &str); 8] = [
    ("text", "string"),
    ("note", "string?"),
    ("count", "s64"),
    ("small", "u8?"),
    ("ratio", "f64?"),
    ("price", "decimal(6, 2)?"),
    ("at", "timestamp?"),
    ("flag", "bool?"),
];

fn schema(fields: &[(&str, &str)]) -> Arc<SourceSchema> {
    let fields = fields.iter().map(|(name, data_type)| FieldType {
        name: (*name).to_owned(),
        data_type: data_type.trim_end_matches('?').parse().unwrap(),
        nullable: data_type.ends_with('?'),
        docs: String::new(),
    });
    Arc::new(SourceSchema::same_names(Arc::new(Schema::new(fields.collect()).unwrap())))
}

/// A row of the file: its place, its text as a JSON object, its key, and its fields or the reason why it has none.
#[derive(Debug, PartialEq)]
struct Row {
    place: String,
    text: String,
    key: Option<Vec<u8>>,
    fields: Result<Vec<String>, String>,
}

/// All rows of a file, and the errors of rows that are none.
fn rows(text: &[u8], reads: Option<&Arc<SourceSchema>>, small: bool) -> (Vec<Row>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    fs::write(&path, text).unwrap();
    let key = Some(FieldPath::parse("text").unwrap());
    let spec = TextSpec {
        format: Format::Csv,
        stamps: StampSpec { key, ..StampSpec::default() },
        reads: reads.cloned(),
        tolerant: true,
        ..TextSpec::default()
    };
    let mut source =
        open_source(&SourceSpec::File(FileSourceSpec { path, text: spec, follow: false }), 0, 4 << 20).unwrap();
    let (mut found, mut errors, mut batch) = (Vec::new(), Vec::new(), Batch::new());
    let mut read = ReadFields::default();
    loop {
        batch.clear();
        let filled = source.fill(&mut batch, if small { 3 } else { 4096 }, 64 << 10);
        let mut text = Column::new();
        match batch.rows() {
            Some(rows) => rows.write(batch.payloads(), &mut text),
            None => text.append_range(batch.payloads(), 0, batch.len()),
        }
        assert_eq!(source.take_fields(&mut read), reads.is_some());
        let (mut next, mut bad) = (0, read.bad.drain(..).peekable());
        for row in 0..batch.len() {
            let fields = match bad.next_if(|(at, _)| *at == row) {
                Some((_, reason)) => Err(reason),
                None => {
                    next += 1;
                    Ok(cells(&read.table, next - 1))
                }
            };
            let record = batch.record(row).unwrap();
            found.push(Row {
                place: source.describe(record.origin.parts().unwrap().1),
                text: String::from_utf8(text.get(row).unwrap().to_vec()).unwrap(),
                key: record.key.map(<[u8]>::to_vec),
                fields,
            });
        }
        assert!(bad.next().is_none() && (reads.is_none() || next == read.table.len()));
        match filled {
            Ok(Filled::End) => return (found, errors),
            Ok(_) => {}
            Err(ConnectorError { what, unreadable, .. }) => {
                assert!(unreadable.is_some(), "{what}");
                // The path of the folder is another in each run.
                errors.push(what.rsplit('/').next().unwrap_or_default().to_owned());
            }
        }
    }
}

fn cells(table: &Table, row: usize) -> Vec<String> {
    let shown = |column: usize| match table.cell(column, row) {
        Some(Cell::F64(value)) => format!("{:x}", value.to_bits()),
        Some(Cell::Bytes(text)) => format!("{:?}", String::from_utf8_lossy(text)),
        cell => format!("{cell:?}"),
    };
    (0..table.fields().len()).map(shown).collect()
}

/// Reads the fields from the text of a record: a JSON object, each value of which is the text of a cell.
struct FromText {
    texts: JsonReader,
    cells: CsvCells,
    schema: Arc<Schema>,
}

impl FromText {
    fn new(schema: &Arc<Schema>) -> Self {
        let text = |field: &FieldType| FieldType { data_type: DataType::String, nullable: true, ..field.clone() };
        let texts = Arc::new(Schema::new(schema.fields().iter().map(text).collect()).unwrap());
        let names = schema.fields().iter().map(|field| field.name.as_bytes());
        let cells = CsvCells::new(schema, names).unwrap();
        Self { texts: JsonReader::new(&texts), cells, schema: Arc::clone(schema) }
    }

    fn read(&mut self, text: &str) -> Result<Vec<String>, String> {
        let mut row = Table::new(Arc::clone(self.texts.schema()));
        self.texts.read(text.as_bytes(), &mut row).unwrap();
        let cell = |number| match row.cell(number, 0) {
            Some(Cell::Bytes(cell)) => Some(cell),
            _ => None,
        };
        let mut table = Table::new(Arc::clone(&self.schema));
        self.cells.read(cell, |_| false, &mut table).map_err(|error| error.to_string())?;
        Ok(cells(&table, 0))
    }
}

/// Cells: many are values of a type, some must be quoted, and some break their row.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?[0-9]{1,3}",
        2 => "-?[0-9]{1,20}(\\.[0-9]{1,3})?(e-?[0-9]{1,3})?",
        2 => Just("2026-01-31T12:00:00.25+01:00".to_owned()),
        2 => "true|false|NA|NaN| 1|1 |null",
        2 => Just(String::new()),
        2 => "[ -!#-+.-~é☃]{0,12}",
        2 => "([ -~é]|\n|\r\n|,|\"){0,8}".prop_map(|text| format!("\"{}\"", text.replace('"', "\"\""))),
        1 => "a\"b|\"\"|a,b|\r|\"",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn fields_are_those_that_the_text_of_the_row_has(
        rows_of_cells in prop::collection::vec(prop::collection::vec(cell(), 10), 0..12),
        order in Just((0..10).collect::<Vec<usize>>()).prop_shuffle(),
        (picked, small, end) in (1usize..256, any::<bool>(), prop::sample::select(vec!["\n", "\r\n"])),
    ) {
        // Two columns are never read.
        let names = ["text", "note", "count", "small", "ratio", "price", "at", "flag", "one", "two"];
        let line = |cells: Vec<&str>| order.iter().map(|at| cells[*at]).collect::<Vec<_>>().join(",") + end;
        let lines = rows_of_cells.iter().map(|cells| line(cells.iter().map(String::as_str).collect()));
        let text: String = std::iter::once(line(names.to_vec())).chain(lines).collect();

        let picked: Vec<_> = FIELDS.into_iter().enumerate().filter(|(at, _)| picked >> at & 1 == 1).map(|(_, f)| f).collect();
        let schema = schema(&picked);
        let (found, errors) = rows(text.as_bytes(), Some(&schema), small);
        let (expected, expected_errors) = rows(text.as_bytes(), None, false);
        prop_assert_eq!(errors, expected_errors);
        prop_assert_eq!(found.len(), expected.len());
        let mut reference = FromText::new(schema.fields());
        let note = picked.iter().position(|(name, _)| *name == "note");
        for (mut found, expected) in found.into_iter().zip(expected) {
            // The text does not say that an empty cell had quotes: they make it the empty text.
            if let (Some(note), Ok(fields)) = (note, &mut found.fields)
                && fields[note] == "\"\""
            {
                prop_assert!(text.contains("\"\""));
                fields[note] = "Some(Null)".to_owned();
            }
            prop_assert_eq!(&found.fields, &reference.read(&expected.text), "{}", expected.text);
            prop_assert_eq!((found.place, found.text, found.key), (expected.place, expected.text, expected.key));
        }
    }
}

#[test]
fn quotes_around_nothing_are_the_empty_text() {
    let schema = schema(&[("note", "string?"), ("text", "string")]);
    let (found, _) = rows(b"text,note\n,\n\"\",\"\"\n\"x\",\"\"\n,\"a\nb\"\n", Some(&schema), false);
    let fields: Vec<_> = found.into_iter().map(|row| row.fields.unwrap().join(" ")).collect();
    assert_eq!(fields, ["Some(Null) \"\"", "\"\" \"\"", "\"\" \"x\"", "\"a\\nb\" \"\""]);
}

#[test]
fn a_file_without_a_column_that_is_read_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    fs::write(&path, "text,cuont\na,1\n").unwrap();
    let open = |fields: &[(&str, &str)]| {
        let text = TextSpec { format: Format::Csv, reads: Some(schema(fields)), ..TextSpec::default() };
        let spec = SourceSpec::File(FileSourceSpec { path: path.clone(), text, follow: false });
        open_source(&spec, 0, 4 << 20).map(drop)
    };
    let error = open(&[("text", "string"), ("count", "s64")]).unwrap_err();
    assert!(error.what.ends_with("in.csv:1: there is no column \"count\" in the header"), "{}", error.what);
    assert_eq!(error.hint.as_deref(), Some("did you mean \"cuont\"?"));
    open(&[("text", "string"), ("count", "s64?")]).unwrap();
}
