use serde_json::{Map, Value};

use super::config_schema::{ConfigSchema, Fields, Range, Shape};
use crate::config::{ComponentUse, ConfigPlaces, ConfigReference, Diagnostic, Diagnostics, closest};

/// Checks an operator's `config` against the schema of its component. `place` names the operator in messages.
pub(super) fn check_config(place: &str, component: &ComponentUse, schema: &ConfigSchema, errors: &mut Diagnostics) {
    let (config, places) = (&component.config, &component.config_places);
    let mut found = Vec::new();
    let at = At { pointer: String::new(), name: format!("config of {place}") };
    match &schema.shape {
        Shape::Table(fields) => check_fields(&at, config, fields, &mut found),
        _ => check(&at, &Value::Object(config.clone()), schema, &mut found),
    }
    let found = found.into_iter().map(|problem| without_values(place, component, problem));
    for Problem { pointer, on_key, message, hint } in found {
        let span = if on_key { places.key(&pointer) } else { places.value(&pointer) };
        // Without a `config`, the error points to the component, which requires one.
        let error = Diagnostic::new(message).at(span.or(component.path.span));
        errors.push(hint.into_iter().fold(error, Diagnostic::hint));
    }
}

/// The problem without the values of secrets, variables and files: messages go to logs and to other people.
fn without_values(place: &str, component: &ComponentUse, problem: Problem) -> Problem {
    let config = Value::Object(component.config.clone());
    let told = |reference: &&ConfigReference| {
        let value = config.pointer(&reference.pointer).and_then(Value::as_str).filter(|value| !value.is_empty());
        let words = [Some(&problem.message), problem.hint.as_ref()];
        let in_words = value.is_some_and(|value| words.into_iter().flatten().any(|text| text.contains(value)));
        in_words || reference.covers(&problem.pointer)
    };
    let Some(reference) = component.references.iter().find(told) else { return problem };
    let (kind, name) = (reference.kind.key(), &reference.name);
    let message = format!("the value of {{ {kind} = \"{name}\" }} is not one that config of {place} may have there");
    Problem { message, hint: Some("`sage-host inspect` of the component shows what it takes".to_owned()), ..problem }
}

/// A value of the configuration.
struct At {
    /// JSON pointer of the value.
    pointer: String,
    /// Name of the value in messages.
    name: String,
}

impl At {
    fn key(&self, key: &str) -> Self {
        Self { pointer: ConfigPlaces::below(&self.pointer, key), name: format!("{key} of {}", self.name) }
    }

    fn item(&self, index: usize) -> Self {
        let number = index + 1;
        Self { pointer: format!("{}/{index}", self.pointer), name: format!("item {number} of {}", self.name) }
    }

    fn wrong(&self, what: impl std::fmt::Display, hint: Option<String>) -> Problem {
        Problem { pointer: self.pointer.clone(), on_key: false, message: format!("{} {what}", self.name), hint }
    }
}

struct Problem {
    pointer: String,
    /// Whether the error is about the key, not about its value.
    on_key: bool,
    message: String,
    hint: Option<String>,
}

fn check(at: &At, value: &Value, schema: &ConfigSchema, found: &mut Vec<Problem>) {
    let docs = || schema.docs.as_ref().map(|docs| first_line(docs));
    let wrong_type = |wanted: &str| at.wrong(format_args!("is {}, not {wanted}", type_name(value)), docs());
    match (&schema.shape, value) {
        (Shape::Any, _) | (Shape::Boolean, Value::Bool(_)) | (Shape::Null, Value::Null) => {}
        (Shape::Integer(range), Value::Number(number)) if number.is_i64() || number.is_u64() => {
            check_range(at, value, *range, found);
        }
        (Shape::Number(range), Value::Number(_)) => check_range(at, value, *range, found),
        (Shape::Text(least, most), Value::String(text)) => {
            let count = text.chars().count() as u64;
            check_count(at, count, (*least, *most), "character", found);
        }
        (Shape::List(items, least, most), Value::Array(values)) => {
            check_count(at, values.len() as u64, (*least, *most), "item", found);
            for (index, value) in values.iter().enumerate() {
                check(&at.item(index), value, items, found);
            }
        }
        (Shape::Table(fields), Value::Object(table)) => check_fields(at, table, fields, found),
        (Shape::OneOf(values), _) => {
            if !values.contains(value) {
                found.push(at.wrong(format_args!("is {value}"), Some(choices(values, value))));
            }
        }
        (Shape::AnyOf(schemas), _) => check_any(at, value, schemas, found),
        (Shape::Boolean, _) => found.push(wrong_type("true or false")),
        (Shape::Null, _) => found.push(wrong_type("null")),
        (Shape::Integer(_), _) => found.push(wrong_type("a whole number")),
        (Shape::Number(_), _) => found.push(wrong_type("a number")),
        (Shape::Text(..), _) => found.push(wrong_type("a string")),
        (Shape::List(..), _) => found.push(wrong_type("a list")),
        (Shape::Table(_), _) => found.push(wrong_type("a table")),
    }
}

