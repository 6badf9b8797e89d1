use crate::Port;
use crate::config::{Input, Span, WrittenType};
use crate::draft::Draft;
use crate::wiring::Wire;

/// An output: the index of the stage and the port.
pub(super) type OutputId = (usize, Port);

/// The stages of a pipeline and their connections.
pub(super) struct Graph<'a> {
    pub(super) drafts: &'a [Draft<'a>],
    pub(super) wires: &'a [Wire],
    /// Indices of the drafts, upstream before downstream.
    pub(super) sorted: &'a [usize],
    /// Indices of the wires to each draft.
    inputs: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(drafts: &'a [Draft<'a>], wires: &'a [Wire], sorted: &'a [usize]) -> Self {
        let mut inputs = vec![Vec::new(); drafts.len()];
        for (at, wire) in wires.iter().enumerate() {
            if let Some(inputs) = inputs.get_mut(wire.to) {
                inputs.push(at);
            }
        }
        Self { drafts, wires, sorted, inputs }
    }

    /// The wires to a stage, with their indices.
    pub(super) fn inputs(&self, stage: usize) -> impl Iterator<Item = (usize, &'a Wire)> {
        let inputs = self.inputs.get(stage).into_iter().flatten();
        inputs.filter_map(|&at| Some((at, self.wires.get(at)?)))
    }

    /// The name of a stage in messages.
    pub(super) fn place(&self, stage: usize) -> String {
        self.drafts.get(stage).map(Draft::place).unwrap_or_default()
    }

    /// The name of the stage that reads on a wire, in messages.
    pub(super) fn reader(&self, wire: usize) -> String {
        self.wires.get(wire).map(|wire| self.place(wire.to)).unwrap_or_default()
    }

    /// The `input` that makes a wire.
    pub(super) fn input(&self, wire: usize) -> Option<&'a Input> {
        let wire = self.wires.get(wire)?;
        self.drafts.get(wire.to)?.inputs?.get(wire.input)
    }

    /// The place of the `input` that makes a wire.
    pub(super) fn input_span(&self, wire: usize) -> Option<Span> {
        self.input(wire)?.from.span
    }

    /// The place of the type of a field in the `schema` of a source, or of a member of the field's struct.
    pub(super) fn schema_span(&self, stage: usize, name: &str, member: Option<&str>) -> Option<Span> {
        let schema = self.drafts.get(stage)?.schema?;
        let field = schema.fields.iter().find(|field| field.key.value == name)?;
        let member = match &field.data_type {
            WrittenType::Members { members, .. } => members.iter().find(|field| Some(&*field.key.value) == member),
            WrittenType::Name(_) => None,
        };
        member.unwrap_or(field).data_type.span()
    }
}
