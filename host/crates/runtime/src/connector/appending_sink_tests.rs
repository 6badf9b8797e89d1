use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::*;
use sage_batch::{Origin, Record};
use sage_plan::{Compression, OutputShape, SinkText};

fn open(path: &Path, layout: Layout, start: SinkStart<'_>) -> Result<AppendingSink, ConnectorError> {
    let (text, shape) = (SinkText::default(), OutputShape::Appended);
    let spec = FileSinkSpec { path: path.to_owned(), compression: Compression::None, text, shape };
    AppendingSink::create(&spec, layout, &Arc::default(), start)
}

fn write(sink: &mut AppendingSink, payload: &[u8]) {
    let mut batch = Batch::new();
    assert!(batch.push(Record::of(payload, Origin::NONE)));
    sink.write(&batch).unwrap();
    sink.flush().unwrap();
}

fn another_program_appends(path: &Path, text: &str) {
    File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn records_come_behind_what_the_file_holds_and_a_half_line_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let header = || Layout::Rows(b"a\n".to_vec());
    for (before, layout, expected) in [
        (None, Layout::Lines, "x\ny\n"),
        (Some(""), Layout::Lines, "x\ny\n"),
        (Some("old\n"), Layout::Lines, "old\nx\ny\n"),
        (Some("half"), Layout::Lines, "half\nx\ny\n"),
        (None, header(), "a\nx\ny\n"),
        (Some("a\n1\n"), header(), "a\n1\nx\ny\n"),
    ] {
        let _ = fs::remove_file(&path);
        before.into_iter().for_each(|text| fs::write(&path, text).unwrap());
        let mut sink = open(&path, layout, SinkStart::default()).unwrap();
        write(&mut sink, b"x");
        write(&mut sink, b"y");
        sink.finish(SinkOutcome::Complete).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), sink.written()), (expected, Some(2)));
        assert!(!folder.path().join("out.partial").exists());
    }
}

#[test]
fn a_later_run_cuts_off_what_is_its_own_and_nothing_of_others() {
    // What came behind the epoch: records of the run, and lines of another program.
    let epochs = SinkStart { has_epochs: true, saved: None };
    for (behind, expected) in [
        (&[][..], "old\none\ntwo\n"),
        (&["lost"], "old\none\ntwo\n"),
        (&["lost", "lost too"], "old\none\ntwo\n"),
        (&["+other"], "old\none\nother\ntwo\n"),
        // The records of the run come twice, and nothing is lost.
        (&["+other", "again"], "old\none\nother\nagain\ntwo\n"),
        (&["again", "+other"], "old\none\nagain\nother\ntwo\n"),
        (&["again", "+other", "again"], "old\none\nagain\nother\nagain\ntwo\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old\n").unwrap();
        let mut first = open(&path, Layout::Lines, epochs).unwrap();
        write(&mut first, b"one");
        let saved = first.save(1).unwrap();
        for line in behind {
            match line.strip_prefix('+') {
                Some(others) => another_program_appends(&path, &format!("{others}\n")),
                None => write(&mut first, line.as_bytes()),
            }
        }
        drop(first);
        let start = SinkStart { has_epochs: true, saved: Some(&saved) };
        let mut second = open(&path, Layout::Lines, start).unwrap();
        write(&mut second, b"two");
        second.finish(SinkOutcome::Complete).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{behind:?}");
    }
}

#[test]
fn lines_of_others_before_an_epoch_do_not_stand_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut first = open(&path, Layout::Lines, SinkStart { has_epochs: true, saved: None }).unwrap();
    write(&mut first, b"one");
    another_program_appends(&path, "other\n");
    let saved = first.save(1).unwrap();
    write(&mut first, b"lost");
    drop(first);
    let mut second = open(&path, Layout::Lines, SinkStart { has_epochs: true, saved: Some(&saved) }).unwrap();
    write(&mut second, b"two");
    second.finish(SinkOutcome::Complete).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\nother\ntwo\n");
}

#[test]
fn what_cannot_be_appended_to_is_refused() {
    let epochs = SinkStart { has_epochs: true, saved: None };
    let what = |path: &Path, start| open(path, Layout::Lines, start).map(drop).unwrap_err().what;
    assert!(what(Path::new("/dev/null"), epochs).ends_with("is no regular file, so nothing can be appended to it"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut first = open(&path, Layout::Lines, epochs).unwrap();
    assert!(what(&path, epochs).starts_with("another run is writing"));
    write(&mut first, b"one");
    let saved = first.save(1).unwrap();
    drop(first);
    let goes_on = SinkStart { has_epochs: true, saved: Some(&saved) };
    fs::write(&path, "on").unwrap();
    assert!(what(&path, goes_on).ends_with("had 4 bytes at the last epoch, and it has 2 bytes now"));
    fs::rename(&path, folder.path().join("moved")).unwrap();
    fs::write(&path, "one\n").unwrap();
    assert!(what(&path, goes_on).ends_with("had 4 bytes at the last epoch, and it is another file now"));
}