fn check_fields(at: &At, table: &Map<String, Value>, fields: &Fields, found: &mut Vec<Problem>) {
    for (key, value) in table {
        let inner = at.key(key);
        match fields.known.iter().find(|(name, _)| name == key) {
            Some((_, schema)) => check(&inner, value, schema, found),
            None => match &fields.others {
                Some(schema) => check(&inner, value, schema, found),
                None => {
                    let message = format!("unknown key \"{key}\" in {}", at.name);
                    let hint = Some(known_keys(key, fields));
                    found.push(Problem { pointer: inner.pointer, on_key: true, message, hint });
                }
            },
        }
    }
    for name in fields.required.iter().filter(|name| !table.contains_key(*name)) {
        let schema = fields.known.iter().find(|(known, _)| known == name).map(|(_, schema)| schema);
        let hint = schema.and_then(|schema| schema.docs.as_ref()).map(|docs| format!("{name}: {}", first_line(docs)));
        found.push(at.wrong(format_args!("has no {name}"), hint));
    }
}

/// Reports the problems of the nearest choice: the first with the fewest problems, apart from null.
fn check_any(at: &At, value: &Value, schemas: &[ConfigSchema], found: &mut Vec<Problem>) {
    let mut nearest: Option<Vec<Problem>> = None;
    for schema in schemas {
        let mut problems = Vec::new();
        check(at, value, schema, &mut problems);
        if problems.is_empty() {
            return;
        }
        let own = std::mem::discriminant(&schema.shape) != std::mem::discriminant(&Shape::Null);
        let nearer = nearest.as_ref().is_none_or(|nearest| problems.len() < nearest.len());
        if own && nearer {
            nearest = Some(problems);
        }
    }
    found.extend(nearest.unwrap_or_else(|| vec![at.wrong("takes no value", None)]));
}

fn check_range(at: &At, value: &Value, Range { minimum, maximum }: Range, found: &mut Vec<Problem>) {
    let number = value.as_f64().unwrap_or_default();
    if minimum.is_some_and(|minimum| number < minimum) || maximum.is_some_and(|maximum| number > maximum) {
        let hint = match (minimum, maximum) {
            (Some(minimum), Some(maximum)) => format!("it must be from {minimum} to {maximum}"),
            (Some(minimum), None) => format!("it must be {minimum} or more"),
            (None, Some(maximum)) => format!("it must be {maximum} or less"),
            (None, None) => return,
        };
        found.push(at.wrong(format_args!("is {value}"), Some(hint)));
    }
}

fn check_count(at: &At, count: u64, (least, most): (Option<u64>, Option<u64>), what: &str, found: &mut Vec<Problem>) {
    if least.is_some_and(|least| count < least) || most.is_some_and(|most| count > most) {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let hint = match (least, most) {
            (Some(least), Some(most)) if least == most => format!("it must have {least} {what}{}", plural(least)),
            (Some(least), Some(most)) => format!("it must have from {least} to {most} {what}s"),
            (Some(least), None) => format!("it must have {least} {what}{} or more", plural(least)),
            (None, Some(most)) => format!("it must have {most} {what}{} or fewer", plural(most)),
            (None, None) => return,
        };
        found.push(at.wrong(format_args!("has {count} {what}{}", plural(count)), Some(hint)));
    }
}

fn choices(values: &[Value], written: &Value) -> String {
    let words = values.iter().filter_map(Value::as_str);
    match written.as_str().and_then(|written| closest(written, words)) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None if values.is_empty() => "nothing goes here".to_owned(),
        None => {
            let all: Vec<String> = values.iter().take(16).map(Value::to_string).collect();
            let more = values.len().saturating_sub(16);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            format!("there are {}{more}", all.join(", "))
        }
    }
}

