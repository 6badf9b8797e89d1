use std::fmt;

use super::DataType;

/// Layout in which the values of a field are stored. Several types share a layout: a timestamp is an integer of
/// 64 bits, and JSON is a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the layout of the same name in `Values`")]
pub enum Storage {
    Bools,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Decimals,
    Strings,
    Lists,
    Structs,
}

impl DataType {
    /// Layout of the values of this type. The values inside a list or a struct have layouts of their own.
    #[must_use]
    pub fn storage(&self) -> Storage {
        match self {
            Self::Bool => Storage::Bools,
            Self::S8 => Storage::S8,
            Self::S16 => Storage::S16,
            Self::S32 | Self::Date => Storage::S32,
            Self::S64 | Self::Timestamp => Storage::S64,
            Self::U8 => Storage::U8,
            Self::U16 => Storage::U16,
            Self::U32 => Storage::U32,
            Self::U64 => Storage::U64,
            Self::F32 => Storage::F32,
            Self::F64 => Storage::F64,
            Self::Decimal { .. } => Storage::Decimals,
            Self::String | Self::Bytes | Self::Json => Storage::Strings,
            Self::List(_) => Storage::Lists,
            Self::Struct(_) => Storage::Structs,
        }
    }

    /// Whether the values are texts in UTF-8.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::Json)
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Bools => "bools",
            Self::S8 => "s8",
            Self::S16 => "s16",
            Self::S32 => "s32",
            Self::S64 => "s64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Decimals => "decimals",
            Self::Strings => "strings",
            Self::Lists => "lists",
            Self::Structs => "structs",
        })
    }
}
