//! A description of a later version is refused, because this host does not know its meaning.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 39] = *br#"{"version":2,"docs":"From the future."}"#;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        output::payloads(&payloads);
    }
}

export!(map, Guest);
