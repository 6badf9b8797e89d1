use std::collections::{BTreeMap, HashMap};

use super::demand::{Demand, Takes, Wanted};
use super::errors::Errors;
use super::flow::Flow;
use super::graph::{Graph, OutputId};
use super::output::{Output, output};
use crate::config::{ChosenField, ChosenFields, InputKey, Spanned};
use crate::wiring::Wire;

/// The fields on a wire, as its input chooses them.
pub(super) fn flow_on(graph: &Graph<'_>, flows: &BTreeMap<OutputId, Flow>, at: usize) -> Option<Flow> {
    let wire = graph.wires.get(at)?;
    let flow = flows.get(&(wire.from, wire.port.clone()))?;
    Some(match graph.input(at).and_then(|input| input.fields.as_ref()) {
        Some(fields) => flow.choose(fields),
        None => flow.clone(),
    })
}

/// The fields that are read on a wire, by the names that the sender gives them: the demand of the receiver, seen
/// through the `fields` of the input, and the fields of its `key`.
pub(super) fn through<'a>(
    graph: &Graph<'a>,
    named: &BTreeMap<OutputId, Flow>,
    at: usize,
    demand: &Demand<'a>,
    errors: &mut Errors<'a, '_>,
) -> Demand<'a> {
    let (Some(wire), Some(input)) = (graph.wires.get(at), graph.input(at)) else { return demand.clone() };
    if !wire.is_sound {
        // The input has an error of its own, which was reported.
        return Demand::default();
    }
    if input.fields.is_none() && input.key.is_none() {
        return demand.clone();
    }
    let names = known_names(graph, named, wire);
    let known = |name: &str| names.as_ref().is_none_or(|names| names.contains(&name));
    let all_names = names.as_deref().unwrap_or_default();
    let mut asked = match &input.fields {
        None => demand.clone(),
        Some(fields) => {
            for item in fields.list.iter().filter(|item| !known(&item.value.field)) {
                errors.missing(&item.value.field, &by_input(item, at), wire.from, all_names);
            }
            behind_choice(fields, at, demand, known, errors)
        }
    };
    for reader in input.key.iter().flat_map(|key| of_key(key, at)) {
        let chosen = input.fields.iter().flat_map(|fields| &fields.list);
        let chosen = chosen.map(|item| &item.value).find(|item| item.name == reader.name);
        let name = chosen.map_or(reader.name, |item| item.field.as_str());
        if known(name) {
            asked.columns = asked.columns.or(Some(at));
            asked.want_as(name, reader);
        } else if input.fields.is_none() {
            errors.missing(name, &reader, wire.from, all_names);
        }
    }
    asked
}

/// The fields of a key, by their names behind the input.
pub(super) fn of_key(key: &InputKey, wire: usize) -> impl Iterator<Item = Wanted<'_>> {
    let fields = key.fields.iter();
    fields.map(move |Spanned { value: name, span }| Wanted {
        name,
        takes: Takes::Key,
        wire,
        by_input: true,
        span: *span,
    })
}

/// A field that an input chooses for a reader of whole records.
fn by_input(item: &Spanned<ChosenField>, wire: usize) -> Wanted<'_> {
    Wanted { name: &item.value.field, takes: Takes::Any, wire, by_input: true, span: item.span }
}

/// The demand in front of an input that chooses `fields`.
fn behind_choice<'a>(
    fields: &'a ChosenFields,
    at: usize,
    demand: &Demand<'a>,
    known: impl Fn(&str) -> bool,
    errors: &mut Errors<'a, '_>,
) -> Demand<'a> {
    let list = || fields.list.iter().map(|item| &item.value);
    let by_name: HashMap<&str, &'a str> = list().map(|item| (item.name.as_str(), item.field.as_str())).collect();
    let mut asked = Demand { columns: Some(at), ..Demand::default() };
    for (name, readers) in &demand.fields {
        match by_name.get(name) {
            Some(&field) if known(field) => readers.iter().for_each(|&reader| asked.want_as(field, reader)),
            // It was reported that the sender has no such field.
            Some(_) => {}
            None => readers.iter().for_each(|reader| errors.not_chosen(reader, name, at, fields)),
        }
    }
    for item in fields.list.iter().filter(|item| demand.all && known(&item.value.field)) {
        asked.want_as(&item.value.field, by_input(item, at));
    }
    asked
}

/// The names of all fields of the records on a wire, where they are known.
fn known_names<'n>(graph: &Graph<'n>, named: &'n BTreeMap<OutputId, Flow>, wire: &Wire) -> Option<Vec<&'n str>> {
    let draft = graph.drafts.get(wire.from)?;
    if let Output::Text(Some(columns)) = output(draft, &wire.port) {
        return Some(columns.iter().map(String::as_str).collect());
    }
    let flow = named.get(&(wire.from, wire.port.clone())).filter(|flow| !flow.open)?;
    Some(flow.names())
}
