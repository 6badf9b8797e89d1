use std::fs::{self, File};
use std::io::Write as _;

use tempfile::TempDir;

use super::*;
use sage_plan::Format;

struct Followed {
    folder: TempDir,
    pattern: &'static str,
    format: Format,
}

impl Followed {
    fn new(pattern: &'static str, format: Format) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), pattern, format }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = File::options().append(true).create(true).open(self.at(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).unwrap();
    }

    fn open(&self) -> FollowSource {
        let text = TextSpec { format: self.format, ..TextSpec::default() };
        let spec = FileSourceSpec { path: self.at(self.pattern), text, follow: true };
        FollowSource::open(&spec, 1, 1 << 20).unwrap()
    }

    /// A source that goes on where another one was.
    fn go_on(&self, position: &str, records: u64) -> FollowSource {
        let mut source = self.open();
        source.seek(position, records).unwrap();
        source
    }
}

/// The records that are there, with their places. The names are looked up as if a second had passed.
fn read(source: &mut FollowSource) -> Vec<String> {
    let mut records = Vec::new();
    for _ in 0..2 {
        source.names_looked_up = None;
        loop {
            let mut batch = Batch::new();
            let filled = source.fill(&mut batch, 100, 1 << 20).unwrap();
            for row in 0..batch.len() {
                let record = batch.record(row).unwrap();
                let place = source.describe(record.origin.parts().unwrap().1);
                records.push(format!("{place} {}", String::from_utf8_lossy(record.payload)));
            }
            match filled {
                Filled::More => {}
                Filled::Idle(_) => break,
                Filled::End => panic!("a source that follows has no end"),
            }
        }
    }
    records
}

#[test]
fn lines_are_read_as_they_come_and_one_without_a_line_end_is_waited_for() {
    for format in [Format::Lines, Format::JsonLines] {
        let log = Followed::new("log", format);
        let mut source = log.open();
        assert_eq!(read(&mut source), Vec::<String>::new(), "there is no file yet");
        log.append("log", "[1]");
        assert_eq!(read(&mut source), Vec::<String>::new());
        log.append("log", "\n[2]\n[");
        assert_eq!(read(&mut source), ["log:1 [1]", "log:2 [2]"]);
        log.append("log", "3]\n");
        assert_eq!(read(&mut source), ["log:3 [3]"]);
        assert_eq!(read(&mut source), Vec::<String>::new());
    }
}

#[test]
fn new_files_of_a_pattern_are_read_and_packed_ones_are_not() {
    let log = Followed::new("*.log", Format::Lines);
    log.append("a.log", "a1\n");
    let mut source = log.open();
    assert_eq!(read(&mut source), ["a.log:1 a1"]);
    log.append("b.log", "b1\n");
    fs::write(log.at("c.log"), b"\x1f\x8b\x08\0\0\0").unwrap();
    log.append("d.txt", "d1\n");
    log.append("a.log", "a2\n");
    let mut found = read(&mut source);
    found.sort();
    assert_eq!(found, ["a.log:2 a2", "b.log:1 b1"]);
}

#[test]
fn a_rotation_by_rename_loses_and_repeats_nothing() {
    for pattern in ["log", "log*"] {
        let log = Followed::new(pattern, Format::Lines);
        log.append("log", "1\n2\n");
        let mut source = log.open();
        assert_eq!(read(&mut source).len(), 2);
        // The last lines of the old file come after the rotation, and the new file has the same beginning.
        log.append("log", "3\n");
        log.rename("log", "log.1");
        log.append("log.1", "4\n");
        log.append("log", "1\n2\n");
        let mut found = read(&mut source);
        found.extend(read(&mut source));
        found.sort();
        assert_eq!(found.iter().map(|line| line.rsplit(' ').next().unwrap()).collect::<Vec<_>>().len(), 4, "{found:?}");
        let mut texts: Vec<_> = found.iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
        texts.sort();
        assert_eq!(texts, ["1", "2", "3", "4"], "{pattern}");
        log.append("log", "5\n");
        log.append("log.1", "half");
        assert_eq!(read(&mut source), ["log:3 5"]);
        if pattern == "log" {
            // After a while without more lines the rest of the old file is its last line.
            source.files.iter_mut().for_each(FollowedFile::is_quiet_for_long);
            assert_eq!(read(&mut source), ["log:5 half"], "under the name that it had in the source");
            assert_eq!(source.files.len(), 1);
        }
    }
}

