//! Schemas for tests.

use std::sync::Arc;

use sage_batch::fields::{FieldType, Schema};

/// A schema of names and types; `?` behind a type makes the field nullable.
pub(crate) fn schema(fields: &[(&str, &str)]) -> Arc<Schema> {
    let fields = fields.iter().map(|(name, data_type)| FieldType {
        name: (*name).to_owned(),
        data_type: data_type.trim_end_matches('?').parse().unwrap(),
        nullable: data_type.ends_with('?'),
        docs: String::new(),
    });
    Arc::new(Schema::new(fields.collect()).unwrap())
}
