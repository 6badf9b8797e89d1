/// The place where a record came from: its source in the pipeline, and its position in that source.
///
/// An origin is packed into 8 bytes, because every record carries one: 16 bits of source, 48 bits of offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(u64);

impl Origin {
    /// The origin of a record that stands for no single input record, such as a total.
    pub const NONE: Self = Self(u64::MAX);
    const OFFSET_BITS: u32 = 48;
    const OFFSET_MASK: u64 = (1 << Self::OFFSET_BITS) - 1;

    /// The origin of record number `offset` (from 0) of source number `source`.
    #[must_use]
    pub fn new(source: u16, offset: u64) -> Self {
        Self(u64::from(source) << Self::OFFSET_BITS | (offset & Self::OFFSET_MASK))
    }

    /// The source's number and the record's number in it (from 0); `None` for [`Origin::NONE`].
    #[must_use]
    pub fn parts(self) -> Option<(u16, u64)> {
        (self != Self::NONE).then_some(((self.0 >> Self::OFFSET_BITS) as u16, self.0 & Self::OFFSET_MASK))
    }
}
