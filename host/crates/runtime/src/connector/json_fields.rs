use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use sage_plan::FieldPath;

/// Finds fields in JSON values. Each value is parsed once, as a whole; fields that are not needed are skipped.
///
/// If an object has a name twice, the last value counts, as in most parsers.
pub(super) struct JsonFields {
    wanted: Node,
    slots: Vec<Slot>,
}

/// The value at a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// No value is there.
    Missing,
    Null,
    /// A string, or a number or boolean as it is written.
    Text(Cow<'a, str>),
    /// A value that is no text, with a description.
    Other(&'static str),
}

impl<'a> Value<'a> {
    /// The text, or the reason why there is none.
    pub(super) fn text(self) -> Result<Cow<'a, str>, &'static str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Missing => Err("is not there"),
            Self::Null => Err("is null"),
            Self::Other(what) => Err(what),
        }
    }
}

/// The value of one path, in a buffer that is reused.
#[derive(Debug, Default)]
struct Slot {
    found: Found,
    text: String,
}

#[derive(Debug, Default, Clone, Copy)]
enum Found {
    #[default]
    Missing,
    Null,
    Text,
    Other(&'static str),
}

/// A node in the tree of the needed paths.
#[derive(Debug, Default)]
struct Node {
    /// Slots of the paths that end here.
    slots: Vec<usize>,
    below: Vec<(String, Node)>,
}

impl JsonFields {
    /// Prepares to find the values at these paths.
    pub(super) fn new<'p>(paths: impl Iterator<Item = &'p FieldPath>) -> Self {
        let mut wanted = Node::default();
        let mut count = 0;
        for path in paths {
            let mut node = &mut wanted;
            for part in path.parts() {
                node = node.child(part);
            }
            node.slots.push(count);
            count += 1;
        }
        Self { wanted, slots: std::iter::repeat_with(Slot::default).take(count).collect() }
    }

    /// Reads a value; all of it must be valid JSON.
    pub(super) fn read(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        self.slots.iter_mut().for_each(|slot| slot.found = Found::Missing);
        let mut parser = serde_json::Deserializer::from_slice(json);
        Walk { node: &self.wanted, slots: &mut self.slots }.deserialize(&mut parser)?;
        parser.end()
    }

    /// The value at path number `slot`, from 0.
    pub(super) fn value(&self, slot: usize) -> Value<'_> {
        match self.slots.get(slot) {
            Some(Slot { found: Found::Text, text }) => Value::Text(Cow::Borrowed(text)),
            Some(Slot { found: Found::Null, .. }) => Value::Null,
            Some(Slot { found: Found::Other(what), .. }) => Value::Other(what),
            Some(Slot { found: Found::Missing, .. }) | None => Value::Missing,
        }
    }
}

impl Node {
    fn child(&mut self, name: &str) -> &mut Self {
        let at = self.below.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
            self.below.push((name.to_owned(), Self::default()));
            self.below.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed just now")]
        &mut self.below[at].1
    }

    fn get(&self, name: &str) -> Option<&Self> {
        self.below.iter().find(|(other, _)| other == name).map(|(_, node)| node)
    }

    /// Marks every path at or below this node as missing.
    fn forget(&self, slots: &mut [Slot]) {
        self.set(slots, Found::Missing);
        self.below.iter().for_each(|(_, node)| node.forget(slots));
    }

    fn set(&self, slots: &mut [Slot], found: Found) {
        for &number in &self.slots {
            if let Some(slot) = slots.get_mut(number) {
                slot.found = found;
            }
        }
    }
}

/// Reads one value into the slots of its node.
struct Walk<'n, 's> {
    node: &'n Node,
    slots: &'s mut [Slot],
}

impl Walk<'_, '_> {
    fn text(self, text: &dyn fmt::Display) {
        for &number in &self.node.slots {
            if let Some(slot) = self.slots.get_mut(number) {
                slot.found = Found::Text;
                slot.text.clear();
                // Writing to a string cannot fail.
                let _ = write!(slot.text, "{text}");
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text(&text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.text(&value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.text(&value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.text(&value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        /// From this value on, two whole numbers may have the same float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.abs() < EXACT {
            self.text(&value);
        } else {
            self.node.set(self.slots, Found::Other("is a number too large to be exact; write it as text"));
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.node.set(self.slots, Found::Null);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.node.set(self.slots, Found::Other("is an object"));
        while let Some(child) = map.next_key_seed(Name(self.node))? {
            match child {
                Some(node) => {
                    node.forget(self.slots);
                    map.next_value_seed(Walk { node, slots: self.slots })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.node.set(self.slots, Found::Other("is a list"));
        for number in 0usize.. {
            // The index becomes text only if a path needs one, because lists are long.
            let child = if self.node.below.is_empty() { None } else { self.node.get(&number.to_string()) };
            let more = match child {
                Some(node) => list.next_element_seed(Walk { node, slots: self.slots })?.is_some(),
                None => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// Reads a name of an object, and returns the child node that it leads to.
struct Name<'n>(&'n Node);

impl<'de, 'n> DeserializeSeed<'de> for Name<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Name<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(json: &str, path: &str) -> String {
        let path = FieldPath::parse(path).unwrap();
        let mut fields = JsonFields::new([&path].into_iter());
        fields.read(json.as_bytes()).unwrap();
        format!("{:?}", fields.value(0))
    }

    #[test]
    fn a_path_finds_what_serde_json_finds_and_the_last_of_two() {
        let cases = [
            (r#"{"a":1}"#, "a", Value::Text("1".into())),
            (r#"{"a":-7}"#, "/a", Value::Text("-7".into())),
            (r#"{"a":0.25}"#, "a", Value::Text("0.25".into())),
            (r#"{"a":{"b":[0,{"c":"\"x\""}]}}"#, "/a/b/1/c", Value::Text("\"x\"".into())),
            (r#"{"a.b":true}"#, "a.b", Value::Text("true".into())),
            (r#"{"a":1,"a":2}"#, "a", Value::Text("2".into())),
            (r#"{"a":{"b":1},"a":2}"#, "/a/b", Value::Missing),
            (r#"{"a":18446744073709551615}"#, "a", Value::Text("18446744073709551615".into())),
            ("[1]", "/0", Value::Text("1".into())),
            ("1", "a", Value::Missing),
            (r#"{"\u0061":null}"#, "a", Value::Null),
        ];
        for (json, path, expected) in cases {
            assert_eq!(find(json, path), format!("{expected:?}"), "{path} of {json}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_they_are_read_or_refused(
            json in prop::collection::vec(prop::sample::select(b"{}[]\",:01ae\\u \xff".to_vec()), 0..40)
        ) {
            let path = FieldPath::parse("/a/0").unwrap();
            let read = JsonFields::new([&path].into_iter()).read(&json).is_ok();
            prop_assert_eq!(read, serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        }
    }
}
