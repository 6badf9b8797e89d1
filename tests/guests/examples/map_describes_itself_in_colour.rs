//! A description is shown to people, so it has no control characters.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 36] = *br#"{"version":1,"docs":"\u001b[31mred"}"#;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        output::payloads(&payloads);
    }
}

export!(map, Guest);
