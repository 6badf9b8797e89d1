use std::fmt;
use std::str::FromStr;

use super::data_type::NESTED;
use super::{DataType, Element, Members};

/// The error for a text that names no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownType {
    /// No type has this name.
    #[error(
        "{found:?} is no type of a field: the types are {}, decimal(precision, scale), and list<type>",
        DataType::NAMES.join(", ")
    )]
    Name {
        /// The text.
        found: String,
    },
    /// The numbers of a decimal are out of range.
    #[error(
        "{found:?}: a decimal has 1 to 38 digits, of which 0 to all stand behind the point, as in \"decimal(18, 4)\""
    )]
    Decimal {
        /// The text.
        found: String,
    },
    /// The elements of a list are lists or structs.
    #[error("{found:?}: {NESTED}")]
    Nested {
        /// The text.
        found: String,
    },
}

impl DataType {
    /// Names of all types but decimals, in the order of the documentation.
    pub const NAMES: [&'static str; 16] = [
        "bool",
        "s8",
        "s16",
        "s32",
        "s64",
        "u8",
        "u16",
        "u32",
        "u64",
        "f32",
        "f64",
        "timestamp",
        "date",
        "string",
        "bytes",
        "json",
    ];

    const PLAIN: [Self; 16] = [
        Self::Bool,
        Self::S8,
        Self::S16,
        Self::S32,
        Self::S64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::F32,
        Self::F64,
        Self::Timestamp,
        Self::Date,
        Self::String,
        Self::Bytes,
        Self::Json,
    ];
}

impl fmt::Display for DataType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(out, "decimal({precision}, {scale})"),
            Self::List(element) => write!(out, "list<{element}>"),
            Self::Struct(members) => write!(out, "struct {members}"),
            plain => {
                let at = Self::PLAIN.iter().position(|other| other == plain).unwrap_or_default();
                out.write_str(Self::NAMES.get(at).copied().unwrap_or_default())
            }
        }
    }
}

impl FromStr for DataType {
    type Err = UnknownType;

    /// Reads every type but a struct, which has no name.
    fn from_str(text: &str) -> Result<Self, UnknownType> {
        if let Some(inner) = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')')) {
            let numbers = inner.split_once(',').and_then(|(precision, scale)| {
                Some((precision.trim().parse::<u8>().ok()?, scale.trim().parse::<u8>().ok()?))
            });
            return match numbers {
                Some((precision, scale)) if (1..=38).contains(&precision) && scale <= precision => {
                    Ok(Self::Decimal { precision, scale })
                }
                _ => Err(UnknownType::Decimal { found: text.to_owned() }),
            };
        }
        if let Some(inner) = text.strip_prefix("list<").and_then(|rest| rest.strip_suffix('>')) {
            let (name, nullable) = inner.strip_suffix('?').map_or((inner, false), |name| (name, true));
            // A list in a list is not read any further, so the depth of the text does not matter.
            let data_type = match name.starts_with("list<") {
                true => return Err(UnknownType::Nested { found: text.to_owned() }),
                false => name.parse()?,
            };
            let element = Element::new(data_type, nullable);
            return element.map(Self::from).ok_or_else(|| UnknownType::Nested { found: text.to_owned() });
        }
        let at = Self::NAMES.iter().position(|name| *name == text);
        at.and_then(|at| Self::PLAIN.get(at).cloned()).ok_or_else(|| UnknownType::Name { found: text.to_owned() })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.data_type(), mark(self.is_nullable()))
    }
}

impl fmt::Display for Members {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, field) in self.fields().iter().enumerate() {
            let before = if at == 0 { "{ " } else { ", " };
            write!(out, "{before}{}: {}{}", field.name.escape_debug(), field.data_type, mark(field.nullable))?;
        }
        out.write_str(" }")
    }
}

fn mark(nullable: bool) -> &'static str {
    if nullable { "?" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::super::FieldType;
    use super::*;

    fn list(element: &str) -> DataType {
        format!("list<{element}>").parse().unwrap()
    }

    #[test]
    fn every_type_is_read_back_from_its_name() {
        let decimal = DataType::Decimal { precision: 18, scale: 4 };
        for data_type in DataType::PLAIN.into_iter().chain([decimal]) {
            assert_eq!(data_type.to_string().parse(), Ok(data_type.clone()));
            for nullable in [false, true] {
                let list = DataType::from(Element::new(data_type.clone(), nullable).unwrap());
                assert_eq!(list.to_string().parse(), Ok(list));
            }
        }
        assert_eq!("list<decimal(4, 2)?>".parse::<DataType>().unwrap().to_string(), "list<decimal(4, 2)?>");
        assert_eq!(place(&[("lat", "f64", false), ("alt", "f32", true)]).to_string(), "struct { lat: f64, alt: f32? }");
    }

    fn place(members: &[(&str, &str, bool)]) -> DataType {
        let member = |(name, data_type, nullable): &(&str, &str, bool)| FieldType {
            name: (*name).to_owned(),
            data_type: data_type.parse().unwrap(),
            nullable: *nullable,
            docs: String::new(),
        };
        Members::new(members.iter().map(member).collect()).unwrap().into()
    }

    #[test]
    fn a_text_that_is_no_type_is_an_error_with_the_types() {
        for (text, reason) in [
            ("int", "\"int\" is no type of a field: the types are bool, s8"),
            ("decimal(39,1)", "a decimal has 1 to 38 digits"),
            ("decimal(4,5)", "a decimal has 1 to 38 digits"),
            ("decimal(4)", "a decimal has 1 to 38 digits"),
            ("list<int>", "\"int\" is no type of a field"),
            ("list<>", "\"\" is no type of a field"),
            ("list<s8", "\"list<s8\" is no type of a field"),
            ("list<list<s8>>", "the elements of a list and the members of a struct are neither lists nor structs"),
            ("struct", "\"struct\" is no type of a field"),
        ] {
            let error = text.parse::<DataType>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_type_widens_only_to_types_with_all_its_values() {
        for (narrow, wide, widens) in [
            (DataType::S8, DataType::S64, true),
            (DataType::S64, DataType::S8, false),
            (DataType::U8, DataType::S64, false),
            (DataType::F32, DataType::F64, true),
            (DataType::S64, DataType::F64, false),
            (DataType::String, DataType::String, true),
            (list("s8"), list("s64"), true),
            (list("s8"), list("s8?"), true),
            (list("s8?"), list("s8"), false),
            (list("s64"), list("s8"), false),
            (list("s8"), DataType::S8, false),
            (place(&[("a", "s8", false), ("b", "f64", true)]), place(&[("a", "s16", true)]), false),
            (place(&[("a", "s8", false)]), place(&[("a", "s16", true)]), true),
            (place(&[("a", "s8", false), ("b", "s8", false)]), place(&[("b", "s8", false), ("a", "s8", false)]), true),
            (place(&[("a", "s8", false)]), place(&[("a", "s8", false), ("b", "s8", true)]), false),
            (place(&[("a", "s8", true)]), place(&[("a", "s8", false)]), false),
            (place(&[("a", "s8", false)]), DataType::Json, false),
        ] {
            assert_eq!(narrow.widens_to(&wide), widens, "{narrow} to {wide}");
        }
    }
}
