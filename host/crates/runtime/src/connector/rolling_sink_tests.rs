use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::super::zstd_frames::ZstdFrames;
use super::*;
use sage_batch::{Origin, Record};
use sage_plan::{Compression, CsvSink, OutputShape, SinkForm, SinkText};

/// Parts of a kibibyte, which ten records of 100 bytes fill.
const SMALL: RollSpec = RollSpec { size: Some(1 << 10), every: None, idle: None };

struct Output {
    folder: tempfile::TempDir,
    name: &'static str,
    roll: RollSpec,
    has_epochs: bool,
}

impl Output {
    fn new(name: &'static str, roll: RollSpec, has_epochs: bool) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), name, roll, has_epochs }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    fn open(&self, saved: Option<&[u8]>) -> Result<RollingSink, ConnectorError> {
        let text = SinkText::default();
        let shape = OutputShape::Parts(self.roll);
        let spec = FileSinkSpec { path: self.path(), compression: Compression::Found, text, shape };
        let form = match self.name.contains(".csv") {
            true => SinkForm::Csv(CsvSink { delimiter: b',', quote: b'"', header: true }),
            false => SinkForm::Lines,
        };
        let layout = Layout::of(form, &["n".to_owned()]);
        let start = SinkStart { has_epochs: self.has_epochs, saved };
        RollingSink::create(&spec, (self.roll, layout), &Arc::default(), start)
    }

    /// The names and texts of all files.
    fn files(&self) -> BTreeMap<String, String> {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap());
        files.map(|file| (file.file_name().into_string().unwrap(), text(&file.path()))).collect()
    }

    fn names(&self) -> Vec<String> {
        self.files().into_keys().collect()
    }

    /// The records of all published parts, in order. Each part of CSV has a header.
    fn records(&self) -> Vec<u32> {
        let parts = self.files().into_iter().filter(|(name, _)| !name.ends_with(".partial"));
        let mut records = Vec::new();
        for (name, text) in parts {
            let rows = match self.name.contains(".csv") {
                true => text.strip_prefix("n\n").unwrap_or_else(|| panic!("{name} has no header: {text}")),
                false => &text,
            };
            assert!(rows.ends_with('\n'), "{name} is whole");
            records.extend(rows.lines().map(|row| row.trim().parse::<u32>().unwrap()));
        }
        records
    }
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    // The end of packed data is missing in a part that is being written.
    let _ = match bytes.first() {
        Some(0x1f) => MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text),
        Some(0x28) => ZstdFrames::new(&bytes[..]).read_to_string(&mut text),
        _ => (&bytes[..]).read_to_string(&mut text),
    };
    text
}

/// Writes records of 100 bytes, which are their numbers.
fn write(sink: &mut RollingSink, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let mut batch = Batch::new();
        assert!(batch.push(Record::of(format!("{number:99}").as_bytes(), Origin::NONE)));
        sink.write(&batch).unwrap();
    }
}

fn commit(sink: &RollingSink, epoch: u64) {
    sink.committer().unwrap().commit(epoch).unwrap();
}

const NAMES: [&str; 4] = ["out-{part}.txt", "out-{part}.csv", "out-{part}.txt.gz", "out-{part}.csv.zst"];

#[test]
fn without_epochs_a_part_has_its_name_when_it_is_full() {
    let output = Output::new("out-{part}.txt", SMALL, false);
    let mut sink = output.open(None).unwrap();
    write(&mut sink, 0..25);
    sink.flush().unwrap();
    assert_eq!(output.names(), ["out-0000000001.txt", "out-0000000002.txt", "out-0000000003.txt.partial"]);
    assert_eq!(output.records(), (0..22).collect::<Vec<_>>());
    assert_eq!(sink.written(), Some(25));
    sink.finish(SinkOutcome::Complete).unwrap();
    assert_eq!(output.records(), (0..25).collect::<Vec<_>>());
    assert_eq!(output.names().len(), 3, "no part is empty");
    assert_eq!(sink.written(), Some(25));
    // The next run leaves the parts alone and numbers on.
    let before = output.files();
    let mut next = output.open(None).unwrap();
    write(&mut next, 25..26);
    next.finish(SinkOutcome::Complete).unwrap();
    let mut after = output.files();
    assert!(after.remove("out-0000000004.txt").is_some());
    assert_eq!(after, before);
}

