use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::counted::Counted;
use super::find_files::find_files;
use super::refusal::Refusal;
use super::saved_files::SavedFiles;
use super::{ConnectorError, Filled, Places, Source, SourceProgress, Unreadable};
use sage_batch::{Batch, Origin, Record};
use sage_plan::WholeFilesSpec;

/// Whole files, one after the other: each is one record, whose payload is the file's content and whose key is
/// its path.
///
/// The key of a file below the pipeline file's folder is the path without that folder, so that it does not
/// depend on the working directory. Only regular files are accepted, because the size of any other file is
/// unknown.
#[derive(Debug)]
pub(super) struct WholeFiles {
    number: u16,
    longest: usize,
    files: Arc<Paths>,
    next: usize,
    /// The file that is being read. Only whole files enter the batch.
    content: Vec<u8>,
    done: u64,
    total: u64,
}

#[derive(Debug)]
struct Paths {
    paths: Vec<PathBuf>,
    base: PathBuf,
}

impl WholeFiles {
    /// Opens the files that `spec` names; each file is examined but not read. No record is longer than
    /// `longest` bytes, its key included.
    pub(super) fn open(spec: &WholeFilesSpec, number: u16, longest: usize) -> Result<Self, ConnectorError> {
        let files = Paths { paths: find_files(&spec.path)?, base: spec.base.clone() };
        let mut source =
            Self { number, longest, files: Arc::default(), next: 0, content: Vec::new(), done: 0, total: 0 };
        for path in &files.paths {
            match source.check(path, files.name(path).as_os_str().len()) {
                Ok(size) => source.total = source.total.saturating_add(size),
                Err(_) if spec.tolerant => {}
                Err(error) => return Err(error),
            }
        }
        source.files = Arc::new(files);
        Ok(source)
    }

    /// Checks a file as far as possible without reading it. Returns its size.
    fn check(&self, path: &Path, key: usize) -> Result<u64, ConnectorError> {
        let metadata = path.metadata().map_err(|cause| cannot("open", path, cause))?;
        if metadata.is_dir() {
            return Err(ConnectorError::new(format!("\"{}\" is a folder, not a file", path.display()))
                .hint(format!("name the files in it, for example path = \"{}\"", path.join("*").display())));
        }
        if !metadata.is_file() {
            return Err(ConnectorError::new(format!("\"{}\" is no regular file", path.display()))
                .hint("format = \"whole\" takes files whose size is known; read a pipe as \"lines\" or \"jsonl\""));
        }
        self.check_size(path, key, metadata.len())?;
        Ok(metadata.len())
    }

    fn check_size(&self, path: &Path, key: usize, size: u64) -> Result<(), ConnectorError> {
        let most = self.longest.saturating_sub(key) as u64;
        if size <= most {
            return Ok(());
        }
        let what = format!("{}: the file has {size} bytes, a record may have {most} beside its key", path.display());
        Err(ConnectorError::new(what).hint(
            "a record of a built-in source is bounded by 4MiB and by object_store_memory of each stage that reads it; \
             a pattern can leave large files out",
        ))
    }

    /// Reads a file into `content`; the file may have grown in the meantime.
    fn read(&mut self, path: &Path, key: usize) -> Result<(), ConnectorError> {
        self.content.clear();
        self.check(path, key)?;
        let file = File::open(path).and_then(|file| Counted::new(file, 0));
        let file = file.map_err(|cause| cannot("open", path, cause))?;
        self.check_size(path, key, file.size().unwrap_or(0))?;
        let most = self.longest.saturating_sub(key) as u64;
        if let Err(cause) = file.take(most + 1).read_to_end(&mut self.content) {
            return Err(match Refusal::of(&cause) {
                Some(Refusal { what, hint }) => {
                    ConnectorError { hint: hint.clone(), ..ConnectorError::new(format!("{}: {what}", path.display())) }
                }
                None => cannot("read", path, cause),
            });
        }
        self.check_size(path, key, self.content.len() as u64)
    }
}

impl Source for WholeFiles {
    fn fill(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) -> Result<Filled, ConnectorError> {
        let files = Arc::clone(&self.files);
        while batch.len() < max_records && batch.payloads().byte_len() < max_bytes {
            let Some(path) = files.paths.get(self.next) else { return Ok(Filled::End) };
            let key = files.name(path).as_os_str().as_bytes();
            if let Err(error) = self.read(path, key.len()) {
                self.next += 1;
                let place = files.describe(self.next as u64 - 1);
                return Err(error.leaving_behind(Unreadable::record(place, b"")));
            }
            let record = Record {
                payload: &self.content,
                key: Some(key),
                timestamp: None,
                headers: None,
                origin: Origin::new(self.number, self.next as u64),
            };
            if !batch.push(record) {
                // The batch has records of another shape; this record goes into the next batch.
                return Ok(Filled::More);
            }
            self.next += 1;
            self.done += self.content.len() as u64;
        }
        Ok(Filled::More)
    }

    fn identity(&self) -> Result<Option<Vec<u8>>, ConnectorError> {
        if self.files.paths.is_empty() {
            return Ok(None);
        }
        Ok(SavedFiles::of(&self.files.paths)?.map(|files| files.to_bytes()))
    }

    fn require_same(&self, saved: &[u8]) -> Result<(), ConnectorError> {
        SavedFiles::require_same(saved, &self.files.paths)
    }

