//! Keeps words of an even number of bytes. A word `!command` breaks the rule that it names.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 86] =
    *br#"{"version":1,"reads":[{"name":"word","type":"string","nullable":false}],"rest":"keep"}"#;

struct Guest;

impl FieldsPredicate for Guest {
    fn filter(table: Table) {
        let words = words_of(&table);
        let n = table.rows as usize;
        let mut bits = vec![0; n.div_ceil(8)];
        for (row, word) in entries(words).enumerate() {
            bits[row / 8] |= u8::from(word.len() % 2 == 0) << (row % 8);
        }
        match told(&table).as_deref() {
            None => output::keep(&bits),
            Some("too long") => output::keep(&vec![0; n.div_ceil(8) + 1]),
            Some("past the end") => output::keep(&vec![0xff; n.div_ceil(8)]),
            Some("payloads") => output::payloads(words),
            Some("never") => {}
            Some(other) => panic!("{other:?} is no command"),
        }
    }
}

export!(fields_filter, Guest);