#[test]
fn with_epochs_a_part_has_its_name_when_its_epoch_is_whole() {
    for name in NAMES {
        let output = Output::new(name, SMALL, true);
        let mut sink = output.open(None).unwrap();
        write(&mut sink, 0..300);
        assert_eq!(output.records(), Vec::<u32>::new(), "{name}");
        assert!(sink.committer().unwrap().waits(), "{name}");
        sink.save(1).unwrap();
        write(&mut sink, 300..600);
        commit(&sink, 1);
        let shown = output.records();
        assert!(!shown.is_empty() && shown.len() <= 300, "only what the epoch has: {name}, {}", shown.len());
        assert_eq!(shown, (0..shown.len() as u32).collect::<Vec<_>>(), "{name}");
        sink.close().unwrap();
        sink.save(2).unwrap();
        commit(&sink, 2);
        assert!(!sink.committer().unwrap().waits(), "{name}");
        assert_eq!(output.records(), (0..600).collect::<Vec<_>>(), "{name}");
        sink.finish(SinkOutcome::Complete).unwrap();
        assert_eq!(output.records(), (0..600).collect::<Vec<_>>(), "{name}");
        assert!(output.names().iter().all(|name| !name.ends_with(".partial")), "{name}");
    }
}

#[test]
fn a_later_run_has_each_record_once_wherever_the_run_before_was_killed() {
    for name in NAMES {
        // What the first run did behind its epoch.
        for (case, committed, more, next_epoch) in [
            ("nothing", false, 0, false),
            ("it committed", true, 0, false),
            ("it wrote on", false, 100, false),
            ("it committed and wrote on", true, 100, false),
            ("it saved an epoch that is not whole", true, 100, true),
        ] {
            let output = Output::new(name, SMALL, true);
            let mut first = output.open(None).unwrap();
            write(&mut first, 0..205);
            let saved = first.save(1).unwrap();
            if committed {
                commit(&first, 1);
            }
            write(&mut first, 5000..5000 + more);
            if next_epoch {
                first.save(2).unwrap();
            }
            drop(first);
            let published = output.files();
            let mut second = output.open(Some(&saved)).unwrap();
            write(&mut second, 205..300);
            second.close().unwrap();
            second.save(3).unwrap();
            second.finish(SinkOutcome::Complete).unwrap();
            assert_eq!(output.records(), (0..300).collect::<Vec<_>>(), "{name}, {case}");
            let after = output.files();
            for (part, text) in published.iter().filter(|(part, _)| !part.ends_with(".partial")) {
                assert_eq!(after.get(part), Some(text), "{part} never changes: {case}");
            }
        }
    }
}

#[test]
fn a_part_that_was_opened_long_ago_is_completed_after_a_restart() {
    let output = Output::new("out-{part}.txt", RollSpec { size: Some(1 << 30), every: None, idle: None }, true);
    let mut first = output.open(None).unwrap();
    let mut saved = Vec::new();
    for epoch in 0..100 {
        write(&mut first, epoch..epoch + 1);
        saved = first.save(epoch.into()).unwrap();
        commit(&first, epoch.into());
    }
    drop(first);
    let mut second = output.open(Some(&saved)).unwrap();
    write(&mut second, 100..101);
    second.finish(SinkOutcome::Complete).unwrap();
    assert_eq!(output.records(), (0..101).collect::<Vec<_>>());
    assert_eq!(output.names(), ["out-0000000001.txt"]);
}

#[test]
fn a_part_that_another_program_took_away_after_it_was_published_is_no_error() {
    let output = Output::new("out-{part}.txt", SMALL, true);
    let mut first = output.open(None).unwrap();
    write(&mut first, 0..15);
    let saved = first.save(1).unwrap();
    commit(&first, 1);
    drop(first);
    fs::remove_file(output.folder.path().join("out-0000000001.txt")).unwrap();
    let mut second = output.open(Some(&saved)).unwrap();
    second.finish(SinkOutcome::Complete).unwrap();
    assert_eq!(output.records(), (11..15).collect::<Vec<_>>());
}

