use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::file_output::FileOutput;
use super::identity::FileId;
use super::layout::Layout;
use super::output_place::OutputPlace;
use super::partial_file::PartialFile;
use super::record_writer::RecordWriter;
use super::saved_output::SavedOutput;
use super::{ConnectorError, PathGuard, Sink, SinkOutcome};
use sage_batch::Batch;
use sage_plan::FileSinkSpec;
use sage_text::plain_path;

/// A file sink whose file appears only when it is complete.
///
/// Records go to `PATH.partial`. When the run is complete, that file is made durable and renamed to PATH, in
/// place of an older file. Otherwise it stays as `PATH.partial`, for inspection, until the next run overwrites
/// it. A path that is a device or a pipe is written to directly.
pub(super) struct FileSink {
    /// `None` after the sink is finished.
    writer: Option<RecordWriter<FileOutput>>,
    /// Number of records that had been written when the sink was finished.
    written: u64,
    path: PathBuf,
    /// `None` for a device or a pipe.
    partial: Option<PartialFile>,
}

impl FileSink {
    /// Makes the sink. With `saved`, it goes on behind the records that an earlier run had [saved](Sink::save).
    pub(super) fn create(
        spec: &FileSinkSpec,
        layout: Layout,
        guard: &Arc<PathGuard>,
        saved: Option<&[u8]>,
    ) -> Result<Self, ConnectorError> {
        let saved = saved.map_or(Ok(None), SavedOutput::from_bytes)?;
        let shown = plain_path(&spec.path);
        let (path, partial, file) = match OutputPlace::examine(&spec.path)? {
            OutputPlace::InPlace(path) => {
                let cannot = |cause| ConnectorError::caused(format!("cannot write to \"{shown}\""), cause);
                let file = File::options().write(true).open(&path).map_err(cannot)?;
                guard.require_not_read(FileId::of_open(&file).map_err(cannot)?, &shown)?;
                (path, None, file)
            }
            OutputPlace::Replaced(place) => {
                let (partial, file) = match saved {
                    Some(saved) => PartialFile::go_on(&place, Arc::clone(guard), saved)?,
                    None => PartialFile::create(&place, Arc::clone(guard))?,
                };
                (place.path, Some(partial), file)
            }
        };
        let output = FileOutput::new(file, spec.compression, &spec.path, saved.map_or(0, |saved| saved.bytes))
            .map_err(|cause| ConnectorError::caused(format!("cannot write to \"{shown}\""), cause))?;
        // A header was written before the first epoch.
        let layout = if saved.is_some() { layout.without_header() } else { layout };
        let writer = RecordWriter::new(output, layout, format!("\"{shown}\""));
        Ok(Self { writer: Some(writer), written: 0, path, partial })
    }

    fn writer(&mut self) -> Result<&mut RecordWriter<FileOutput>, ConnectorError> {
        self.writer.as_mut().ok_or_else(|| ConnectorError::new(format!("\"{}\" is finished", plain_path(&self.path))))
    }
}

