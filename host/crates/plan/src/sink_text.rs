use super::chosen_fields;
use super::text_source::one_byte;
use crate::config::{self, ChosenFields, Diagnostic, Diagnostics, choose};

/// The text that a built-in sink writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkText {
    /// The form of a record.
    pub form: SinkForm,
    /// Fields of the record that are written, in this order. `None` means all.
    pub fields: Option<ChosenFields>,
}

/// The form of a record in the output of a sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SinkForm {
    /// The record as it is, on a line.
    #[default]
    Lines,
    /// A JSON object on a line.
    JsonLines,
    /// A row of CSV.
    Csv(CsvSink),
    /// Columns, which are not text. Only a socket takes them.
    Columns,
}

/// The form of a CSV file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvSink {
    /// Character between cells.
    pub delimiter: u8,
    /// Character around cells that need it.
    pub quote: u8,
    /// Whether the first row has the names of the columns.
    pub header: bool,
}

impl SinkText {
    /// Whether the sink writes fields. Otherwise it writes records as they are.
    #[must_use]
    pub fn has_fields(&self) -> bool {
        self.fields.is_some() || matches!(self.form, SinkForm::Csv(_) | SinkForm::Columns)
    }
}

impl SinkForm {
    /// The forms that a pipeline file can name. The form of a CSV file has settings of its own.
    const NAMES: [(&'static str, Self); 3] = [
        ("lines", Self::Lines),
        ("jsonl", Self::JsonLines),
        ("csv", Self::Csv(CsvSink { delimiter: b',', quote: b'"', header: true })),
    ];
}

/// The text of a sink; `None` if it has an error, which was reported.
pub(super) fn sink_text(place: &str, written: &config::SinkText, errors: &mut Diagnostics) -> Option<SinkText> {
    let before = errors.len();
    let mut form = match &written.format {
        None if written.fields.is_some() => SinkForm::JsonLines,
        None => SinkForm::Lines,
        Some(word) => choose("format", place, word, &SinkForm::NAMES, errors)?,
    };
    if let (SinkForm::Lines, Some(fields)) = (form, &written.fields) {
        let message = format!("{place} has fields, and its format is \"lines\"");
        errors.push(Diagnostic::new(message).at(fields.span).hint("fields goes with format = \"jsonl\" or \"csv\""));
    }
    match &mut form {
        SinkForm::Csv(csv) => csv_sink(place, written, csv, errors),
        _ => not_csv(place, written, errors),
    }
    if let Some(fields) = &written.fields {
        chosen_fields::check(place, fields, true, errors);
    }
    (errors.len() == before).then(|| SinkText { form, fields: written.fields.clone() })
}

fn csv_sink(place: &str, written: &config::SinkText, csv: &mut CsvSink, errors: &mut Diagnostics) {
    for (key, word, byte) in
        [("delimiter", &written.delimiter, &mut csv.delimiter), ("quote", &written.quote, &mut csv.quote)]
    {
        let Some(word) = word else { continue };
        match one_byte(key, place, word, errors) {
            Some(Some(found)) => *byte = found,
            Some(None) => {
                let hint = "name one ASCII character: a cell with a line end can only be written in quotes";
                errors.push(Diagnostic::new(format!("{key} of {place} is empty")).on(word).hint(hint));
            }
            None => {}
        }
    }
    if csv.delimiter == csv.quote {
        let message = format!("delimiter and quote of {place} are both {:?}", char::from(csv.delimiter));
        let words = [&written.delimiter, &written.quote].into_iter().flatten();
        let error = words.fold(Diagnostic::new(message), |error, word| error.on(word));
        errors.push(error.hint("fields are cut at one and may hold it inside the other"));
    }
    if let Some(header) = &written.header {
        csv.header = header.value;
    }
}

/// Reports CSV settings of a format that is not CSV.
fn not_csv(place: &str, written: &config::SinkText, errors: &mut Diagnostics) {
    let span = |word: &Option<config::Spanned<String>>| word.as_ref().map(|word| word.span);
    let header = written.header.as_ref().map(|header| header.span);
    for (key, found) in [("delimiter", span(&written.delimiter)), ("quote", span(&written.quote)), ("header", header)] {
        if let Some(span) = found {
            let message = format!("{place} has a {key}, and its format is not \"csv\"");
            errors.push(Diagnostic::new(message).at(span).hint(format!("{key} goes with format = \"csv\"")));
        }
    }
}
