use std::collections::VecDeque;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, statat};
use rustix::io::Errno;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};
use wasmtime_wasi::runtime::spawn_blocking;

/// Bytes that one system call may return.
const CALL_BYTES: usize = 4 << 10;

/// The entries of an open folder, read in small pieces. So the memory of a listing does not depend on the number of
/// entries. wasmtime-wasi reads a folder to its end before the guest gets the first entry.
pub(super) struct DirectoryEntries {
    folder: Arc<OwnedFd>,
    read: VecDeque<Entry>,
    is_at_end: bool,
}

type Entry = Result<DirectoryEntry, ErrorCode>;

impl DirectoryEntries {
    /// Most bytes that a listing has at a time: a piece of the folder as the kernel returns it, and the same as
    /// entries. The shortest entry takes 24 bytes of the piece, and 48 with the block of its name.
    pub(super) const MOST_BYTES: usize = 4 * CALL_BYTES;

    /// Begins to list a folder. The listing has a position of its own.
    pub(super) async fn open(folder: Arc<File>) -> FsResult<Self> {
        let opened = spawn_blocking(move || {
            openat(&*folder, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        });
        let folder = opened.await.map_err(std::io::Error::from)?;
        Ok(Self { folder: Arc::new(folder), read: VecDeque::new(), is_at_end: false })
    }

    /// The next entry; `None` at the end.
    pub(super) async fn next(&mut self) -> FsResult<Option<DirectoryEntry>> {
        while self.read.is_empty() && !self.is_at_end {
            let folder = Arc::clone(&self.folder);
            self.read = spawn_blocking(move || piece(&folder)).await.map_err(std::io::Error::from)?;
            self.is_at_end = self.read.is_empty();
            self.read.retain(|entry| !matches!(entry, Ok(entry) if entry.name == "." || entry.name == ".."));
        }
        self.read.pop_front().transpose().map_err(Into::into)
    }
}

/// The next entries of a folder, with `.` and `..`; none at the end.
fn piece(folder: &OwnedFd) -> Result<VecDeque<Entry>, Errno> {
    let mut bytes = [MaybeUninit::uninit(); CALL_BYTES];
    let mut entries = RawDir::new(folder, &mut bytes);
    let mut piece = VecDeque::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let file_type = match entry.file_type() {
            FileType::Unknown => statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |found| FileType::from_raw_mode(found.st_mode)),
            known => known,
        };
        piece.push_back(match entry.file_name().to_str() {
            Ok(name) => Ok(DirectoryEntry { type_: descriptor_type(file_type), name: name.to_owned() }),
            Err(_) => Err(ErrorCode::IllegalByteSequence),
        });
        if entries.is_buffer_empty() {
            break;
        }
    }
    Ok(piece)
}

fn descriptor_type(file_type: FileType) -> DescriptorType {
    match file_type {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::Unknown => DescriptorType::Unknown,
    }
}
