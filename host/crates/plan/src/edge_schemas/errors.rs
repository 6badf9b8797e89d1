use std::collections::HashSet;

use sage_batch::fields::FieldType;

use super::demand::Wanted;
use super::graph::Graph;
use crate::config::{Diagnostic, Diagnostics, closest};

/// Number of field names in a message.
const MOST_NAMES: usize = 16;

/// The errors about fields, with the graph that they are about.
pub(super) struct Errors<'a, 'e> {
    graph: &'e Graph<'a>,
    list: &'e mut Diagnostics,
    /// Pairs of wires whose readers disagree on a field; each is reported once.
    disagreements: HashSet<(usize, usize, String)>,
}

impl<'a, 'e> Errors<'a, 'e> {
    pub(super) fn new(graph: &'e Graph<'a>, list: &'e mut Diagnostics) -> Self {
        Self { graph, list, disagreements: HashSet::new() }
    }

    /// A field that `giver` does not give; `names` are the fields that it gives.
    pub(super) fn missing(&mut self, wanted: &Wanted<'_>, giver: usize, names: &[&str]) {
        let name = &wanted.field.name;
        let (reader, giver_place) = (self.graph.reader(wanted.wire), self.graph.place(giver));
        let message = format!("{reader} reads field `{name}`, but {giver_place} gives {}", listed(names));
        let error = Diagnostic::new(message).at(self.graph.input_span(wanted.wire));
        let meant = if self.list.is_full() { None } else { closest(name, names.iter().copied()) };
        self.list.push(match meant {
            Some(meant) => {
                error.label(self.graph.schema_span(giver, meant), "").hint(format!("did you mean \"{meant}\"?"))
            }
            None => error,
        });
    }

    /// Compares a field as a reader names it with the field that `giver` gives.
    pub(super) fn compare(&mut self, wanted: &Wanted<'_>, given: &FieldType, giver: usize) {
        let (name, reader) = (&given.name, self.graph.reader(wanted.wire));
        let (giver_place, declared) = (self.graph.place(giver), self.graph.schema_span(giver, name));
        let (read_type, given_type) = (wanted.field.data_type, given.data_type);
        let (message, hint) = if !given_type.widens_to(read_type) {
            (
                format!("{reader} reads field `{name}` as {read_type}, but {giver_place} gives it as {given_type}"),
                if read_type.widens_to(given_type) {
                    format!("{given_type} has values that {read_type} has not")
                } else {
                    "the host converts to a wider type of the same kind only; a map operator can convert more"
                        .to_owned()
                },
            )
        } else if given.nullable && !wanted.field.nullable {
            (
                format!("{reader} takes no null in field `{name}`, but {giver_place} gives it with null"),
                "let the operator read it as nullable, or replace null before it".to_owned(),
            )
        } else {
            return;
        };
        let error = Diagnostic::new(message).at(self.graph.input_span(wanted.wire));
        self.list.push(error.label(declared, "its type").hint(hint));
    }

    /// An operator that keeps the other fields of its records, where the records are text and nothing names the fields
    /// that are to be kept.
    pub(super) fn unnamed(&mut self, wire: usize, giver: usize) {
        let (keeper, giver_place) = (self.graph.reader(wire), self.graph.place(giver));
        let message = format!("{keeper} keeps the other fields of its records, but {giver_place} does not name them");
        let hint = "schema = { … } at the source names them, and `sage-host infer FILE` proposes one; or let the operator \
                    give every field that is to stay";
        self.list.push(Diagnostic::new(message).at(self.graph.input_span(wire)).hint(hint));
    }

    /// Two readers of the text of `giver` that name different types.
    pub(super) fn disagree(&mut self, one: &Wanted<'_>, other: &Wanted<'_>, giver: usize) {
        let (first, second) = if one.wire <= other.wire { (one, other) } else { (other, one) };
        let name = &first.field.name;
        if !self.disagreements.insert((first.wire, second.wire, name.clone())) {
            return;
        }
        let message = format!(
            "{} reads field `{name}` as {}, and {} reads it as {}",
            self.graph.reader(first.wire),
            first.field.data_type,
            self.graph.reader(second.wire),
            second.field.data_type
        );
        let error = Diagnostic::new(message).at(self.graph.input_span(first.wire));
        let error = error.at(self.graph.input_span(second.wire));
        self.list
            .push(error.hint(format!("both read records of {}, where a field has one type", self.graph.place(giver))));
    }

    /// A reader of fields behind a source with records that have none.
    pub(super) fn no_fields(&mut self, wire: usize, giver: usize, hint: &str) {
        let (reader, giver) = (self.graph.reader(wire), self.graph.place(giver));
        let message = format!("{reader} reads fields, but a record of {giver} has none");
        self.list.push(Diagnostic::new(message).at(self.graph.input_span(wire)).hint(hint));
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "no field".to_owned();
    }
    let shown: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", shown.join(", "))
}
