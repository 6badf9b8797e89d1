//! A process by field whose description names another side output than its function `ports`.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 62] = *br#"{"version":1,"reads":[],"gives":[],"ports":[{"name":"early"}]}"#;

struct Guest;

impl FieldsProcessor for Guest {
    fn ports() -> Vec<String> {
        vec!["late".to_owned()]
    }

    fn process(_: FieldBatch) {}
}

export!(fields_process, Guest);
