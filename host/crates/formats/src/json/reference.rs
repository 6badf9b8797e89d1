//! The quick path leaves two cases to serde_json: escapes in strings, and the reason why a record is no JSON.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{FieldError, Place, Reason};

/// Appends the text of a string with its quotes, without escapes. An error is serde_json's, without its place.
#[cold]
pub(crate) fn unescape(quoted: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    struct Append<'a>(&'a mut Vec<u8>);
    impl Visitor<'_> for Append<'_> {
        type Value = ();
        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("a string")
        }
        fn visit_str<E>(self, text: &str) -> Result<(), E> {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    impl<'de> DeserializeSeed<'de> for Append<'_> {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
            from.deserialize_str(self)
        }
    }
    let mut from = serde_json::Deserializer::from_slice(quoted);
    Append(out).deserialize(&mut from).map_err(|error| Reason::Escape(reason_of(&error)))
}

/// The error for a record that is not UTF-8 or whose grammar is broken, the latter in serde_json's words.
#[cold]
pub(crate) fn syntax_error(record: &[u8]) -> FieldError {
    if let Err(error) = str::from_utf8(record) {
        let place = Some(Place::at(record, error.valid_up_to()));
        return FieldError { field: None, reason: Reason::Syntax("invalid UTF-8".to_owned()), place };
    }
    let (reason, line, column) = match serde_json::from_slice::<Object>(record) {
        Err(error) => (reason_of(&error), error.line(), error.column()),
        // Both parsers read the same grammar, so this cannot be.
        Ok(_) => ("the record is not JSON".to_owned(), 1, 1),
    };
    FieldError { field: None, reason: Reason::Syntax(reason), place: Some(Place { line, column }) }
}

/// The message without the place at its end.
fn reason_of(error: &serde_json::Error) -> String {
    let mut message = error.to_string();
    if let Some(end) = message.rfind(" at line ") {
        message.truncate(end);
    }
    message
}

/// An object of which nothing is kept.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Skip;
        impl<'de> Visitor<'de> for Skip {
            type Value = Object;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object with the fields of the record")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                while map.next_entry::<String, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }
        from.deserialize_map(Skip)
    }
}
