//! A source by field whose description reads a field.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 59] = *br#"{"version":1,"reads":[{"name":"a","type":"u8"}],"gives":[]}"#;

struct Guest;

impl FieldsReader for Guest {
    fn next(_: u32, _: u32) -> Result<FieldsProgress, String> {
        Ok(FieldsProgress::End)
    }
}

export!(fields_source, Guest);
