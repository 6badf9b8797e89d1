use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::plan::FieldPath;

/// Finds some fields of JSON values: each value is parsed once, whole, and what nobody asked for is passed over.
///
/// Of a name that an object has twice the last one counts, as in most parsers.
pub(super) struct JsonFields {
    wanted: Node,
    values: Vec<Value<'static>>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// Nothing.
    Missing,
    Null,
    /// A string, or a number or truth value as it is written.
    Text(Cow<'a, str>),
    /// Something that is no text, in words.
    Other(&'static str),
}

impl Value<'_> {
    pub(super) fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Missing => Value::Missing,
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Other(what) => Value::Other(what),
        }
    }
}

impl<'a> Value<'a> {
    /// The text, or why there is none.
    pub(super) fn text(self) -> Result<Cow<'a, str>, &'static str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Missing => Err("is not there"),
            Self::Null => Err("is null"),
            Self::Other(what) => Err(what),
        }
    }
}

/// A part of the paths that are wanted.
#[derive(Debug, Default)]
struct Node {
    /// The values that end here.
    slots: Vec<usize>,
    below: Vec<(String, Node)>,
}

impl JsonFields {
    /// Finds what stands at these paths.
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
        Self { wanted, values: vec![Value::Missing; count] }
    }

    /// Reads a value; everything in it must be JSON.
    pub(super) fn read(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        self.values.fill(Value::Missing);
        let mut parser = serde_json::Deserializer::from_slice(json);
        Walk { node: &self.wanted, values: &mut self.values }.deserialize(&mut parser)?;
        parser.end()
    }

    /// What was found, in the order of the paths.
    pub(super) fn values(&self) -> &[Value<'static>] {
        &self.values
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

    /// Nothing was found at or below it.
    fn forget(&self, values: &mut [Value<'static>]) {
        self.set(values, &Value::Missing);
        self.below.iter().for_each(|(_, node)| node.forget(values));
    }

    fn set(&self, values: &mut [Value<'static>], value: &Value<'static>) {
        for &slot in &self.slots {
            if let Some(place) = values.get_mut(slot) {
                place.clone_from(value);
            }
        }
    }
}

/// Reads one value into the slots of its node.
struct Walk<'n, 'v> {
    node: &'n Node,
    values: &'v mut [Value<'static>],
}

impl Walk<'_, '_> {
    fn text(self, text: impl Into<String>) {
        if !self.node.slots.is_empty() {
            self.node.set(self.values, &Value::Text(Cow::Owned(text.into())));
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
        self.text(text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.text(value.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.text(value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.text(value.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        /// Beyond it two whole numbers may be one.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.abs() < EXACT {
            self.text(value.to_string());
        } else {
            self.node.set(self.values, &Value::Other("is a number too large to be exact; write it as text"));
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.node.set(self.values, &Value::Null);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.node.set(self.values, &Value::Other("is an object"));
        while let Some(child) = map.next_key_seed(Name(self.node))? {
            match child {
                Some(node) => {
                    node.forget(self.values);
                    map.next_value_seed(Walk { node, values: self.values })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.node.set(self.values, &Value::Other("is a list"));
        for number in 0usize.. {
            // A number only where somebody asks for one: lists are long.
            let child = if self.node.below.is_empty() { None } else { self.node.get(&number.to_string()) };
            let more = match child {
                Some(node) => list.next_element_seed(Walk { node, values: self.values })?.is_some(),
                None => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// Reads an object's name: the node below that it leads to.
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

    fn find(json: &str, path: &str) -> Value<'static> {
        let path = FieldPath::parse(path).unwrap();
        let mut fields = JsonFields::new([&path].into_iter());
        fields.read(json.as_bytes()).unwrap();
        fields.values()[0].clone()
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
            assert_eq!(find(json, path), expected, "{path} of {json}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_they_are_read_or_refused(json in prop::collection::vec(prop::sample::select(b"{}[]\",:01ae\\u \xff".to_vec()), 0..40)) {
            let path = FieldPath::parse("/a/0").unwrap();
            let read = JsonFields::new([&path].into_iter()).read(&json).is_ok();
            prop_assert_eq!(read, serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        }
    }
}
