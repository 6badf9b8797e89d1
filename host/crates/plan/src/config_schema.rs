use std::fmt;

use serde_json::{Map, Value};

/// The supported part of JSON Schema, against which `config` is checked: `type`, `properties`, `required`,
/// `additionalProperties`, `items`, `enum`, `const`, `anyOf`, `oneOf`, `minimum`, `maximum`, `minLength`,
/// `maxLength`, `minItems`, `maxItems`, and `$ref` to a place in the same document. Other keywords are ignored:
/// an ignored keyword never makes a valid configuration an error.
///
/// A schema is untrusted data. Its depth and size are therefore limited, and no part of it is executed.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigSchema {
    /// Description of the value, for people.
    pub docs: Option<String>,
    /// Constraint on the value.
    pub shape: Shape,
}

/// Constraint on a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Any value.
    Any,
    /// `true` or `false`.
    Boolean,
    /// `null`.
    Null,
    /// A whole number.
    Integer(Range),
    /// A number.
    Number(Range),
    /// Text, with the smallest and the largest number of characters.
    Text(Option<u64>, Option<u64>),
    /// Any of these values.
    OneOf(Vec<Value>),
    /// A list, with the smallest and the largest number of items.
    List(Box<ConfigSchema>, Option<u64>, Option<u64>),
    /// A table.
    Table(Fields),
    /// At least one of these shapes.
    AnyOf(Vec<ConfigSchema>),
}

/// A range of numbers, both ends included.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Range {
    /// Smallest number. `None` means no lower bound.
    pub minimum: Option<f64>,
    /// Largest number. `None` means no upper bound.
    pub maximum: Option<f64>,
}

/// The keys of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields {
    /// Keys that the schema describes, in its order.
    pub known: Vec<(String, ConfigSchema)>,
    /// Keys that must be present.
    pub required: Vec<String>,
    /// Constraint on the values of all other keys. `None` forbids other keys.
    pub others: Option<Box<ConfigSchema>>,
}

/// The error for a document that is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A keyword has a value of a type that JSON Schema does not allow.
    #[error("`{word}` at {place} is not {wanted}")]
    Word {
        /// The keyword.
        word: &'static str,
        /// JSON pointer of the keyword's place.
        place: String,
        /// The type that the keyword needs.
        wanted: &'static str,
    },
    /// The schema is too deep or too large.
    #[error("it has more than {limit} {what}")]
    TooMuch {
        /// The counted thing: levels or shapes.
        what: &'static str,
        /// The largest allowed number.
        limit: usize,
    },
}

impl fmt::Display for Shape {
    /// The shape for people, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Boolean => f.write_str("true or false"),
            Self::Null => f.write_str("null"),
            Self::Integer(range) => write!(f, "whole number{range}"),
            Self::Number(range) => write!(f, "number{range}"),
            Self::Text(..) => f.write_str("string"),
            Self::OneOf(values) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                f.write_str(&values.join(" | "))
            }
            Self::List(items, ..) => write!(f, "list of {}", items.shape),
            Self::Table(_) => f.write_str("table"),
            Self::AnyOf(choices) => {
                let choices = choices.iter().filter(|choice| choice.shape != Self::Null);
                let choices: Vec<String> = choices.map(|choice| choice.shape.to_string()).collect();
                f.write_str(&choices.join(" or "))
            }
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.minimum, self.maximum) {
            (Some(minimum), Some(maximum)) => write!(f, ", {minimum} to {maximum}"),
            (Some(minimum), None) => write!(f, ", {minimum} or more"),
            (None, Some(maximum)) => write!(f, ", {maximum} or less"),
            (None, None) => Ok(()),
        }
    }
}

/// Largest depth, in levels. A schema that refers to itself exceeds it.
const DEEPEST: usize = 24;
/// Largest number of shapes. A shape counts once for each use.
const MOST_SHAPES: usize = 4096;

