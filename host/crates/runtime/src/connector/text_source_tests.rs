use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use sage_batch::Origin;
use sage_plan::Format;

fn spec(path: PathBuf, format: Format) -> FileSourceSpec {
    FileSourceSpec { path, text: TextSpec { format, ..TextSpec::default() }, follow: false }
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Number of lines that can be read from the rest of a gzip file.
fn whole_lines(packed: &[u8]) -> usize {
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(packed), &mut text).unwrap_err();
    text.iter().filter(|&&b| b == b'\n').count()
}

/// All records with their places, and the error that ended them.
fn read(source: &mut TextSource, max_records: usize) -> (Vec<(String, String)>, Option<ConnectorError>) {
    let mut found = Vec::new();
    loop {
        let mut batch = Batch::new();
        let filled = source.fill(&mut batch, max_records, 64 << 10);
        assert!(batch.len() <= max_records);
        for (payload, origin) in batch.payloads().iter().zip(batch.origins()) {
            assert_eq!(*origin, Origin::new(3, found.len() as u64));
            found.push((source.describe(found.len() as u64), String::from_utf8(payload.to_vec()).unwrap()));
        }
        match filled {
            Ok(Filled::End) => return (found, None),
            Ok(_) => {}
            Err(error) => return (found, Some(error)),
        }
    }
}

fn read_files(path: &Path, format: Format) -> (Vec<(String, String)>, Option<String>) {
    let mut source = TextSource::files(&spec(path.to_owned(), format), 3, 1000).unwrap();
    let (found, error) = read(&mut source, 2);
    (found, error.map(|e| e.what))
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(place, payload)| (place.to_owned(), payload.to_owned())).collect()
}

#[test]
fn files_are_read_in_the_order_of_their_names_and_records_know_their_lines() {
    let two_members = [gzip(b"c\nd"), gzip(b"e\nf\n")].concat();
    let folder = folder(&[("2.txt", b"b\r\n\nx"), ("1.txt", b"a\n"), ("3.txt.gz", &two_members), ("other", b"no")]);
    let (found, error) = read_files(&folder.path().join("*.txt*"), Format::Lines);
    let expected = [
        ("1.txt:1", "a"),
        ("2.txt:1", "b"),
        ("2.txt:2", ""),
        ("2.txt:3", "x"),
        ("3.txt.gz:1", "c"),
        ("3.txt.gz:2", "de"),
        ("3.txt.gz:3", "f"),
    ];
    assert_eq!((found, error), (pairs(&expected), None));
}

#[test]
fn json_lines_skip_blank_lines_and_keep_the_rest_as_it_is() {
    let folder = folder(&[("a.jsonl", b"\xef\xbb\xbf{\"a\":1}\n\n  \r\n [2] \r\n\"x\"\nnull")]);
    let (found, error) = read_files(&folder.path().join("a.jsonl"), Format::JsonLines);
    let expected = [("a.jsonl:1", "{\"a\":1}"), ("a.jsonl:4", " [2] "), ("a.jsonl:5", "\"x\""), ("a.jsonl:6", "null")];
    assert_eq!((found, error), (pairs(&expected), None));
}

