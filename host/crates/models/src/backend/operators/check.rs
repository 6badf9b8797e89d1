use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};

use super::element::Element;
use super::rule::{LEAST_SET, MOST_SET, Makes, Rule};
use super::{Library, table};
use crate::InferenceError;
use crate::onnx_file::OnnxFile;

/// Checks a model against a library's table.
///
/// # Errors
/// [`InferenceError::Unsupported`]: the first node that the library does not compute as ONNX defines, with
/// the part that differs.
pub(in crate::backend) fn check(file: &OnnxFile, library: Library) -> Result<(), InferenceError> {
    let model = file.proto();
    let judge = Judge { library, set: set(model, library).map_err(InferenceError::Unsupported)?, model };
    let mut outcome = Ok(());
    if let Some(graph) = &model.graph {
        outcome = judge.graph(graph, None).map(drop);
    }
    for function in &model.functions {
        if outcome.is_ok() {
            let mut scope = Scope::default();
            outcome = function.node.iter().try_for_each(|node| judge.node(node, &mut scope));
        }
    }
    outcome.map_err(InferenceError::Unsupported)
}

/// The version of ONNX's own operator set for which the model is written.
fn set(model: &ModelProto, library: Library) -> Result<i64, String> {
    let own = model.opset_import.iter().filter(|import| is_own(&import.domain));
    let versions: BTreeSet<i64> = own.map(|import| import.version).collect();
    let mut versions = versions.into_iter();
    let set = versions.next().unwrap_or(0);
    if versions.next().is_some() {
        return Err("the file imports operator set ai.onnx in several versions".to_owned());
    }
    if library.leaves_out() && !(LEAST_SET..=MOST_SET).contains(&set) {
        let (name, instead) = (library.name(), library.instead());
        return Err(format!(
            "operator set ai.onnx {set}: {name} was tested with {LEAST_SET} to {MOST_SET}, \
             and ignores the additions of other sets{instead}"
        ));
    }
    Ok(set)
}

fn is_own(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

struct Judge<'a> {
    library: Library,
    set: i64,
    model: &'a ModelProto,
}

/// The element types of the values that nodes use. `None` means that the type is unknown.
#[derive(Debug, Default)]
struct Scope<'a> {
    types: BTreeMap<&'a str, Option<Element>>,
    /// The scope around a body.
    outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn element(&self, name: &str) -> Option<Element> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(known) = here.types.get(name) {
                return *known;
            }
            scope = here.outer;
        }
        None
    }
}

impl Judge<'_> {
    /// Checks all nodes of a graph in their order. Returns the types of the graph's outputs.
    fn graph(&self, graph: &GraphProto, outer: Option<&Scope<'_>>) -> Result<Vec<Option<Element>>, String> {
        let mut scope = Scope { types: BTreeMap::new(), outer };
        for value in graph.input.iter().chain(&graph.value_info) {
            scope.types.insert(&value.name, declared(value));
        }
        let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
        for tensor in graph.initializer.iter().chain(sparse) {
            scope.types.insert(&tensor.name, Some(Element(tensor.data_type)));
        }
        for node in &graph.node {
            self.node(node, &mut scope)?;
        }
        Ok(graph.output.iter().map(|output| scope.element(&output.name).or_else(|| declared(output))).collect())
    }

    fn node<'g>(&self, node: &'g NodeProto, scope: &mut Scope<'g>) -> Result<(), String> {
        let mut bodies = Vec::new();
        for attribute in &node.attribute {
            for body in attribute.g.iter().chain(&attribute.graphs) {
                bodies = self.graph(body, Some(scope))?;
            }
        }
        let rule = self.rule(node, scope).map_err(|what| self.refusal(node, &what))?;
        self.left_out(node).map_err(|what| self.refusal(node, &what))?;
        for (at, output) in node.output.iter().enumerate().filter(|(_, output)| !output.is_empty()) {
            // The type that a file declares for an intermediate value is ignored if a rule determines the
            // type.
            if let Some(rule) = rule {
                let element = made(rule, at, node, scope, &bodies);
                scope.types.insert(output, element);
            }
        }
        Ok(())
    }

    /// The rule that admits a node. `None` if the library has no rule for it; then the library itself refuses
    /// unknown operators.
    fn rule(&self, node: &NodeProto, scope: &Scope<'_>) -> Result<Option<&'static Rule>, String> {
        let is_function = self.model.functions.iter().any(|function| {
            let domain = function.domain.as_deref().unwrap_or_default();
            let is_of_it = domain == node.domain || (is_own(domain) && is_own(&node.domain));
            is_of_it && function.name.as_deref() == Some(node.op_type.as_str())
        });
        if !self.library.leaves_out() && (is_function || !is_own(&node.domain)) {
            return Ok(None);
        }
        if is_function {
            return Err("is a function of the file's own".to_owned());
        }
        if !is_own(&node.domain) {
            return Err(format!("is of domain {}", node.domain));
        }
        let mut first = None;
        for rule in self.library.rules().iter().filter(|rule| rule.operator == node.op_type) {
            match self.fits(rule, node, scope) {
                Ok(()) => return Ok(Some(rule)),
                Err(what) => first = first.or(Some(what)),
            }
        }
        match first {
            Some(what) => Err(what),
            None if self.library.leaves_out() => Err(String::new()),
            None => Ok(None),
        }
    }

    fn fits(&self, rule: &Rule, node: &NodeProto, scope: &Scope<'_>) -> Result<(), String> {
        if !(rule.sets.0..=rule.sets.1).contains(&self.set) {
            return Err(format!("of operator set {} (supported: from {} on)", self.set, rule.sets.0));
        }
        for attribute in &node.attribute {
            fits_attribute(rule, attribute)?;
        }
        let inputs = node.input.iter().rposition(|input| !input.is_empty()).map_or(0, |last| last + 1);
        if !(rule.inputs.0..=rule.inputs.1).contains(&inputs) {
            return Err(format!("with {inputs} inputs (supported: {} to {})", rule.inputs.0, rule.inputs.1));
        }
        let outputs = node.output.iter().filter(|output| !output.is_empty()).count();
        if outputs > rule.outputs {
            return Err(format!("with {outputs} outputs (supported: {})", rule.outputs));
        }
        if rule.types.is_empty() {
            return Ok(());
        }
        let element = node.input.get(rule.typed_by).and_then(|input| scope.element(input));
        let types = || rule.types.replace(' ', ", ");
        match element.map(Element::name) {
            Some(name) if rule.types.split(' ').any(|known| known == name) => Ok(()),
            Some(name) => Err(format!("on {name} (supported: {})", types())),
            None if self.library.leaves_out() => {
                Err(format!("on elements whose type the file does not tell (supported: {})", types()))
            }
            None => Ok(()),
        }
    }

    /// Refuses a node with a left-out input or output before one that is present. tract takes the next value
    /// instead, if its reader of the operator does not check for this. ONNX Runtime has crashed its process
    /// for operators with any number of outputs.
    fn left_out(&self, node: &NodeProto) -> Result<(), String> {
        let is_left_out = |names: &[String]| {
            let last = names.iter().rposition(|name| !name.is_empty());
            names.iter().take(last.unwrap_or(0)).any(String::is_empty)
        };
        let knows = |operators: &[&str]| operators.contains(&node.op_type.as_str());
        if !is_own(&node.domain) {
            return Ok(());
        }
        let (inputs, outputs) = match self.library {
            Library::Tract => (knows(&table::TRACT_KNOWS_MISSING_INPUTS), knows(&table::TRACT_KNOWS_MISSING_OUTPUTS)),
            Library::Onnxruntime => (true, !knows(&["Split"])),
        };
        if is_left_out(&node.input) && !inputs {
            return Err("with an input that is left out before another".to_owned());
        }
        if is_left_out(&node.output) && !outputs {
            return Err("with an output that is left out before another".to_owned());
        }
        Ok(())
    }

    fn refusal(&self, node: &NodeProto, what: &str) -> String {
        let operator = &node.op_type;
        let named = if node.name.is_empty() { String::new() } else { format!(" (node \"{}\")", node.name) };
        let what = if what.is_empty() { String::new() } else { format!(" {what}") };
        let (name, instead) = (self.library.name(), self.library.instead());
        format!("operator {operator}{named}{what}: {name} does not compute that as ONNX defines{instead}")
    }
}