fn known_keys(written: &str, fields: &Fields) -> String {
    let names: Vec<&str> = fields.known.iter().map(|(name, _)| name.as_str()).collect();
    match closest(written, names.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None if names.is_empty() => "this operator reads no configuration".to_owned(),
        None => format!("the operator reads {}", names.join(", ")),
    }
}

fn first_line(docs: &str) -> String {
    docs.lines().next().unwrap_or_default().to_owned()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(config: Value) -> Vec<String> {
        let schema = json!({
            "type": "object",
            "properties": {
                "delimiter": { "type": "string", "minLength": 1, "description": "What stands between fields.\nMore." },
                "field": { "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32 },
                "mode": { "enum": ["fast", "exact"] },
                "limit": { "anyOf": [{ "type": "number" }, { "type": "null" }] },
                "names": { "type": "array", "items": { "type": "string" }, "maxItems": 2 },
                "by_name": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object", "properties": { "on": { "type": "boolean" } }, "additionalProperties": false
                    }
                }
            },
            "required": ["delimiter"],
            "additionalProperties": false
        });
        let schema = ConfigSchema::read(&schema).unwrap();
        let mut errors = Diagnostics::new(None);
        let Value::Object(config) = config else { panic!("no table") };
        let component = ComponentUse { config, ..ComponentUse::new("cut.wasm") };
        check_config("operator \"cut\"", &component, &schema, &mut errors);
        let shown = |error: &Diagnostic| format!("{} | {}", error.message, error.hint.clone().unwrap_or_default());
        errors.iter().map(shown).collect()
    }

    #[test]
    fn a_right_configuration_is_left_alone() {
        let right = json!({
            "delimiter": ", ", "field": 3, "mode": "exact", "limit": 1, "names": ["a", "b"],
            "by_name": { "any": { "on": true }, "other": {} }
        });
        assert_eq!(problems(right), Vec::<String>::new());
    }

    #[test]
    fn every_slip_is_named_with_what_would_be_right() {
        let of = |message: &str| vec![message.to_owned()];
        let cases = [
            (json!({}), "config of operator \"cut\" has no delimiter | delimiter: What stands between fields."),
            (
                json!({ "delimiter": 7 }),
                "delimiter of config of operator \"cut\" is a whole number, not a string | What stands between fields.",
            ),
            (
                json!({ "delimiter": "" }),
                "delimiter of config of operator \"cut\" has 0 characters | it must have 1 character or more",
            ),
            (
                json!({ "delimiter": "x", "delimeter": "y" }),
                "unknown key \"delimeter\" in config of operator \"cut\" | did you mean \"delimiter\"?",
            ),
            (
                json!({ "delimiter": "x", "zzz": 1 }),
                "unknown key \"zzz\" in config of operator \"cut\" \
                 | the operator reads delimiter, field, mode, limit, names, by_name",
            ),
            (
                json!({ "delimiter": "x", "field": -1 }),
                "field of config of operator \"cut\" is -1 | it must be from 0 to 4294967295",
            ),
            (
                json!({ "delimiter": "x", "field": 1.5 }),
                "field of config of operator \"cut\" is a number with a fraction, not a whole number | ",
            ),
            (
                json!({ "delimiter": "x", "mode": "exakt" }),
                "mode of config of operator \"cut\" is \"exakt\" | did you mean \"exact\"?",
            ),
            (
                json!({ "delimiter": "x", "mode": 5 }),
                "mode of config of operator \"cut\" is 5 | there are \"fast\", \"exact\"",
            ),
            (
                json!({ "delimiter": "x", "limit": "1" }),
                "limit of config of operator \"cut\" is a string, not a number | ",
            ),
            (
                json!({ "delimiter": "x", "names": ["a", 2] }),
                "item 2 of names of config of operator \"cut\" is a whole number, not a string | ",
            ),
            (
                json!({ "delimiter": "x", "names": ["a", "b", "c"] }),
                "names of config of operator \"cut\" has 3 items | it must have 2 items or fewer",
            ),
            (
                json!({ "delimiter": "x", "by_name": { "a": { "of": true } } }),
                "unknown key \"of\" in a of by_name of config of operator \"cut\" | did you mean \"on\"?",
            ),
        ];
        for (config, problem) in cases {
            assert_eq!(problems(config), of(problem));
        }
    }
}