#[test]
fn csv_files_may_have_different_headers() {
    let folder = folder(&[("1.csv", b"a,b\n1,\"x\ny\"\n2,z\n"), ("2.csv", b"b\n3\n")]);
    let (found, error) = read_files(&folder.path().join("*.csv"), Format::Csv);
    let expected =
        [("1.csv:2", r#"{"a":"1","b":"x\ny"}"#), ("1.csv:4", r#"{"a":"2","b":"z"}"#), ("2.csv:2", r#"{"b":"3"}"#)];
    assert_eq!((found, error), (pairs(&expected), None));
}

#[test]
fn a_bad_line_is_an_error_that_names_file_and_line_after_the_records_before_it() {
    let long = format!("1\n{}\n", "x".repeat(1001));
    let wide = format!("{}\n{}\n", "n".repeat(600), "y".repeat(600));
    let packed = gzip((0..100_000).map(|n| format!("{n}\n")).collect::<String>().as_bytes());
    let cut_short = &packed[..packed.len() / 2];
    let lines = whole_lines(cut_short);
    let cut_at = format!(": cannot read on after line {lines}");
    let cases: [(&str, Format, &[u8], usize, &str); 7] = [
        (
            "a.txt",
            Format::Lines,
            long.as_bytes(),
            1,
            ":2: the line is longer than the 1000 bytes that a record may have",
        ),
        ("a.jsonl", Format::JsonLines, b"{}\n\n{\"a\":\n", 1, ":3:5: not JSON: the line begins with { and ends with :"),
        ("a.jsonl", Format::JsonLines, b"{\"\xff\"}\n", 0, ":1:3: not JSON: not valid UTF-8"),
        ("a.csv", Format::Csv, b"a,b\n1,2\n\n1\n", 1, ":4: 1 fields in the row, 2 in the header"),
        ("a.csv", Format::Csv, b"a\n1\n\"2\n", 1, ":3: the row opens a quote that is never closed"),
        ("a.csv", Format::Csv, wide.as_bytes(), 0, ":2: the row as JSON has 1207 bytes, a record may have 1000"),
        ("a.txt.gz", Format::Lines, cut_short, lines, &cut_at),
    ];
    for (name, format, bytes, records, what) in cases {
        let folder = folder(&[(name, bytes)]);
        let path = folder.path().join(name);
        let (found, error) = read_files(&path, format);
        assert_eq!((found.len(), error), (records, Some(format!("{}{what}", path.display()))));
    }
}

#[test]
fn what_cannot_be_opened_is_refused_before_any_record() {
    let folder =
        folder(&[("empty.csv", b""), ("twice.csv", b"a,a\n"), ("good.csv", b"a\n"), ("wrong.gz", b"plain text")]);
    let at = |name: &str| folder.path().join(name);
    let root = folder.path().display();
    let cases = [
        (at("none.csv"), format!("\"{root}/none.csv\" does not exist")),
        (at("*.none"), format!("no file matches \"{root}/*.none\"")),
        (at("[a"), format!("\"{root}/[a\" is not a pattern: invalid range pattern")),
        (folder.path().to_owned(), format!("\"{root}\" is a folder, not a file")),
        (at("*.csv"), format!("{root}/twice.csv:1: two columns are called \"a\"")),
        (
            at("wrong.gz"),
            format!("{root}/wrong.gz: it is called .gz, and its first bytes are neither those of gzip nor of zstd"),
        ),
        (at("twice.csv"), format!("{root}/twice.csv:1: two columns are called \"a\"")),
    ];
    for (path, what) in cases {
        let Err(error) = TextSource::files(&spec(path.clone(), Format::Csv), 0, 1000) else { panic!("{path:?}") };
        assert_eq!(error.what, what);
    }
}

#[test]
fn progress_counts_packed_bytes_up_to_the_total() {
    let packed = gzip("some line\n".repeat(5000).as_bytes());
    let folder = folder(&[("1.gz", &packed), ("2", b"plain\n")]);
    let mut source = TextSource::files(&spec(folder.path().join("*"), Format::Lines), 3, 1000).unwrap();
    let total = packed.len() as u64 + 6;
    let expected = |done| SourceProgress { done, total: Some(total), bytes: true, bounded: true };
    assert_eq!(source.progress(), expected(0));
    assert_eq!(read(&mut source, 100).0.len(), 5001);
    assert_eq!(source.progress(), expected(total));
}

#[test]
fn a_file_that_is_cut_while_it_is_read_is_an_error_with_both_lengths() {
    let lines = "0123456789\n".repeat(100_000);
    for (format, name) in [(Format::Lines, "a.txt"), (Format::JsonLines, "a.jsonl"), (Format::Csv, "a.csv")] {
        let folder = folder(&[(name, lines.as_bytes()), ("b", b"1\n")]);
        let path = folder.path().join(name);
        let mut source = TextSource::files(&spec(path.clone(), format), 3, 1000).unwrap();
        let mut batch = Batch::new();
        assert_eq!(source.fill(&mut batch, 4096, 1 << 20).unwrap(), Filled::More);
        fs::write(&path, "").unwrap();
        let error = loop {
            batch.clear();
            match source.fill(&mut batch, 4096, 1 << 20) {
                Ok(filled) => assert_ne!(filled, Filled::End),
                Err(error) => break error,
            }
        };
        let read = source.progress().done;
        let what = format!(
            "{}: it was cut short while it was read: {read} bytes were read, it had 1100000 and has 0 now",
            path.display()
        );
        assert_eq!(error.what, what);
    }
}

#[test]
fn a_file_that_is_cut_before_its_turn_is_an_error_that_the_next_file_does_not_share() {
    let folder = folder(&[("1", b"a\n"), ("2", b"b\n"), ("3", b"c\n")]);
    let mut source = TextSource::files(&spec(folder.path().join("?"), Format::Lines), 3, 1000).unwrap();
    fs::write(folder.path().join("2"), "").unwrap();
    let (found, error) = read(&mut source, 10);
    let error = error.unwrap();
    assert_eq!(found, pairs(&[("1:1", "a")]));
    let path = folder.path().join("2");
    assert_eq!(error.what, format!("{}: it had 2 bytes when the run began, and has 0 now", path.display()));
    assert_eq!(error.unreadable.unwrap().extent, crate::connector::Extent::File);
    let mut batch = Batch::new();
    assert_eq!(source.fill(&mut batch, 10, 1000).unwrap(), Filled::End);
    assert_eq!(batch.payloads().iter().collect::<Vec<_>>(), [b"c"]);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_read_on_and_that_is_said() {
    let folder = folder(&[("a", b"1\n2\n")]);
    let path = folder.path().join("a");
    let text = TextSpec::default();
    let input = Input::open(&path, text.compression).unwrap();
    let mut open = OpenText::new(input, "a".to_owned(), "a".to_owned(), &text, 1000);
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"half").unwrap();
    let (mut batch, mut next_record, mut places) = (Batch::new(), 0, PlaceKeeper::new());
    let mut room = Room {
        fields: None,
        batch: &mut batch,
        source: 0,
        next_record: &mut next_record,
        places: &mut places,
        max_records: 100,
        max_bytes: 1000,
    };
    assert_eq!(open.fill(&mut room).unwrap(), Stopped::End);
    assert_eq!(batch.len(), 3);
    let note = "a: it had 4 bytes when it was opened, and 8 were read: it grows, and its last line may be half of one";
    assert_eq!(open.take_notes(), [note]);
}

#[test]
fn a_batch_ends_at_the_bytes_asked_for() {
    let folder = folder(&[("a", "x".repeat(99).as_bytes()), ("b", "0123456789\n".repeat(100).as_bytes())]);
    let mut source = TextSource::files(&spec(folder.path().join("b"), Format::Lines), 0, 1000).unwrap();
    let mut batch = Batch::new();
    assert_eq!(source.fill(&mut batch, 4096, 95).unwrap(), Filled::More);
    assert_eq!(batch.len(), 10);
}

#[test]
fn a_pipe_gives_what_it_has_and_is_idle_until_there_is_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let mut source = TextSource::files(&spec(path.clone(), Format::JsonLines), 3, 1000).unwrap();
    let mut batch = Batch::new();
    assert_eq!(source.fill(&mut batch, 10, 1000).unwrap(), Filled::Idle(Duration::ZERO));
    let mut writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
    writer.write_all(b"1\n\n2\n3").unwrap();
    assert_eq!(source.fill(&mut batch, 10, 1000).unwrap(), Filled::Idle(Duration::ZERO));
    assert_eq!(batch.len(), 2, "records at hand do not wait for more");
    let awaited = source.awaited().expect("a pipe has input later");
    let metadata = awaited.metadata().unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type()));
    writer.write_all(b"4\n").unwrap();
    drop(writer);
    batch.clear();
    while source.fill(&mut batch, 10, 1000).unwrap() != Filled::End {}
    assert_eq!(batch.payloads().iter().collect::<Vec<_>>(), [b"34"]);
    assert_eq!(source.describe(2), "pipe:4");
    assert_eq!(source.progress(), SourceProgress { done: 8, total: None, bytes: true, bounded: false });
}

