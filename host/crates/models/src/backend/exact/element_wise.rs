use tract_onnx::prelude::{Datum, DatumType, Tensor, TractResult};
use tract_onnx::tract_core::internal::bail;
use tract_onnx::tract_core::num_traits::Float;
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};

/// A step of tract that maps NaN to a number, changed so that it maps NaN to NaN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeepNan(pub(super) Box<dyn ElementWiseMiniOp>);

/// The same step, but it keeps NaN.
pub(super) fn keep_nan(step: &ElementWiseOp) -> ElementWiseOp {
    ElementWiseOp(Box::new(KeepNan(step.0.clone())), step.1)
}

impl KeepNan {
    fn eval<T: Datum + Float>(&self, tensor: &mut Tensor, out: Option<DatumType>) -> TractResult<()> {
        let has_nan = |all: &[T]| all.iter().fold(false, |found, x| found | x.is_nan());
        let places: Vec<usize> = {
            let plain = tensor.try_as_plain_ram()?;
            let all = plain.as_slice::<T>()?;
            let every = if has_nan(all) { all } else { &[] };
            every.iter().enumerate().filter(|(_, x)| x.is_nan()).map(|(at, _)| at).collect()
        };
        self.0.eval_in_place(tensor, out)?;
        if !places.is_empty() {
            let mut plain = tensor.try_as_plain_ram_mut()?;
            let all = plain.as_slice_mut::<T>()?;
            for at in places {
                if let Some(x) = all.get_mut(at) {
                    *x = T::nan();
                }
            }
        }
        Ok(())
    }
}

impl ElementWiseMiniOp for KeepNan {
    fn name(&self) -> String {
        format!("Exact{}", self.0.name())
    }

    fn eval_in_place(&self, tensor: &mut Tensor, out: Option<DatumType>) -> TractResult<()> {
        match tensor.datum_type() {
            DatumType::F16 => self.eval::<half::f16>(tensor, out),
            DatumType::F32 => self.eval::<f32>(tensor, out),
            DatumType::F64 => self.eval::<f64>(tensor, out),
            _ => self.0.eval_in_place(tensor, out),
        }
    }
}

/// `ln(1 + e^x)`, which equals `x` if `e^x` is infinite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Softplus;

fn softplus<T: Datum + Float>(tensor: &mut Tensor) -> TractResult<()> {
    let mut plain = tensor.try_as_plain_ram_mut()?;
    for x in plain.as_slice_mut::<T>()? {
        let above = if *x < T::zero() { T::zero() } else { *x };
        *x = above + (-x.abs()).exp().ln_1p();
    }
    Ok(())
}

impl ElementWiseMiniOp for Softplus {
    fn name(&self) -> String {
        "ExactSoftplus".to_owned()
    }

    fn eval_in_place(&self, tensor: &mut Tensor, _out: Option<DatumType>) -> TractResult<()> {
        match tensor.datum_type() {
            DatumType::F16 => softplus::<half::f16>(tensor),
            DatumType::F32 => softplus::<f32>(tensor),
            DatumType::F64 => softplus::<f64>(tensor),
            other => bail!("Softplus of {other:?}"),
        }
    }
}

/// Maps the lowest number of a type to minus infinity. tract's pools start with the lowest number, so this
/// value means that the window had no other element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LowestIsInfinite;

fn lowest<T: Datum + Float>(tensor: &mut Tensor) -> TractResult<()> {
    let mut plain = tensor.try_as_plain_ram_mut()?;
    for x in plain.as_slice_mut::<T>()? {
        if *x == T::min_value() {
            *x = T::neg_infinity();
        }
    }
    Ok(())
}

impl ElementWiseMiniOp for LowestIsInfinite {
    fn name(&self) -> String {
        "LowestIsInfinite".to_owned()
    }

    fn eval_in_place(&self, tensor: &mut Tensor, _out: Option<DatumType>) -> TractResult<()> {
        match tensor.datum_type() {
            DatumType::F16 => lowest::<half::f16>(tensor),
            DatumType::F32 => lowest::<f32>(tensor),
            DatumType::F64 => lowest::<f64>(tensor),
            _ => Ok(()),
        }
    }
}
