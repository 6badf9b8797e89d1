//! Schemas for tests.

use std::sync::Arc;

use sage_batch::fields::{FieldType, Members, Schema};

/// A schema of names and types; `?` behind a type makes the field nullable. A struct is `{lat: f64, lon: f64?}`.
pub(crate) fn schema(fields: &[(&str, &str)]) -> Arc<Schema> {
    let fields = fields.iter().map(|(name, data_type)| field(name, data_type));
    Arc::new(Schema::new(fields.collect()).unwrap())
}

fn field(name: &str, data_type: &str) -> FieldType {
    let (plain, nullable) = data_type.strip_suffix('?').map_or((data_type, false), |plain| (plain, true));
    let data_type = match plain.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(members) => {
            let members = members.split(", ").map(|member| member.split_once(": ").unwrap());
            Members::new(members.map(|(name, data_type)| field(name, data_type)).collect()).unwrap().into()
        }
        None => plain.parse().unwrap(),
    };
    FieldType { name: name.to_owned(), data_type, nullable, docs: String::new() }
}
