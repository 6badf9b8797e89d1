//! A map by field whose description names no fields.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 13] = *br#"{"version":1}"#;

struct Guest;

impl FieldsMapper for Guest {
    fn map(table: Table) {
        fields_output::columns(&table);
    }
}

export!(fields_map, Guest);