#[test]
fn a_file_that_was_cut_or_replaced_by_another_text_is_read_from_its_beginning() {
    for (text, expected) in [
        ("x\n", &["log:1 x"][..]),
        // As long as before, and longer.
        ("a\nb\nx\n", &["log:1 a", "log:2 b", "log:3 x"]),
        ("a\nb\nc\nd\ne\n", &["log:1 a", "log:2 b", "log:3 c", "log:4 d", "log:5 e"]),
        ("", &[]),
    ] {
        let log = Followed::new("log", Format::Lines);
        log.append("log", "1\n2\n3\n");
        let mut source = log.open();
        assert_eq!(read(&mut source).len(), 3);
        // The inode stays the same.
        fs::write(log.at("log"), "").unwrap();
        if text.len() != 6 {
            log.append("log", text);
        } else {
            // A look between the two sees the cut.
            assert_eq!(read(&mut source), Vec::<String>::new());
            log.append("log", text);
        }
        assert_eq!(read(&mut source), expected, "{text:?}");
        log.append("log", "more\n");
        assert_eq!(read(&mut source), [format!("log:{} more", expected.len() + 1)]);
    }
}

#[test]
fn a_later_run_goes_on_behind_what_was_read_without_reading_it_again() {
    for format in [Format::Lines, Format::JsonLines, Format::Csv] {
        let log = Followed::new("*.log", format);
        let row = |n: u32| if format == Format::Csv { format!("{n},\"x\ny\"\n") } else { format!("[{n}]\n") };
        let header = if format == Format::Csv { "n,text\n" } else { "" };
        let lines = if format == Format::Csv { 2 } else { 1 };
        log.append("a.log", &format!("{header}{}{}", row(1), row(2)));
        log.append("b.log", &format!("{header}{}", row(1)));
        let mut first = log.open();
        assert_eq!(read(&mut first).len(), 3);
        // The beginning of a row is not behind the position.
        log.append("a.log", if format == Format::Csv { "3,\"x\n" } else { "[3" });
        assert_eq!(read(&mut first), Vec::<String>::new());
        let position = first.position().unwrap();
        drop(first);
        log.append("a.log", if format == Format::Csv { "y\"\n" } else { "]\n" });
        log.append("a.log", &row(4));
        log.append("c.log", &format!("{header}{}", row(1)));
        let mut second = log.go_on(&position, 3);
        assert_eq!(second.progress().done, position_sum(&position), "nothing is read again");
        let mut found = read(&mut second);
        found.sort();
        let first_line = 1 + u32::from(format == Format::Csv);
        let places: Vec<_> = found.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        let expected = [("a", 2), ("a", 3), ("c", 0)].map(|(name, n)| format!("{name}.log:{}", first_line + n * lines));
        assert_eq!(places, expected, "{format:?}");
        let origins = second.next_record;
        assert_eq!(origins, 6, "numbers of records go on");
    }
}

fn position_sum(position: &str) -> u64 {
    let places: Vec<FollowedPosition> = serde_json::from_str(position).unwrap();
    places.iter().map(|place| place.at.bytes).sum()
}

#[test]
fn positions_never_change_places_after_files_are_renamed_while_no_run_is_there() {
    let log = Followed::new("*.log", Format::Lines);
    log.append("a.log", "a1\na2\na3\n");
    log.append("b.log", "b1\n");
    let mut first = log.open();
    assert_eq!(read(&mut first).len(), 4);
    let position = first.position().unwrap();
    drop(first);
    log.rename("a.log", "swap");
    log.rename("b.log", "a.log");
    log.rename("swap", "b.log");
    log.append("a.log", "b2\n");
    log.append("b.log", "a4\n");
    let mut found = read(&mut log.go_on(&position, 4));
    found.sort();
    assert_eq!(found, ["a.log:2 b2", "b.log:4 a4"]);
}

