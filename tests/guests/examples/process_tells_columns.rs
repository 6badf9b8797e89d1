//! Answers with the columns of each record as text: payload, key, timestamp, headers.
use contract::*;

fn text(column: &Option<Column>, i: usize) -> String {
    match column {
        Some(column) => format!("{:?}", String::from_utf8_lossy(entries(column).nth(i).unwrap_or_default())),
        None => "none".to_owned(),
    }
}

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        let told = entries(&batch.payloads).enumerate().map(|(i, payload)| {
            let time = batch.timestamps.as_ref().map_or("none".to_owned(), |times| times[i].to_string());
            format!(
                "{} key {} time {time} headers {}",
                String::from_utf8_lossy(payload),
                text(&batch.keys, i),
                text(&batch.headers, i)
            )
        });
        output::emit(0, &batch_of(column(told)), None);
    }
}

export!(process, Guest);
