use tract_onnx::prelude::{Datum as _, IntoTensor as _, TVec, TractResult};
use tract_onnx::tract_core::internal::{
    EvalContext, EvalOp, IntoTValue as _, Op, StaticName, TValue, TypedFact, TypedOp, as_op, op_as_typed_op,
    op_out_of_plan,
};
use tract_onnx::tract_core::ops::lstm_cell::LstmEpilogue;

/// The end of one step of an LSTM, which tract computes in one piece. This version keeps NaN.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ExactLstm(pub(super) LstmEpilogue);

impl Op for ExactLstm {
    fn name(&self) -> StaticName {
        "ExactLstm".into()
    }

    op_as_typed_op!();
}

impl EvalOp for ExactLstm {
    op_out_of_plan!();

    fn eval(&self, context: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let outputs = self.0.eval(context, inputs.clone())?;
        let (Some(gates), Some(cell)) = (inputs.first(), inputs.get(1)) else { return Ok(outputs) };
        // Models with f16 are refused earlier.
        if gates.datum_type() != f32::datum_type() || cell.datum_type() != f32::datum_type() {
            return Ok(outputs);
        }
        let (gates, cell) = (gates.try_as_plain_ram()?, cell.try_as_plain_ram()?);
        let (gates, cell) = (gates.as_slice::<f32>()?, cell.as_slice::<f32>()?);
        let has_nan = |all: &[f32]| all.iter().fold(false, |found, x| found | x.is_nan());
        if !has_nan(gates) && !has_nan(cell) {
            return Ok(outputs);
        }
        let mut outputs: TVec<_> = outputs.into_iter().map(|value| value.into_tensor()).collect();
        let width = self.0.hidden;
        // The gates are stored in the order i, o, f, c.
        let gate = |row: usize, which: usize, at: usize| gates.get((row * 4 + which) * width + at).copied();
        let is_nan = |x: Option<f32>| x.is_none_or(f32::is_nan);
        for (place, &before) in cell.iter().enumerate() {
            let (row, at) = (place.checked_div(width).unwrap_or(0), place.checked_rem(width).unwrap_or(0));
            let new_cell = before.is_nan() || [0, 2, 3].into_iter().any(|which| is_nan(gate(row, which, at)));
            let new_output = new_cell || is_nan(gate(row, 1, at));
            for (which, lost) in [(0, new_output), (1, new_cell)] {
                let Some(output) = outputs.get_mut(which).filter(|_| lost) else { continue };
                let mut plain = output.try_as_plain_ram_mut()?;
                if let Some(x) = plain.as_slice_mut::<f32>()?.get_mut(place) {
                    *x = f32::NAN;
                }
            }
        }
        Ok(outputs.into_iter().map(|tensor| tensor.into_tvalue()).collect())
    }
}

impl TypedOp for ExactLstm {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}
