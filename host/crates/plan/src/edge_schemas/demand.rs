use std::collections::BTreeMap;

use sage_batch::fields::FieldType;

use crate::config::Span;

/// Fields that are read from an output, by the stages behind it.
#[derive(Debug, Clone, Default)]
pub(super) struct Demand<'a> {
    /// Whether whole records are read.
    pub(super) all: bool,
    /// The wire of an operator that keeps the other fields of its records, for a reader of whole records behind it.
    pub(super) kept: Option<usize>,
    /// The wire on which the nearest reader of columns reads. `None` if there is none.
    pub(super) columns: Option<usize>,
    /// Readers of each field, by its name here.
    pub(super) fields: BTreeMap<&'a str, Vec<Wanted<'a>>>,
}

/// A field as one reader takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Name that the reader uses.
    pub(super) name: &'a str,
    pub(super) takes: Takes<'a>,
    /// The wire on which the reader receives its records.
    pub(super) wire: usize,
    /// Whether the input of the wire names the field. Otherwise the stage does.
    pub(super) by_input: bool,
    /// Place where the pipeline file names the field. `None` if a component names it.
    pub(super) span: Option<Span>,
}

/// The values that a reader takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes<'a> {
    /// Values of the type that a component names, and null if the field is nullable.
    Type(&'a FieldType),
    /// Values of any type, and null.
    Any,
    /// Values of any type that can be a key.
    Key,
}

/// Number of readers of one field that are kept for messages. A reader with a new type is always kept, so no
/// disagreement is lost.
const MOST_READERS: usize = 16;

impl<'a> Demand<'a> {
    /// Adds a field that a component reads on `wire`.
    pub(super) fn want(&mut self, field: &'a FieldType, wire: usize) {
        let name = &field.name;
        self.want_as(name, Wanted { name, takes: Takes::Type(field), wire, by_input: false, span: None });
    }

    /// Adds a reader of a field that has this name here.
    pub(super) fn want_as(&mut self, name: &'a str, reader: Wanted<'a>) {
        add(self.fields.entry(name).or_default(), reader);
    }

    /// Whether the field is read.
    pub(super) fn reads(&self, name: &str) -> bool {
        self.all || self.fields.contains_key(name)
    }

    /// The names of all fields that are read, in alphabetical order.
    pub(super) fn names(&self) -> Vec<String> {
        self.fields.keys().map(|&name| name.to_owned()).collect()
    }

    /// Adds everything that `other` reads, apart from the fields for which `skip` is true.
    pub(super) fn add(&mut self, other: &Self, skip: impl Fn(&str) -> bool) {
        self.all |= other.all;
        self.kept = self.kept.or(other.kept);
        self.columns = self.columns.or(other.columns);
        for (&name, readers) in other.fields.iter().filter(|(name, _)| !skip(name)) {
            let kept = self.fields.entry(name).or_default();
            readers.iter().for_each(|&reader| add(kept, reader));
        }
    }
}

impl<'a> Wanted<'a> {
    /// The type that the reader names. `None` if it takes any.
    pub(super) fn field(&self) -> Option<&'a FieldType> {
        match self.takes {
            Takes::Type(field) => Some(field),
            Takes::Any | Takes::Key => None,
        }
    }
}

impl Takes<'_> {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Type(own), Self::Type(other)) => {
                (&own.data_type, own.nullable) == (&other.data_type, other.nullable)
            }
            (Self::Any, Self::Any) | (Self::Key, Self::Key) => true,
            _ => false,
        }
    }
}

fn add<'a>(kept: &mut Vec<Wanted<'a>>, reader: Wanted<'a>) {
    let same_type = |other: &Wanted<'a>| other.takes.is(&reader.takes);
    let known = kept.iter().any(|other| other.wire == reader.wire && same_type(other));
    if !known && (kept.len() < MOST_READERS || !kept.iter().any(same_type)) {
        kept.push(reader);
    }
}
