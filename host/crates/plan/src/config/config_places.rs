use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::Span;
use super::table::Node;

/// The places of the keys and values of an operator's `config`, by JSON pointer. Empty for a pipeline that was
/// built from Rust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigPlaces(BTreeMap<String, Place>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The place of the key. `None` for an item of a list, and for `config` as a whole.
    key: Option<Span>,
    value: Span,
}

impl ConfigPlaces {
    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut places = BTreeMap::new();
        note(String::new(), None, node, &mut places);
        Self(places)
    }

    /// The place of the key that leads to the value at `pointer`; the place of the value itself if it has no
    /// key.
    #[must_use]
    pub fn key(&self, pointer: &str) -> Option<Span> {
        self.0.get(pointer).map(|place| place.key.unwrap_or(place.value))
    }

    /// The place of the value at `pointer`.
    #[must_use]
    pub fn value(&self, pointer: &str) -> Option<Span> {
        self.0.get(pointer).map(|place| place.value)
    }

    /// The JSON pointer of `key` in the table at `pointer`.
    #[must_use]
    pub fn below(pointer: &str, key: &str) -> String {
        format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
    }
}

fn note(pointer: String, key: Option<Span>, node: &Node<'_>, places: &mut BTreeMap<String, Place>) {
    match node.get_ref() {
        DeValue::Table(entries) => note_table(&pointer, entries, places),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                note(format!("{pointer}/{index}"), None, item, places);
            }
        }
        _ => {}
    }
    places.insert(pointer, Place { key, value: node.span().into() });
}

fn note_table(pointer: &str, entries: &DeTable<'_>, places: &mut BTreeMap<String, Place>) {
    for (key, value) in entries {
        note(ConfigPlaces::below(pointer, key.get_ref()), Some(key.span().into()), value, places);
    }
}
