use std::sync::Arc;

use super::appending_sink::AppendingSink;
use super::discard_sink::DiscardSink;
use super::file_sink::FileSink;
use super::follow_source::FollowSource;
use super::generate::Generate;
use super::layout::Layout;
use super::rolling_sink::RollingSink;
use super::socket_sink::SocketSink;
use super::socket_source::SocketSource;
use super::standard_streams::{require_input, require_output};
use super::stdout_sink::StdoutSink;
use super::text_source::TextSource;
use super::whole_files::WholeFiles;
use super::{ConnectorError, PathGuard, Sink, SinkStart, Source};
use sage_plan::{OutputShape, SinkSpec, SourceSpec};

/// Opens a built-in source at position `source_number` in the pipeline. No record is longer than
/// `max_record_bytes`.
///
/// Opening checks everything that can be checked without reading all input: files that are missing or
/// unreadable, CSV headers, settings that make no sense.
///
/// # Errors
/// One of these checks fails. [`SourceSpec::Provided`] is always an error, because an embedder hands such a
/// source to the engine.
pub fn open_source(
    spec: &SourceSpec,
    source_number: u16,
    max_record_bytes: u64,
) -> Result<Box<dyn Source>, ConnectorError> {
    let longest = usize::try_from(max_record_bytes).unwrap_or(usize::MAX);
    Ok(match spec {
        SourceSpec::File(files) if files.follow => Box::new(FollowSource::open(files, source_number, longest)?),
        SourceSpec::File(files) => Box::new(TextSource::files(files, source_number, longest)?),
        SourceSpec::WholeFiles(files) => Box::new(WholeFiles::open(files, source_number, longest)?),
        SourceSpec::Stdin(text) => {
            require_input()?;
            Box::new(TextSource::stdin(text, source_number, longest)?)
        }
        SourceSpec::Generate(generate) => Box::new(Generate::new(generate, source_number, longest)?),
        SourceSpec::Socket(socket) => Box::new(SocketSource::open(socket, source_number, longest)?),
        SourceSpec::Provided(name) => return Err(not_provided("source", name)),
    })
}

/// Opens a built-in sink of a run whose files `guard` keeps. `columns` are the names of the columns, for CSV.
///
/// # Errors
/// The sink cannot be written to, as far as that is known before the first write. [`SinkSpec::Provided`] is
/// always an error, as for [`open_source`].
pub fn open_sink(
    spec: &SinkSpec,
    columns: Vec<String>,
    guard: &Arc<PathGuard>,
    start: SinkStart<'_>,
) -> Result<Box<dyn Sink>, ConnectorError> {
    Ok(match spec {
        SinkSpec::File(file) => {
            let layout = Layout::of(file.text.form, &columns);
            match file.shape {
                OutputShape::Whole => Box::new(FileSink::create(file, layout, guard, start.saved)?),
                OutputShape::Appended => Box::new(AppendingSink::create(file, layout, guard, start)?),
                OutputShape::Parts(roll) => Box::new(RollingSink::create(file, (roll, layout), guard, start)?),
            }
        }
        SinkSpec::Stdout(text) => {
            require_output()?;
            Box::new(StdoutSink::new(Layout::of(text.form, &columns)))
        }
        SinkSpec::Discard => Box::new(DiscardSink),
        SinkSpec::Socket(socket) => Box::new(SocketSink::open(socket, columns)?),
        SinkSpec::Provided(name) => return Err(not_provided("sink", name)),
    })
}

fn not_provided(what: &str, name: &str) -> ConnectorError {
    ConnectorError::new(format!("no {what} was provided under the name \"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{Filled, SinkOutcome};
    use sage_batch::Batch;
    use sage_plan::{Compression, FileSinkSpec, FileSourceSpec, GenerateSpec, SinkText, TextSpec};

    #[test]
    fn what_a_file_sink_writes_a_file_source_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["out.txt", "out.txt.gz", "out.txt.zst"] {
            let path = folder.path().join(name);
            let generate =
                GenerateSpec { count: Some(10_000), rate: None, payload_bytes: 100, keys: None, seed: 1, times: None };
            let mut source = open_source(&SourceSpec::Generate(generate), 0, 1 << 20).unwrap();
            let compression = Compression::Found;
            let spec =
                FileSinkSpec { path: path.clone(), compression, text: SinkText::default(), shape: OutputShape::Whole };
            let mut sink = open_sink(&SinkSpec::File(spec), Vec::new(), &Arc::default(), SinkStart::default()).unwrap();
            let mut written = Vec::new();
            pump(&mut *source, |batch| {
                written.extend(batch.payloads().iter().map(<[u8]>::to_vec));
                sink.write(batch).unwrap();
            });
            sink.finish(SinkOutcome::Complete).unwrap();

            let spec = SourceSpec::File(FileSourceSpec { path, text: TextSpec::default(), follow: false });
            let mut read = Vec::new();
            pump(&mut *open_source(&spec, 0, 1 << 20).unwrap(), |batch| {
                read.extend(batch.payloads().iter().map(<[u8]>::to_vec));
            });
            assert!(read == written);
        }
    }

    fn pump(source: &mut dyn Source, mut take: impl FnMut(&Batch)) {
        let mut batch = Batch::new();
        loop {
            batch.clear();
            let filled = source.fill(&mut batch, 4096, 64 << 10).unwrap();
            take(&batch);
            if filled == Filled::End {
                return;
            }
        }
    }

    #[test]
    fn what_is_to_be_provided_cannot_be_opened() {
        assert!(open_source(&SourceSpec::Provided("mine".into()), 0, 1).is_err());
        assert!(
            open_sink(&SinkSpec::Provided("mine".into()), Vec::new(), &Arc::default(), SinkStart::default()).is_err()
        );
    }
}
