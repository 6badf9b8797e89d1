use std::sync::Arc;

use sage_batch::fields::{FieldType, Part, SameField, Schema};

/// The fields of the records that an operator by field sends, made from its answer and its input.
pub(super) struct FieldOutput {
    reads: Arc<Schema>,
    gives: Arc<Schema>,
    /// Whether the fields of the input that are not given travel on.
    keeps_rest: bool,
    /// Whether a stage downstream reads the records as text.
    is_printed: bool,
    shape: Option<OutputShape>,
}

/// The output for inputs of one schema.
pub(super) struct OutputShape {
    input: Arc<Schema>,
    pub(super) schema: Arc<Schema>,
    /// The column of the input behind each field that the operator reads.
    columns: Vec<usize>,
    /// The columns of the input that travel on, behind the given fields.
    kept: Vec<usize>,
    /// Whether a stage downstream reads the records as text.
    pub(super) is_printed: bool,
}

impl FieldOutput {
    pub(super) fn new(reads: Arc<Schema>, gives: Arc<Schema>, keeps_rest: bool, is_printed: bool) -> Self {
        Self { reads, gives, keeps_rest, is_printed, shape: None }
    }

    /// The output for an input with these fields.
    pub(super) fn shape(&mut self, input: &Arc<Schema>) -> &OutputShape {
        let known = self.shape.as_ref().is_some_and(|shape| Arc::ptr_eq(&shape.input, input));
        if !known {
            self.shape = None;
        }
        let (reads, gives, flags) = (&self.reads, &self.gives, (self.keeps_rest, self.is_printed));
        self.shape.get_or_insert_with(|| OutputShape::new(input, reads, gives, flags))
    }
}

impl OutputShape {
    fn new(input: &Arc<Schema>, reads: &Schema, gives: &Arc<Schema>, (keeps_rest, is_printed): (bool, bool)) -> Self {
        let columns = reads.fields().iter().filter_map(|field| input.position(&field.name)).collect();
        let stays = |(_, field): &(usize, &FieldType)| keeps_rest && gives.position(&field.name).is_none();
        let kept: Vec<usize> = input.fields().iter().enumerate().filter(stays).map(|(at, _)| at).collect();
        let rest = kept.iter().filter_map(|&at| input.fields().get(at)).cloned();
        let fields: Vec<FieldType> = gives.fields().iter().cloned().chain(rest).collect();
        // The names differ: no kept field has the name of a given one.
        let schema =
            if kept.is_empty() { Arc::clone(gives) } else { Arc::new(Schema::new(fields).unwrap_or_default()) };
        Self { input: Arc::clone(input), schema, columns, kept, is_printed }
    }

    /// Where each field of the output comes from.
    pub(super) fn parts(&self, same: &[SameField]) -> Vec<Part> {
        let given = self.schema.fields().len() - self.kept.len();
        let mut parts: Vec<Part> = (0..given).map(Part::Answer).collect();
        for field in same {
            if let (Some(part), Some(&column)) = (parts.get_mut(field.to), self.columns.get(field.from)) {
                *part = Part::Input(column);
            }
        }
        parts.extend(self.kept.iter().map(|&column| Part::Input(column)));
        parts
    }
}
