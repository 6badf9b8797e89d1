use std::collections::{BTreeMap, HashMap};

use super::demand::{Demand, note};
use super::errors::Errors;
use super::flow::Flow;
use super::graph::{Graph, OutputId};
use super::output::{Output, output};
use crate::config::ChosenFields;
use crate::wiring::Wire;

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
                errors.not_given(at, (&item.value.field, item.span), wire.from, all_names);
            }
            behind_choice(fields, at, demand, known, errors)
        }
    };
    let Some(key) = &input.key else { return asked };
    for field in &key.fields {
        let chosen = input.fields.iter().flat_map(|fields| &fields.list);
        let chosen = chosen.map(|item| &item.value).find(|item| item.name == field.value);
        let name = chosen.map_or(field.value.as_str(), |item| item.field.as_str());
        if known(name) {
            asked.columns = asked.columns.or(Some(at));
            note(&mut asked.keyed, name, [at]);
        } else if input.fields.is_none() {
            errors.not_given(at, (name, field.span), wire.from, all_names);
        }
    }
    asked
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
    let mut field_of = |name: &str, readers: &mut dyn Iterator<Item = usize>| match by_name.get(name) {
        Some(&field) => Some(field).filter(|field| known(field)),
        None => {
            readers.for_each(|reader| errors.not_chosen(reader, name, at, fields));
            None
        }
    };
    for (name, readers) in &demand.fields {
        if let Some(field) = field_of(name, &mut readers.iter().map(|reader| reader.wire)) {
            readers.iter().for_each(|&reader| asked.want_as(field, reader));
        }
    }
    for (noted, own) in [(&demand.keyed, &mut asked.keyed), (&demand.chosen, &mut asked.chosen)] {
        for (&name, wires) in noted {
            if let Some(field) = field_of(name, &mut wires.iter().copied()) {
                note(own, field, wires.iter().copied());
            }
        }
    }
    for item in list().filter(|item| demand.all && known(&item.field)) {
        note(&mut asked.chosen, &item.field, [at]);
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
