use tract_onnx::prelude::{DatumType, Tensor, TractResult, TypedModel};
use tract_onnx::tract_core::internal::{TypedModelPatch, TypedOp};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::MaxPool;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::logic::IfThenElse;
use tract_onnx::tract_core::ops::lstm_cell::LstmEpilogue;
use tract_onnx::tract_core::ops::math::{Div, Max, Min, Mul, Tanh};
use tract_onnx::tract_core::ops::nn::{Reduce, Sigmoid};
use tract_onnx::tract_core::ops::scan::Scan;

use super::binary::Exact;
use super::element_wise::{LowestIsInfinite, keep_nan};
use super::recurrent::ExactLstm;
use super::reduce::ExactReduce;

/// Replaces inexact operators by exact ones, in a graph that has its types and is not simplified yet, and in
/// all graphs inside it.
///
/// # Errors
/// A node has no type.
pub(in crate::backend) fn replace(graph: &mut TypedModel) -> TractResult<()> {
    let mut pools = Vec::new();
    for id in 0..graph.nodes.len() {
        let exact = exact(graph, id)?;
        let is_pool = graph.node(id).op_is::<MaxPool>();
        let Some(node) = graph.nodes.get_mut(id) else { continue };
        if let Some(exact) = exact {
            node.op = exact;
        } else if let Some(scan) = node.op_as_mut::<Scan>() {
            replace(&mut scan.body)?;
        } else if let Some(branches) = node.op_as_mut::<IfThenElse>() {
            replace(&mut branches.then_body)?;
            replace(&mut branches.else_body)?;
        }
        if is_pool {
            pools.push(id);
        }
    }
    for id in pools {
        let outlet = id.into();
        let fact = graph.outlet_fact(outlet)?.clone();
        if fact.datum_type.is_float() {
            let name = format!("{}.lowest", graph.node(id).name);
            let step = ElementWiseOp(Box::new(LowestIsInfinite), None);
            TypedModelPatch::intercept(graph, outlet, name, step, fact)?.apply(graph)?;
        }
    }
    Ok(())
}

/// The replacement of a node's operator.
fn exact(graph: &TypedModel, id: usize) -> TractResult<Option<Box<dyn TypedOp>>> {
    let node = graph.node(id);
    let Some(&first) = node.inputs.first() else { return Ok(None) };
    let elements = graph.outlet_fact(first)?.datum_type;
    if let Some(reduce) = node.op_as::<Reduce>() {
        return Ok(ExactReduce::of(reduce, elements).map(|exact| Box::new(exact) as _));
    }
    if let Some(epilogue) = node.op_as::<LstmEpilogue>() {
        return Ok(Some(Box::new(ExactLstm(epilogue.clone()))));
    }
    if !elements.is_float() {
        return Ok(None);
    }
    if let Some(step) = node.op_as::<ElementWiseOp>() {
        let loses_nan = step.0.is::<Tanh>() || step.0.is::<Sigmoid>();
        return Ok(loses_nan.then(|| Box::new(keep_nan(step)) as _));
    }
    let Some(step) = node.op_as::<TypedBinOp>() else { return Ok(None) };
    let is_odd = || -> TractResult<bool> {
        let mut odd = false;
        for &input in &node.inputs {
            odd |= graph.outlet_fact(input)?.konst.as_deref().is_some_and(is_zero_or_infinite);
        }
        Ok(odd)
    };
    let exact = if step.0.is::<Max>() {
        Some(Exact::Max)
    } else if step.0.is::<Min>() {
        Some(Exact::Min)
    } else if step.0.is::<Mul>() && is_odd()? {
        Some(Exact::Mul)
    } else if step.0.is::<Div>() && is_odd()? {
        Some(Exact::Div)
    } else {
        None
    };
    Ok(exact.map(|exact| Box::new(TypedBinOp(Box::new(exact), step.1)) as _))
}

/// Whether all elements of a constant are zero or all are not finite. tract simplifies a multiplication with
/// or a division by such a constant.
fn is_zero_or_infinite(constant: &Tensor) -> bool {
    let number = constant.as_uniform().and_then(|one| one.cast_to_dt(DatumType::F64).ok()?.into_owned().nth(0).ok());
    let number = number.and_then(|one| one.cast_to_scalar::<f64>().ok());
    number.is_some_and(|number| number == 0.0 || !number.is_finite())
}