impl ConfigSchema {
    /// Reads a JSON Schema document.
    ///
    /// # Errors
    /// A keyword whose value has a wrong type; more than 24 levels or 4096 shapes.
    pub fn read(document: &Value) -> Result<Self, SchemaError> {
        Reader { document, shapes: 0 }.schema(document, "#", 0)
    }

    /// A schema of this shape, without a description.
    fn of(shape: Shape) -> Self {
        Self { docs: None, shape }
    }
}

struct Reader<'a> {
    document: &'a Value,
    shapes: usize,
}

impl<'a> Reader<'a> {
    fn schema(&mut self, value: &'a Value, place: &str, depth: usize) -> Result<ConfigSchema, SchemaError> {
        self.shapes += 1;
        if depth > DEEPEST {
            return Err(SchemaError::TooMuch { what: "levels", limit: DEEPEST });
        }
        if self.shapes > MOST_SHAPES {
            return Err(SchemaError::TooMuch { what: "shapes", limit: MOST_SHAPES });
        }
        let words = match value {
            Value::Bool(true) => return Ok(ConfigSchema::of(Shape::Any)),
            // The schema `false` accepts no value.
            Value::Bool(false) => return Ok(ConfigSchema::of(Shape::OneOf(Vec::new()))),
            Value::Object(words) => words,
            _ => return Err(wrong("schema", place, "an object")),
        };
        let docs = words.get("description").and_then(Value::as_str).map(str::to_owned);
        if let Some(reference) = words.get("$ref") {
            let target = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
            let Some(target) = target.and_then(|pointer| self.document.pointer(pointer)) else {
                return Err(wrong("$ref", place, "a place in the same document, such as \"#/$defs/Name\""));
            };
            let found = self.schema(target, place, depth + 1)?;
            return Ok(ConfigSchema { docs: docs.or(found.docs), shape: found.shape });
        }
        let shape = self.shape(words, place, depth)?;
        Ok(ConfigSchema { docs, shape })
    }

    fn shape(&mut self, words: &'a Map<String, Value>, place: &str, depth: usize) -> Result<Shape, SchemaError> {
        if let Some(value) = words.get("const") {
            return Ok(Shape::OneOf(vec![value.clone()]));
        }
        if let Some(values) = words.get("enum") {
            let values = values.as_array().ok_or_else(|| wrong("enum", place, "a list"))?;
            return Ok(Shape::OneOf(values.clone()));
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(choices) = words.get(word) {
                let choices = choices.as_array().ok_or_else(|| wrong(word, place, "a list"))?;
                let choices = choices
                    .iter()
                    .enumerate()
                    .map(|(index, choice)| self.schema(choice, &format!("{place}/{word}/{index}"), depth + 1));
                return Ok(Shape::AnyOf(choices.collect::<Result<_, _>>()?));
            }
        }
        match words.get("type") {
            None if words.contains_key("properties") => self.of_type("object", words, place, depth),
            None => Ok(Shape::Any),
            Some(Value::String(name)) => self.of_type(name, words, place, depth),
            Some(Value::Array(names)) => {
                let choices = names.iter().map(|name| {
                    let name = name.as_str().ok_or_else(|| wrong("type", place, "a word or a list of words"))?;
                    self.of_type(name, words, place, depth + 1).map(ConfigSchema::of)
                });
                Ok(Shape::AnyOf(choices.collect::<Result<_, _>>()?))
            }
            Some(_) => Err(wrong("type", place, "a word or a list of words")),
        }
    }

