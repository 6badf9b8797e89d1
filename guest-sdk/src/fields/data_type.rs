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
    /// Any number of values of this type, in their order. The field has no name.
    List(&'static FieldType),
    /// Values of these fields.
    Struct(&'static [FieldType]),
}

impl DataType {
    /// The name of the type in a schema. The name of a decimal is followed by `(precision, scale)`, and that of a list
    /// by `<element>`.
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
            Self::List(_) => "list",
            Self::Struct(_) => "struct",
        }
    }

    /// Whether the values are lists or structs.
    #[must_use]
    pub const fn is_nested(self) -> bool {
        matches!(self, Self::List(_) | Self::Struct(_))
    }

    /// The type of a struct with these members. A member that is a list or a struct does not compile.
    #[must_use]
    pub const fn of_struct(members: &'static [FieldType]) -> Self {
        let mut at = 0;
        while at < members.len() {
            #[expect(clippy::indexing_slicing, reason = "a loop over a slice's own length; iterators are not const")]
            let member = &members[at];
            assert!(
                !member.data_type.is_nested(),
                "the members of a struct are neither lists nor structs: write `&str` with #[record(json)]"
            );
            at += 1;
        }
        Self::Struct(members)
    }
}

/// A field of a record, as the operator's description names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
