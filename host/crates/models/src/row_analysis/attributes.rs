use tract_onnx::pb::{AttributeProto, NodeProto};

use super::value::{Found, Value};

/// A node with the known facts about its inputs.
#[derive(Debug)]
pub(super) struct Node<'a> {
    proto: &'a NodeProto,
    /// The version of ONNX's operator set that the file uses.
    pub(super) version: i64,
    /// The inputs in the node's order. `None` for an optional input that is left out.
    inputs: Vec<Option<&'a Value>>,
}

impl<'a> Node<'a> {
    pub(super) fn new(proto: &'a NodeProto, version: i64, inputs: Vec<Option<&'a Value>>) -> Self {
        Self { proto, version, inputs }
    }

    pub(super) fn operator(&self) -> &'a str {
        &self.proto.op_type
    }

    /// An optional input.
    pub(super) fn optional(&self, at: usize) -> Option<&'a Value> {
        self.inputs.get(at).copied().flatten()
    }

    /// A required input.
    pub(super) fn input(&self, at: usize) -> Found<&'a Value> {
        self.optional(at).ok_or_else(|| format!("has no input {at}"))
    }

    /// All inputs that are present.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &'a Value> + '_ {
        self.inputs.iter().copied().flatten()
    }

    /// Checks that all inputs from index `from` on are the same for any rows.
    pub(super) fn others_are_same(&self, from: usize) -> Found<()> {
        match self.inputs.iter().skip(from).flatten().all(|input| input.is_same()) {
            true => Ok(()),
            false => Err(format!("takes more than its first input{} from the rows", if from > 1 { "s" } else { "" })),
        }
    }

    /// Number of outputs, used or not.
    pub(super) fn all_outputs(&self) -> usize {
        self.proto.output.len()
    }

    /// Number of used outputs.
    pub(super) fn outputs(&self) -> usize {
        self.proto.output.iter().filter(|name| !name.is_empty()).count()
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// A number, or its default value.
    pub(super) fn number(&self, name: &str, otherwise: i64) -> i64 {
        self.attribute(name).map_or(otherwise, |attribute| attribute.i)
    }

    /// A list of numbers.
    pub(super) fn numbers(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.attribute(name).and_then(|attribute| std::str::from_utf8(&attribute.s).ok())
    }

    /// The attribute with this name, of any type.
    pub(super) fn raw(&self, name: &str) -> Option<&'a AttributeProto> {
        self.attribute(name)
    }

    /// Numbers that are an attribute before version `since`, and an input from that version on. `Ok(None)` if
    /// they are missing.
    ///
    /// # Errors
    /// The input's elements are unknown, or the numbers are given in the form of the other version, which a
    /// backend may ignore.
    pub(super) fn numbers_of(&self, name: &str, input: usize, since: i64) -> Found<Option<Vec<i64>>> {
        let by_input = self.version >= since;
        if if by_input { self.has(name) } else { self.optional(input).is_some() } {
            return Err(format!("gives its {name} in the form of another version"));
        }
        if !by_input {
            return Ok(self.numbers(name).map(<[i64]>::to_vec));
        }
        let Some(value) = self.optional(input) else { return Ok(None) };
        value.known_numbers().map(Some).ok_or_else(|| format!("computes its {name}"))
    }
}
