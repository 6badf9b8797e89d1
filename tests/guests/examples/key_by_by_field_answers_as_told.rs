//! Keys each word by its number of bytes. A word `!command` breaks the rule that it names.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 86] =
    *br#"{"version":1,"reads":[{"name":"word","type":"string","nullable":false}],"rest":"keep"}"#;

struct Guest;

impl FieldsKeySelector for Guest {
    fn key_by(table: Table) {
        let words = words_of(&table);
        let keys: Vec<String> = entries(words).map(|word| word.len().to_string()).collect();
        match told(&table).as_deref() {
            None => output::keys(&column(&keys)),
            Some("key too few") => output::keys(&column(&keys[1..])),
            Some("offsets fall") => output::keys(&broken(&[0, 2, 1], 1)),
            Some("keep") => output::keep(&[0]),
            Some("never") => {}
            Some(other) => panic!("{other:?} is no command"),
        }
    }
}

export!(fields_key_by, Guest);
