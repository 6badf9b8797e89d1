use crate::config::Span;
use crate::draft::Draft;
use crate::wiring::Wire;

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

    /// The place of the `input` that makes a wire.
    pub(super) fn input_span(&self, wire: usize) -> Option<Span> {
        let wire = self.wires.get(wire)?;
        self.drafts.get(wire.to)?.inputs?.get(wire.input)?.span
    }

    /// The place of a field in the `schema` of a source.
    pub(super) fn schema_span(&self, stage: usize, name: &str) -> Option<Span> {
        let schema = self.drafts.get(stage)?.schema?;
        schema.fields.iter().find(|field| field.key.value == name)?.data_type.span
    }
}
