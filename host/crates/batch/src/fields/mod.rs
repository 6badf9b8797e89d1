//! Records by field: the types of fields, and columns with their values.

mod data_type;
mod schema;

pub use data_type::{DataType, UnknownType};
pub use schema::{FieldType, Schema};
