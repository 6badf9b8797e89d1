use tract_onnx::prelude::{Datum, DatumType, TVec, Tensor, TractResult};
use tract_onnx::tract_core::internal::{
    EvalContext, EvalOp, IntoTValue as _, Op, StaticName, TValue, TypedFact, TypedOp, as_op, bail, format_err,
    op_as_typed_op, op_out_of_plan, tvec,
};
use tract_onnx::tract_core::ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use tract_onnx::tract_core::num_traits::Float;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};

/// Maxima, minima and their places among floating-point numbers, which keep NaN and infinities, and sums of
/// integers in their own width.
///
/// The place is found from the first element to the last, as in ONNX Runtime: a later element replaces the
/// best one only if it is better. Therefore a NaN in the first place stays.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ExactReduce(Reduce);

impl ExactReduce {
    /// The exact operator in place of tract's, if tract's is not exact for these elements.
    pub(super) fn of(reduce: &Reduce, elements: DatumType) -> Option<Self> {
        let is_wrong = match reduce.reducer {
            Reducer::Max | Reducer::Min | Reducer::ArgMax(_) | Reducer::ArgMin(_) => elements.is_float(),
            Reducer::Sum => matches!(elements, DatumType::I32 | DatumType::I64),
            _ => false,
        };
        is_wrong.then(|| Self(reduce.clone()))
    }

    fn of_floats<T: Datum + Float>(&self, input: &Tensor) -> TractResult<Tensor> {
        let view = input.to_plain_array_view::<T>()?;
        let max = |a: T, b: T| if a < b || b.is_nan() { b } else { a };
        let min = |a: T, b: T| if b < a || b.is_nan() { b } else { a };
        match self.0.reducer {
            Reducer::Max => Ok(self.fold(view, T::neg_infinity(), max)?.into()),
            Reducer::Min => Ok(self.fold(view, T::infinity(), min)?.into()),
            Reducer::ArgMax(last) => Ok(self.place(view, |best, x| best < x || (last && best == x))?.into()),
            Reducer::ArgMin(last) => Ok(self.place(view, |best, x| x < best || (last && best == x))?.into()),
            other => bail!("{other:?} is exact already"),
        }
    }

    /// Reduces each axis in turn. An axis without elements yields `of_none`.
    fn fold<T: Datum + Copy>(
        &self,
        view: ArrayViewD<'_, T>,
        of_none: T,
        step: impl Fn(T, T) -> T,
    ) -> TractResult<ArrayD<T>> {
        let mut result = view.to_owned();
        for &axis in &self.0.axes {
            let length = result.shape().get(axis).copied().ok_or_else(|| format_err!("no axis {axis}"))?;
            let axis = Axis(axis);
            result = if length == 0 {
                let mut shape = result.shape().to_vec();
                if let Some(size) = shape.get_mut(axis.0) {
                    *size = 1;
                }
                ArrayD::from_elem(IxDyn(&shape), of_none)
            } else if axis.0 + 1 == result.ndim() {
                // Lanes of the last axis are contiguous.
                let lane = |lane: tract_onnx::tract_core::ndarray::ArrayView1<'_, T>| {
                    lane.iter().copied().reduce(&step).unwrap_or(of_none)
                };
                result.map_axis(axis, lane).insert_axis(axis)
            } else {
                let mut sum = result.index_axis(axis, 0).to_owned();
                for at in 1..length {
                    sum.zip_mut_with(&result.index_axis(axis, at), |a, &b| *a = step(*a, b));
                }
                sum.insert_axis(axis)
            };
        }
        Ok(result)
    }

    fn place<T: Datum + Copy>(
        &self,
        view: ArrayViewD<'_, T>,
        is_better: impl Fn(T, T) -> bool,
    ) -> TractResult<ArrayD<i64>> {
        let [axis] = self.0.axes[..] else { bail!("places along {} axes", self.0.axes.len()) };
        if view.shape().get(axis).is_none_or(|length| *length == 0) {
            bail!("no elements along axis {axis}");
        }
        let best = |lane: tract_onnx::tract_core::ndarray::ArrayView1<'_, T>| {
            let mut elements = (0_i64..).zip(lane.iter().copied());
            let first = elements.next();
            let best = first.map(|first| elements.fold(first, |best, x| if is_better(best.1, x.1) { x } else { best }));
            best.map_or(0, |(place, _)| place)
        };
        Ok(view.map_axis(Axis(axis), best).insert_axis(Axis(axis)))
    }
}

impl Op for ExactReduce {
    fn name(&self) -> StaticName {
        format!("Exact{}", self.0.name()).into()
    }

    op_as_typed_op!();
}

impl EvalOp for ExactReduce {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let Some(input) = inputs.first() else { bail!("nothing to reduce") };
        let result = match input.datum_type() {
            DatumType::F16 => self.of_floats::<half::f16>(input)?,
            DatumType::F32 => self.of_floats::<f32>(input)?,
            DatumType::F64 => self.of_floats::<f64>(input)?,
            DatumType::I32 => self.fold(input.to_plain_array_view()?, 0, i32::wrapping_add)?.into(),
            DatumType::I64 => self.fold(input.to_plain_array_view()?, 0, i64::wrapping_add)?.into(),
            other => bail!("{other:?} is exact already"),
        };
        Ok(tvec!(result.into_tvalue()))
    }
}

impl TypedOp for ExactReduce {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}
