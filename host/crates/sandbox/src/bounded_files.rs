use std::sync::Arc;

use sage_machine::MemoryBudget;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorType, ErrorCode as NativeCode, HostDescriptor as Files,
};
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    self, Advice, Descriptor, DescriptorFlags, DescriptorStat, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::sync::io::streams::{Error, InputStream, OutputStream};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::charged::Charged;
use super::deadline::Deadline;
use super::directory_entries::DirectoryEntries;
use super::lane_io::LaneIo;

/// `wasi:filesystem/types`, whose functions wait only while the call has time left. Otherwise a file system
/// that does not answer would block the lane. The file operations run on a thread of the lane, whose CPU time
/// counts as the guest's: see [`LaneIo`].
///
/// Only plain files and folders can be opened. Opening a named pipe blocks until another process opens its
/// other end, and opening a device can block at any time.
pub(super) struct BoundedFiles;

impl HasData for BoundedFiles {
    type Data<'a> = BoundedFilesView<'a>;
}

/// The files of one guest, the time that its call has left, and the memory of its instance.
pub(super) struct BoundedFilesView<'a> {
    pub(super) deadline: &'a mut Deadline,
    pub(super) io: &'a LaneIo,
    pub(super) budget: &'a Arc<MemoryBudget>,
    pub(super) files: &'a mut WasiFilesystemCtx,
    pub(super) table: &'a mut ResourceTable,
}

type Fd = Resource<Descriptor>;

impl BoundedFilesView<'_> {
    fn wait<T>(&mut self, wait: impl AsyncFnOnce(&mut WasiFilesystemCtxView<'_>) -> FsResult<T>) -> FsResult<T> {
        let Self { deadline, io, files, table, .. } = self;
        let mut view = WasiFilesystemCtxView { ctx: files, table };
        io.wait(deadline, wait(&mut view)).unwrap_or_else(|over| Err(FsError::trap(over)))
    }

    /// The view for operations that do not wait.
    fn view(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView { ctx: self.files, table: self.table }
    }

    /// Whether opening the path cannot block. Errors that `open_at` reports itself count as plain.
    fn is_plain(&mut self, fd: &Fd, flags: PathFlags, path: &str) -> FsResult<bool> {
        let (fd, path) = (Resource::new_borrow(fd.rep()), path.to_owned());
        let found = self.wait(async |view| Files::stat_at(view, fd, flags.into(), path).await);
        match found {
            Ok(found) => Ok(matches!(
                found.type_,
                DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink
            )),
            // The path does not exist or cannot be examined: opening it creates it or returns the error.
            Err(error) if error.downcast_ref().is_some() => Ok(true),
            Err(over) => Err(over),
        }
    }
}

impl types::Host for BoundedFilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.view(), error)
    }

    fn filesystem_error_code(&mut self, error: Resource<Error>) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.view(), error)
    }
}

