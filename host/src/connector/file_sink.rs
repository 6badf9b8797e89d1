use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::packed::Packed;
use super::record_writer::RecordWriter;
use super::{ConnectorError, Sink, SinkOutcome};
use crate::batch::Batch;
use crate::plan::FileSinkSpec;

/// A file that is there only when it is whole.
///
/// Records go to `PATH.partial`. When the run is complete that is made durable and renamed to PATH, in place of what was there;
/// otherwise it stays under its own name, for whoever wants to look, until the next run writes over it. A path that is
/// a device or a pipe is written to directly.
pub(super) struct FileSink {
    /// `None` once finished.
    writer: Option<RecordWriter<Packed>>,
    path: PathBuf,
    /// `None` for a device or a pipe.
    partial: Option<PathBuf>,
}

impl FileSink {
    pub(super) fn create(spec: &FileSinkSpec) -> Result<Self, ConnectorError> {
        let shown = spec.path.display();
        let cannot = |cause| ConnectorError::caused(format!("cannot write to \"{shown}\""), cause);
        // Through links, so that the file they lead to is replaced and not the link.
        let path = fs::canonicalize(&spec.path).unwrap_or_else(|_| spec.path.clone());
        let there = fs::metadata(&path).ok();
        if there.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(ConnectorError::new(format!("\"{shown}\" is a folder, the sink writes a file"))
                .hint(format!("name the file, for example \"{}\"", spec.path.join("out.jsonl").display())));
        }
        let folder = folder_of(&path);
        if !folder.is_dir() {
            return Err(ConnectorError::new(format!(
                "the folder \"{}\" of \"{shown}\" does not exist",
                folder.display()
            ))
            .hint("make it first"));
        }
        let in_place = there.is_some_and(|metadata| !metadata.is_file());
        let partial = (!in_place).then(|| partial_path(&path));
        let file = match &partial {
            Some(partial) => open_partial(partial)?,
            None => File::options().write(true).open(&path).map_err(cannot)?,
        };
        let packed = Packed::new(file, spec.compression, &spec.path);
        Ok(Self { writer: Some(RecordWriter::new(packed, format!("\"{shown}\""))), path, partial })
    }

    fn writer(&mut self) -> Result<&mut RecordWriter<Packed>, ConnectorError> {
        self.writer.as_mut().ok_or_else(|| ConnectorError::new(format!("\"{}\" is finished", self.path.display())))
    }
}

impl Sink for FileSink {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        self.writer()?.write(batch)
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        self.writer()?.flush()
    }

    fn finish(&mut self, outcome: SinkOutcome) -> Result<(), ConnectorError> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let cannot = |cause| ConnectorError::caused(format!("cannot finish \"{}\"", self.path.display()), cause);
        let file = writer.into_output()?.finish().map_err(cannot)?;
        let (Some(partial), SinkOutcome::Complete) = (&self.partial, outcome) else { return Ok(()) };
        // The bytes before the name, the name before the answer: after a power cut PATH is the old file or the whole new one.
        file.sync_all().map_err(cannot)?;
        fs::rename(partial, &self.path).map_err(cannot)?;
        File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all()).map_err(cannot)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Opens it for this run alone, then empties it: two runs that write the same file would mix their records.
fn open_partial(path: &Path) -> Result<File, ConnectorError> {
    let cannot = |cause| ConnectorError::caused(format!("cannot write to \"{}\"", path.display()), cause);
    let file = File::options().write(true).create(true).truncate(false).open(path).map_err(cannot)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        // Some file systems have no locks; there the check is not to be had.
        Ok(()) | Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOSYS | rustix::io::Errno::NOLCK) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(ConnectorError::new(format!("another run is writing \"{}\"", path.display()))
                .hint("wait for it, or give this sink another path"));
        }
        Err(error) => return Err(cannot(error.into())),
    }
    file.set_len(0).map_err(cannot)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;
    use crate::batch::{Origin, Record};
    use crate::plan::Compression;

    fn sink(path: &Path) -> Result<FileSink, ConnectorError> {
        FileSink::create(&FileSinkSpec { path: path.to_owned(), compression: Compression::Found })
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
