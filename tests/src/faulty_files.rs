//! A file system that shows a real folder and fails, waits or hangs where a test says so (FUSE).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, SessionACL, TimeOrNow, WriteFlags,
};

use crate::Running;

/// Nothing is cached by the kernel, so every operation of the program reaches this file system.
const NOT_CACHED: Duration = Duration::ZERO;

const LONGEST_HANG: Duration = Duration::from_secs(60);

/// An operation of a program on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Opening a file that is there.
    Open,
    /// Making a file.
    Create,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Writing the data of a file to the disk.
    Sync,
    /// Renaming a file.
    Rename,
}

/// What an operation does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this number of an error.
    Fails(i32),
    /// It does its work after this time.
    Takes(Duration),
    /// It does nothing until [`FaultyFiles::let_go`], and a minute at the most: the kernel does not let a process end
    /// that waits for this operation.
    Hangs,
}

/// A mounted file system with faults. It is unmounted when this is dropped.
pub struct FaultyFiles {
    session: Option<BackgroundSession>,
    shared: Arc<Shared>,
}

impl FaultyFiles {
    /// Shows the folder `backing` at the folder `point`. An error says that this machine has no FUSE, or that this
    /// process may not mount.
    pub fn mount(backing: &Path, point: &Path) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let files = Files {
            backing: backing.to_owned(),
            shared: Arc::clone(&shared),
            known: Mutex::new(vec![PathBuf::new()]),
            open: Mutex::default(),
        };
        let mut config = Config::default();
        config.acl = SessionACL::All;
        let session = fuser::spawn_mount(files, point, &config)?;
        Ok(Self { session: Some(session), shared })
    }

    /// From now on, the operation has this fault after it has succeeded `after` more times.
    pub fn set(&self, operation: Operation, after: u64, fault: Fault) {
        self.shared.faults.lock().unwrap().insert(operation, (after, fault));
    }

    /// Whether an operation hangs now.
    pub fn hangs(&self) -> bool {
        !self.shared.hanging.lock().unwrap().is_empty()
    }

    /// Removes all faults. What hangs does its work.
    pub fn let_go(&self) {
        self.shared.let_go();
    }

    /// Waits until the run has ended but for the threads that hang, then lets them go.
    pub fn let_go_at_the_end_of(&self, run: &mut Running) {
        run.until("it waited for its threads", |id| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            stat.rsplit(')').next()?.trim_start().starts_with('Z').then_some(())
        });
        assert!(self.hangs(), "the disk answered");
        self.let_go();
    }
}

impl Drop for FaultyFiles {
    fn drop(&mut self) {
        self.let_go();
        if let Some(session) = self.session.take()
            && let Err(error) = session.umount_and_join()
        {
            eprintln!("cannot unmount the file system with faults: {error}");
        }
    }
}

/// The work of an operation. It gets the error with which the operation fails, if there is one.
type Work = Box<dyn FnOnce(Option<Errno>) + Send>;

#[derive(Default)]
struct Shared {
    faults: Mutex<BTreeMap<Operation, (u64, Fault)>>,
    hanging: Mutex<Vec<Work>>,
}

impl Shared {
    fn let_go(&self) {
        self.faults.lock().unwrap().clear();
        let hanging = std::mem::take(&mut *self.hanging.lock().unwrap());
        for work in hanging {
            work(None);
        }
    }

    fn due(&self, operation: Operation) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let (after, fault) = faults.get_mut(&operation)?;
        match after.checked_sub(1) {
            Some(left) => {
                *after = left;
                None
            }
            None => Some(*fault),
        }
    }

    fn meet(self: &Arc<Self>, operation: Operation, work: impl FnOnce(Option<Errno>) + Send + 'static) {
        match self.due(operation) {
            None => work(None),
            Some(Fault::Fails(number)) => work(Some(Errno::from_i32(number))),
            Some(Fault::Hangs) => {
                self.hanging.lock().unwrap().push(Box::new(work));
                let shared = Arc::clone(self);
                std::thread::spawn(move || {
                    std::thread::sleep(LONGEST_HANG);
                    shared.let_go();
                });
            }
            // The thread of the file system goes on with other operations.
            Some(Fault::Takes(time)) => drop(std::thread::spawn(move || {
                std::thread::sleep(time);
                work(None);
            })),
        }
    }
}

struct Files {
    backing: PathBuf,
    shared: Arc<Shared>,
    /// The paths of all inodes, relative to the folder; an inode's number is its place plus 1.
    known: Mutex<Vec<PathBuf>>,
    /// The open files; a handle is the place.
    open: Mutex<Vec<Arc<File>>>,
}

impl Files {
    fn relative(&self, inode: INodeNo) -> PathBuf {
        self.known.lock().unwrap()[usize::try_from(inode.0 - 1).unwrap()].clone()
    }

    fn path(&self, inode: INodeNo) -> PathBuf {
        self.backing.join(self.relative(inode))
    }

