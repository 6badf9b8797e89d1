use serde_json::{Value, json};

use sage_batch::fields::{DataType, FieldType};

/// A field in the JSON output of commands. A struct has the type `struct`, and its members in `fields`.
pub(super) fn field_json(field: &FieldType) -> Value {
    let mut value = json!({ "name": field.name, "type": field.data_type.to_string(), "nullable": field.nullable });
    if let (DataType::Struct(members), Some(value)) = (&field.data_type, value.as_object_mut()) {
        value.insert("type".to_owned(), "struct".into());
        value.insert("fields".to_owned(), members.fields().iter().map(field_json).collect());
    }
    value
}