#[test]
fn a_source_goes_to_a_position_as_if_it_had_read_up_to_there() {
    let csv =
        |from: u32| format!("n,text\n{}", (from..from + 5).map(|n| format!("{n},\"a\nb\"\n")).collect::<String>());
    let json = "\n{\"n\":1}\n\n{\"n\":2}\r\n{\"n\":3}";
    for (format, files) in [
        (Format::Lines, [("1", b"a\nb\r\nc".to_vec()), ("2", b"".to_vec()), ("3", b"d\n\ne\n".to_vec())]),
        (Format::Lines, [("1", b"a\rb\rc\r".to_vec()), ("2", gzip(b"x\ny\n")), ("3", b"\xff\xfed\0\n\0e\0".to_vec())]),
        (Format::JsonLines, [("1", json.into()), ("2", json.into()), ("3", gzip(json.as_bytes()))]),
        (Format::Csv, [("1", csv(0).into()), ("2", gzip(csv(10).as_bytes())), ("3", csv(20).into())]),
    ] {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let folder = folder(&files);
        let spec = spec(folder.path().join("*"), format);
        let open = || TextSource::files(&spec, 3, 1000).unwrap();
        let (expected, error) = read(&mut open(), 1);
        assert!(error.is_none(), "{error:?}");
        let mut reader = open();
        let mut sought = 0;
        for given in 0..=expected.len() {
            if let Some(position) = reader.position() {
                let mut source = open();
                source.seek(&position, given as u64).unwrap();
                let found = read_from(&mut source, given);
                assert_eq!(found, expected[given..], "{format:?} from {position}");
                assert_eq!(source.progress().done, reader_end(&files), "{format:?}");
                sought += 1;
            }
            let mut batch = Batch::new();
            reader.fill(&mut batch, 1, 64 << 10).unwrap();
        }
        assert!(sought >= 3, "{format:?}: {sought}");
    }
}

fn reader_end(files: &[(&str, &[u8])]) -> u64 {
    files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

/// The records behind the first `given`, with their places.
fn read_from(source: &mut TextSource, given: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    loop {
        let mut batch = Batch::new();
        let filled = source.fill(&mut batch, 2, 64 << 10).unwrap();
        for (payload, origin) in batch.payloads().iter().zip(batch.origins()) {
            let number = (given + found.len()) as u64;
            assert_eq!(*origin, Origin::new(3, number));
            found.push((source.describe(number), String::from_utf8(payload.to_vec()).unwrap()));
        }
        if filled == Filled::End {
            return found;
        }
    }
}
