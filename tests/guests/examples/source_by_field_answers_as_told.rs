//! Counts to a hundred, ten records at a time; every fifth number goes to the port `fifth` too. At 50 it breaks the
//! rule that `config = { told = "…" }` names: always, or with `stumble` only until `seek` was called.
use contract::*;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 161] =
    *br#"{"version":1,"gives":[{"name":"n","type":"u64"},{"name":"word","type":"string","nullable":true}],
"ports":[{"name":"fifth","gives":[{"name":"n","type":"u64"}]}]}"#;

static AT: AtomicU64 = AtomicU64::new(0);
static SOUGHT: AtomicBool = AtomicBool::new(false);
static CONFIG: OnceLock<String> = OnceLock::new();

struct Guest;

impl FieldsReader for Guest {
    fn ports() -> Vec<String> {
        vec!["fifth".to_owned()]
    }

    fn open(context: Context) -> Result<(), String> {
        CONFIG.set(context.config).map_err(|_| "opened twice".to_owned())
    }

    fn next(_max_records: u32, _max_bytes: u32) -> Result<FieldsProgress, String> {
        let at = AT.load(Relaxed);
        let numbers: Vec<u64> = (at..at + 10).collect();
        let mut words: Field = Values::Strings(column(numbers.iter().map(|n| format!("r{n}")))).into();
        // The words of odd numbers are absent.
        words.validity = Some(vec![0b0101_0101, 0b01]);
        let mut fields: Vec<Field> = vec![Values::Uint64s(numbers.clone()).into(), words];
        let (mut rows, mut port, mut parents, mut keys) = (10, 0, None, None);
        let config = CONFIG.get().map_or("", String::as_str);
        let told = config.split('"').nth(3).filter(|_| at == 50).unwrap_or_default();
        match told {
            "" => {}
            "stumble" => assert!(SOUGHT.load(Relaxed), "half-way"),
            "field too few" => drop(fields.pop()),
            "other type" => fields[0] = Values::Int64s(vec![0; 10]).into(),
            "value too few" => fields[0] = Values::Uint64s(vec![0; 9]).into(),
            "row too few" => rows = 9,
            "same" => fields[0] = Values::Same(0).into(),
            "validity where no null is" => fields[0].validity = Some(vec![0xff, 3]),
            "validity past the end" => fields[1].validity = Some(vec![0xff, 0xff]),
            "no utf-8" => fields[1] = Values::Strings(column([b"\xff"; 10])).into(),
            "offsets fall" => fields[1] = Values::Strings(broken(&[0, 2, 1], 1)).into(),
            "a long text" => fields[1] = Values::Strings(column(vec![vec![b'x'; 100_000]; 10])).into(),
            "key too few" => keys = Some(column(["k"; 9])),
            "parents" => parents = Some(vec![0; 10]),
            "port far away" => port = 2,
            "failures" => output::failures(&[0], &column(["no"])),
            "emit" => output::emit(0, &batch_of(column(["r50"])), None),
            "an error" => return Err("the well is dry".to_owned()),
            other => panic!("{other:?} is no command"),
        }
        emit(port, rows, fields, keys, parents);
        let fifth: Vec<u64> = numbers.into_iter().filter(|n| n % 5 == 0).collect();
        emit(1, fifth.len() as u32, vec![Values::Uint64s(fifth).into()], None, None);
        AT.store(at + 10, Relaxed);
        Ok(if at + 10 == 100 { FieldsProgress::End } else { FieldsProgress::More })
    }

    fn position() -> Vec<u8> {
        AT.load(Relaxed).to_le_bytes().to_vec()
    }

    fn seek(position: Vec<u8>) -> Result<(), String> {
        let at = position.try_into().map_err(|_| "a position has eight bytes".to_owned())?;
        AT.store(u64::from_le_bytes(at), Relaxed);
        SOUGHT.store(true, Relaxed);
        Ok(())
    }
}

fn emit(port: u32, rows: u32, fields: Vec<Field>, keys: Option<Column>, parents: Option<Vec<u32>>) {
    let batch =
        FieldBatch { table: Table { rows, fields, children: Vec::new() }, keys, timestamps: None, headers: None };
    fields_output::emit(port, &batch, parents.as_deref());
}

export!(fields_source, Guest);
