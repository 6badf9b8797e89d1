use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::super::message::put_progress;
use super::super::tensor_wire::{put_named, put_outcome, put_tensors};
use super::*;
use sage_batch::RawColumns;
use sage_batch::wire::{put_bytes, put_column, put_u32s, put_u64};
use sage_models::{InferenceError, NamedTensor, Tensor, TensorData};
use sage_observe::{Observations, Series};
use sage_sandbox::{Failure, FailureCode, Progress};

/// The first byte of an answer of a process by field. That of a source follows.
const PROCESS_BY_FIELD: u8 = 202;
/// If this variable is set, the test writes the corpus instead of comparing it.
const WRITE: &str = "SAGE_WRITE_CORPUS";

fn corpus(reader: AnyBytes) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fuzz/corpus").join(reader.name())
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap();
    bytes
}

/// Messages as workers send them. Mutations start from these.
fn samples(reader: AnyBytes) -> Vec<(&'static str, Vec<u8>)> {
    match reader {
        AnyBytes::Batch => vec![
            ("empty", written(|to| Batch::new().write(to, true))),
            ("keys", written(|to| asked().write(to, true))),
            ("payloads", written(|to| asked().write(to, false))),
            ("everything", written(|to| everything().write(to, true))),
        ],
        AnyBytes::Answer => answers(),
        AnyBytes::Report => vec![
            ("nothing", written(|to| Report::default().write(to))),
            ("much", written(|to| much().write(to))),
            (
                "progress",
                written(|to| {
                    much().write(to)?;
                    put_progress(to, Progress::Idle(Duration::from_millis(7)))
                }),
            ),
        ],
        AnyBytes::StateChanges => {
            let mut changes = b"T\x01\0\0\0t".to_vec();
            changes.extend_from_slice(b"P\x01\0\0\0k\x01\0\0\0w");
            changes.extend_from_slice(b"V\x01\0\0\0kM\x01\0\0\0k");
            changes.extend_from_slice(b"E\x01\0\0\0k\x01\0\0\0s\x01\0\0\0v");
            changes.extend_from_slice(b"D\x01\0\0\0k\x01\0\0\0s");
            let mut state = KeyedState::new(Arc::new(MemoryBudget::new(MOST)));
            let kept = [&b"T\x01\0\0\0t"[..], b"P\x01\0\0\0k\x01\0\0\0w", b"E\x01\0\0\0k\x01\0\0\0s\x01\0\0\0v"];
            state.play(&kept.concat()).unwrap();
            vec![("nothing", Vec::new()), ("each", changes), ("known", contents(&state))]
        }
        AnyBytes::Tensors => {
            let tensor = |data| Tensor::new(vec![2], data).unwrap();
            let tensors = || vec![tensor(TensorData::F32(vec![1.0, -1.0])), tensor(TensorData::I64(vec![7, 8]))];
            let named = tensors().into_iter().map(|tensor| NamedTensor { name: "in".to_owned(), tensor });
            let refused: Result<(), _> = Err(InferenceError::Backend("no".to_owned()));
            let led = |which: u8, rest: Vec<u8>| [vec![which], rest].concat();
            vec![
                ("tensors", led(0, written(|to| put_tensors(to, &tensors())))),
                ("named", led(1, written(|to| put_named(to, &named.collect::<Vec<_>>())))),
                ("refused", led(2, written(|to| put_outcome(to, &refused)))),
                ("done", led(2, written(|to| put_outcome(to, &Ok(()))))),
            ]
        }
    }
}

fn everything() -> Batch {
    let mut batch = Batch::new();
    for key in [&b"a"[..], b""] {
        let record = Record {
            payload: b"payload",
            key: Some(key),
            timestamp: Some(-5),
            headers: Some(b"\x01\0\0\0n\x01\0\0\0v"),
            origin: Origin::NONE,
        };
        assert!(batch.push(record));
    }
    batch
}

fn much() -> Report {
    let counted = Series::Histogram(Box::new(Observations { count: 1, sum: 1.0, ..Observations::default() }));
    Report {
        failure: Some(Failure { backtrace: Some("0: f".to_owned()), ..Failure::new(FailureCode::Trap, "unreachable") }),
        memory: (1, 2),
        lines: vec![(tracing::Level::WARN, "a line".to_owned())],
        numbers: vec![("seen".to_owned(), Series::Counter(3)), ("size".to_owned(), counted)],
        ..Report::default()
    }
}

