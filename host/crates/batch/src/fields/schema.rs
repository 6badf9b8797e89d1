use std::collections::HashSet;

use super::DataType;

/// Name and type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldType {
    /// Name of the field in the record.
    pub name: String,
    /// Type of the values.
    pub data_type: DataType,
    /// Whether a record may lack a value.
    pub nullable: bool,
    /// Purpose of the field, for people.
    pub docs: String,
}

/// Fields of a record, in their order. No two fields have one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    fields: Vec<FieldType>,
}

impl Schema {
    /// A schema of these fields, unless two of them have one name.
    ///
    /// # Errors
    /// The name that occurs twice.
    pub fn new(fields: Vec<FieldType>) -> Result<Self, String> {
        let mut seen = HashSet::with_capacity(fields.len());
        let twice = fields.iter().find(|field| !seen.insert(field.name.as_str())).map(|field| field.name.clone());
        match twice {
            Some(name) => Err(name),
            None => Ok(Self { fields }),
        }
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &[FieldType] {
        &self.fields
    }

    /// The place of the field with this name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}
