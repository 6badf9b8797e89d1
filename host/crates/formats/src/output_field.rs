use sage_batch::fields::Schema;

/// A field of the output: which field of the table it is, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputField {
    /// Place of the field in the schema of the table.
    pub field: usize,
    /// Name in the output.
    pub name: String,
    /// Whether a field was read without knowing its type. CSV then prints a string of JSON as its text, as if the field
    /// were a `string`, and an empty text without quotes.
    pub untyped: bool,
}

impl OutputField {
    /// Every field of a schema, under its own name.
    #[must_use]
    pub fn all(schema: &Schema) -> Vec<Self> {
        let fields = schema.fields().iter().enumerate();
        fields.map(|(field, of)| Self { field, name: of.name.clone(), untyped: false }).collect()
    }
}