impl Sink for FileSink {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        self.writer()?.write(batch)
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        self.writer()?.flush()
    }

    fn save(&mut self, _epoch: u64) -> Result<Vec<u8>, ConnectorError> {
        let Some(id) = self.partial.as_ref().map(PartialFile::id) else {
            return self.flush().map(|()| Vec::new());
        };
        let path = self.path.clone();
        let writer = self.writer()?;
        writer.flush()?;
        let records = writer.written();
        let bytes = writer.output_mut().make_durable();
        let cannot = |cause| ConnectorError::caused(format!("cannot write to \"{}\"", plain_path(&path)), cause);
        Ok(SavedOutput { id, bytes: bytes.map_err(cannot)?, records }.to_bytes())
    }

    fn written(&self) -> Option<u64> {
        Some(self.writer.as_ref().map_or(self.written, RecordWriter::written))
    }

    fn finish(&mut self, outcome: SinkOutcome) -> Result<(), ConnectorError> {
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        let cannot = |cause| ConnectorError::caused(format!("cannot finish \"{}\"", plain_path(&self.path)), cause);
        let flushed = if writer.has_failed() { Ok(()) } else { writer.flush() };
        self.written = writer.written();
        if writer.has_failed() {
            writer.into_output().cut_back();
            return flushed;
        }
        let file = writer.into_output().finish().map_err(cannot)?;
        let (Some(partial), SinkOutcome::Complete) = (&self.partial, outcome) else { return Ok(()) };
        file.sync_all().map_err(|cause| {
            // The file system does not say which of the accepted bytes it could not keep.
            self.written = 0;
            cannot(cause)
        })?;
        partial.take_name(&file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
    use std::path::Path;

    use flate2::read::MultiGzDecoder;

    use sage_test_support::{Need, skip};

    use super::super::zstd_frames::ZstdFrames;
    use super::*;
    use sage_batch::{Origin, Record};
    use sage_plan::{Compression, OutputShape, SinkText};

    fn spec(path: &Path, compression: Compression) -> FileSinkSpec {
        FileSinkSpec { path: path.to_owned(), compression, text: SinkText::default(), shape: OutputShape::Whole }
    }

    fn sink(path: &Path) -> Result<FileSink, ConnectorError> {
        FileSink::create(&spec(path, Compression::Found), Layout::Lines, &Arc::default(), None)
    }

    fn write(sink: &mut FileSink, payload: &[u8]) {
        let mut batch = Batch::new();
        assert!(batch.push(Record::of(payload, Origin::NONE)));
        sink.write(&batch).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_takes_its_name_only_when_the_run_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old").unwrap();
        let mut partial = sink(&path).unwrap();
        write(&mut partial, b"half");
        partial.finish(SinkOutcome::Partial).unwrap();
        assert_eq!(names(folder.path()), ["out", "out.partial"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read(folder.path().join("out.partial")).unwrap(), b"half\n");

        let mut complete = sink(&path).unwrap();
        write(&mut complete, b"whole");
        complete.finish(SinkOutcome::Complete).unwrap();
        assert_eq!(names(folder.path()), ["out"]);
        assert_eq!(fs::read(&path).unwrap(), b"whole\n");
    }

    #[test]
    fn what_is_flushed_can_be_read_while_the_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut plain = sink(&folder.path().join("out")).unwrap();
        write(&mut plain, b"a");
        plain.flush().unwrap();
        assert_eq!(fs::read(folder.path().join("out.partial")).unwrap(), b"a\n");
    }

    #[test]
    fn a_gz_name_packs_the_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl.gz");
        let mut sink = sink(&path).unwrap();
        let line = b"a".repeat(1000);
        for _ in 0..1000 {
            write(&mut sink, &line);
        }
        sink.finish(SinkOutcome::Complete).unwrap();
        let mut text = Vec::new();
        MultiGzDecoder::new(File::open(&path).unwrap()).read_to_end(&mut text).unwrap();
        assert!(text == [&line[..], b"\n"].concat().repeat(1000));
        assert!(fs::metadata(&path).unwrap().len() < 10_000);
    }

    #[test]
    fn a_link_is_kept_and_the_file_it_leads_to_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let link = folder.path().join("link");
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut sink = sink(&link).unwrap();
        write(&mut sink, b"new");
        sink.finish(SinkOutcome::Complete).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new\n");
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_yet_is_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink("real/out", &link).unwrap();
        let mut sink = sink(&link).unwrap();
        write(&mut sink, b"new");
        sink.flush().unwrap();
        assert_eq!(names(&real), ["out.partial"]);
        sink.finish(SinkOutcome::Complete).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(real.join("out")).unwrap(), b"new\n");
    }

    #[test]
    fn an_output_keeps_the_mode_of_the_file_it_replaces_from_its_first_byte() {
        let folder = tempfile::tempdir().unwrap();
        let (path, partial) = (folder.path().join("out"), folder.path().join("out.partial"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        for kept in [0o600, 0o640, 0o604, 0o444, 0o660, 0o777] {
            let _ = fs::remove_file(&path);
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
            // The leftover of an earlier run may be open in another program, which must not see the new
            // records.
            fs::write(&partial, "left").unwrap();
            fs::set_permissions(&partial, Permissions::from_mode(0o666)).unwrap();
            let mut watcher = File::open(&partial).unwrap();
            let mut sink = sink(&path).unwrap();
            assert_eq!(mode(&partial), kept, "before the first byte");
            write(&mut sink, b"secret");
            sink.flush().unwrap();
            let mut seen = String::new();
            watcher.read_to_string(&mut seen).unwrap();
            assert_eq!(seen, "left");
            sink.finish(SinkOutcome::Complete).unwrap();
            assert_eq!((mode(&path), fs::read(&path).unwrap()), (kept, b"secret\n".to_vec()));
        }
    }

    #[test]
    fn an_output_keeps_the_owner_and_the_group_of_the_file_it_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old").unwrap();
        if chown(&path, Some(12345), Some(23456)).is_err() {
            return skip(Need::Root, "this user may not give files away");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let mut sink = sink(&path).unwrap();
        write(&mut sink, b"new");
        sink.finish(SinkOutcome::Complete).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (12345, 23456, 0o640));
    }

    #[test]
    fn a_partial_file_that_somebody_has_taken_away_or_replaced_does_not_become_the_output() {
        let folder = tempfile::tempdir().unwrap();
        let (path, partial) = (folder.path().join("out"), folder.path().join("out.partial"));
        for replaced in [true, false] {
            fs::write(&path, "old").unwrap();
            let mut sink = sink(&path).unwrap();
            write(&mut sink, b"mine");
            fs::remove_file(&partial).unwrap();
            if replaced {
                fs::write(&partial, "theirs").unwrap();
            }
            let error = sink.finish(SinkOutcome::Complete).unwrap_err();
            let how = if replaced { "replaced" } else { "removed" };
            let said = format!("{how} by another program while this run wrote it");
            assert!(error.what.contains(&said), "{}", error.what);
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }
    }

    #[test]
    fn what_lies_under_the_partial_files_name_is_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (path, partial) = (at("out"), at("out.partial"));
        fs::write(at("precious"), "precious").unwrap();
        // The second name is removed; the file stays.
        fs::hard_link(at("precious"), &partial).unwrap();
        let mut linked = sink(&path).unwrap();
        write(&mut linked, b"x");
        linked.finish(SinkOutcome::Complete).unwrap();
        assert_eq!(fs::read(at("precious")).unwrap(), b"precious");
        // A link or a folder is not the leftover of a run.
        symlink("precious", &partial).unwrap();
        let what = sink(&path).map(drop).unwrap_err().what;
        assert!(what.ends_with("out.partial\" is not a regular file: it is no leftover of a run"), "{what}");
        assert_eq!(fs::read(at("precious")).unwrap(), b"precious");
    }

    #[test]
    fn a_file_that_the_run_reads_by_now_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("in"), "input").unwrap();
        let mut guard = PathGuard::default();
        guard.add("it is read".to_owned(), [FileId::of(&fs::metadata(at("in")).unwrap())]);
        let spec = spec(&at("out"), Compression::None);
        let mut sink = FileSink::create(&spec, Layout::Lines, &Arc::new(guard), None).unwrap();
        write(&mut sink, b"x");
        // The file is moved after the paths were compared.
        fs::rename(at("in"), at("out")).unwrap();
        let error = sink.finish(SinkOutcome::Complete).unwrap_err();
        assert!(
            error.what.ends_with("would replace or change a file of this run by now: it is read"),
            "{}",
            error.what
        );
        assert_eq!(fs::read(at("out")).unwrap(), b"input");
    }

    #[test]
    fn a_later_run_goes_on_behind_what_was_saved_whatever_followed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["out", "out.gz", "out.zst"] {
            for finished in [false, true] {
                let path = folder.path().join(name);
                let mut first = sink(&path).unwrap();
                write(&mut first, b"one");
                let saved = first.save(1).unwrap();
                assert_eq!(first.save(1).unwrap(), saved, "an epoch without records adds nothing");
                write(&mut first, b"lost");
                match finished {
                    // The run was killed between this and its last epoch.
                    true => first.finish(SinkOutcome::Complete).unwrap(),
                    false => first.flush().unwrap(),
                }
                drop(first);
                let spec = spec(&path, Compression::Found);
                let go_on = || FileSink::create(&spec, Layout::Lines, &Arc::default(), Some(&saved));
                let mut second = go_on().unwrap();
                write(&mut second, b"two");
                second.finish(SinkOutcome::Complete).unwrap();
                assert_eq!(text(&path), "one\ntwo\n", "{name}");
                fs::remove_file(&path).unwrap();
                let what = go_on().map(drop).unwrap_err().what;
                assert!(what.ends_with(".partial\" is gone, which has the records of the run to go on with"), "{what}");
            }
        }
    }

    fn text(path: &Path) -> String {
        let bytes = fs::read(path).unwrap();
        let mut text = String::new();
        match bytes.first() {
            Some(0x1f) => MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap(),
            Some(0x28) => ZstdFrames::new(&bytes[..]).read_to_string(&mut text).unwrap(),
            _ => (&bytes[..]).read_to_string(&mut text).unwrap(),
        };
        text
    }

    #[test]
    fn a_device_is_written_in_place() {
        let mut sink = sink(Path::new("/dev/null")).unwrap();
        write(&mut sink, b"a");
        sink.finish(SinkOutcome::Complete).unwrap();
        assert!(!Path::new("/dev/null.partial").exists());
    }

    #[test]
    fn what_cannot_be_written_is_refused_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        let path = folder.path().join("out");
        let _first = sink(&path).unwrap();
        let cases = [
            (path.clone(), format!("another run is writing \"{root}/out.partial\"")),
            (folder.path().to_owned(), format!("\"{root}\" is a folder, the sink writes a file")),
            (folder.path().join("no/out"), format!("the folder \"{root}/no\" of \"{root}/no/out\" does not exist")),
        ];
        for (path, what) in cases {
            let Err(error) = sink(&path) else { panic!("{path:?}") };
            assert_eq!(error.what, what);
        }
    }
}
