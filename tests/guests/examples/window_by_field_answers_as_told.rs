//! Counts the words of each window by field, and gives the count with the window. A word `!command` breaks the rule that
//! it names, in `finish`.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 238] = *br#"{"version":1,"reads":[{"name":"word","type":"string","nullable":false}],
"gives":[{"name":"words","type":"u32","nullable":false},{"name":"from","type":"s64","nullable":false},
{"name":"to","type":"s64","nullable":false}],"rest":"drop"}   "#;

struct Guest;

impl FieldsAggregator for Guest {
    fn fold(records: FieldBatch, rows: Vec<u32>, slots: Vec<u32>, accumulators: Column, _: Vec<u8>) {
        let words: Vec<&[u8]> = entries(words_of(&records.table)).collect();
        let mut sums: Vec<Vec<u8>> = entries(&accumulators).map(<[u8]>::to_vec).collect();
        for (row, slot) in rows.iter().zip(&slots) {
            let sum = &mut sums[*slot as usize];
            let word = words[*row as usize];
            // The number of words, and the command if there is one.
            match sum.first_mut() {
                Some(count) => *count += 1,
                None => sum.push(1),
            }
            sum.extend(word.strip_prefix(b"!").unwrap_or_default());
        }
        windows_output::accumulators(&column(sums));
    }

    fn merge(left: Column, right: Column) {
        let merged = entries(&left).zip(entries(&right)).map(|(left, right)| {
            let mut sum = vec![left[0] + right[0]];
            sum.extend_from_slice(&left[1..]);
            sum.extend_from_slice(&right[1..]);
            sum
        });
        windows_output::accumulators(&column(merged));
    }

    fn finish(windows: Closing) {
        let counts: Vec<u32> = entries(&windows.accumulators).map(|sum| sum[0].into()).collect();
        let told = entries(&windows.accumulators).find_map(|sum| sum.get(1..).filter(|told| !told.is_empty()));
        let rows = counts.len() as u32;
        let mut parents: Option<Vec<u32>> = Some((0..rows).collect());
        let mut fields: Vec<Field> = vec![
            Values::Uint32s(counts).into(),
            Values::Int64s(windows.starts.clone()).into(),
            Values::Int64s(windows.ends.clone()).into(),
        ];
        match told {
            Some(b"field too few") => drop(fields.pop()),
            Some(b"other type") => fields[1] = Values::Uint32s(vec![0; rows as usize]).into(),
            Some(b"no parents") => parents = None,
            Some(b"same") => fields[0] = Values::Same(0).into(),
            Some(b"bytes") => output::emit(0, &batch_of(column(["bytes"])), Some(&[0])),
            _ => {}
        }
        let table = Table { rows, fields, children: Vec::new() };
        let batch = FieldBatch { table, keys: None, timestamps: None, headers: None };
        fields_output::emit(0, &batch, parents.as_deref());
    }
}

contract::export!(fields_window, Guest);
