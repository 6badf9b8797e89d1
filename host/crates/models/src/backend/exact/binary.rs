use tract_onnx::prelude::{Datum, DatumType, Tensor, TractResult};
use tract_onnx::tract_core::internal::bail;
use tract_onnx::tract_core::ndarray::Zip;
use tract_onnx::tract_core::num_traits::Float;
use tract_onnx::tract_core::ops::binary::BinMiniOp;

/// A step of two tensors of floating-point numbers that keeps NaN. The maximum and the minimum are NaN if
/// either side is NaN. A multiplication or a division by a constant of zeros is computed, although tract
/// would remove the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Exact {
    Max,
    Min,
    Mul,
    Div,
}

fn max<T: Float>(a: T, b: T) -> T {
    if a < b || b.is_nan() { b } else { a }
}

fn min<T: Float>(a: T, b: T) -> T {
    if b < a || b.is_nan() { b } else { a }
}

impl Exact {
    fn in_a<T: Datum + Float>(self, a: &mut Tensor, b: &Tensor) -> TractResult<()> {
        match self {
            Self::Max => in_a(a, b, max::<T>),
            Self::Min => in_a(a, b, min::<T>),
            Self::Mul => in_a(a, b, |a: T, b: T| a * b),
            Self::Div => in_a(a, b, |a: T, b: T| a / b),
        }
    }

    fn into_c<T: Datum + Float>(self, c: &mut Tensor, a: &Tensor, b: &Tensor) -> TractResult<()> {
        match self {
            Self::Max => into_c(c, a, b, max::<T>),
            Self::Min => into_c(c, a, b, min::<T>),
            Self::Mul => into_c(c, a, b, |a: T, b: T| a * b),
            Self::Div => into_c(c, a, b, |a: T, b: T| a / b),
        }
    }
}

fn in_a<T: Datum + Float>(a: &mut Tensor, b: &Tensor, step: impl Fn(T, T) -> T) -> TractResult<()> {
    let mut plain = a.try_as_plain_ram_mut()?;
    let other = b.try_as_plain_ram()?;
    if let [b] = other.as_slice::<T>()? {
        plain.as_slice_mut::<T>()?.iter_mut().for_each(|a| *a = step(*a, *b));
        return Ok(());
    }
    let b = b.to_plain_array_view::<T>()?;
    let mut a = plain.to_array_view_mut::<T>()?;
    Zip::from(&mut a).and_broadcast(b).for_each(|a, b| *a = step(*a, *b));
    Ok(())
}

fn into_c<T: Datum + Float>(c: &mut Tensor, a: &Tensor, b: &Tensor, step: impl Fn(T, T) -> T) -> TractResult<()> {
    let mut plain = c.try_as_plain_ram_mut()?;
    let mut c = plain.to_array_view_mut::<T>()?;
    let (a, b) = (a.to_plain_array_view::<T>()?, b.to_plain_array_view::<T>()?);
    Zip::from(&mut c).and_broadcast(a).and_broadcast(b).for_each(|c, a, b| *c = step(*a, *b));
    Ok(())
}

impl BinMiniOp for Exact {
    fn name(&self) -> &'static str {
        match self {
            Self::Max => "ExactMax",
            Self::Min => "ExactMin",
            Self::Mul => "ExactMul",
            Self::Div => "ExactDiv",
        }
    }

    fn is_commutative(&self) -> bool {
        *self != Self::Div
    }

    fn result_datum_type(&self, a: DatumType, b: DatumType) -> TractResult<DatumType> {
        if a != b {
            bail!("{} of {a:?} and {b:?}", self.name());
        }
        Ok(a)
    }

    fn eval_in_a(&self, a: &mut Tensor, b: &Tensor) -> TractResult<()> {
        match a.datum_type() {
            DatumType::F16 => self.in_a::<half::f16>(a, b),
            DatumType::F32 => self.in_a::<f32>(a, b),
            DatumType::F64 => self.in_a::<f64>(a, b),
            other => bail!("{} of {other:?}", self.name()),
        }
    }

    fn eval_out_of_place(&self, c: &mut Tensor, a: &Tensor, b: &Tensor) -> TractResult<()> {
        match c.datum_type() {
            DatumType::F16 => self.into_c::<half::f16>(c, a, b),
            DatumType::F32 => self.into_c::<f32>(c, a, b),
            DatumType::F64 => self.into_c::<f64>(c, a, b),
            other => bail!("{} of {other:?}", self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_kept_on_either_side() {
        for (a, b) in [(f32::NAN, 1.0), (1.0, f32::NAN), (f32::NAN, f32::NAN)] {
            assert!(max(a, b).is_nan() && min(a, b).is_nan(), "{a} {b}");
        }
        assert_eq!((max(1.0, 2.0), min(1.0, 2.0)), (2.0, 1.0));
        assert_eq!((max(f32::NEG_INFINITY, -1.0), min(f32::INFINITY, 1.0)), (-1.0, 1.0));
    }
}
