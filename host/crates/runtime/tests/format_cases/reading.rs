use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;

use sage_batch::Batch;
use sage_plan::config::parse;
use sage_plan::{Catalog, Work, validate_parsed};
use sage_runtime::connector::{Filled, Source, open_source};

/// Largest record, in bytes.
pub(crate) const LONGEST: u64 = 2000;

/// Payload, key, time and headers.
type Read = (Vec<u8>, Option<Vec<u8>>, Option<i64>, Option<Vec<u8>>);

/// The result of reading.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Came {
    /// Records in their order.
    pub(crate) records: Vec<Read>,
    /// The messages about skipped parts.
    pub(crate) passed_over: Vec<String>,
    /// The error that ended the reading before the end.
    pub(crate) refused: Option<String>,
}

impl Came {
    pub(crate) fn payloads(&self) -> Vec<String> {
        self.records.iter().map(|(payload, ..)| String::from_utf8_lossy(payload).into_owned()).collect()
    }

    /// `key|time|headers`; a missing part is empty.
    pub(crate) fn stamps(&self) -> Vec<String> {
        let text =
            |bytes: &Option<Vec<u8>>| bytes.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let stamp = |(_, key, time, headers): &Read| {
            let time = time.map(|time| time.to_string()).unwrap_or_default();
            let headers = headers.as_deref().map(list).unwrap_or_default();
            format!("{}|{time}|{headers}", text(key))
        };
        self.records.iter().map(stamp).collect()
    }
}

/// `name=value,…`
fn list(mut encoded: &[u8]) -> String {
    let mut texts = Vec::new();
    while let Some((length, rest)) = encoded.split_first_chunk::<4>() {
        let (text, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        texts.push(String::from_utf8_lossy(text).into_owned());
        encoded = rest;
    }
    texts.chunks(2).map(|pair| pair.join("=")).collect::<Vec<_>>().join(",")
}

/// Reads `bytes` as a file of this name, with these keys of `file` and of the source.
pub(crate) fn read_file(name: &str, bytes: &[u8], keys: &str, source: &str) -> Came {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    read(folder.path(), name, keys, source)
}

/// Reads `bytes` from a pipe of this name that delivers at most `piece` of them at a time.
pub(crate) fn read_pipe(name: &str, bytes: &[u8], piece: usize, keys: &str, source: &str) -> Came {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            // The open waits for a reader; the reader may leave before the end.
            let mut pipe = fs::OpenOptions::new().write(true).open(&path).unwrap();
            for piece in bytes.chunks(piece.min(bytes.len().max(1))) {
                if pipe.write_all(piece).is_err() {
                    return;
                }
                thread::yield_now();
            }
        });
        read(folder.path(), name, keys, source)
    })
}

/// Reads `pattern` below `folder`.
pub(crate) fn read(folder: &Path, pattern: &str, keys: &str, source: &str) -> Came {
    let keys = if keys.is_empty() { String::new() } else { format!(", {keys}") };
    let pipeline = format!(
        "[[source]]\nname = \"in\"\nfile = {{ path = '{pattern}'{keys} }}\n{source}\n\
         [[sink]]\nname = \"out\"\ninput = \"in\"\ndiscard = {{}}\n"
    );
    let parsed = parse("pipeline.toml", pipeline.as_bytes());
    let plan = validate_parsed(parsed, &Catalog::new(), folder)
        .unwrap_or_else(|errors| panic!("{pipeline}\n{}", errors.render(false)));
    let Work::Source(spec) = &plan.stages[0].work else { panic!("{plan:?}") };
    match open_source(spec, 0, LONGEST) {
        Ok(mut opened) => read_all(&mut *opened, folder, source.contains("on_error")),
        Err(error) => Came { refused: Some(without(folder, &error.in_full())), ..Came::default() },
    }
}

/// Reads as the engine does: a tolerant source continues after an unreadable part.
fn read_all(source: &mut dyn Source, folder: &Path, tolerant: bool) -> Came {
    let mut came = Came::default();
    let mut batch = Batch::new();
    loop {
        batch.clear();
        let filled = source.fill(&mut batch, 3, 64 << 10);
        assert!(batch.len() <= 3, "no more than were asked for");
        for row in 0..batch.len() {
            let record = batch.record(row).unwrap();
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            came.records.push((record.payload.to_vec(), owned(record.key), record.timestamp, owned(record.headers)));
        }
        match filled {
            Ok(Filled::End) => return came,
            Ok(Filled::More | Filled::Idle(_)) => {}
            Err(error) => {
                let message = without(folder, &error.in_full());
                match error.unreadable {
                    Some(unreadable) if tolerant => {
                        let place = &unreadable.place;
                        assert!(message.starts_with(place), "{message:?} is not of {place:?}");
                        let so_far = (came.records.len(), came.passed_over.len());
                        assert!(so_far.1 < 10_000, "it goes on and on: {so_far:?}");
                        came.passed_over.push(message);
                    }
                    _ => {
                        came.refused = Some(message);
                        return came;
                    }
                }
            }
        }
    }
}

fn without(folder: &Path, message: &str) -> String {
    message.replace(&format!("{}/", folder.display()), "")
}
