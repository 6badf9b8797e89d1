/// The value of a field in one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// The row has no value.
    Null,
    /// Truth value.
    Bool(bool),
    /// Integer with a sign; the days of a date; the microseconds of a timestamp.
    Signed(i64),
    /// Integer without a sign.
    Unsigned(u64),
    /// Number of 32 bits.
    F32(f32),
    /// Number of 64 bits.
    F64(f64),
    /// Decimal, as the number without its point.
    Decimal(i128),
    /// Text, bytes, or JSON.
    Bytes(&'a [u8]),
    /// List: elements `start..end` of the column inside.
    List {
        /// The first element.
        start: usize,
        /// Behind the last element.
        end: usize,
    },
    /// Struct: the same row of each column inside.
    Struct,
}
