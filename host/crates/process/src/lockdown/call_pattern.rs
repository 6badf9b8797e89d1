/// A pattern of a call: all of these conditions hold. An empty list matches every call of that number.
pub(super) type Way = Vec<(u8, Test)>;

/// A condition on one argument of a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    /// The lower 32 bits equal this value (for numbers and flags that the kernel reads as `int`).
    Is(u64),
    /// The lower 32 bits differ from this value.
    IsNot(u64),
    /// All 64 bits equal this value.
    IsWhole(u64),
    /// Exactly the bits `are` are set among the bits `of`.
    Bits {
        /// The bits that are compared.
        of: u64,
        /// The bits that must be set.
        are: u64,
    },
}