fn answers() -> Vec<(&'static str, Vec<u8>)> {
    let column = |entries: &[&[u8]]| {
        let mut column = Column::new();
        entries.iter().for_each(|entry| column.push(entry));
        column
    };
    let none_rejected = |to: &mut Vec<u8>| put_u32s(to, &[]);
    let of = |kind: Kind, write: &dyn Fn(&mut Vec<u8>) -> Result<(), WireError>| {
        let number = Kind::ALL.iter().position(|found| *found == kind).unwrap();
        [vec![u8::try_from(number).unwrap()], written(|to| write(to))].concat()
    };
    let three = column(&[b"1", b"", b"3"]);
    let map = |to: &mut Vec<u8>| {
        put_u64(to, 1)?;
        put_column(to, &three)?;
        none_rejected(to)
    };
    let emission = |to: &mut Vec<u8>| {
        put_u64(to, 1)?;
        put_u64(to, 2)?;
        everything().write(to, true)?;
        put_u64(to, 1)?;
        put_u32s(to, &[2, 0])?;
        put_u32s(to, &[1])?;
        put_column(to, &column(&[b"why"]))
    };
    vec![
        ("map", of(Kind::Map, &map)),
        ("key-by", of(Kind::KeyBy, &map)),
        (
            "filter",
            of(Kind::Filter, &|to| {
                put_u64(to, 1)?;
                put_bytes(to, &[0b101])?;
                none_rejected(to)
            }),
        ),
        (
            "flat-map",
            of(Kind::FlatMap, &|to| {
                put_column(to, &three)?;
                put_u32s(to, &[0, 0, 2])?;
                none_rejected(to)
            }),
        ),
        ("process", of(Kind::Process, &emission)),
        (
            "source",
            of(Kind::Source, &|to| {
                put_u64(to, 0)?;
                none_rejected(to)
            }),
        ),
        ("sink", of(Kind::Sink, &none_rejected)),
        ("process-by-field", by_field(PROCESS_BY_FIELD)),
        ("source-by-field", by_field(PROCESS_BY_FIELD + 1)),
    ]
}

/// The answer of a process or source by field: a record on the main output and two on the side output. A source has no
/// input record, so it names no parents.
fn by_field(first: u8) -> Vec<u8> {
    let emission = |port: u64, schema: &Arc<Schema>, rows: usize| {
        let mut table = Table::new(Arc::clone(schema));
        for _ in 0..rows {
            table.field_mut(0).into_iter().for_each(|column| column.push_str("a text"));
            table.field_mut(1).into_iter().for_each(FieldColumn::push_null);
            assert!(table.finish_row());
        }
        let (mut batch, keys) = (Batch::new(), std::iter::repeat_n(&b"key"[..], rows).collect::<Column>());
        let columns = RawColumns { keys: Some((keys.offsets(), keys.bytes())), ..RawColumns::default() };
        batch.assign_by_field(&mut table, columns).unwrap();
        let parents = vec![0; rows];
        written(|to| {
            put_u64(to, port)?;
            batch.write_by_field(0..schema.fields().len(), to)?;
            put_u64(to, u64::from(first == PROCESS_BY_FIELD))?;
            if first == PROCESS_BY_FIELD { put_u32s(to, &parents) } else { Ok(()) }
        })
    };
    let (main, side) = two_outputs(false);
    let emissions = [emission(0, &main, 1), emission(1, &side, 2)].concat();
    [vec![first], written(|to| put_u64(to, 2)), emissions, written(|to| put_u32s(to, &[]))].concat()
}

#[test]
fn the_corpus_is_what_workers_write_and_each_message_of_it_is_read() {
    for reader in AnyBytes::ALL {
        for (name, bytes) in samples(reader) {
            let file = corpus(reader).join(name);
            if std::env::var_os(WRITE).is_some() {
                fs::create_dir_all(corpus(reader)).unwrap();
                fs::write(&file, &bytes).unwrap();
            }
            let kept = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; set {WRITE}=1", file.display()));
            assert_eq!(kept, bytes, "{}: the format has changed; set {WRITE}=1", file.display());
            assert!(reader.read(&bytes), "{}", file.display());
        }
    }
}

#[test]
fn what_became_of_the_corpus_by_chance_is_read_or_refused() {
    for reader in AnyBytes::ALL {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let files: Vec<PathBuf> = fs::read_dir(corpus(reader)).unwrap().map(|file| file.unwrap().path()).collect();
        let mut messages: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        messages.sort();
        messages.iter().for_each(|message| {
            reader.read(message);
        });
        let mut read = 0;
        for _ in 0..3000 {
            let mut message = messages[dice.below(messages.len())].clone();
            for _ in 0..=dice.below(4) {
                mutate(&mut message, &messages, &mut dice);
            }
            read += usize::from(reader.read(&message));
        }
        assert!(read > 100, "{}: {read} of 3000 were read: mutations are no use", reader.name());
    }
}

/// A random generator that produces the same numbers each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % (most.max(1) as u64)).unwrap()
    }
}

fn mutate(message: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(message.len());
    let Some(byte) = message.get_mut(at) else { return message.push(dice.next() as u8) };
    match dice.below(7) {
        0 => *byte = dice.next() as u8,
        1 => *byte ^= 1 << dice.below(8),
        2 => *byte = byte.wrapping_add(1),
        3 => message.truncate(at),
        4 => {
            // Nearly all messages consist of such numbers.
            let number = [0, 1, u64::MAX, dice.next(), 1 << dice.below(64)][dice.below(5)];
            let at = at / 8 * 8;
            message.truncate(at.max(1));
            message.extend_from_slice(&number.to_le_bytes());
        }
        5 => {
            let copied = message[at..].to_vec();
            message.splice(at..at, copied);
        }
        _ => {
            let other = &others[dice.below(others.len())];
            message.extend_from_slice(&other[dice.below(other.len())..]);
        }
    }
}
