use sage_batch::fields::{DataType, FieldType, Members, UnknownType};

use super::field_name::check_field_name;
use crate::config::{Diagnostic, Diagnostics, SourceField, Spanned, WrittenType, closest};

/// Names of types in other languages, each with the type here.
const ELSEWHERE: [(&str, &str); 18] = [
    ("boolean", "bool"),
    ("int", "s64"),
    ("integer", "s64"),
    ("long", "s64"),
    ("bigint", "s64"),
    ("i8", "s8"),
    ("i16", "s16"),
    ("i32", "s32"),
    ("int32", "s32"),
    ("i64", "s64"),
    ("int64", "s64"),
    ("float", "f64"),
    ("double", "f64"),
    ("number", "f64"),
    ("str", "string"),
    ("text", "string"),
    ("datetime", "timestamp"),
    ("binary", "bytes"),
];

/// Number of columns of a field: a struct has one for each member.
pub(super) fn columns_of(written: &SourceField) -> usize {
    match &written.data_type {
        WrittenType::Name(_) => 1,
        WrittenType::Members { members, .. } => members.len().max(1),
    }
}

/// The field of a `schema`, or the member of the struct `around`. `None` after an error, which is reported.
pub(super) fn field_type(
    place: &str,
    around: Option<&str>,
    written: &SourceField,
    errors: &mut Diagnostics,
) -> Option<FieldType> {
    let key = &written.key;
    let before = errors.len();
    let path = around.map_or_else(|| key.value.clone(), |around| format!("{around}.{}", key.value));
    if let Err(error) = check_field_name(&key.value) {
        let message = format!("\"{}\" in the schema of {place} is no name for a field: {error}", shown(&path));
        errors.push(Diagnostic::new(message).on(key));
    }
    let (data_type, marked) = match &written.data_type {
        WrittenType::Name(word) => named_type(place, &path, word, written.null, errors),
        WrittenType::Members { members, torn, .. } => {
            let types: Vec<FieldType> =
                members.iter().filter_map(|member| field_type(place, Some(&path), member, errors)).collect();
            if *torn || types.len() < members.len() {
                return None;
            }
            match Members::new(types) {
                Ok(members) => (Some(members.into()), false),
                Err(error) => {
                    let message = format!("field \"{}\" of {place} cannot be a struct: {error}", shown(&path));
                    errors.push(Diagnostic::new(message).at(written.data_type.span()));
                    (None, false)
                }
            }
        }
    };
    let nullable = marked || written.null == Some(true);
    let field = |data_type| FieldType { name: key.value.clone(), data_type, nullable, docs: written.doc.clone() };
    data_type.filter(|_| errors.len() == before).map(field)
}

/// The type with this name, and whether it is marked as nullable.
fn named_type(
    place: &str,
    path: &str,
    word: &Spanned<String>,
    null: Option<bool>,
    errors: &mut Diagnostics,
) -> (Option<DataType>, bool) {
    let (name, marked) = match word.value.strip_suffix('?') {
        Some(name) => (name, true),
        None => (word.value.as_str(), false),
    };
    if marked && null == Some(false) {
        let message = format!("field \"{}\" of {place} is \"{}\" and has null = false", shown(path), word.value);
        errors.push(Diagnostic::new(message).on(word).hint("a ? means that a record may lack the field: keep one"));
    }
    match name.parse::<DataType>() {
        Ok(data_type) => (Some(data_type), marked),
        Err(error) => {
            let message = format!("type of field \"{}\" of {place} is \"{}\"", shown(path), word.value);
            errors.push(Diagnostic::new(message).on(word).hint(type_hint(&word.value, &error)));
            (None, marked)
        }
    }
}

fn type_hint(written: &str, error: &UnknownType) -> String {
    match error {
        UnknownType::Name { found } if !found.starts_with("decimal") => {
            let lower = found.to_ascii_lowercase();
            if ["list", "array", "repeated", "vec"].iter().any(|word| lower.starts_with(word)) || lower.ends_with("[]")
            {
                return "a list names the type of its elements: \"list<string>\"".to_owned();
            }
            if ["struct", "object", "record", "map", "dict"].contains(&lower.as_str()) {
                return "a struct names its members: { lat = \"f64\", lon = \"f64\" }; any object is a \"json\""
                    .to_owned();
            }
            let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == lower).map(|(_, here)| *here);
            match elsewhere.or_else(|| closest(found, DataType::NAMES)) {
                Some(name) => format!("did you mean \"{}\"?", written.replacen(found, name, 1)),
                None => format!("there are {}, decimal(precision, scale), list<type>", DataType::NAMES.join(", ")),
            }
        }
        UnknownType::Name { .. } | UnknownType::Decimal { .. } => {
            "a decimal has 1 to 38 digits, of which 0 to all stand behind the point: \"decimal(18, 4)\"".to_owned()
        }
        UnknownType::Nested { .. } => "an element is no list; the type \"list<json>\" takes any elements".to_owned(),
    }
}

/// A name of the user's choice, without control characters.
fn shown(name: &str) -> impl std::fmt::Display {
    name.escape_debug()
}
