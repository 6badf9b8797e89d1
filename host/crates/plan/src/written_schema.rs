use std::collections::HashSet;
use std::sync::Arc;

use sage_batch::fields::Schema;

use super::written_type::{columns_of, field_type};
use super::{CsvSpec, FieldPath, Format, HeaderSpec, RecordShape, SourceSchema};
use crate::config::{self, Diagnostic, Diagnostics, Spanned, hint};

/// The `schema` of a source of text. `None` if there is none, or if it has an error.
pub(super) fn source_schema(
    place: &str,
    written: &config::Source,
    format: Format,
    csv: &CsvSpec,
    errors: &mut Diagnostics,
) -> Option<Arc<SourceSchema>> {
    let schema = written.schema.as_ref()?;
    if format == Format::Lines {
        no_schema(place, "a record of format = \"lines\"", written, errors);
        return None;
    }
    let count = schema.fields.len();
    if count == 0 && !schema.torn {
        let hint = "name the fields: schema = { sensor = \"string\" }; without a schema, the operators decide";
        errors.push(Diagnostic::new(format!("schema of {place} is empty")).at(schema.span).hint(hint));
    }
    let columns = schema.fields.iter().map(columns_of).sum::<usize>();
    if columns > RecordShape::MOST_FIELDS {
        let message = format!("schema of {place} has {columns} fields");
        errors.push(Diagnostic::new(message).at(schema.span).hint(format!("at most {}", RecordShape::MOST_FIELDS)));
        return None;
    }
    let mut seen = HashSet::new();
    let (mut fields, mut names) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for written in &schema.fields {
        let field = field_type(place, None, written, errors);
        let name = source_name(place, written, format, csv, errors);
        if let Some(name) = &name
            && !seen.insert(name.clone())
        {
            let message = format!("two fields of the schema of {place} are the field \"{name}\" of its records");
            errors.push(Diagnostic::new(message).on(written.name.as_ref().unwrap_or(&written.key)));
        }
        if let (Some(field), Some(name)) = (field, name) {
            fields.push(field);
            names.push(name);
        }
    }
    if fields.len() < count || schema.torn {
        return None;
    }
    match Schema::new(fields) {
        Ok(fields) => SourceSchema::new(Arc::new(fields), names).map(Arc::new),
        Err(name) => {
            let message = format!("two fields of the schema of {place} are called \"{name}\"");
            errors.push(Diagnostic::new(message).at(schema.span));
            None
        }
    }
}

/// Reports the `schema` of a source with records that have no fields.
pub(super) fn no_schema(place: &str, what: &str, written: &config::Source, errors: &mut Diagnostics) {
    if let Some(schema) = &written.schema {
        let message = format!("{place} has a schema, and {what} has no fields");
        let hint = "it goes with file or stdin and format = \"jsonl\" or \"csv\"";
        errors.push(Diagnostic::new(message).at(schema.span).hint(hint));
    }
}

/// The name of the field in the records of the source.
fn source_name(
    place: &str,
    written: &config::SourceField,
    format: Format,
    csv: &CsvSpec,
    errors: &mut Diagnostics,
) -> Option<String> {
    let (at, name) = match &written.name {
        None => (&written.key, written.key.value.clone()),
        Some(word) => (word, name_of(place, written, word, errors)?),
    };
    if format == Format::Csv
        && let Some((key, columns)) = column_names(csv)
        && !columns.contains(&name)
    {
        let message = format!("schema of {place} names \"{}\", which is not in its {key}", shown(&name));
        let known = columns.iter().map(String::as_str);
        errors.push(Diagnostic::new(message).on(at).hint(hint(&name, known, key)));
    }
    Some(name)
}

fn name_of(
    place: &str,
    written: &config::SourceField,
    word: &Spanned<String>,
    errors: &mut Diagnostics,
) -> Option<String> {
    let wrong = |why: &str| {
        let key = shown(&written.key.value);
        Diagnostic::new(format!("name of field \"{key}\" of {place} is \"{}\", {why}", shown(&word.value))).on(word)
    };
    match FieldPath::parse(&word.value) {
        Ok(path) => {
            let only = path.only_part();
            if only.is_none() {
                let error = wrong("and a schema names fields of the record itself");
                errors.push(error.hint("read the outer field with the type \"json\""));
            }
            only.map(str::to_owned)
        }
        Err(error) => {
            errors.push(wrong(&format!("which is no field: {error}")));
            None
        }
    }
}

/// The names of the columns of a record and the key that gives them, if the pipeline file gives them.
pub(super) fn column_names(csv: &CsvSpec) -> Option<(&'static str, &[String])> {
    match (&csv.columns, &csv.header) {
        (Some(columns), _) => Some(("columns", columns)),
        (None, HeaderSpec::Names(names)) => Some(("header", names)),
        (None, HeaderSpec::FirstRow | HeaderSpec::Numbered) => None,
    }
}

/// A name of the user's choice, without control characters.
fn shown(name: &str) -> impl std::fmt::Display {
    name.escape_debug()
}
