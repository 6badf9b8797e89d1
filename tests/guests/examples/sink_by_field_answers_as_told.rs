//! Keeps words with their keys, times and headers in memory, and appends them to /out/written.txt at each flush. A word
//! `!command` breaks the rule that it names; `!stumble` panics once, which a file tells the next instance.
use contract::*;

use std::cell::RefCell;
use std::io::Write;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 72] = *br#"{"version":1,"reads":[{"name":"word","type":"string","nullable":false}]}"#;

thread_local! {
    static GATHERED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Guest;

impl FieldsWriter for Guest {
    fn write(batch: FieldBatch) {
        let words = words_of(&batch.table);
        match told(&batch.table).as_deref() {
            None => {}
            Some("emit") => output::emit(0, &batch_of(words.clone()), None),
            Some("fields emit") => fields_output::emit(0, &batch, None),
            Some("keep") => output::keep(&[0]),
            Some("failure out of range") => output::failures(&[batch.table.rows], &column(["no"])),
            Some("message too few") => output::failures(&[0], &column([""; 0])),
            Some("panic") => panic!("indigestible"),
            Some("stumble") if std::fs::File::create_new("/out/stumbled").is_ok() => panic!("stumbled"),
            Some("stumble") => {}
            Some("reject") => {
                let row = entries(words).position(|word| word.starts_with(b"!")).unwrap_or_default();
                output::failures(&[row as u32], &column(["as told"]));
            }
            Some(other) => panic!("{other:?} is no command"),
        }
        for (row, word) in entries(words).enumerate().filter(|(_, word)| *word != b"!reject") {
            let entry = |column: &Option<Column>| column.as_ref().and_then(|column| entries(column).nth(row)).map(text);
            let time = batch.timestamps.as_ref().map(|times| times[row]);
            let (key, headers) = (entry(&batch.keys), entry(&batch.headers));
            let line = format!("{} {key:?} {time:?} {headers:?}", text(word));
            GATHERED.with_borrow_mut(|gathered| gathered.push(line));
        }
    }

    fn flush() -> Result<(), String> {
        let lines: String = GATHERED.take().into_iter().map(|line| line + "\n").collect();
        let file = std::fs::OpenOptions::new().create(true).append(true).open("/out/written.txt");
        file.and_then(|mut file| file.write_all(lines.as_bytes())).map_err(|error| error.to_string())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

export!(fields_sink, Guest);
