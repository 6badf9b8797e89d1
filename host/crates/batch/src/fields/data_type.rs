use std::fmt;
use std::str::FromStr;

/// Type of a field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// True or false.
    Bool,
    /// Integer of 8 bits with a sign.
    S8,
    /// Integer of 16 bits with a sign.
    S16,
    /// Integer of 32 bits with a sign.
    S32,
    /// Integer of 64 bits with a sign.
    S64,
    /// Integer of 8 bits without a sign.
    U8,
    /// Integer of 16 bits without a sign.
    U16,
    /// Integer of 32 bits without a sign.
    U32,
    /// Integer of 64 bits without a sign.
    U64,
    /// IEEE 754 number of 32 bits.
    F32,
    /// IEEE 754 number of 64 bits.
    F64,
    /// Instant: microseconds since the Unix epoch, UTC, in an integer of 64 bits.
    Timestamp,
    /// Day: days since the Unix epoch, in an integer of 32 bits.
    Date,
    /// Decimal number: an integer of 128 bits, divided by 10 to the power of `scale`.
    Decimal {
        /// Number of digits, 1 to 38.
        precision: u8,
        /// Number of digits behind the point, 0 to `precision`.
        scale: u8,
    },
    /// Text in UTF-8.
    String,
    /// Bytes.
    Bytes,
    /// Any JSON value, as its text. For values that no other type describes.
    Json,
}

/// The error for a text that names no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownType {
    /// No type has this name.
    #[error("{found:?} is no type of a field: the types are {}, and decimal(precision, scale)", DataType::NAMES.join(", "))]
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

    /// Whether every value of this type is a value of `wider`, so that the host may convert it.
    #[must_use]
    pub fn widens_to(self, wider: Self) -> bool {
        if self == wider {
            return true;
        }
        let rank = |list: &[Self], one| list.iter().position(|&entry| entry == one);
        [
            &[Self::S8, Self::S16, Self::S32, Self::S64][..],
            &[Self::U8, Self::U16, Self::U32, Self::U64],
            &[Self::F32, Self::F64],
        ]
        .iter()
        .any(|list| matches!((rank(list, self), rank(list, wider)), (Some(narrow), Some(wide)) if narrow < wide))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Decimal { precision, scale } = self {
            return write!(out, "decimal({precision}, {scale})");
        }
        let at = Self::PLAIN.iter().position(|plain| plain == self).unwrap_or_default();
        out.write_str(Self::NAMES.get(at).copied().unwrap_or_default())
    }
}

impl FromStr for DataType {
    type Err = UnknownType;

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
        let at = Self::NAMES.iter().position(|name| *name == text);
        at.and_then(|at| Self::PLAIN.get(at).copied()).ok_or_else(|| UnknownType::Name { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_back_from_its_name() {
        let decimal = DataType::Decimal { precision: 18, scale: 4 };
        for data_type in DataType::PLAIN.into_iter().chain([decimal]) {
            assert_eq!(data_type.to_string().parse(), Ok(data_type));
        }
    }

    #[test]
    fn a_text_that_is_no_type_is_an_error_with_the_types() {
        for (text, reason) in [
            ("int", "\"int\" is no type of a field: the types are bool, s8"),
            ("decimal(39,1)", "a decimal has 1 to 38 digits"),
            ("decimal(4,5)", "a decimal has 1 to 38 digits"),
            ("decimal(4)", "a decimal has 1 to 38 digits"),
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
        ] {
            assert_eq!(narrow.widens_to(wide), widens, "{narrow} to {wide}");
        }
    }
}
