use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::ModelError;
use sage_machine::{PlainFileError, read_plain_file};

/// A model's file, read as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: [u8; 32],
}

impl ModelFile {
    /// The largest file that is read. The file is held in memory, and ONNX cannot store more than 2 GiB in
    /// one file.
    pub const MOST_BYTES: u64 = 1 << 30;
    /// Timeout for reading a file. The timeout is enough for 1 GiB from a disk with 9 MB/s.
    pub const TIMEOUT: Duration = Duration::from_secs(120);

    /// Reads a file of at most `most` bytes, on a thread of its own. A file system that does not answer
    /// blocks that thread, not the caller.
    ///
    /// # Errors
    /// [`ModelError::Unreadable`], also if the path is not a regular file, if the file is empty, or if it is
    /// not read within [`ModelFile::TIMEOUT`]; [`ModelError::TooLarge`].
    pub fn read(path: &Path, most: u64) -> Result<Self, ModelError> {
        let of = path.to_owned();
        let read = move || Self::read_here(&of, most);
        let unreadable = |reason: String| ModelError::Unreadable { path: path.to_owned(), reason };
        within(Self::TIMEOUT, read).unwrap_or_else(|error| Err(unreadable(error)))
    }

    fn read_here(path: &Path, most: u64) -> Result<Self, ModelError> {
        let unreadable = |reason: String| ModelError::Unreadable { path: path.to_owned(), reason };
        let bytes = read_plain_file(path, most).map_err(|error| match error {
            PlainFileError::TooLarge { size, limit } => ModelError::TooLarge { path: path.to_owned(), size, limit },
            error => unreadable(error.to_string()),
        })?;
        if bytes.is_empty() {
            return Err(unreadable("it has no bytes".to_owned()));
        }
        let sha256 = Sha256::digest(&bytes).into();
        Ok(Self { path: path.to_owned(), bytes, sha256 })
    }

    /// Checks that the file is the declared one.
    ///
    /// # Errors
    /// [`ModelError::Digest`].
    pub fn check(&self, declared: Option<[u8; 32]>) -> Result<(), ModelError> {
        match declared {
            Some(declared) if declared != self.sha256 => {
                Err(ModelError::Digest { path: self.path.clone(), declared: hex(declared), actual: self.sha256_hex() })
            }
            _ => Ok(()),
        }
    }

    /// The content of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The SHA-256 digest.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The SHA-256 digest in hexadecimal digits.
    #[must_use]
    pub fn sha256_hex(&self) -> String {
        hex(self.sha256)
    }
}

/// The result of `work` on a thread of its own, or the reason why there is none. After a timeout the thread
/// is left running and its result is dropped.
fn within<T: Send + 'static>(timeout: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (answer, answered) = mpsc::sync_channel(1);
    let begun = thread::Builder::new().name("model-file".to_owned()).spawn(move || {
        let _ = answer.send(work());
    });
    begun.map_err(|error| format!("no thread can be started to read it: {error}"))?;
    answered.recv_timeout(timeout).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => format!("it was not read within {timeout:?}"),
        mpsc::RecvTimeoutError::Disconnected => "reading it failed".to_owned(),
    })
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        fs::write(&path, "abc").unwrap();
        let file = ModelFile::read(&path, 3).unwrap();
        assert_eq!(file.bytes(), b"abc");
        assert_eq!(file.sha256_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let error = ModelFile::read(&path, 2).unwrap_err();
        assert_eq!(error, ModelError::TooLarge { path: path.clone(), size: 3, limit: 2 });
        for missing in [folder.path().join("n.onnx"), folder.path().to_owned()] {
            let error = ModelFile::read(&missing, 3).unwrap_err();
            assert!(matches!(error, ModelError::Unreadable { .. }), "{error}");
        }
    }

    #[test]
    fn another_file_than_the_declared_one_is_told_with_both_digests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        fs::write(&path, "abc").unwrap();
        let file = ModelFile::read(&path, 3).unwrap();
        assert_eq!(file.check(None), Ok(()));
        assert_eq!(file.check(Some(Sha256::digest("abc").into())), Ok(()));
        let said = file.check(Some([0xab; 32])).unwrap_err().to_string();
        assert!(said.contains(&"ab".repeat(32)) && said.contains(&file.sha256_hex()), "{said}");
    }

    #[test]
    fn a_path_that_would_block_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, empty) = (folder.path().join("pipe"), folder.path().join("empty.onnx"));
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        fs::write(&empty, "").unwrap();
        let link = folder.path().join("link.onnx");
        std::os::unix::fs::symlink("/proc/kmsg", &link).unwrap();
        let kernel = "/proc/kmsg";
        let cases = [
            (pipe.as_path(), "not a regular file"),
            (folder.path(), "not a regular file"),
            (Path::new("/dev/zero"), "not a regular file"),
            (Path::new(kernel), "it has no bytes"),
            (&link, "it has no bytes"),
            (&empty, "it has no bytes"),
        ];
        for (path, said) in cases {
            // The kernel of this machine may lack the file.
            if path == Path::new(kernel) && !path.exists() {
                continue;
            }
            let error = ModelFile::read(path, 100).unwrap_err().to_string();
            assert!(error.ends_with(said) || error.contains("No such file"), "{}: {error}", path.display());
        }
    }

    #[test]
    fn a_file_system_that_does_not_answer_is_waited_for_no_longer_than_the_patience() {
        let (hold, held) = mpsc::channel::<()>();
        let stuck = within(Duration::from_millis(20), move || held.recv().is_ok());
        assert_eq!(stuck, Err("it was not read within 20ms".to_owned()));
        drop(hold);
        assert_eq!(within(Duration::from_secs(60), || 7), Ok(7));
    }
}
