//! Values with a unit: instants, days and decimals.

use super::DataType;

/// An instant: microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// A day: days since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Date(pub i32);

/// A decimal number of `PRECISION` digits (1 to 38), of which `SCALE` stand behind the point. The value is the number
/// times 10 to the power of `SCALE`: 12.5 as a `Decimal<18, 4>` is `Decimal(125_000)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal<const PRECISION: u8, const SCALE: u8>(pub i128);

impl<const PRECISION: u8, const SCALE: u8> Decimal<PRECISION, SCALE> {
    /// The type of the field. A wrong precision or scale does not compile.
    pub(crate) const DATA_TYPE: DataType = {
        assert!(PRECISION >= 1 && PRECISION <= 38, "a decimal has 1 to 38 digits, as in `Decimal<18, 4>`");
        assert!(SCALE <= PRECISION, "a decimal cannot have more digits behind the point than digits");
        DataType::Decimal { precision: PRECISION, scale: SCALE }
    };

    #[inline(always)]
    pub(crate) fn of_words([low, high]: [u64; 2]) -> Self {
        Self((u128::from(high) << 64 | u128::from(low)) as i128)
    }

    #[inline(always)]
    pub(crate) fn words(self) -> [u64; 2] {
        let bits = self.0 as u128;
        [bits as u64, (bits >> 64) as u64]
    }
}
