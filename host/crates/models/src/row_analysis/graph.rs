use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

use super::attributes::Node;
use super::content::constant;
use super::operators::{is_repeatable, outputs};
use super::value::{Size, Value};
use crate::short_name::short;
use crate::{Dimension, ModelFacts, TensorSpec};
use sage_plan::GraphRows;

/// Known versions of ONNX's operator set. Before version 7, shapes are broadcast in another way.
const VERSIONS: std::ops::RangeInclusive<i64> = 7..=24;
/// Largest number of nodes to analyse. Graphs of real models have some thousands.
const MOST_NODES: usize = 1 << 20;

/// Largest number of attributes of a node. No operator of ONNX has more than ten.
const MOST_ATTRIBUTES: usize = 64;

/// Whether the operators of a model's graph show that its rows are independent.
pub(crate) fn analyse(model: &ModelProto, facts: &ModelFacts) -> GraphRows {
    let shown = rows_are_named(facts).and_then(|()| by_operators(model, facts));
    shown.map_or_else(GraphRows::NotShown, |()| GraphRows::ByOperators)
}

/// Checks that all inputs and outputs have a free first dimension, and that the named first dimensions of the
/// inputs have the same name. The names in outputs prove nothing, because the operators determine the
/// outputs' dimensions.
fn rows_are_named(facts: &ModelFacts) -> Result<(), String> {
    facts.first_dimensions_are_free()?;
    let mut named: Option<(&str, &str)> = None;
    for spec in &facts.inputs {
        let Some(Dimension::Free(name)) = spec.shape.first() else { continue };
        match named {
            _ if name.is_empty() => {}
            Some((of, other)) if other != name => {
                let (of, other, spec, name) = (short(of), short(other), short(&spec.name), short(name));
                return Err(format!("the first dimension of {of} is {other}, that of {spec} is {name}"));
            }
            _ => named = Some((&spec.name, name)),
        }
    }
    Ok(())
}

/// A value of the graph, or the reason why its rows are not known to be independent.
type Known = Result<Value, String>;

fn by_operators(model: &ModelProto, facts: &ModelFacts) -> Result<(), String> {
    let graph = model.graph.as_ref().ok_or("it has no graph")?;
    let version = version(model)?;
    if !model.functions.is_empty() {
        return Err("the file defines operators of its own".to_owned());
    }
    if graph.node.len() > MOST_NODES {
        return Err(format!("the graph has more than {MOST_NODES} nodes"));
    }
    let mut values = inputs(graph, facts);
    for node in &graph.node {
        let made = make(node, version, &values);
        for (at, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let value = match &made {
                Ok(made) => {
                    made.get(at).cloned().ok_or_else(|| said(node, &format!("has an output {at} that is not followed")))
                }
                Err(why) => Err(why.clone()),
            };
            if values.insert(name, value).is_some() {
                return Err(format!("two operators make {}", short(name)));
            }
        }
    }
    for spec in &facts.outputs {
        let value =
            values.get(spec.name.as_str()).ok_or_else(|| format!("nothing makes output {}", short(&spec.name)))?;
        match value.as_ref().map_err(Clone::clone)?.row_axis() {
            Some(0) => {}
            Some(axis) => {
                return Err(format!("the rows are dimension {axis} of output {}, not its first", short(&spec.name)));
            }
            None => return Err(format!("output {} has no rows", short(&spec.name))),
        }
    }
    Ok(())
}

fn version(model: &ModelProto) -> Result<i64, String> {
    let mut sets = model.opset_import.iter().filter(|set| is_onnx(&set.domain));
    let set = sets.next().ok_or("the file gives no version of its operators")?;
    if sets.next().is_some() {
        return Err("the file gives two versions of its operators".to_owned());
    }
    match VERSIONS.contains(&set.version) {
        true => Ok(set.version),
        false => Err(format!("operators of version {} are not known, only {VERSIONS:?}", set.version)),
    }
}

fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The values before the first node: the model's inputs, with rows, and constants.
fn inputs<'a>(graph: &'a GraphProto, facts: &'a ModelFacts) -> HashMap<&'a str, Known> {
    let mut values: HashMap<&str, Known> = HashMap::new();
    for tensor in &graph.initializer {
        values.insert(&tensor.name, Ok(constant(tensor)));
    }
    let mut free: Vec<&str> = Vec::new();
    for input in &facts.inputs {
        let value = Value::of(shape(input, &mut free));
        values.insert(&input.name, value.map_err(|why| format!("input {} {why}", short(&input.name))));
    }
    values
}

fn shape<'a>(input: &'a TensorSpec, free: &mut Vec<&'a str>) -> Vec<Size> {
    let size = |(at, dimension): (usize, &'a Dimension)| match dimension {
        _ if at == 0 => Size::Rows,
        Dimension::Fixed(size) => Size::known(*size),
        Dimension::Free(name) => {
            // Each dimension without a name is a dimension of its own.
            let known = free.iter().position(|other| !name.is_empty() && other == name);
            Size::Free(known.unwrap_or_else(|| {
                free.push(name);
                free.len() - 1
            }))
        }
    };
    input.shape.iter().enumerate().map(size).collect()
}

fn make(node: &NodeProto, version: i64, values: &HashMap<&str, Known>) -> Result<Vec<Value>, String> {
    let mut inputs = Vec::with_capacity(node.input.len());
    for name in &node.input {
        inputs.push(match name.as_str() {
            "" => None,
            name => {
                let value = values.get(name).ok_or_else(|| said(node, "takes a value that was not made before it"))?;
                Some(value.as_ref().map_err(Clone::clone)?)
            }
        });
    }
    if !is_onnx(&node.domain) {
        return Err(said(node, &format!("of {} is not known here", short(&node.domain))));
    }
    let said_twice = |(at, attribute): (usize, &tract_onnx::pb::AttributeProto)| {
        node.attribute.iter().skip(at.saturating_add(1)).any(|other| other.name == attribute.name)
    };
    if node.attribute.len() > MOST_ATTRIBUTES || node.attribute.iter().enumerate().any(said_twice) {
        return Err(said(node, "has an attribute twice, or very many attributes"));
    }
    let holds = |attribute: &tract_onnx::pb::AttributeProto| attribute.g.is_some() || !attribute.graphs.is_empty();
    if node.attribute.iter().any(|attribute| !attribute.ref_attr_name.is_empty()) {
        return Err(said(node, "refers to attributes of a function"));
    }
    if node.attribute.iter().any(holds) {
        return Err(said(node, "holds a graph of its own"));
    }
    if !is_repeatable(&node.op_type) {
        return Err(said(node, "draws at random"));
    }
    let all_same = inputs.iter().flatten().all(|value| value.is_same());
    match outputs(&Node::new(node, version, inputs)) {
        Ok(made) if made.len() >= node.output.len() => Ok(made),
        // Any operator on constants yields a constant.
        _ if all_same => Ok(vec![Value::same(); node.output.len()]),
        made => made.map_err(|why| said(node, &why)),
    }
}

/// A message with the operator and a predicate.
fn said(node: &NodeProto, does: &str) -> String {
    let name = if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name };
    format!("{} ({}) {does}", short(&node.op_type), short(name))
}
