//! Gives each word with its key, timestamp and headers, its number of bytes and half of that number. Words of an even
//! number of bytes go to the port `even` too, with the other fields of their record. The end gives the number of words,
//! from the state. A word `!command` breaks the rule that it names, after the state was written.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 347] = *br#"{"version":1,"reads":[{"name":"word","type":"string","nullable":false}],
"gives":[{"name":"word","type":"string","nullable":false},{"name":"bytes","type":"u32","nullable":false},
{"name":"half","type":"decimal(3, 1)","nullable":true}],"rest":"drop",
"ports":[{"name":"even","gives":[{"name":"mark","type":"bool","nullable":false}],"rest":"keep"}]}"#;

struct Guest;

impl FieldsProcessor for Guest {
    fn ports() -> Vec<String> {
        vec!["even".to_owned()]
    }

    fn process(batch: FieldBatch) {
        count(batch.table.rows.into());
        let told = told(&batch.table);
        let is_rejected = |word: &[u8]| word == b"!reject";
        if let Some(row) = entries(words_of(&batch.table)).position(is_rejected) {
            output::failures(&[row as u32], &column(["as told"]));
        }
        let kept = entries(words_of(&batch.table)).enumerate().filter(|(_, word)| !is_rejected(word));
        let (of, kept): (Vec<u32>, Vec<&[u8]>) = kept.map(|(row, word)| (row as u32, word)).unzip();
        let words = column(kept);
        let n = rows(&words);
        let lengths: Vec<u32> = entries(&words).map(|word| word.len() as u32).collect();
        let mut fields = fields_of(&words);
        let mut parents = Some(of.clone());
        let (mut port, mut rows) = (0, n as u32);
        let (mut keys, mut timestamps, mut headers) = (batch.keys, batch.timestamps, batch.headers);
        match told.as_deref() {
            None | Some("emit" | "columns" | "rows") => {}
            Some("reject") => (keys, timestamps, headers) = (None, None, None),
            Some("field too few") => drop(fields.pop()),
            Some("field too many") => fields.push(Values::Bools(Vec::new()).into()),
            Some("rows without end") => rows = u32::MAX,
            Some("other type") => fields[1] = Values::Uint64s(vec![0; n]).into(),
            Some("value too few") => fields[1] = Values::Uint32s(vec![0; n - 1]).into(),
            Some("value too many") => fields[1] = Values::Uint32s(vec![0; n + 1]).into(),
            Some("same") => fields[0] = Values::Same(0).into(),
            Some("validity where no null is") => fields[1].validity = Some(vec![0xff >> (7 - (n - 1) % 8)]),
            Some("validity too short") => fields[2].validity = Some(Vec::new()),
            Some("validity too long") => fields[2].validity = Some(vec![0; n.div_ceil(8) + 1]),
            Some("validity past the end") => fields[2].validity = Some(vec![0xff; n.div_ceil(8)]),
            Some("decimal too large") => fields[2] = Values::Decimals([1000, 0].repeat(n)).into(),
            Some("half a decimal") => fields[2] = Values::Decimals(vec![0; 2 * n - 1]).into(),
            Some("offsets fall") => fields[0] = Values::Strings(broken(&[0, 2, 1], 1)).into(),
            Some("offsets beyond") => fields[0] = Values::Strings(broken(&[0, 9], 1)).into(),
            Some("no offsets") => fields[0] = Values::Strings(broken(&[], 0)).into(),
            Some("no utf-8") => fields[0] = Values::Strings(column(vec![b"\xff"; n])).into(),
            Some("a long text") => fields[0] = Values::Strings(column(vec![vec![b'x'; 100_000]; n])).into(),
            Some("a long key") => keys = Some(column(vec![vec![b'x'; 100_000]; n])),
            Some("a lot") => fields[1] = Values::Uint32s(vec![0; 1 << 19]).into(),
            Some("key too few") => keys = Some(column(vec!["k"; n - 1])),
            Some("broken keys") => keys = Some(broken(&[0, 99], 1)),
            Some("timestamp too many") => timestamps = Some(vec![0; n + 1]),
            Some("header too few") => headers = Some(column(vec![""; n - 1])),
            Some("parent too few") => parents = Some(vec![0; n - 1]),
            Some("parent out of range") => parents = Some(vec![n as u32; n]),
            Some("port far away") => port = 2,
            Some("even of other fields") => port = 1,
            Some("even too short") => (port, fields) = (1, vec![Values::Bools(Vec::new()).into()]),
            Some("even past the end") => (port, fields) = (1, vec![Values::Bools(vec![0xff; n.div_ceil(8)]).into()]),
            Some("even without a parent") => {
                (port, parents, fields) = (1, None, vec![Values::Bools(vec![0; n.div_ceil(8)]).into()]);
            }
            Some("without end") => loop {
                emit(0, (0, Vec::from_iter(fields_of(&column([""; 0])))), None);
            },
            Some("kept without end") => loop {
                emit(1, (8, vec![Values::Bools(vec![0]).into()]), Some(&[0; 8]));
            },
            Some(other) => panic!("{other:?} is no command"),
        }
        match told.as_deref() {
            Some("emit") => output::emit(0, &batch_of(words.clone()), None),
            Some("columns") => fields_output::columns(&batch.table),
            Some("rows") => fields_output::rows(&batch.table, &vec![0; n]),
            _ => {}
        }
        let table = Table { rows, fields, children: Vec::new() };
        fields_output::emit(port, &FieldBatch { table, keys, timestamps, headers }, parents.as_deref());
        let even: Vec<u32> =
            of.iter().zip(&lengths).filter(|(_, length)| *length % 2 == 0).map(|(row, _)| *row).collect();
        let marks = vec![0; even.len().div_ceil(8)];
        emit(1, (even.len() as u32, vec![Values::Bools(marks).into()]), Some(&even));
    }

    fn end() {
        let count = counted().to_string();
        emit(0, (1, fields_of(&column([count]))), None);
    }
}

fn emit(port: u32, (rows, fields): (u32, Vec<Field>), parents: Option<&[u32]>) {
    let table = Table { rows, fields, children: Vec::new() };
    fields_output::emit(port, &FieldBatch { table, keys: None, timestamps: None, headers: None }, parents);
}

/// The fields of these words on the main output.
fn fields_of(words: &Column) -> Vec<Field> {
    let lengths: Vec<u32> = entries(words).map(|word| word.len() as u32).collect();
    let halves = lengths.iter().flat_map(|&length| [u64::from(length) * 5, 0]).collect();
    vec![Values::Strings(words.clone()).into(), Values::Uint32s(lengths).into(), Values::Decimals(halves).into()]
}

fn counted() -> u64 {
    let state::Values { values, .. } = state::get("words", &column(["all"]));
    entries(&values).next().and_then(|value| value.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn count(more: u64) {
    let sum = counted() + more;
    state::put("words", &column(["all"]), &column([sum.to_le_bytes()]));
}

export!(fields_process, Guest);
