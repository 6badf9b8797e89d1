use std::sync::Arc;

use super::field_output::{FieldOutput, OutputShape};
use sage_batch::Batch;
use sage_batch::fields::{Schema, Table};

/// process by field: the outputs on which a record keeps the fields of its input record that are not given, by port.
pub(super) struct KeptFields(Vec<Option<FieldOutput>>);

impl KeptFields {
    /// The outputs of a process. `None` if it keeps no fields.
    pub(super) fn new(outputs: Vec<Option<FieldOutput>>) -> Option<Self> {
        outputs.iter().any(Option::is_some).then_some(Self(outputs))
    }

    /// The outputs for an input with these fields.
    pub(super) fn shapes(&mut self, input: &Arc<Schema>) -> Vec<Option<&OutputShape>> {
        self.0.iter_mut().map(|output| output.as_mut().map(|output| output.shape(input))).collect()
    }
}

/// Adds to each record of `batch` the fields that it keeps of its parent, a row of `input`.
pub(super) fn add_kept(batch: &mut Batch, parents: &[u32], input: &Table, shape: &OutputShape) {
    let Some(given) = batch.table_mut() else { return };
    let mut kept = Table::new(Arc::clone(input.schema()));
    for run in parents.chunk_by(|before, after| before.checked_add(1) == Some(*after)) {
        let first = run.first().map_or(0, |&parent| parent as usize);
        kept.append_range(input, first, first + run.len());
    }
    let mut rows = Table::default();
    rows.assemble(&shape.schema, given.len(), &shape.parts(&[]), given, &mut kept);
    batch.replace_by_fields(&mut rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sage_batch::fields::{Cell, DataType, FieldType};
    use sage_batch::{Origin, RawColumns};

    fn table(fields: &[(&str, &[u64])]) -> Table {
        let field = |name: &str| FieldType {
            name: name.to_owned(),
            data_type: DataType::U64,
            nullable: false,
            docs: String::new(),
        };
        let schema = Schema::new(fields.iter().map(|(name, _)| field(name)).collect()).unwrap();
        let mut table = Table::new(Arc::new(schema));
        for row in 0..fields[0].1.len() {
            for (at, (_, values)) in fields.iter().enumerate() {
                table.field_mut(at).unwrap().push_u64(values[row]);
            }
            assert!(table.finish_row());
        }
        table
    }

    #[test]
    fn each_record_keeps_the_fields_of_its_own_parent_and_what_is_given_replaces() {
        let input = table(&[("a", &[1, 2, 3]), ("b", &[10, 20, 30])]);
        let mut given = table(&[("b", &[5, 6, 7, 8])]);
        let shape = FieldOutput::new(Arc::clone(input.schema()), Arc::clone(given.schema()), true, false);
        let mut kept = KeptFields::new(vec![None, Some(shape)]).unwrap();
        let shapes = kept.shapes(input.schema());
        assert!(shapes[0].is_none());
        let mut batch = Batch::new();
        batch.assign_by_field(&mut given, RawColumns::default()).unwrap();
        batch.set_origins((0..4).map(|row| Origin::new(0, row)));
        add_kept(&mut batch, &[2, 0, 1, 1], &input, shapes[1].unwrap());
        let rows = batch.table().unwrap();
        let cells = |field: usize| (0..4).map(|row| rows.cell(field, row).unwrap()).collect::<Vec<_>>();
        let names: Vec<&str> = rows.schema().fields().iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(cells(0), [5, 6, 7, 8].map(Cell::Unsigned));
        assert_eq!(cells(1), [3, 1, 2, 2].map(Cell::Unsigned));
        assert!(KeptFields::new(vec![None, None]).is_none());
    }
}
