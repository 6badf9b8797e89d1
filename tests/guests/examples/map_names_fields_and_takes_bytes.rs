//! A map over bytes whose description names fields: the host could not know which of the two to believe.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 59] = *br#"{"version":1,"reads":[{"name":"a","type":"u8"}],"gives":[]}"#;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        output::payloads(&payloads);
    }
}

export!(map, Guest);