    fn of_type(
        &mut self,
        name: &str,
        words: &'a Map<String, Value>,
        place: &str,
        depth: usize,
    ) -> Result<Shape, SchemaError> {
        let number = |word: &'static str| match words.get(word) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| wrong(word, place, "a number")),
        };
        let count = |word: &'static str| match words.get(word) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(word, place, "a whole number")),
        };
        let range = || Ok(Range { minimum: number("minimum")?, maximum: number("maximum")? });
        Ok(match name {
            "boolean" => Shape::Boolean,
            "null" => Shape::Null,
            "integer" => Shape::Integer(range()?),
            "number" => Shape::Number(range()?),
            "string" => Shape::Text(count("minLength")?, count("maxLength")?),
            "array" => {
                let items = match words.get("items") {
                    Some(items) => self.schema(items, &format!("{place}/items"), depth + 1)?,
                    None => ConfigSchema::of(Shape::Any),
                };
                Shape::List(Box::new(items), count("minItems")?, count("maxItems")?)
            }
            "object" => Shape::Table(self.fields(words, place, depth)?),
            _ => return Err(wrong("type", place, "a type of JSON")),
        })
    }

    fn fields(&mut self, words: &'a Map<String, Value>, place: &str, depth: usize) -> Result<Fields, SchemaError> {
        let mut known = Vec::new();
        if let Some(properties) = words.get("properties") {
            let properties = properties.as_object().ok_or_else(|| wrong("properties", place, "an object"))?;
            for (name, schema) in properties {
                let schema = self.schema(schema, &format!("{place}/properties/{name}"), depth + 1)?;
                known.push((name.clone(), schema));
            }
        }
        let not_names = || wrong("required", place, "a list of names");
        let required = match words.get("required") {
            None => Vec::new(),
            Some(names) => {
                let names = names.as_array().ok_or_else(not_names)?.iter();
                names.map(|name| name.as_str().map(str::to_owned).ok_or_else(not_names)).collect::<Result<_, _>>()?
            }
        };
        let others = match words.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            None | Some(Value::Bool(true)) => Some(Box::new(ConfigSchema::of(Shape::Any))),
            Some(schema) => Some(Box::new(self.schema(schema, &format!("{place}/additionalProperties"), depth + 1)?)),
        };
        Ok(Fields { known, required, others })
    }
}

fn wrong(word: &'static str, place: &str, wanted: &'static str) -> SchemaError {
    SchemaError::Word { word, place: place.to_owned(), wanted }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_as_pydantic_and_schemars_write_them_are_read() {
        let document = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Settings",
            "type": "object",
            "properties": {
                "unit": { "$ref": "#/$defs/Unit", "description": "of what comes", "default": "c" },
                "limit": { "type": ["number", "null"], "format": "double" }
            },
            "required": ["unit"],
            "$defs": { "Unit": { "type": "string", "enum": ["c", "f"] } }
        });
        let Shape::Table(fields) = ConfigSchema::read(&document).unwrap().shape else { panic!("no table") };
        let (name, unit) = &fields.known[0];
        assert_eq!((name.as_str(), unit.docs.as_deref()), ("unit", Some("of what comes")));
        assert_eq!(unit.shape, Shape::OneOf(vec![json!("c"), json!("f")]));
        assert!(matches!(&fields.known[1].1.shape, Shape::AnyOf(choices) if choices.len() == 2));
        assert!(fields.others.is_some());
    }

    #[test]
    fn what_is_no_schema_is_refused_with_the_place() {
        let deep = (0..100).fold(json!({}), |inner, _| json!({ "type": "array", "items": inner }));
        let wide: Map<String, Value> = (0..5000).map(|n| (n.to_string(), json!({}))).collect();
        let cases = [
            (json!(7), "`schema` at # is not an object"),
            (json!({ "type": "whole" }), "`type` at # is not a type of JSON"),
            (
                json!({ "type": "object", "properties": { "a": { "enum": 1 } } }),
                "`enum` at #/properties/a is not a list",
            ),
            (json!({ "$ref": "https://example.com/schema" }), "`$ref` at # is not a place in the same document"),
            (json!({ "$ref": "#" }), "it has more than 24 levels"),
            (deep, "it has more than 24 levels"),
            (json!({ "type": "object", "properties": wide }), "it has more than 4096 shapes"),
        ];
        for (document, reason) in cases {
            let error = ConfigSchema::read(&document).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
