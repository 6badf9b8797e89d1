use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::ops::rec::common::CommonRec;
use tract_onnx::ops::rec::gru::GRU;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{DatumType, TVec, TractResult, TypedModel};
use tract_onnx::tract_core::internal::{OutletId, SpecialOps as _, StaticName, tvec};
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_core::ops::{math, nn};
use tract_onnx::tract_hir::infer::{
    InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity, check_output_arity,
};
use tract_onnx::tract_hir::internal::{ElementWiseIntoHir as _, Expansion, expand};

use super::element_wise::{Softplus, keep_nan};

type Read = (Box<dyn InferenceOp>, Vec<String>);

/// Registers the readers of this module for the nodes of these operators.
pub(in crate::backend) fn register(onnx: &mut Onnx) {
    let readers = &mut onnx.op_register;
    readers.insert("Cast", |_, node| Ok((expand(Cast { to: node.get_attr("to")? }), Vec::new())));
    readers.insert("GRU", gru);
    readers.insert("LogSoftmax", |_, node| {
        Ok((expand(LogSoftmax { axis: node.get_attr_opt("axis")?.unwrap_or(-1) }), Vec::new()))
    });
    readers.insert("Softplus", |_, _| Ok((ElementWiseOp(Box::new(Softplus), None).into_hir(), Vec::new())));
}

/// A GRU that is computed step by step. In one piece, as tract computes it for its own activations, NaN is
/// lost.
fn gru(_: &ParsingContext<'_>, node: &NodeProto) -> TractResult<Read> {
    let body = GRU {
        f: Box::new(keep_nan(&nn::sigmoid())),
        g: Box::new(keep_nan(&math::tanh())),
        linear_before_reset: node.get_attr_opt("linear_before_reset")?.unwrap_or(false),
    };
    Ok((expand(CommonRec::from_node_and_options(node, 3, 0, Box::new(body))?), Vec::new()))
}

/// A cast that does not pass through a narrower type. tract casts to `i64` by way of its type for sizes; here
/// only sizes take that way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Cast {
    to: DatumType,
}

impl Cast {
    fn of(&self, from: DatumType) -> DatumType {
        if from == DatumType::TDim && self.to == DatumType::I64 { from } else { self.to }
    }
}

impl Expansion for Cast {
    fn name(&self) -> StaticName {
        "ExactCast".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        let ([input], [output]) = (inputs, outputs) else { return Ok(()) };
        solver.equals(&output.shape, &input.shape)?;
        solver.given(&input.datum_type, move |solver, from| solver.equals(&output.datum_type, self.of(from)))
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let from = inputs.first().map(|input| model.outlet_fact(*input).map(|fact| fact.datum_type)).transpose()?;
        model.wire_node(name, cast(from.map_or(self.to, |from| self.of(from))), inputs)
    }
}

/// `x - max - ln(sum(e^(x - max)))`, which does not overflow and never takes the logarithm of 0. Implements
/// operator set 13 and later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LogSoftmax {
    axis: i64,
}

impl Expansion for LogSoftmax {
    fn name(&self) -> StaticName {
        "ExactLogSoftmax".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        let ([input], [output]) = (inputs, outputs) else { return Ok(()) };
        solver.equals(&output.datum_type, &input.datum_type)?;
        solver.equals(&output.shape, &input.shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let [input] = *inputs else { return Ok(TVec::new()) };
        let rank = i64::try_from(model.outlet_fact(input)?.rank())?;
        let axis = usize::try_from(if self.axis < 0 { self.axis + rank } else { self.axis })?;
        let reduce = |reducer| Reduce { axes: tvec!(axis), reducer };
        let largest = model.wire_node(format!("{name}.largest"), reduce(Reducer::Max), &[input])?;
        let below = model.wire_node(format!("{name}.below"), math::sub(), &[&[input], &largest[..]].concat())?;
        let powers = model.wire_node(format!("{name}.powers"), math::exp(), &below)?;
        let sum = model.wire_node(format!("{name}.sum"), reduce(Reducer::Sum), &powers)?;
        let logarithm = model.wire_node(format!("{name}.logarithm"), math::ln(), &sum)?;
        model.wire_node(name, math::sub(), &[&below[..], &logarithm[..]].concat())
    }
}
