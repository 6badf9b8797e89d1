use std::collections::HashMap;

use super::draft::Draft;
use super::field_name::check_field_name;
use super::{chosen_fields, names};
use crate::config::{Diagnostic, Diagnostics, Input, InputKey, Spanned, closest};

/// Names that no edge may have: keys of an input, and the output that every operator has.
const RESERVED: [&str; 6] = ["from", "fields", "key", "null_key", "partition", "rejects"];
/// Most fields of a composite key.
const MOST_OF_A_KEY: usize = 16;
/// Longest `null_key`, in bytes.
const LONGEST_NULL_KEY: usize = 256;

/// Checks the names, fields and keys of a stage's inputs by themselves. Returns for each input whether its fields and
/// its key are sound.
pub(super) fn check(draft: &Draft<'_>, errors: &mut Diagnostics) -> Vec<bool> {
    let inputs = draft.inputs.unwrap_or_default();
    let mut first: HashMap<&str, &Spanned<String>> = HashMap::new();
    let mut sound = Vec::with_capacity(inputs.len());
    for input in inputs {
        if let Some(name) = &input.name {
            check_name(draft, name, errors);
            if let Some(other) = first.insert(&name.value, name) {
                let message = format!("two inputs of {} are called \"{}\"", draft.place(), name.value);
                errors.push(Diagnostic::new(message).on(name).at(other.span).hint("rename one of them"));
            }
        }
        let before = errors.len();
        if let Some(fields) = &input.fields {
            let place = format!("input \"{}\" of {}", input.called().value, draft.place());
            chosen_fields::check(&place, fields, false, errors);
        }
        if let Some(key) = &input.key {
            check_key(draft, input, key, errors);
        }
        sound.push(errors.len() == before);
    }
    sound
}

fn check_name(draft: &Draft<'_>, name: &Spanned<String>, errors: &mut Diagnostics) {
    let what = format!("an input of {}", draft.place());
    if RESERVED.contains(&name.value.as_str()) {
        let message = format!("\"{}\" is reserved, and no name for {what}", name.value);
        errors.push(Diagnostic::new(message).on(name).hint(format!("reserved names: {}", RESERVED.join(", "))));
    } else {
        names::check_syntax(&what, name, errors);
    }
}

fn check_key(draft: &Draft<'_>, input: &Input, key: &InputKey, errors: &mut Diagnostics) {
    let place = || format!("input \"{}\" of {}", input.called().value, draft.place());
    if key.fields.len() > MOST_OF_A_KEY {
        let message = format!("key of {} has {} fields", place(), key.fields.len());
        let span = key.fields.first().and_then(|field| field.span);
        errors.push(Diagnostic::new(message).at(span).hint(format!("at most {MOST_OF_A_KEY}")));
        return;
    }
    let mut first = HashMap::new();
    for field in &key.fields {
        if let Err(error) = check_field_name(&field.value) {
            let message = format!("key of {}: \"{}\" is no field: {error}", place(), field.value.escape_debug());
            errors.push(Diagnostic::new(message).on(field).hint("name a field of the records"));
        } else if let Some(other) = first.insert(field.value.as_str(), field.span) {
            let message = format!("key of {} names field `{}` twice", place(), field.value);
            errors.push(Diagnostic::new(message).at(other).on(field).hint("name it once"));
        } else if let Some(fields) = &input.fields {
            let names = || fields.list.iter().map(|item| item.value.name.as_str());
            if names().any(|name| name == field.value) {
                continue;
            }
            let message = format!("key of {} names field `{}`, which its fields do not have", place(), field.value);
            let hint = match closest(&field.value, names()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => "a key is made from the fields that the stage gets: add it to fields".to_owned(),
            };
            errors.push(Diagnostic::new(message).on(field).hint(hint));
        }
    }
    if let Some(null_key) = key.null_key.as_ref().filter(|text| text.value.len() > LONGEST_NULL_KEY) {
        let message = format!("null_key of {} has {} bytes", place(), null_key.value.len());
        errors.push(Diagnostic::new(message).on(null_key).hint(format!("at most {LONGEST_NULL_KEY}")));
    }
}
