//! Any files as a folder of checkpoints: it is refused with the place of the damage, or every epoch in it can be
//! restored; and a run can go on in it either way. The files are written here by the reference, apart from the code
//! that reads them.
#![no_main]

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use sage_store::{Frame, FrameKind, Inspection, Store, StoreError};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

#[derive(Debug, Arbitrary)]
struct Folder {
    seed: u64,
    segments: Vec<Segment>,
    /// Numbers in the list that are not those of the segments.
    next: Option<u8>,
    oldest: u8,
    proof: Option<u8>,
    /// Bytes that are changed: the file, the place and the change.
    changes: Vec<(u8, u16, u8)>,
    cut: Option<(u8, u16)>,
}

#[derive(Debug, Arbitrary)]
struct Segment {
    records: Vec<Record>,
    /// The epoch that its head and its name tell, when they are wrong.
    first: Option<u8>,
    seals_wrong: bool,
}

#[derive(Debug, Arbitrary)]
enum Record {
    Frame {
        kind: u8,
        lane: u8,
        stage: Vec<u8>,
        body: Vec<u8>,
    },
    Whole {
        is_base: bool,
        oldest: u8,
        ended: bool,
        manifest: Vec<u8>,
    },
    /// A frame that is right in itself, with anything in its fields.
    Odd {
        format: u8,
        kind: u8,
        cipher: u8,
        epoch: u8,
        length: u16,
        body: Vec<u8>,
    },
    Bytes(Vec<u8>),
}

fn frame(
    out: &mut Vec<u8>,
    seed: u64,
    [format, kind, cipher]: [u8; 3],
    epoch: u64,
    lane: u32,
    stage: &[u8],
    body: &[u8],
    length: u64,
) -> u64 {
    let at = out.len();
    out.extend([0xFB, b'S', b'E', b'F', format, kind, cipher, 0]);
    out.extend(epoch.to_le_bytes());
    out.extend(0_u32.to_le_bytes());
    out.extend(lane.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend((stage.len() as u16).to_le_bytes());
    out.extend([0; 6]);
    let sum = xxh3_64_with_seed(&out[at..], seed.wrapping_add(at as u64));
    out.extend(sum.to_le_bytes());
    out.extend(stage);
    out.extend(body);
    let sum = xxh3_64_with_seed(&out[at..], seed);
    out.extend(sum.to_le_bytes());
    sum
}

/// The files of the folder: the list, the proof and the segments, by name.
fn files(folder: &Folder) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut lines = String::new();
    let (mut epoch, mut last) = (1_u64, 0_u64);
    let mut proof = Vec::new();
    for (i, segment) in folder.segments.iter().take(4).enumerate() {
        let first = segment.first.map_or(epoch, u64::from);
        let seed = folder.seed.wrapping_add(i as u64);
        let mut out = b"sage-ep\n\x01\0\0\0\0\0\0\0".to_vec();
        out.extend(first.to_le_bytes());
        out.extend(seed.to_le_bytes());
        out.extend(xxh3_64(&out).to_le_bytes());
        let (mut sums, mut frames) = (Vec::new(), 0_u64);
        for record in segment.records.iter().take(20) {
            match record {
                Record::Frame { kind, lane, stage, body } => {
                    let stage = &stage[..stage.len().min(40)];
                    let sum = frame(
                        &mut out,
                        seed,
                        [1, 1 + kind % 6, 0],
                        epoch,
                        u32::from(*lane),
                        stage,
                        body,
                        body.len() as u64,
                    );
                    sums.extend(sum.to_le_bytes());
                    frames += 1;
                }
                Record::Whole { is_base, oldest, ended, manifest } => {
                    let follows = if *is_base { 0 } else { last };
                    let fields = [follows, u64::from(*oldest), 1, frames, xxh3_64(&sums), u64::from(*ended)];
                    let body: Vec<u8> =
                        fields.into_iter().flat_map(u64::to_le_bytes).chain(manifest.iter().copied()).collect();
                    frame(&mut out, seed, [1, 0xF0, 0], epoch, 0, &[], &body, body.len() as u64);
                    (last, epoch, frames) = (epoch, epoch + 1, 0);
                    sums.clear();
                }
                Record::Odd { format, kind, cipher, epoch, length, body } => {
                    let header = [*format, *kind, *cipher];
                    frame(&mut out, seed, header, u64::from(*epoch), 0, &[], body, u64::from(*length));
                }
                Record::Bytes(bytes) => out.extend(bytes),
            }
        }
        let sealed = out.len() + usize::from(segment.seals_wrong);
        let is_last = i + 1 == folder.segments.len().min(4);
        lines += &if is_last { format!("segment {first}\n") } else { format!("segment {first} length {sealed}\n") };
        files.push((format!("{first:020}.epochs"), out));
        proof = b"sage-sy\n".to_vec();
        proof.extend(first.to_le_bytes());
        proof.extend(folder.proof.map_or(last, u64::from).to_le_bytes());
        proof.extend(xxh3_64_with_seed(&proof, seed).to_le_bytes());
    }
    let next = folder.next.map_or(epoch, u64::from);
    let mut list = format!("sage-host checkpoints 1\ngeneration 5\nnext {next}\noldest {}\n{lines}", folder.oldest);
    list += &format!("xxh3 {:016x}\n", xxh3_64(list.as_bytes()));
    files.push(("CURRENT".to_owned(), list.into_bytes()));
    files.push(("synced".to_owned(), proof));
    for (file, at, change) in &folder.changes {
        let count = files.len();
        let bytes = &mut files[usize::from(*file) % count].1;
        let length = bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(usize::from(*at) % length) {
            *byte ^= change;
        }
    }
    if let Some((file, at)) = folder.cut {
        let count = files.len();
        let bytes = &mut files[usize::from(file) % count].1;
        bytes.truncate(usize::from(at) % (bytes.len() + 1));
    }
    files
}

