use std::collections::HashSet;

use sage_batch::fields::FieldType;

use super::demand::{Takes, Wanted};
use super::graph::Graph;
use super::mismatch::Mismatch;
use crate::config::{ChosenFields, Diagnostic, Diagnostics, Span, closest};

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
    pub(super) fn missing(&mut self, name: &str, wanted: &Wanted<'_>, giver: usize, names: &[&str]) {
        let reader = if wanted.by_input {
            format!("{} names", self.input(wanted.wire))
        } else {
            format!("{} reads", self.graph.reader(wanted.wire))
        };
        let message = format!("{reader} field `{name}`, but {} gives {}", self.graph.place(giver), listed(names));
        let error = Diagnostic::new(message).at(self.span(wanted));
        let meant = if self.list.is_full() { None } else { closest(name, names.iter().copied()) };
        self.list.push(match meant {
            Some(meant) => {
                error.label(self.graph.schema_span(giver, meant, None), "").hint(format!("did you mean \"{meant}\"?"))
            }
            None => error,
        });
    }

    /// A field that a reader reads, and that the input of `wire` does not choose.
    pub(super) fn not_chosen(&mut self, reader: &Wanted<'_>, name: &str, wire: usize, fields: &ChosenFields) {
        let names: Vec<&str> = fields.list.iter().map(|item| item.value.name.as_str()).collect();
        let who = self.graph.reader(reader.wire);
        let message = format!("{who} reads field `{name}`, but {} has {}", self.input(wire), listed(&names));
        let error = Diagnostic::new(message).at(fields.span);
        let has_place = reader.span.is_some() || reader.wire != wire;
        let error = if has_place { error.at(self.span(reader)) } else { error };
        let hint = match fields.list.iter().find(|item| item.value.field == name) {
            Some(item) => format!("the input calls it `{}`", item.value.name),
            None => match closest(name, names.iter().copied()).filter(|_| !self.list.is_full()) {
                Some(meant) => format!("rename it: \"{meant} as {name}\", or add the field to fields"),
                None => "add it to fields".to_owned(),
            },
        };
        self.list.push(error.hint(hint));
    }

    /// A field of a key with a type that is none.
    fn no_key(&mut self, wanted: &Wanted<'_>, field: &FieldType, giver: usize) {
        let (name, data_type) = (&field.name, &field.data_type);
        let message = format!(
            "key of {} is made from field `{name}`, but {} gives it as {data_type}",
            self.input(wanted.wire),
            self.graph.place(giver)
        );
        let error = Diagnostic::new(message).at(wanted.span);
        let error = error.label(self.graph.schema_span(giver, name, None), "its type");
        self.list.push(error.hint("a key is a text, bytes, an integer, a bool, a timestamp, a date or a decimal"));
    }

    /// An input in messages.
    fn input(&self, wire: usize) -> String {
        let name = self.graph.input(wire).map_or("", |input| input.called().value.as_str());
        format!("input \"{name}\" of {}", self.graph.reader(wire))
    }

    /// The place where a reader names its field, or its input.
    fn span(&self, wanted: &Wanted<'_>) -> Option<Span> {
        wanted.span.or_else(|| self.graph.input_span(wanted.wire))
    }

    /// Compares a field as a reader names it with the field that `giver` gives.
    pub(super) fn compare(&mut self, wanted: &Wanted<'_>, given: &FieldType, giver: usize) {
        let wanted_field = match wanted.takes {
            Takes::Any => return,
            Takes::Key if given.data_type.can_be_key() => return,
            Takes::Key => return self.no_key(wanted, given, giver),
            Takes::Type(field) => field,
        };
        let (name, reader) = (&given.name, self.graph.reader(wanted.wire));
        let giver_place = self.graph.place(giver);
        // The path begins with the name that the reader uses, which an input may have given to the field.
        let called = |path: &str| {
            let given = format!("{name}{}", path.strip_prefix(wanted.name).unwrap_or_default());
            if given == path { format!("`{path}`") } else { format!("`{given}` as `{path}`,") }
        };
        let declared = |member: Option<&str>| self.graph.schema_span(giver, name, member);
        let (message, place, label, hint) = match Mismatch::between(wanted_field, given) {
            None => return,
            Some(Mismatch::Type { path, member, read, given }) => {
                let hint = if read.widens_to(given) && !read.is_nested() {
                    format!("{given} has values that {read} has not")
                } else {
                    "the host converts to a wider type of the same kind only; a map operator can convert more"
                        .to_owned()
                };
                let message =
                    format!("{reader} reads field {} as {read}, but {giver_place} gives it as {given}", called(&path));
                (message, declared(member), "its type", Some(hint))
            }
            Some(Mismatch::Null { path, member }) => {
                let message = format!(
                    "{reader} takes no null in field {}, but {giver_place} gives it with null",
                    called(&path).trim_end_matches(',')
                );
                let hint = "let the operator read it as nullable, or replace null before it".to_owned();
                (message, declared(member), "its type", Some(hint))
            }
            Some(Mismatch::Member { name: member, known }) => {
                let listed = listed(&known);
                let message =
                    format!("{reader} reads field `{name}.{member}`, but {giver_place} gives `{name}` with {listed}");
                let meant = if self.list.is_full() { None } else { closest(member, known) };
                let hint = meant.map(|meant| format!("did you mean \"{meant}\"?"));
                (message, declared(meant), "", hint)
            }
            Some(Mismatch::Unread { name: member }) => {
                let message =
                    format!("{reader} reads field `{name}` without its member `{member}`, which {giver_place} gives");
                let hint = "a struct is read as a whole: name the member in the operator's record, or leave it out of the \
                            schema";
                (message, declared(Some(member)), "not read", Some(hint.to_owned()))
            }
        };
        let error = Diagnostic::new(message).at(self.graph.input_span(wanted.wire)).label(place, label);
        self.list.push(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
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
    pub(super) fn disagree(&mut self, one: (&Wanted<'_>, &FieldType), other: (&Wanted<'_>, &FieldType), giver: usize) {
        let ((first, one), (second, other)) = if one.0.wire <= other.0.wire { (one, other) } else { (other, one) };
        let name = first.name;
        if !self.disagreements.insert((first.wire, second.wire, name.to_owned())) {
            return;
        }
        let message = format!(
            "{} reads field `{name}` as {}, and {} reads it as {}",
            self.graph.reader(first.wire),
            one.data_type,
            self.graph.reader(second.wire),
            other.data_type
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
