//! A sink by field whose description gives a field.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 59] = *br#"{"version":1,"reads":[],"gives":[{"name":"a","type":"u8"}]}"#;

struct Guest;

impl FieldsWriter for Guest {
    fn write(_: FieldBatch) {}
}

export!(fields_sink, Guest);
