//! Gives each word twice, the second time in another call. A word `!command` breaks the rule that it names.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 146] = *br#"{"version":1,"reads":[{"name":"word","type":"string","nullable":false}],
"gives":[{"name":"copy","type":"string","nullable":false}],"rest":"keep"}"#;

struct Guest;

impl FieldsFlatMapper for Guest {
    fn flat_map(table: Table) {
        let words = words_of(&table).clone();
        let n = table.rows;
        let rows = |words: &Column, rows: u32, parents: Vec<u32>| {
            let fields = vec![Values::Strings(words.clone()).into()];
            fields_output::rows(&Table { rows, fields, children: Vec::new() }, &parents);
        };
        match told(&table).as_deref() {
            None => {}
            Some("same") => {
                let same = Table { rows: n, fields: vec![Values::Same(0).into()], children: Vec::new() };
                return fields_output::rows(&same, &(0..n).collect::<Vec<_>>());
            }
            Some("parent too few") => return rows(&words, n, (1..n).collect()),
            Some("parents fall") => {
                rows(&words, n, (0..n).collect());
                rows(&words, n, vec![0; n as usize]);
                return rows(&words, n, vec![n; n as usize]);
            }
            Some("parent out of range") => return rows(&words, n, vec![n; n as usize]),
            Some("columns") => {
                return fields_output::columns(&Table { rows: n, fields: Vec::new(), children: Vec::new() });
            }
            Some("without end") => loop {
                rows(&words, n, vec![n - 1; n as usize]);
            },
            Some(other) => panic!("{other:?} is no command"),
        }
        let doubled: Vec<&[u8]> = entries(&words).flat_map(|word| [word, word]).collect();
        let half = doubled.len() / 2;
        let parents: Vec<u32> = (0..n).flat_map(|row| [row, row]).collect();
        rows(&column(&doubled[..half]), half as u32, parents[..half].to_vec());
        rows(&column(&doubled[half..]), (doubled.len() - half) as u32, parents[half..].to_vec());
    }
}

export!(fields_flat_map, Guest);