#[test]
fn a_file_that_was_rotated_away_while_no_run_was_there_is_read_to_its_end() {
    let log = Followed::new("log", Format::Lines);
    log.append("log", "1\n");
    let mut first = log.open();
    assert_eq!(read(&mut first).len(), 1);
    let position = first.position().unwrap();
    drop(first);
    log.append("log", "2\n");
    log.rename("log", "log.1");
    log.append("log", "3\n");
    let mut second = log.go_on(&position, 1);
    let mut found = read(&mut second);
    found.sort();
    assert_eq!(found, ["log.1:2 2", "log:1 3"]);
}

#[test]
fn a_file_that_was_replaced_under_its_position_is_read_from_its_beginning() {
    // Shorter, and another content, each in the same inode; and another file of the same name.
    for (text, in_place) in [("x\n", true), ("x\ny\nz\nu\n", true), ("x\ny\nz\n", false), ("", true)] {
        let log = Followed::new("log", Format::Lines);
        log.append("log", "1\n2\n3\n");
        let mut first = log.open();
        assert_eq!(read(&mut first).len(), 3);
        let position = first.position().unwrap();
        drop(first);
        let other = log.at("other");
        fs::write(if in_place { log.at("log") } else { other.clone() }, text).unwrap();
        if !in_place {
            fs::rename(&other, log.at("log")).unwrap();
        }
        let expected: Vec<_> = text.lines().enumerate().map(|(n, line)| format!("log:{} {line}", n + 1)).collect();
        assert_eq!(read(&mut log.go_on(&position, 3)), expected, "{text:?}");
    }
}

#[test]
fn another_source_than_before_is_refused() {
    let log = Followed::new("log", Format::Lines);
    let source = log.open();
    let saved = source.identity().unwrap().unwrap();
    source.require_same(&saved).unwrap();
    let other = Followed { folder: log.folder, ..Followed::new("*.log", Format::Lines) }.open();
    assert!(other.require_same(&saved).unwrap_err().what.ends_with("/log before"));
    let what = other.require_same(b"[]").unwrap_err().what;
    assert!(what.ends_with("and read its files to their ends before"), "{what}");
}

#[test]
fn a_bad_line_is_passed_over_once() {
    let log = Followed::new("log", Format::JsonLines);
    log.append("log", "1\nbad\n2\n");
    let mut first = log.open();
    let mut batch = Batch::new();
    let error = first.fill(&mut batch, 100, 1 << 20).unwrap_err();
    assert_eq!((batch.len(), error.unreadable.unwrap().place.as_str()), (1, "log:2"));
    let position = first.position().unwrap();
    drop(first);
    assert_eq!(read(&mut log.go_on(&position, 1)), ["log:3 2"]);
}

#[test]
fn text_in_another_form_is_given_up_once_and_the_other_files_go_on() {
    for bytes in [&b"\xff\xfea\0\n\0"[..], b"\x1f\x8b\x08\0\0\0\0\0"] {
        let log = Followed::new("*.log", Format::Lines);
        // It has no bytes when it is opened.
        log.append("a.log", "");
        log.append("b.log", "b1\n");
        let mut source = log.open();
        assert_eq!(read(&mut source), ["b.log:1 b1"]);
        fs::write(log.at("a.log"), bytes).unwrap();
        log.append("b.log", "b2\n");
        let (mut errors, mut records) = (Vec::new(), 0);
        for _ in 0..10 {
            let mut batch = Batch::new();
            match source.fill(&mut batch, 100, 1 << 20) {
                Ok(_) => {}
                Err(error) => errors.push(error.what),
            }
            records += batch.len();
        }
        let end = "a source that follows reads plain text in UTF-8";
        assert!(matches!(&errors[..], [one] if one.ends_with(end)), "{errors:?}");
        assert_eq!(records, 1);
        let position = source.position().unwrap();
        let mut second = log.go_on(&position, 2);
        log.append("b.log", "b3\n");
        assert_eq!(read(&mut second), ["b.log:3 b3"], "what was given up stays so");
    }
}