impl types::HostDescriptor for BoundedFilesView<'_> {
    fn advise(&mut self, fd: Fd, offset: Filesize, len: Filesize, advice: Advice) -> FsResult<()> {
        self.wait(async |view| Files::advise(view, fd, offset, len, advice.into()).await)
    }

    fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.wait(async |view| Files::sync_data(view, fd).await)
    }

    fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.wait(async |view| Files::get_flags(view, fd).await).map(Into::into)
    }

    fn get_type(&mut self, fd: Fd) -> FsResult<types::DescriptorType> {
        self.wait(async |view| Files::get_type(view, fd).await).map(Into::into)
    }

    fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        self.wait(async |view| Files::set_size(view, fd, size).await)
    }

    fn set_times(&mut self, fd: Fd, atim: NewTimestamp, mtim: NewTimestamp) -> FsResult<()> {
        self.wait(async |view| Files::set_times(view, fd, atim.into(), mtim.into()).await)
    }

    fn read(&mut self, fd: Fd, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        self.wait(async |view| Files::read(view, fd, len, offset).await)
    }

    fn write(&mut self, fd: Fd, buf: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        self.wait(async |view| Files::write(view, fd, buf, offset).await)
    }

    fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let folder = match self.table.get(&fd)? {
            types::Descriptor::Dir(folder) => Arc::clone(&folder.dir),
            types::Descriptor::File(_) => return Err(NativeCode::NotDirectory.into()),
        };
        let budget = Arc::clone(self.budget);
        let entries = self.wait(async |_| DirectoryEntries::open(folder).await)?;
        let charged = Charged::of(&budget, "the listing of a folder", DirectoryEntries::MOST_BYTES, || Ok(entries))
            .map_err(FsError::trap)?;
        let stream = self.table.push(charged)?;
        Ok(Resource::new_own(stream.rep()))
    }

    fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.wait(async |view| Files::sync(view, fd).await)
    }

    fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.wait(async |view| Files::create_directory_at(view, fd, path).await)
    }

    fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.wait(async |view| Files::stat(view, fd).await).map(Into::into)
    }

    fn stat_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        self.wait(async |view| Files::stat_at(view, fd, flags.into(), path).await).map(Into::into)
    }

    fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        atim: NewTimestamp,
        mtim: NewTimestamp,
    ) -> FsResult<()> {
        self.wait(async |view| Files::set_times_at(view, fd, flags.into(), path, atim.into(), mtim.into()).await)
    }

    fn link_at(&mut self, fd: Fd, flags: PathFlags, old: String, to: Fd, new: String) -> FsResult<()> {
        self.wait(async |view| Files::link_at(view, fd, flags.into(), old, to, new).await)
    }

    fn open_at(
        &mut self,
        fd: Fd,
        at: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        if !self.is_plain(&fd, at, &path)? {
            return Err(wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode::Unsupported.into());
        }
        self.wait(async |view| Files::open_at(view, fd, at.into(), path, open.into(), flags.into()).await)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        Files::drop(&mut self.view(), fd)
    }

    fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.wait(async |view| Files::readlink_at(view, fd, path).await)
    }

    fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.wait(async |view| Files::remove_directory_at(view, fd, path).await)
    }

    fn rename_at(&mut self, fd: Fd, old: String, to: Fd, new: String) -> FsResult<()> {
        self.wait(async |view| Files::rename_at(view, fd, old, to, new).await)
    }

    fn symlink_at(&mut self, fd: Fd, source: String, path: String) -> FsResult<()> {
        self.wait(async |view| Files::symlink_at(view, fd, source, path).await)
    }

    fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.wait(async |view| Files::unlink_file_at(view, fd, path).await)
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<InputStream>> {
        Files::read_via_stream(&mut self.view(), fd, offset)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<OutputStream>> {
        Files::write_via_stream(&mut self.view(), fd, offset)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<OutputStream>> {
        Files::append_via_stream(&mut self.view(), fd)
    }

    fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        let Self { deadline, io, files, table, .. } = self;
        let mut view = WasiFilesystemCtxView { ctx: files, table };
        io.wait(deadline, Files::is_same_object(&mut view, a, b))?
    }

    fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.wait(async |view| Files::metadata_hash(view, fd).await).map(Into::into)
    }

    fn metadata_hash_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        self.wait(async |view| Files::metadata_hash_at(view, fd, flags.into(), path).await).map(Into::into)
    }
}

/// A listing of a folder. Its bytes are taken from the instance's memory.
type Listing = Charged<DirectoryEntries>;

impl types::HostDirectoryEntryStream for BoundedFilesView<'_> {
    fn read_directory_entry(&mut self, stream: Resource<DirectoryEntryStream>) -> FsResult<Option<DirectoryEntry>> {
        let listing = Resource::<Listing>::new_borrow(stream.rep());
        let entry = self.wait(async |view| view.table.get_mut(&listing)?.next().await)?;
        Ok(entry.map(Into::into))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Listing>::new_own(stream.rep()))?;
        Ok(())
    }
}
