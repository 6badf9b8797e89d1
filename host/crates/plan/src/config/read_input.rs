use toml::de::DeValue;

use super::table::{Node, Table};
use super::{ChosenFields, Diagnostic, Diagnostics, Input, InputKey, Span};

/// An edge in words, for hints.
const EXAMPLE: &str = "input = { from = \"parse\", fields = [\"sensor\", \"f as fahrenheit\"] }";

/// Reads `input` or `inputs` of a stage. `None` after an error, which was reported.
pub(super) fn inputs(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Vec<Input>> {
    match (table.node("input"), table.node("inputs")) {
        (None, None) => {
            table.missing("input", "name the stage that feeds it: input = \"parse\", or a list of them", errors);
            None
        }
        (Some(_), Some(node)) => {
            let error = Diagnostic::new(format!("{} has input and inputs at once", table.place()));
            let error = error.at(table.key_span("input")).at(table.key_span("inputs"));
            errors.push(error.hint("input is for edges without names, and inputs names each: keep one of them"));
            let _ = named(table, node, errors);
            None
        }
        (Some(node), None) => unnamed(table, node, errors),
        (None, Some(node)) => named(table, node, errors),
    }
}

/// `input`: an edge, or a list of edges.
fn unnamed(table: &Table<'_, '_>, node: &Node<'_>, errors: &mut Diagnostics) -> Option<Vec<Input>> {
    match node.get_ref() {
        DeValue::Array(items) if items.is_empty() => {
            empty("input", table.place(), node, "name the stage that feeds it", errors);
            None
        }
        DeValue::Array(items) => {
            let read: Vec<_> = items.iter().filter_map(|item| edge("input", table, item, errors)).collect();
            (read.len() == items.len()).then_some(read)
        }
        _ => edge("input", table, node, errors).map(|input| vec![input]),
    }
}

/// `inputs`: edges by their names.
fn named(table: &Table<'_, '_>, node: &Node<'_>, errors: &mut Diagnostics) -> Option<Vec<Input>> {
    let hint = "give each edge a name: inputs = { left = \"orders\", right = { from = \"clicks\" } }";
    let DeValue::Table(entries) = node.get_ref() else {
        let message = format!("inputs of {} is no table of edges", table.place());
        errors.push(Diagnostic::new(message).at(Some(node.span().into())).hint(hint));
        return None;
    };
    if entries.is_empty() {
        errors.push(
            Diagnostic::new(format!("inputs of {} is empty", table.place())).at(Some(node.span().into())).hint(hint),
        );
        return None;
    }
    let inner = Table::new(entries, node.span().into(), format!("inputs of {}", table.place()));
    let edges = inner.entries();
    let count = edges.len();
    // A table with the keys of one edge is that edge, under the wrong key.
    if let Some((from, _)) = edges.iter().find(|(name, _)| name.value == "from") {
        let message = format!("inputs of {} has no name for its edge", table.place());
        errors.push(Diagnostic::new(message).on(from).hint(format!("an edge without a name is {EXAMPLE}")));
        return None;
    }
    let read: Vec<Input> = edges
        .into_iter()
        .filter_map(|(name, node)| {
            let read = edge(&name.value, &inner, node, errors)?;
            Some(Input { name: Some(name), ..read })
        })
        .collect();
    (read.len() == count).then_some(read)
}

/// An edge: the name of an output, or a table.
fn edge(key: &str, table: &Table<'_, '_>, node: &Node<'_>, errors: &mut Diagnostics) -> Option<Input> {
    let entries = match node.get_ref() {
        DeValue::String(_) => return table.string_of(key, node, errors).map(Input::from),
        DeValue::Table(entries) => entries,
        _ => return table.wrong_type(key, "a name, or a table with from", node, errors),
    };
    let mut inner = Table::new(entries, node.span().into(), format!("{key} of {}", table.place()));
    let before = errors.len();
    let from = inner.string("from", errors);
    if inner.key_span("from").is_none() {
        inner.missing("from", &format!("name the output that it reads: {EXAMPLE}"), errors);
    }
    let hint = "name the fields that the stage gets: fields = [\"sensor\"]";
    let fields = ChosenFields::read(&mut inner, hint, errors);
    let key = input_key(&mut inner, errors);
    inner.finish(errors);
    (errors.len() == before).then_some(Input { name: None, from: from?, fields, key })
}

fn input_key(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<InputKey> {
    let (key, null_key) = (table.node("key"), table.string("null_key", errors));
    let Some(node) = key else {
        if null_key.is_some() {
            let message = format!("{} has null_key and no key", table.place());
            let hint = "null_key stands for a field of the key that has no value: add key = \"…\"";
            errors.push(Diagnostic::new(message).at(table.key_span("null_key")).hint(hint));
        }
        return None;
    };
    let (fields, composite) = match node.get_ref() {
        DeValue::String(_) => (vec![table.string_of("key", node, errors)?], false),
        DeValue::Array(items) if items.is_empty() => {
            empty("key", table.place(), node, "name the fields of the key: key = [\"region\", \"sensor\"]", errors);
            return None;
        }
        DeValue::Array(items) => (items.iter().filter_map(|item| table.string_of("key", item, errors)).collect(), true),
        _ => return table.wrong_type("key", "a field or a list of fields", node, errors),
    };
    Some(InputKey { fields, composite, null_key })
}

fn empty(key: &str, place: &str, node: &Node<'_>, hint: &str, errors: &mut Diagnostics) {
    let span: Span = node.span().into();
    let message = format!("{key} of {place} is an empty list");
    errors.push(Diagnostic::new(message).at(Some(span)).hint(hint));
}
