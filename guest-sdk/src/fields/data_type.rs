/// Type of a field.
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
    /// Microseconds since the Unix epoch, UTC.
    Timestamp,
    /// Days since the Unix epoch.
    Date,
    /// Integer of 128 bits, divided by 10 to the power of `scale`.
    Decimal {
        /// Number of digits, 1 to 38.
        precision: u8,
        /// Number of digits behind the point, 0 to `precision`.
        scale: u8,
    },
    /// Text in UTF-8.
    Text,
    /// Bytes.
    Bytes,
    /// Any JSON value, as its text.
    JsonText,
}

impl DataType {
    /// The name of the type in a schema. The name of a decimal is followed by `(precision, scale)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
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
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Decimal { .. } => "decimal",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::JsonText => "json",
        }
    }
}

/// A field of a record, as the operator's description names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldType {
    /// Name of the field in the data.
    pub name: &'static str,
    /// Type of the values.
    pub data_type: DataType,
    /// Whether a record may have no value.
    pub nullable: bool,
    /// The field's documentation comment.
    pub docs: &'static str,
}