fn fits_attribute(rule: &Rule, attribute: &AttributeProto) -> Result<(), String> {
    let name = attribute.name.as_str();
    let of = |known: &&str| known.split_once('=').map_or(*known, |(known, _)| known) == name;
    let Some(known) = rule.attributes.split(' ').find(of) else {
        return Err(format!("with attribute {name}"));
    };
    let Some((_, allowed)) = known.split_once('=') else { return Ok(()) };
    let value = value(attribute);
    match allowed.split('|').any(|allowed| allowed == value) {
        true => Ok(()),
        false => Err(format!("with {name} = {value} (supported: {})", allowed.replace('|', ", "))),
    }
}

/// An attribute's value as text. Elements of a list are separated by commas.
fn value(attribute: &AttributeProto) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match AttributeType::try_from(attribute.r#type) {
        Ok(AttributeType::Int) => attribute.i.to_string(),
        Ok(AttributeType::Float) => attribute.f.to_string(),
        Ok(AttributeType::String) => text(&attribute.s),
        Ok(AttributeType::Ints) => {
            let parts: Vec<String> = attribute.ints.iter().map(ToString::to_string).collect();
            parts.join(",")
        }
        Ok(AttributeType::Strings) => {
            let parts: Vec<String> = attribute.strings.iter().map(|part| text(part)).collect();
            parts.join(",")
        }
        _ => "something else".to_owned(),
    }
}

/// The element type of one output of a node.
fn made(rule: &Rule, at: usize, node: &NodeProto, scope: &Scope<'_>, bodies: &[Option<Element>]) -> Option<Element> {
    let input = |at: usize| node.input.get(at).and_then(|input| scope.element(input));
    let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
    match *rule.makes.get(at).or(rule.makes.last())? {
        Makes::Like(at) => input(at),
        Makes::Bool => Some(Element::BOOL),
        Makes::U8 => Some(Element::U8),
        Makes::I32 => Some(Element::I32),
        Makes::I64 => Some(Element::I64),
        Makes::F32 => Some(Element::F32),
        Makes::Named(name) => match attribute(name) {
            Some(said) => i32::try_from(said.i).ok().map(Element),
            None => input(0),
        },
        Makes::Constant => constant(node),
        Makes::Body => bodies.get(at).copied().flatten(),
    }
}

fn constant(node: &NodeProto) -> Option<Element> {
    let Some(attribute) = node.attribute.first() else { return Some(Element::F32) };
    match AttributeType::try_from(attribute.r#type).ok()? {
        AttributeType::Int | AttributeType::Ints => Some(Element::I64),
        AttributeType::Float | AttributeType::Floats => Some(Element::F32),
        AttributeType::Tensor => attribute.t.as_ref().map(|tensor| Element(tensor.data_type)),
        _ => None,
    }
}

fn declared(value: &ValueInfoProto) -> Option<Element> {
    let TypeValue::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()?;
    Some(Element(tensor.elem_type)).filter(|element| element.0 != 0)
}
