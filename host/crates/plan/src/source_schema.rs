use std::sync::Arc;

use sage_batch::fields::Schema;

/// Fields that a source parses from its records, with the name of each in the source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceSchema {
    fields: Arc<Schema>,
    /// The names in the source, one for each field.
    names: Vec<String>,
}

impl SourceSchema {
    /// Fields with the same names in the source and in the pipeline.
    #[must_use]
    pub fn same_names(fields: Arc<Schema>) -> Self {
        let names = fields.fields().iter().map(|field| field.name.clone()).collect();
        Self { fields, names }
    }

    /// Fields with their names in the source. `None` unless there are as many names as fields.
    #[must_use]
    pub fn new(fields: Arc<Schema>, names: Vec<String>) -> Option<Self> {
        (fields.fields().len() == names.len()).then_some(Self { fields, names })
    }

    /// The fields as the pipeline names them.
    #[must_use]
    pub fn fields(&self) -> &Arc<Schema> {
        &self.fields
    }

    /// The name of each field in the records of the source, in the order of the fields.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The fields for which `keep` is true, in their order.
    #[must_use]
    pub fn project(&self, keep: impl Fn(&str) -> bool) -> Self {
        let pairs = self.fields.fields().iter().zip(&self.names).filter(|(field, _)| keep(&field.name));
        let (fields, names) = pairs.map(|(field, name)| (field.clone(), name.clone())).unzip();
        // A part of a schema has no name twice, so an error is not expected.
        Self { fields: Arc::new(Schema::new(fields).unwrap_or_default()), names }
    }
}
