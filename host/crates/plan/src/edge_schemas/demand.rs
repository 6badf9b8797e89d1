use std::collections::{BTreeMap, BTreeSet};

use sage_batch::fields::FieldType;

/// Fields that are read from an output, by the stages behind it.
#[derive(Debug, Clone, Default)]
pub(super) struct Demand<'a> {
    /// Whether a stage reads the whole record.
    pub(super) all: bool,
    /// The wire of an operator that keeps the fields it does not give, where a stage behind it reads the whole record.
    pub(super) kept: Option<usize>,
    /// The wire on which the nearest reader of columns reads. `None` if there is none.
    pub(super) columns: Option<usize>,
    /// Fields that a stage reads as whatever type they have, each with the wires whose inputs choose it.
    pub(super) chosen: BTreeMap<&'a str, BTreeSet<usize>>,
    /// Fields of which the host makes keys, each with the wires whose inputs name it.
    pub(super) keyed: BTreeMap<&'a str, BTreeSet<usize>>,
    /// Readers of each field, by its name.
    pub(super) fields: BTreeMap<&'a str, Vec<Wanted<'a>>>,
}

/// A field as a reader names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) field: &'a FieldType,
    /// The wire on which the reader receives its records.
    pub(super) wire: usize,
}

/// Number of readers of one field that are kept for messages. A reader with a new type is always kept, so no
/// disagreement is lost.
const MOST_READERS: usize = 16;

impl<'a> Demand<'a> {
    /// Adds a field that is read on `wire`.
    pub(super) fn want(&mut self, field: &'a FieldType, wire: usize) {
        self.want_as(&field.name, Wanted { field, wire });
    }

    /// Adds a reader of a field that has another name here.
    pub(super) fn want_as(&mut self, name: &'a str, reader: Wanted<'a>) {
        add(self.fields.entry(name).or_default(), reader);
    }

    /// Whether the field is read.
    pub(super) fn reads(&self, name: &str) -> bool {
        self.all || self.fields.contains_key(name) || self.chosen.contains_key(name) || self.keyed.contains_key(name)
    }

    /// The names of all fields that are read, in alphabetical order.
    pub(super) fn names(&self) -> Vec<String> {
        let names: BTreeSet<&str> =
            self.fields.keys().chain(self.chosen.keys()).chain(self.keyed.keys()).copied().collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Adds everything that `other` reads, apart from the fields for which `skip` is true.
    pub(super) fn add(&mut self, other: &Self, skip: impl Fn(&str) -> bool) {
        self.all |= other.all;
        self.kept = self.kept.or(other.kept);
        self.columns = self.columns.or(other.columns);
        for (own, others) in [(&mut self.chosen, &other.chosen), (&mut self.keyed, &other.keyed)] {
            for (&name, wires) in others.iter().filter(|(name, _)| !skip(name)) {
                note(own, name, wires.iter().copied());
            }
        }
        for (&name, readers) in other.fields.iter().filter(|(name, _)| !skip(name)) {
            let kept = self.fields.entry(name).or_default();
            readers.iter().for_each(|&reader| add(kept, reader));
        }
    }
}

/// Adds wires on which a field is chosen, or is part of a key.
pub(super) fn note<'a>(
    noted: &mut BTreeMap<&'a str, BTreeSet<usize>>,
    name: &'a str,
    wires: impl IntoIterator<Item = usize>,
) {
    let kept = noted.entry(name).or_default();
    for wire in wires {
        if kept.len() < MOST_READERS {
            kept.insert(wire);
        }
    }
}

fn add<'a>(kept: &mut Vec<Wanted<'a>>, reader: Wanted<'a>) {
    let same_type = |other: &Wanted<'a>| {
        (&other.field.data_type, other.field.nullable) == (&reader.field.data_type, reader.field.nullable)
    };
    let known = kept.iter().any(|other| other.wire == reader.wire && same_type(other));
    if !known && (kept.len() < MOST_READERS || !kept.iter().any(same_type)) {
        kept.push(reader);
    }
}

#[cfg(test)]
mod tests {
    use sage_batch::fields::DataType;

    use super::*;

    fn field(name: &str, data_type: DataType, nullable: bool) -> FieldType {
        FieldType { name: name.to_owned(), data_type, nullable, docs: String::new() }
    }

    #[test]
    fn the_readers_of_a_field_are_bounded_and_no_type_is_lost() {
        let (byte, text, null) =
            (field("a", DataType::U8, false), field("a", DataType::String, false), field("a", DataType::U8, true));
        let mut demand = Demand::default();
        (0..100).for_each(|wire| demand.want(&byte, wire));
        demand.want(&text, 100);
        demand.want(&null, 101);
        (0..100).for_each(|wire| demand.want(&byte, wire));
        let wires: Vec<usize> = demand.fields["a"].iter().map(|reader| reader.wire).collect();
        assert_eq!(wires, (0..MOST_READERS).chain([100, 101]).collect::<Vec<_>>());
    }

    #[test]
    fn a_demand_is_added_without_the_fields_that_a_stage_gives() {
        let (one, two) = (field("a", DataType::U8, false), field("b", DataType::U8, false));
        let mut behind = Demand { all: true, columns: Some(7), ..Demand::default() };
        behind.want(&one, 7);
        behind.want(&two, 7);
        let mut demand = Demand { columns: Some(3), ..Demand::default() };
        demand.add(&behind, |name| name == "a");
        assert!(demand.all && demand.columns == Some(3), "the nearest reader is kept");
        assert_eq!(demand.fields.keys().copied().collect::<Vec<_>>(), ["b"]);
    }
}
