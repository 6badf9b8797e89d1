use super::DataType;

impl DataType {
    /// Whether values of this type can be a key. Two equal numbers of a float may have different bits or texts, so
    /// floats cannot.
    #[must_use]
    pub fn can_be_key(&self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::S8
                | Self::S16
                | Self::S32
                | Self::S64
                | Self::U8
                | Self::U16
                | Self::U32
                | Self::U64
                | Self::Timestamp
                | Self::Date
                | Self::Decimal { .. }
                | Self::String
                | Self::Bytes
                | Self::Json
        )
    }
}