    fn progress(&self) -> SourceProgress {
        SourceProgress { done: self.done, total: Some(self.total.max(self.done)), bytes: true, bounded: true }
    }

    fn places(&self) -> Option<Arc<dyn Places>> {
        Some(Arc::clone(&self.files) as Arc<dyn Places>)
    }
}

impl Paths {
    /// A path as the pipeline file would spell it.
    fn name<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.base).unwrap_or(path)
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self { paths: Vec::new(), base: PathBuf::new() }
    }
}

impl Places for Paths {
    fn describe(&self, offset: u64) -> String {
        let path = usize::try_from(offset).ok().and_then(|offset| self.paths.get(offset));
        path.map_or_else(|| format!("record {offset}"), |path| self.name(path).display().to_string())
    }
}

fn cannot(what: &str, path: &Path, cause: std::io::Error) -> ConnectorError {
    ConnectorError::caused(format!("cannot {what} \"{}\"", path.display()), cause)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn open(folder: &TempDir, pattern: &str, longest: usize) -> Result<WholeFiles, ConnectorError> {
        let spec =
            WholeFilesSpec { path: folder.path().join(pattern), base: folder.path().to_owned(), tolerant: false };
        WholeFiles::open(&spec, 3, longest)
    }

    /// Key, payload and place of every record, batch by batch.
    fn read(source: &mut WholeFiles, max_bytes: usize) -> Vec<Vec<(String, Vec<u8>, String)>> {
        let mut batches = Vec::new();
        loop {
            let mut batch = Batch::new();
            let filled = source.fill(&mut batch, 4096, max_bytes).unwrap();
            let record = |row| {
                let Record { payload, key, origin, .. } = batch.record(row).unwrap();
                let (source_number, offset) = origin.parts().unwrap();
                assert_eq!(source_number, 3);
                (String::from_utf8(key.unwrap().to_vec()).unwrap(), payload.to_vec(), source.describe(offset))
            };
            batches.push((0..batch.len()).map(record).collect());
            if filled == Filled::End {
                return batches;
            }
        }
    }

    #[test]
    fn every_file_below_is_a_record_under_its_path() {
        let bytes: Vec<u8> = (0..=255).collect();
        let folder =
            folder(&[("b.gz", b"\x1f\x8bno"), ("a/x/c.bin", &bytes), ("a/empty", b""), ("a/d.txt", b"x\r\n\n")]);
        let mut source = open(&folder, "**/*", 1000).unwrap();
        let record = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec(), name.to_owned());
        let expected = [
            record("a/d.txt", b"x\r\n\n"),
            record("a/empty", b""),
            record("a/x/c.bin", &bytes),
            record("b.gz", b"\x1f\x8bno"),
        ];
        assert_eq!(read(&mut source, 64 << 10), [expected]);
        assert_eq!(source.progress(), SourceProgress { done: 264, total: Some(264), bytes: true, bounded: true });
    }

    #[test]
    fn a_batch_ends_at_the_bytes_asked_for() {
        let folder = folder(&[("1", &[b'x'; 60]), ("2", &[b'x'; 60]), ("3", &[b'x'; 60])]);
        let batches = read(&mut open(&folder, "*", 1000).unwrap(), 100);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn a_path_elsewhere_is_told_as_it_was_found() {
        let folder = folder(&[("above.txt", b"1"), ("base/pipeline.toml", b"")]);
        let base = folder.path().join("base");
        let spec = WholeFilesSpec { path: base.join("../*.txt"), base, tolerant: false };
        let found = read(&mut WholeFiles::open(&spec, 3, 1000).unwrap(), 1000);
        assert_eq!(found[0][0].0, "../above.txt");
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused_before_any_record() {
        let folder = folder(&[("small", &[b'x'; 95]), ("large", &[b'x'; 96]), ("dir/x", b"")]);
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let root = folder.path().display();
        for (pattern, what) in [
            ("none", format!("\"{root}/none\" does not exist")),
            ("*.none", format!("no file matches \"{root}/*.none\"")),
            ("dir", format!("\"{root}/dir\" is a folder, not a file")),
            ("pipe", format!("\"{root}/pipe\" is no regular file")),
            ("*l*", format!("{root}/large: the file has 96 bytes, a record may have 95 beside its key")),
        ] {
            assert_eq!(open(&folder, pattern, 100).unwrap_err().what, what);
        }
    }

    #[test]
    fn a_file_that_grows_or_goes_after_it_was_looked_at_ends_the_source() {
        let folder = folder(&[("1", b"x"), ("2", b"x"), ("3", b"x")]);
        let at = |name: &str| folder.path().join(name);
        let mut source = open(&folder, "?", 100).unwrap();
        fs::write(at("2"), [b'x'; 200]).unwrap();
        let mut batch = Batch::new();
        let error = source.fill(&mut batch, 4096, 1000).unwrap_err();
        let root = folder.path().display();
        assert_eq!(error.what, format!("{root}/2: the file has 200 bytes, a record may have 99 beside its key"));
        assert_eq!(batch.len(), 1, "the record before it is there");
        fs::remove_file(at("3")).unwrap();
        let error = source.fill(&mut batch, 4096, 1000).unwrap_err();
        assert_eq!(error.what, format!("cannot open \"{root}/3\""));
        assert_eq!(error.unreadable, Some(Box::new(Unreadable::record("3", b""))));
        assert_eq!(source.fill(&mut batch, 4096, 1000).unwrap(), Filled::End);
    }
}
