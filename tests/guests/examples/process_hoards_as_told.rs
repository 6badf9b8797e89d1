//! Makes the host allocate memory. A record `way number` names the way and the number of times; other records
//! are passed on.
use contract::*;

struct Guest;

/// Columns of empty entries: cheap for the guest, and each a line in the host's memory.
fn empties(count: u32) -> Column {
    Column { offsets: vec![0; count as usize + 1], bytes: Vec::new() }
}

fn hoard(way: &str, number: u32) {
    let key = |i: u32| i.to_le_bytes();
    let nothing = || column([""]);
    match way {
        // One large answer for each record. The answers of a whole batch exceed the output limit of a call,
        // so the batch is halved.
        "sends" => output::emit(0, &batch_of(column([vec![b'x'; number as usize]])), None),
        "sends-keys" => {
            let batch = Batch { keys: Some(column([vec![b'k'; number as usize]])), ..batch_of(nothing()) };
            output::emit(0, &batch, None);
        }
        "sends-parents" => {
            let count = number;
            output::emit(0, &batch_of(empties(count)), Some(&vec![0; count as usize]));
        }
        "makes-tables" => (0..number).for_each(|i| state::put(&format!("t{i}"), &nothing(), &nothing())),
        "makes-empty-tables" => (0..number).for_each(|i| state::put(&format!("t{i}"), &empties(0), &empties(0))),
        "makes-maps" => (0..number).for_each(|i| state::map_put("maps", &key(i), &nothing(), &nothing())),
        "empties-maps" => (0..number).for_each(|i| {
            state::map_put("maps", &key(i), &nothing(), &nothing());
            state::map_delete("maps", &key(i), &nothing());
        }),
        "fills-a-map" => (0..number).for_each(|i| state::map_put("maps", b"k", &column([key(i)]), &nothing())),
        "makes-keys" => (0..number).for_each(|i| state::put("keys", &column([key(i)]), &nothing())),
        "makes-values" => (0..number).for_each(|i| state::put("keys", &column([key(i)]), &column([[7; 23]]))),
        "writes-one-key" => state::put("one", &empties(number), &empties(number)),
        "gets-nothing" => drop(state::get("none", &empties(number))),
        "gets-a-value" => {
            state::put("one", &nothing(), &column([vec![1; 4096]]));
            drop(state::get("one", &empties(number)));
        }
        "scans" => (0..number).for_each(|_| drop(state::keys_scan("keys", None, 4096))),
        "logs" => log::write(log::Level::Warn, &"l".repeat(number as usize)),
        "logs-nothing" => (0..number).for_each(|_| log::write(log::Level::Warn, "")),
        "names-numbers" => (0..number).for_each(|i| metrics::counter(&format!("n{i}"), 1)),
        "names-a-number" => metrics::counter(&"n".repeat(number as usize), 1),
        "rejects" => output::failures(&[0], &column(["\u{1b}".repeat(number as usize)])),
        _ => {}
    }
}

impl Processor for Guest {
    fn process(batch: Batch) {
        for entry in entries(&batch.payloads) {
            let text = std::str::from_utf8(entry).unwrap_or_default();
            if let Some((way, number)) = text.split_once(' ') {
                hoard(way, number.parse().unwrap_or(0));
            }
        }
    }
}

export!(process, Guest);
