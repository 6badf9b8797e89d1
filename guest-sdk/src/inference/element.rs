use std::fmt;

use bytemuck::{Pod, Zeroable};

/// A type that tensor elements can have: `bool`, `u8`, `i32`, `i64`, [`F16`], [`Bf16`], `f32` or `f64`.
pub trait Element: sealed::Element + Copy + 'static {
    /// The element type's name in the contract.
    const DTYPE: DType;
}

/// Element type of a tensor, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum DType {
    /// A byte, 0 or 1.
    Bool,
    U8,
    I32,
    I64,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an `f32`.
    Bf16,
    F32,
    F64,
}

/// A number of IEEE 754 half precision: 11 bits of precision, up to 65,504.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct F16(u16);

/// The upper half of an `f32`: the same range, and 8 bits of precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Bf16(u16);

impl F16 {
    /// Creates the number with these bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Returns the bits of the number.
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// Converts to the nearest half, ties to even. Numbers beyond the largest half become infinite.
    pub fn from_f32(number: f32) -> Self {
        let bits = number.to_bits();
        let sign = (bits >> 16) as u16 & 0x8000;
        let magnitude = bits & 0x7fff_ffff;
        if magnitude > 0x7f80_0000 {
            // One bit of the mantissa stays set; without it the result would be infinite.
            return Self(sign | 0x7e00 | (magnitude >> 13) as u16 & 0x03ff);
        }
        if magnitude >= 0x4780_0000 {
            return Self(sign | 0x7c00);
        }
        if magnitude < 0x3880_0000 {
            // Below the smallest normal half: the result is a multiple of 2^-24, to which the addition rounds.
            let rounded = f32::from_bits(magnitude) + 0.5;
            return Self(sign | (rounded.to_bits() - 0.5_f32.to_bits()) as u16);
        }
        // The exponent is biased by 15 instead of 127. A number that rounds up past 65,504 carries into the
        // exponent and becomes infinite.
        let odd = magnitude >> 13 & 1;
        let rounded = magnitude - ((127 - 15) << 23) + 0x0fff + odd;
        Self(sign | (rounded >> 13) as u16)
    }

    /// Converts to `f32`, exactly.
    pub fn to_f32(self) -> f32 {
        let sign = u32::from(self.0 & 0x8000) << 16;
        let magnitude = u32::from(self.0 & 0x7fff);
        let bits = match magnitude >> 10 {
            // A multiple of 2^-24.
            0 => (magnitude as f32 / 16_777_216.0).to_bits(),
            0x1f => 0x7f80_0000 | (magnitude & 0x03ff) << 13,
            _ => (magnitude << 13) + ((127 - 15) << 23),
        };
        f32::from_bits(sign | bits)
    }
}

impl Bf16 {
    /// Creates the number with these bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Returns the bits of the number.
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// Converts to the nearest `Bf16`, ties to even.
    pub fn from_f32(number: f32) -> Self {
        let bits = number.to_bits();
        if number.is_nan() {
            // One bit of the mantissa stays set; without it the result would be infinite.
            return Self((bits >> 16) as u16 | 0x0040);
        }
        let odd = bits >> 16 & 1;
        // The addition cannot overflow, because an infinity has an empty mantissa.
        Self(((bits + 0x7fff + odd) >> 16) as u16)
    }

    /// Converts to `f32`, exactly.
    pub fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

impl DType {
    /// Size of one element in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

// SAFETY: all zero bits are the number 0. `bytemuck`'s derive would add a procedural macro for these four
// lines.
unsafe impl Zeroable for F16 {}
// SAFETY: the type has the layout of `u16`, for which every bit pattern is a value.
unsafe impl Pod for F16 {}
// SAFETY: as for `F16`.
unsafe impl Zeroable for Bf16 {}
// SAFETY: as for `F16`.
unsafe impl Pod for Bf16 {}

macro_rules! elements {
    ($($element:ty: $dtype:ident, $view:path;)*) => {$(
        impl Element for $element {
            const DTYPE: DType = DType::$dtype;
        }

        impl sealed::Element for $element {
            fn bytes(elements: &[Self]) -> &[u8] {
                bytemuck::cast_slice(elements)
            }

            fn view(bytes: &[u8]) -> Option<&[Self]> {
                // An empty vector has no allocation, so its pointer may have any alignment.
                if bytes.is_empty() { Some(&[]) } else { $view(bytes).ok() }
            }
        }
    )*};
}

elements! {
    bool: Bool, bytemuck::checked::try_cast_slice;
    u8: U8, bytemuck::try_cast_slice;
    i32: I32, bytemuck::try_cast_slice;
    i64: I64, bytemuck::try_cast_slice;
    F16: F16, bytemuck::try_cast_slice;
    Bf16: Bf16, bytemuck::try_cast_slice;
    f32: F32, bytemuck::try_cast_slice;
    f64: F64, bytemuck::try_cast_slice;
}

pub(super) mod sealed {
    /// Conversions between elements and their bytes.
    pub trait Element: Sized {
        /// Returns the bytes of the elements, without a copy.
        fn bytes(elements: &[Self]) -> &[u8];
        /// Returns the bytes as elements, without a copy. `None` if the bytes are not valid elements or are not
        /// aligned.
        fn view(bytes: &[u8]) -> Option<&[Self]>;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_way_to_f32_and_back() {
        for bits in 0..=u16::MAX {
            let half = F16::from_bits(bits);
            if !half.to_f32().is_nan() {
                assert_eq!(F16::from_f32(half.to_f32()), half, "{bits:#06x}");
            }
            let brain = Bf16::from_bits(bits);
            if !brain.to_f32().is_nan() {
                assert_eq!(Bf16::from_f32(brain.to_f32()), brain, "{bits:#06x}");
            }
        }
        assert!(F16::from_f32(f32::NAN).to_f32().is_nan() && Bf16::from_f32(f32::NAN).to_f32().is_nan());
    }

    #[test]
    fn a_number_between_two_halves_becomes_the_nearer_or_the_even_one() {
        for below in 0..0x7bff_u16 {
            let (low, high) = (F16(below).to_f32(), F16(below + 1).to_f32());
            let middle = (low + high) / 2.0;
            let even = F16(below + (below & 1));
            assert_eq!(F16::from_f32(middle), even, "{below:#06x}");
            assert_eq!(F16::from_f32(-middle), F16(even.0 | 0x8000), "{below:#06x}");
            assert_eq!(F16::from_f32(middle.next_up()), F16(below + 1), "{below:#06x}");
            assert_eq!(F16::from_f32(middle.next_down()), F16(below), "{below:#06x}");
        }
        assert_eq!(F16::from_f32(65_519.0).to_f32(), 65_504.0);
        assert_eq!([65_520.0, 1e9].map(|number| F16::from_f32(number).to_f32()), [f32::INFINITY; 2]);
        assert_eq!(Bf16::from_f32(1.0 + 1.0 / 256.0).to_f32(), 1.0);
        assert_eq!(Bf16::from_f32(f32::MAX).to_f32(), f32::INFINITY);
    }
}
