//! Gives each word, its number of bytes, and half of that number. A word `!command` breaks the rule that it names, in
//! the whole answer. Each table has at least one row then.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 344] = *br#"{"version":1,"reads":[{"name":"word","type":"string","nullable":false},{"name":"note","type":"string","nullable":true}],
"gives":[{"name":"word","type":"string","nullable":false},{"name":"bytes","type":"u32","nullable":false},
{"name":"half","type":"decimal(3, 1)","nullable":true},{"name":"even","type":"bool","nullable":false}],"rest":"drop"}"#;

struct Guest;

impl FieldsMapper for Guest {
    fn map(table: Table) {
        let words = words_of(&table).clone();
        let lengths: Vec<u32> = entries(&words).map(|word| word.len() as u32).collect();
        let n = lengths.len();
        let halves: Vec<u64> = lengths.iter().flat_map(|&length| [u64::from(length) * 5, 0]).collect();
        let even = (0..n.div_ceil(8)).map(|byte| {
            (0..8).fold(0, |bits, bit| match lengths.get(byte * 8 + bit) {
                Some(length) => bits | u8::from(length % 2 == 0) << bit,
                None => bits,
            })
        });
        let even: Vec<u8> = even.collect();
        let rows = table.rows;
        let mut fields: Vec<Field> = vec![
            Values::Same(0).into(),
            Values::Uint32s(lengths.clone()).into(),
            Values::Decimals(halves).into(),
            Values::Bools(even).into(),
        ];
        let mut answer = rows;
        match told(&table).as_deref() {
            None | Some("twice" | "never" | "payloads" | "keep" | "reject") => {}
            Some("field too few") => drop(fields.pop()),
            Some("field too many") => fields.push(Values::Bools(Vec::new()).into()),
            Some("row too few") => answer -= 1,
            Some("row too many") => answer += 1,
            Some("rows without end") => answer = u32::MAX,
            Some("other type") => fields[1] = Values::Uint64s(vec![0; n]).into(),
            Some("value too few") => fields[1] = Values::Uint32s(vec![0; n - 1]).into(),
            Some("value too many") => fields[1] = Values::Uint32s(vec![0; n + 1]).into(),
            Some("same out of range") => fields[0] = Values::Same(9).into(),
            Some("same of another type") => fields[1] = Values::Same(0).into(),
            Some("same with nulls") => fields[0] = Values::Same(1).into(),
            Some("same with validity") => fields[0].validity = Some(vec![1; n.div_ceil(8)]),
            Some("validity where no null is") => fields[1].validity = Some(vec![0xff >> (7 - (n - 1) % 8)]),
            Some("validity too short") => fields[2].validity = Some(Vec::new()),
            Some("validity too long") => fields[2].validity = Some(vec![0; n.div_ceil(8) + 1]),
            Some("validity past the end") => fields[2].validity = Some(vec![0xff; n.div_ceil(8)]),
            Some("bools too short") => fields[3] = Values::Bools(Vec::new()).into(),
            Some("bools past the end") => fields[3] = Values::Bools(vec![0xff; n.div_ceil(8)]).into(),
            Some("decimal too large") => fields[2] = Values::Decimals([1000, 0].repeat(n)).into(),
            Some("half a decimal") => fields[2] = Values::Decimals(vec![0; 2 * n - 1]).into(),
            Some("offsets fall") => fields[0] = Values::Strings(broken(&[0, 2, 1], 1)).into(),
            Some("offsets beyond") => fields[0] = Values::Strings(broken(&[0, 9], 1)).into(),
            Some("no offsets") => fields[0] = Values::Strings(broken(&[], 0)).into(),
            Some("no utf-8") => fields[0] = Values::Strings(column(vec![b"\xff"; n])).into(),
            Some("cut in a letter") => {
                let cut =
                    Column { offsets: (0..=n as u32).collect(), bytes: "é".repeat(n).into_bytes()[..n].to_vec() };
                fields[0] = Values::Strings(cut).into();
            }
            Some("a long text") => fields[0] = Values::Strings(column(vec![vec![b'x'; 100_000]; n])).into(),
            Some("a lot") => fields[1] = Values::Uint32s(vec![0; 1 << 19]).into(),
            Some(other) => panic!("{other:?} is no command"),
        }
        match told(&table).as_deref() {
            Some("never") => return,
            Some("payloads") => return output::payloads(&words),
            Some("keep") => return output::keep(&[0]),
            Some("reject") => {
                let row = entries(&words).position(|word| word.starts_with(b"!")).unwrap_or_default();
                output::failures(&[row as u32], &column(["as told"]));
            }
            Some("twice") => fields_output::columns(&Table { rows, fields: fields.clone(), children: Vec::new() }),
            _ => {}
        }
        fields_output::columns(&Table { rows: answer, fields, children: Vec::new() });
    }
}

export!(fields_map, Guest);