/// A folder in memory for this process.
fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        base.join(format!("epoch_log-{}", std::process::id()))
    })
}

/// Restores everything that a store says can be restored.
fn restore_all(store: &Store) {
    let mut before = 0;
    for epoch in store.epochs() {
        assert!(epoch.number > before, "epochs rise");
        before = epoch.number;
        store.restore::<Infallible>(epoch.number, |_, _| Ok(())).unwrap();
    }
}

/// A run goes on from the last epoch.
fn go_on(mut store: Store, folder: &Path) {
    let last = store.epochs().last().map(|epoch| epoch.number);
    store.go_on_from(last).unwrap();
    let mut epoch = store.begin(true).unwrap();
    let frame = Frame { kind: FrameKind::Base, stage: "count", instance: 0, lane: 0 };
    epoch.put(frame, b"state").unwrap();
    let number = epoch.whole(b"{}", false).unwrap();
    assert!(Some(number) > last);
    drop(store);
    let store = Store::open(folder).unwrap();
    assert_eq!(store.epochs().last().map(|epoch| epoch.number), Some(number));
    restore_all(&store);
}

fuzz_target!(|input: Folder| {
    let folder = place();
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder).unwrap();
    for (name, bytes) in files(&input) {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let inspected = Inspection::of(folder);
    match Store::open(folder) {
        Ok(store) => {
            let epochs = inspected.unwrap().epochs;
            assert!(epochs.iter().map(|epoch| &epoch.info).eq(store.epochs()), "an inspection tells the same");
            restore_all(&store);
            go_on(store, folder);
        }
        Err(StoreError::Damaged(damage)) => {
            assert!(inspected.unwrap().damage.is_some());
            let store = Store::open_despite_damage(folder).unwrap();
            assert!(store.epochs().iter().map(|epoch| epoch.number).eq(damage.whole.iter().copied()));
            restore_all(&store);
            go_on(store, folder);
        }
        Err(StoreError::Newer { .. }) => {}
        Err(other) => panic!("{other}"),
    }
    let _ = fs::remove_dir_all(folder);
});