    fn attributes(&self, relative: &Path) -> Result<FileAttr, Errno> {
        let found = fs::symlink_metadata(self.backing.join(relative))?;
        let mut known = self.known.lock().unwrap();
        let place = known.iter().position(|path| path == relative).unwrap_or_else(|| {
            known.push(relative.to_owned());
            known.len() - 1
        });
        Ok(attributes(INodeNo(place as u64 + 1), &found))
    }

    fn keep(&self, file: File) -> FileHandle {
        let mut open = self.open.lock().unwrap();
        open.push(Arc::new(file));
        FileHandle(open.len() as u64 - 1)
    }

    fn file(&self, handle: FileHandle) -> Arc<File> {
        Arc::clone(&self.open.lock().unwrap()[usize::try_from(handle.0).unwrap()])
    }
}

fn attributes(inode: INodeNo, found: &Metadata) -> FileAttr {
    let changed = found.modified().unwrap();
    FileAttr {
        ino: inode,
        size: found.len(),
        blocks: found.blocks(),
        atime: changed,
        mtime: changed,
        ctime: changed,
        crtime: changed,
        kind: if found.is_dir() { FileType::Directory } else { FileType::RegularFile },
        perm: (found.mode() & 0o7777) as u16,
        nlink: u32::try_from(found.nlink()).unwrap(),
        uid: found.uid(),
        gid: found.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn open_options(flags: i32) -> OpenOptions {
    let mut options = OpenOptions::new();
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
    options.read(flags & libc::O_ACCMODE != libc::O_WRONLY).write(writes);
    options.truncate(flags & libc::O_TRUNC != 0 && writes);
    options
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.attributes(&self.relative(parent).join(name)) {
            Ok(found) => reply.entry(&NOT_CACHED, &found, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(&self.relative(inode)) {
            Ok(found) => reply.attr(&NOT_CACHED, &found),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        handle: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let path = self.path(inode);
        let changed = mode
            .map_or(Ok(()), |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .and_then(|()| size.map_or(Ok(()), |size| OpenOptions::new().write(true).open(&path)?.set_len(size)));
        match changed {
            Ok(()) => self.getattr(request, inode, handle, reply),
            Err(error) => reply.error(error.into()),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let relative = self.relative(parent).join(name);
        match fs::create_dir(self.backing.join(&relative))
            .map_err(Errno::from)
            .and_then(|()| self.attributes(&relative))
        {
            Ok(found) => reply.entry(&NOT_CACHED, &found, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match fs::remove_file(self.path(parent).join(name)) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error.into()),
        }
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (self.path(parent).join(name), self.path(new_parent).join(new_name));
        let taken = flags.contains(RenameFlags::RENAME_NOREPLACE) && to.exists();
        self.shared.meet(Operation::Rename, move |fault| {
            let failed = fault.or(taken.then_some(Errno::EEXIST));
            match failed.map_or_else(|| fs::rename(&from, &to).map_err(Errno::from), Err) {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(error),
            }
        });
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match open_options(flags.0).open(self.path(inode)) {
            Ok(file) => {
                let handle = self.keep(file);
                self.shared.meet(Operation::Open, move |fault| match fault {
                    None => reply.opened(handle, FopenFlags::FOPEN_DIRECT_IO),
                    Some(error) => reply.error(error),
                });
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, flags: i32, reply: ReplyCreate) {
        let relative = self.relative(parent).join(name);
        let made = open_options(flags)
            .create(true)
            .create_new(flags & libc::O_EXCL != 0)
            .mode(mode)
            .open(self.backing.join(&relative))
            .map_err(Errno::from)
            .and_then(|file| Ok((file, self.attributes(&relative)?)));
        match made {
            Ok((file, found)) => {
                let handle = self.keep(file);
                self.shared.meet(Operation::Create, move |fault| match fault {
                    None => reply.created(&NOT_CACHED, &found, Generation(0), handle, FopenFlags::FOPEN_DIRECT_IO),
                    Some(error) => reply.error(error),
                });
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let file = self.file(handle);
        self.shared.meet(Operation::Read, move |fault| {
            let mut bytes = vec![0; size as usize];
            match fault.map_or_else(|| file.read_at(&mut bytes, offset).map_err(Errno::from), Err) {
                Ok(count) => reply.data(&bytes[..count]),
                Err(error) => reply.error(error),
            }
        });
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let (file, data) = (self.file(handle), data.to_vec());
        self.shared.meet(Operation::Write, move |fault| {
            match fault.map_or_else(|| file.write_at(&data, offset).map_err(Errno::from), Err) {
                Ok(count) => reply.written(u32::try_from(count).unwrap()),
                Err(error) => reply.error(error),
            }
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let file = self.file(handle);
        self.shared.meet(Operation::Sync, move |fault| {
            match fault.map_or_else(|| file.sync_all().map_err(Errno::from), Err) {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(error),
            }
        });
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let relative = self.relative(inode);
        let names = match fs::read_dir(self.backing.join(&relative)) {
            Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect::<Vec<_>>(),
            Err(error) => return reply.error(error.into()),
        };
        for (place, name) in names.iter().enumerate().skip(usize::try_from(offset).unwrap()) {
            let Ok(found) = self.attributes(&relative.join(name)) else { continue };
            if reply.add(found.ino, place as u64 + 1, found.kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096);
    }
}