#[test]
fn going_back_to_an_earlier_epoch_changes_no_published_part() {
    let output = Output::new("out-{part}.txt", SMALL, true);
    let mut first = output.open(None).unwrap();
    write(&mut first, 0..5);
    let saved = first.save(1).unwrap();
    commit(&first, 1);
    write(&mut first, 5..30);
    first.save(2).unwrap();
    commit(&first, 2);
    drop(first);
    let before = output.files();
    let mut second = output.open(Some(&saved)).unwrap();
    write(&mut second, 5..30);
    second.finish(SinkOutcome::Complete).unwrap();
    let after = output.files();
    for (part, text) in before.iter().filter(|(part, _)| !part.ends_with(".partial")) {
        assert_eq!(after.get(part), Some(text), "{part}");
    }
    let mut records = output.records();
    records.sort_unstable();
    records.dedup();
    assert_eq!(records, (0..30).collect::<Vec<_>>(), "no record is lost");
}

#[test]
fn a_run_removes_its_own_leftovers_and_none_of_an_output_with_a_similar_name() {
    let output = Output::new("out-1{part}.txt", SMALL, false);
    let others = [
        "out-11.txt.partial",
        "out-110000000001.txt.partial",
        "out-0000000001.txt.partial",
        "out-10000000001.txt.partial.partial",
        "my-out-10000000001.txt.partial",
    ];
    for name in others.iter().chain(&["out-10000000003.txt.partial"]) {
        fs::write(output.folder.path().join(name), "x\n").unwrap();
    }
    let mut sink = output.open(None).unwrap();
    write(&mut sink, 0..1);
    sink.finish(SinkOutcome::Complete).unwrap();
    let mut expected: Vec<String> = others.iter().map(|name| (*name).to_owned()).collect();
    expected.push("out-10000000001.txt".to_owned());
    expected.sort();
    assert_eq!(output.names(), expected);
}

#[test]
fn a_part_is_closed_when_it_is_old_or_when_records_no_longer_come() {
    let long = Duration::from_secs(1000);
    for (every, idle) in [(Some(Duration::ZERO), None), (None, Some(Duration::ZERO)), (Some(long), Some(long))] {
        let output = Output::new("out-{part}.txt", RollSpec { size: None, every, idle }, false);
        let mut sink = output.open(None).unwrap();
        assert_eq!(sink.due(), None, "nothing is due without records");
        sink.flush().unwrap();
        write(&mut sink, 0..1);
        let left = sink.due().unwrap();
        sink.flush().unwrap();
        match every.or(idle) {
            Some(Duration::ZERO) => {
                assert_eq!((left, output.records()), (Duration::ZERO, vec![0]));
                assert_eq!(sink.due(), None);
            }
            _ => assert!(left > long / 2 && output.records().is_empty()),
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_the_file() {
    let output = Output::new("out-{part}.txt", SMALL, true);
    let first = output.open(None).unwrap();
    let root = output.folder.path().display();
    let refused = |saved: Option<&[u8]>| output.open(saved).map(drop).unwrap_err();
    assert_eq!(refused(None).what, format!("another run is writing \"{root}/out-0000000001.txt.partial\""));
    drop(first);

    let mut first = output.open(None).unwrap();
    write(&mut first, 0..3);
    let saved = first.save(1).unwrap();
    drop(first);
    let partial = output.folder.path().join("out-0000000001.txt.partial");
    let whole = fs::read(&partial).unwrap();
    fs::File::options().write(true).open(&partial).unwrap().set_len(100).unwrap();
    assert!(refused(Some(&saved)).what.ends_with(".partial\" has 100 bytes, and had 300 at the last epoch"));
    // Another file of the same content.
    fs::write(output.folder.path().join("other"), whole).unwrap();
    fs::rename(output.folder.path().join("other"), &partial).unwrap();
    let what = refused(Some(&saved)).what;
    assert!(what.ends_with(".partial\" is gone, which has records of the run to go on with"), "{what}");
    let other = SavedParts::from_bytes(b"{\"id\":{\"device\":1,\"inode\":2},\"bytes\":3,\"records\":4}").unwrap_err();
    assert_eq!(other.what, "the output was not in parts in the run before");
}

#[test]
fn a_part_takes_the_place_of_no_file() {
    let output = Output::new("out-{part}.txt", SMALL, true);
    let mut sink = output.open(None).unwrap();
    write(&mut sink, 0..15);
    sink.save(1).unwrap();
    let path = output.folder.path().join("out-0000000001.txt");
    fs::write(&path, "precious").unwrap();
    let what = sink.committer().unwrap().commit(1).unwrap_err().what;
    assert!(what.ends_with("was made by another program, and a part takes the place of no file"), "{what}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}
